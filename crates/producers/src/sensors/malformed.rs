//! Broken payloads: each way in which devices, gateways and brokers' neighbours are known to spoil a record.
//!
//! Whatever way is taken, the result is no valid reading; a test holds the decoder to that.

use crate::noise::Noise;

/// A way to break a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breakage {
    /// Cut off in the middle, as by a device that lost power.
    Truncated,
    /// Not JSON at all.
    NotJson,
    /// Nothing.
    Empty,
    /// A byte that is no UTF-8.
    InvalidUtf8,
    /// JSON, but no object.
    NotAnObject,
    /// No sensor id.
    NoSensorId,
    /// A timestamp that cannot be read.
    UnreadableTimestamp,
    /// `NaN`, which JSON does not have.
    NotANumber,
    /// A number beyond what a double holds.
    TooLargeNumber,
    /// A measurement that is text.
    TextForNumber,
    /// The same key twice.
    DuplicateKey,
}

impl Breakage {
    const ALL: [Self; 11] = [
        Self::Truncated,
        Self::NotJson,
        Self::Empty,
        Self::InvalidUtf8,
        Self::NotAnObject,
        Self::NoSensorId,
        Self::UnreadableTimestamp,
        Self::NotANumber,
        Self::TooLargeNumber,
        Self::TextForNumber,
        Self::DuplicateKey,
    ];
}

/// Breaks the encoded reading in `payload`, in a way that `noise` picks.
pub(super) fn break_payload(payload: &mut Vec<u8>, noise: &mut Noise) {
    let last = Breakage::ALL.len() as u32 - 1;
    apply(Breakage::ALL[noise.whole(0, last) as usize], payload, noise);
}

fn apply(breakage: Breakage, payload: &mut Vec<u8>, noise: &mut Noise) {
    match breakage {
        Breakage::Truncated => {
            let length = payload.len() as u32;
            payload.truncate(noise.whole(1, length - 1) as usize);
        }
        Breakage::NotJson => replace(payload, b"ERR 0x2f: sensor bus timeout"),
        Breakage::Empty => payload.clear(),
        Breakage::InvalidUtf8 => replace_value(payload, b"\"sensor_id\":", b"\"\xff\xfe\""),
        Breakage::NotAnObject => {
            payload.insert(0, b'[');
            payload.push(b']');
        }
        Breakage::NoSensorId => rename_key(payload, b"\"sensor_id\"", b"\"sensor\""),
        Breakage::UnreadableTimestamp => {
            replace_value(payload, b"\"timestamp\":", b"\"0000-00-00T00:00:00\"");
        }
        Breakage::NotANumber => replace_value(payload, b"\"temperature\":", b"NaN"),
        Breakage::TooLargeNumber => replace_value(payload, b"\"temperature\":", b"1e400"),
        Breakage::TextForNumber => replace_value(payload, b"\"temperature\":", b"\"n/a\""),
        Breakage::DuplicateKey => {
            payload.pop();
            payload.extend_from_slice(b",\"temperature\":0.0}");
        }
    }
}

fn replace(payload: &mut Vec<u8>, with: &[u8]) {
    payload.clear();
    payload.extend_from_slice(with);
}

/// Puts `value` where the value of `key` is; the readings broken here have no comma inside of values.
fn replace_value(payload: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let Some(at) = find(payload, key) else { return replace(payload, value) };
    let start = at + key.len();
    let end =
        payload[start..].iter().position(|byte| *byte == b',').map_or(payload.len(), |length| start + length);
    payload.splice(start..end, value.iter().copied());
}

fn rename_key(payload: &mut Vec<u8>, key: &[u8], to: &[u8]) {
    if let Some(at) = find(payload, key) {
        payload.splice(at..at + key.len(), to.iter().copied());
    }
}

fn find(payload: &[u8], part: &[u8]) -> Option<usize> {
    payload.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Purpose;

    const READING: &[u8] = br#"{"sensor_id":"SENSOR_001","timestamp":"2024-11-07T10:15:30","temperature":23.5,"humidity":65.2,"pressure":1013.25,"location":{"latitude":52.3676,"longitude":4.9041},"status":"active"}"#;

    #[test]
    fn no_breakage_leaves_a_valid_reading() {
        let mut scratch = model::Scratch::default();
        assert!(model::decode(READING, &mut scratch).is_ok());
        let mut reasons = std::collections::BTreeSet::new();
        for breakage in Breakage::ALL {
            for seed in 0..200 {
                let mut payload = READING.to_vec();
                apply(breakage, &mut payload, &mut Noise::new(seed, Purpose::Faults, 0));
                match model::decode(&payload, &mut scratch) {
                    Ok(_) => panic!("{breakage:?} left {}", String::from_utf8_lossy(&payload)),
                    Err(reject) => reasons.insert(reject.reason()),
                };
            }
        }
        assert!(reasons.len() >= 7, "the breakages should hit many reasons: {reasons:?}");
    }
}
