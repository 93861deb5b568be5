//! The table and the codec read every field of every version from the same place.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages;
use kafka_protocol::protocol::{Decodable, Encodable};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;
use crate::server::probe::for_every_request;
use crate::server::versions::{SUPPORTED, answered};

/// Requests made for each version of each API.
const ROUNDS: usize = 40;
/// A tag that no message has.
const UNKNOWN_TAG: u32 = 900;

/// Makes requests as the table says, with random content.
struct Maker {
    random: TestRng,
    out: BytesMut,
    version: i16,
    flexible: bool,
}

impl Maker {
    fn below(&mut self, bound: u32) -> u32 {
        self.random.next_u32() % bound
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value as u8);
    }

    fn length(&mut self, length: u32, bytes: usize) {
        match (self.flexible, bytes) {
            (true, _) => self.varint(length + 1),
            (false, 2) => self.out.put_u16(length as u16),
            (false, _) => self.out.put_u32(length),
        }
    }

    fn text(&mut self, length_bytes: usize) {
        let length = self.below(4) * self.below(50);
        self.length(length, length_bytes);
        self.out.put_bytes(b'x', length as usize);
    }

    fn field(&mut self, kind: Kind) {
        match kind {
            // Of one byte, it may be a boolean.
            Kind::Fixed(1) => {
                let value = self.below(2);
                self.out.put_u8(value as u8);
            }
            Kind::Fixed(bytes) => (0..bytes).for_each(|_| {
                let value = self.below(256);
                self.out.put_u8(value as u8);
            }),
            Kind::String => self.text(2),
            Kind::Bytes => self.text(4),
            Kind::Array(element) => {
                let count = self.below(4);
                self.length(count, 4);
                (0..count).for_each(|_| self.field(*element));
            }
            Kind::Struct(fields, tagged) => self.fields(fields, tagged),
            Kind::Optional(fields) => {
                let present = self.below(2) == 1;
                self.out.put_i8(if present { 1 } else { -1 });
                if present {
                    self.fields(fields, &[]);
                }
            }
        }
    }

    fn fields(&mut self, fields: &[Field], tagged: &[Tagged]) {
        let version = self.version;
        for field in fields.iter().filter(|field| (field.since..=field.until).contains(&version)) {
            self.field(field.kind);
        }
        if !self.flexible {
            return;
        }
        let here =
            tagged.iter().filter(|tagged| (tagged.field.since..=tagged.field.until).contains(&version));
        let here: Vec<_> = here.filter(|_| self.random.next_u32().is_multiple_of(2)).collect();
        let unknown = self.below(3);
        self.varint(here.len() as u32 + unknown);
        for tagged in here {
            let before = std::mem::take(&mut self.out);
            self.field(tagged.field.kind);
            let value = std::mem::replace(&mut self.out, before);
            self.tag(tagged.tag, &value);
        }
        for number in 0..unknown {
            self.tag(UNKNOWN_TAG + number, b"something");
        }
    }

    fn tag(&mut self, tag: u32, value: &[u8]) {
        self.varint(tag);
        self.varint(value.len() as u32);
        self.out.put_slice(value);
    }
}

fn make(key: ApiKey, version: i16, random: &mut TestRng) -> Bytes {
    let shape = table::request(key).unwrap();
    let mut seed = [0; 32];
    random.fill_bytes(&mut seed);
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut maker = Maker { random, out: BytesMut::new(), version, flexible: version >= shape.flexible };
    maker.fields(shape.fields, shape.tagged);
    maker.out.freeze()
}

