//! The mechanisms, as clients see them.

use openssl::base64::{decode_block, encode_block};
use openssl::hash::hash;
use openssl::pkcs5::pbkdf2_hmac;

use super::*;
use crate::settings::User;

fn credentials() -> Credentials {
    let user = |name: &str, password: &str| User { name: name.to_owned(), password: password.to_owned() };
    let mechanisms = vec![SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];
    let users = vec![user("alice", "wonderland"), user("a=b,c", "pässword")];
    Credentials::new(&Security { mechanisms, users, ..Security::default() }).unwrap()
}

/// A client's side of SCRAM: the user that it is taken for, and the server's proof checked.
fn scram(
    credentials: &Credentials,
    mechanism: SaslMechanism,
    written: &str,
    password: &str,
) -> Result<String, SaslError> {
    scram_with(credentials, mechanism, written, password, str::to_owned)
}

/// Likewise, with a change to the nonce of the last message.
fn scram_with(
    credentials: &Credentials,
    mechanism: SaslMechanism,
    written: &str,
    password: &str,
    change: impl FnOnce(&str) -> String,
) -> Result<String, SaslError> {
    let digest = mechanism.digest();
    let mut exchange = Exchange::new(mechanism);
    let bare = format!("n={written},r=fyko+d2lbbFgONRv9qkxdawL");
    let Step::Challenge(challenge) = exchange.step(credentials, format!("n,,{bare}").as_bytes())? else {
        panic!("done at once");
    };
    let challenge = String::from_utf8(challenge).unwrap();
    let attribute = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
    let (nonce, salt) = (change(attribute("r=")), decode_block(attribute("s=")).unwrap());
    let mut salted = vec![0; digest.size()];
    pbkdf2_hmac(password.as_bytes(), &salt, attribute("i=").parse().unwrap(), digest, &mut salted).unwrap();
    let client = hmac(digest, &salted, &[b"Client Key"]).unwrap();
    let stored = hash(digest, &client).unwrap();
    let without_proof = format!("c=biws,r={nonce}");
    let message = format!("{bare},{challenge},{without_proof}");
    let signature = hmac(digest, &stored, &[message.as_bytes()]).unwrap();
    let proof: Vec<u8> = client.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();
    let last = format!("{without_proof},p={}", encode_block(&proof));
    let Step::Done { user, last } = exchange.step(credentials, last.as_bytes())? else {
        panic!("not done");
    };
    let server = hmac(digest, &salted, &[b"Server Key"]).unwrap();
    let expected = format!("v={}", encode_block(&hmac(digest, &server, &[message.as_bytes()]).unwrap()));
    assert_eq!(String::from_utf8(last).unwrap(), expected);
    Ok(user)
}

#[test]
fn scram_lets_in_who_knows_the_password() {
    let credentials = credentials();
    for mechanism in [SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        assert_eq!(scram(&credentials, mechanism, "alice", "wonderland").as_deref(), Ok("alice"));
        assert_eq!(scram(&credentials, mechanism, "a=3Db=2Cc", "pässword").as_deref(), Ok("a=b,c"));
        assert_eq!(scram(&credentials, mechanism, "alice", "wrong"), Err(SaslError::Credentials));
        assert_eq!(scram(&credentials, mechanism, "bob", "wonderland"), Err(SaslError::Credentials));
    }
}

#[test]
fn the_nonce_is_that_of_the_exchange_or_as_old_librdkafka_doubles_it() {
    let credentials = credentials();
    let check = |change: fn(&str) -> String, expected: Result<&str, SaslError>| {
        let user = scram_with(&credentials, SaslMechanism::ScramSha256, "alice", "wonderland", change);
        assert_eq!(user, expected.map(str::to_owned));
    };
    check(|nonce| format!("fyko+d2lbbFgONRv9qkxdawL{nonce}"), Ok("alice"));
    check(|nonce| format!("anything{nonce}"), Err(SaslError::Token));
    check(|nonce| nonce[1..].to_owned(), Err(SaslError::Token));
    check(|nonce| format!("{nonce}x"), Err(SaslError::Token));
    check(|_| "fyko+d2lbbFgONRv9qkxdawL".to_owned(), Err(SaslError::Token));
}

#[test]
fn a_name_that_is_not_known_has_the_same_salt_every_time() {
    let credentials = credentials();
    let salt = || match Exchange::new(SaslMechanism::ScramSha256).step(&credentials, b"n,,n=bob,r=abc") {
        Ok(Step::Challenge(challenge)) => {
            String::from_utf8(challenge).unwrap().split_once(",s=").unwrap().1.to_owned()
        }
        _ => panic!("no challenge"),
    };
    assert_eq!(salt(), salt());
}

#[test]
fn scram_messages_that_are_none_are_refused() {
    let credentials = credentials();
    let first: [&[u8]; 10] = [
        b"",
        b"n,,",
        b"n,,n=alice",
        b"n,,n=alice,r=",
        b"n,,n=,r=abc",
        b"n,,n=al=ice,r=abc",
        b"p=tls-unique,,n=alice,r=abc",
        b"n,a=bob,n=alice,r=abc",
        b"n,,m=what,n=alice,r=abc",
        b"\xff,,n=alice,r=abc",
    ];
    for token in first {
        let mut exchange = Exchange::new(SaslMechanism::ScramSha256);
        assert_eq!(exchange.step(&credentials, token).err(), Some(SaslError::Token), "{token:?}");
    }
    let last: [&[u8]; 5] = [b"", b"c=biws,r=other,p=AAAA", b"c=biws", b"c=eSws,r=abc,p=", b"\xff"];
    for token in last {
        let mut exchange = Exchange::new(SaslMechanism::ScramSha256);
        assert!(matches!(exchange.step(&credentials, b"n,a=alice,n=alice,r=abc"), Ok(Step::Challenge(_))));
        assert_eq!(exchange.step(&credentials, token).err(), Some(SaslError::Token), "{token:?}");
    }
}

#[test]
fn plain_lets_in_who_sends_the_password() {
    let credentials = credentials();
    let check = |token: &[u8], expected: Result<&str, SaslError>| {
        let user = match Exchange::new(SaslMechanism::Plain).step(&credentials, token) {
            Ok(Step::Done { user, .. }) => Ok(user),
            Ok(Step::Challenge(_)) => panic!("a challenge"),
            Err(error) => Err(error),
        };
        assert_eq!(user, expected.map(str::to_owned), "{token:?}");
    };
    check(b"\0alice\0wonderland", Ok("alice"));
    check(b"alice\0alice\0wonderland", Ok("alice"));
    check(b"bob\0alice\0wonderland", Err(SaslError::Credentials));
    check(b"\0alice\0wonderlan", Err(SaslError::Credentials));
    check(b"\0alice\0", Err(SaslError::Credentials));
    check(b"\0bob\0wonderland", Err(SaslError::Credentials));
    check(b"alice\0wonderland", Err(SaslError::Token));
    check(b"\0alice\0wonder\0land", Err(SaslError::Token));
    check(b"\0\xff\0wonderland", Err(SaslError::Token));
}

#[test]
fn users_that_cannot_be_used_are_refused() {
    let check = |users: &[(&str, &str)], expected: &str| {
        let users =
            users.iter().map(|&(name, password)| User { name: name.into(), password: password.into() });
        let security = Security {
            mechanisms: vec![SaslMechanism::Plain],
            users: users.collect(),
            ..Security::default()
        };
        let error = Credentials::new(&security).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&[], "no user");
    check(&[("a", "secret"), ("a", "secret")], "given twice");
    check(&[("", "secret")], "empty");
    check(&[("a", "")], "password");
}