/// Holds one API's table against the codec: bytes made by the table, and the codec's own.
fn compare<Q>(key: ApiKey, random: &mut TestRng)
where
    Q: Decodable + Encodable + Default + PartialEq + std::fmt::Debug,
{
    let (lowest, highest) = answered(key).unwrap();
    for version in lowest..=highest {
        let mut requests = vec![Q::default()];
        for _ in 0..ROUNDS {
            let mut made = make(key, version, random);
            assert_eq!(check(key, version, &made), Ok(made.len()), "{key:?} {version}");
            let whole = made.clone();
            let decoded = Q::decode(&mut made, version);
            let decoded = decoded.unwrap_or_else(|error| panic!("{key:?} {version}: {error}: {whole:?}"));
            assert!(made.is_empty(), "{key:?} {version}: the codec leaves {made:?}");
            requests.push(decoded);
        }
        for request in requests {
            let mut bytes = BytesMut::new();
            request.encode(&mut bytes, version).unwrap_or_else(|error| panic!("{key:?} {version}: {error}"));
            assert_eq!(check(key, version, &bytes), Ok(bytes.len()), "{key:?} {version}");
            for end in 0..bytes.len() {
                assert_eq!(check(key, version, &bytes[..end]), Err(Malformed), "{key:?} {version}");
            }
            assert_eq!(Q::decode(&mut bytes.freeze(), version).unwrap(), request);
        }
    }
}

#[test]
fn the_table_and_the_codec_agree() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    macro_rules! compare_all {
        ($($key:ident $request:ident,)*) => {{
            $(compare::<messages::$request>(ApiKey::$key, &mut random);)*
            [$(ApiKey::$key),*]
        }};
    }
    let compared = for_every_request!(compare_all);
    assert_eq!(compared, SUPPORTED.map(|(key, ..)| key));
}

#[test]
fn every_element_takes_a_byte_at_least() {
    fn least(kind: Kind, version: i16, flexible: bool) -> usize {
        match kind {
            Kind::Fixed(bytes) => bytes,
            Kind::String | Kind::Bytes | Kind::Array(_) | Kind::Optional(_) => 1,
            Kind::Struct(fields, _) => least_of(fields, version, flexible),
        }
    }
    fn least_of(fields: &[Field], version: i16, flexible: bool) -> usize {
        let here = fields.iter().filter(|field| (field.since..=field.until).contains(&version));
        here.map(|field| {
            if let Kind::Array(element) = field.kind {
                assert!(least(*element, version, flexible) > 0);
            }
            least(field.kind, version, flexible)
        })
        .sum::<usize>()
            + usize::from(flexible)
    }
    for (key, lowest, highest) in SUPPORTED {
        let shape = table::request(key).unwrap();
        (lowest..=highest).for_each(|version| {
            least_of(shape.fields, version, version >= shape.flexible);
        });
    }
}

#[test]
fn counts_beyond_the_frame_and_beyond_the_bound_are_refused() {
    // DescribeGroups 0: an array of strings.
    assert_eq!(check(ApiKey::DescribeGroups, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0]), Err(Malformed));
    assert_eq!(check(ApiKey::DescribeGroups, 0, &[0xff, 0xff, 0xff, 0xfe]), Err(Malformed));
    assert_eq!(check(ApiKey::DescribeGroups, 0, &[0, 0, 0, 1, 0, 9, b'a']), Err(Malformed));
    let many = |count: usize| {
        let mut body = BytesMut::new();
        body.put_u32(count as u32);
        body.put_bytes(0, 2 * count);
        check(ApiKey::DescribeGroups, 0, &body)
    };
    assert!(many(REQUEST_ELEMENTS).is_ok());
    assert_eq!(many(REQUEST_ELEMENTS + 1), Err(Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Random bytes, and requests with some bytes replaced, are refused or decoded from the bytes that were checked.
    #[test]
    fn no_bytes_surprise_the_codec(
        api in 0..SUPPORTED.len(),
        version in any::<prop::sample::Index>(),
        seed in any::<[u8; 32]>(),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let (key, lowest, highest) = SUPPORTED[api];
        let version = lowest + version.index((highest - lowest + 1) as usize) as i16;
        let mut changed = make(key, version, &mut TestRng::from_seed(RngAlgorithm::ChaCha, &seed)).to_vec();
        for (place, byte) in changes {
            if !changed.is_empty() {
                let place = place.index(changed.len());
                changed[place] = byte;
            }
        }
        for body in [noise, changed] {
            let mut frame = BytesMut::new();
            frame.put_i16(key as i16);
            frame.put_i16(version);
            frame.put_i32(1);
            frame.put_slice(b"\x00\x00");
            if key.request_header_version(version) >= 2 {
                frame.put_u8(0);
            }
            frame.put_slice(&body);
            crate::server::probe::is_request(&frame);
        }
    }
}
