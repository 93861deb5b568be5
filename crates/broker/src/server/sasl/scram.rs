//! The server's side of SCRAM: RFC 5802, with SHA-256 by RFC 7677 and SHA-512 in the same way. No channel binding.
//!
//! A client proves that it knows the password without sending it, and the server that it has keys derived from it.

use openssl::base64::{decode_block, encode_block};
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::memcmp;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::rand::rand_bytes;

use super::{Credentials, SaslError, hmac};
use crate::settings::SaslMechanism;

/// Rounds of PBKDF2; RFC 7677 asks for 4,096 at least.
const ITERATIONS: usize = 8192;
/// Bytes of the server's half of the nonce, before base 64.
const NONCE_BYTES: usize = 24;

/// What the server keeps of a password.
#[derive(Clone)]
pub(super) struct ScramKeys {
    salt: Vec<u8>,
    stored: Vec<u8>,
    server: Vec<u8>,
}

impl ScramKeys {
    pub(super) fn derive(digest: MessageDigest, password: &str, salt: Vec<u8>) -> Result<Self, ErrorStack> {
        let mut salted = vec![0; digest.size()];
        pbkdf2_hmac(password.as_bytes(), &salt, ITERATIONS, digest, &mut salted)?;
        let client = hmac(digest, &salted, &[b"Client Key"])?;
        let stored = hash(digest, &client)?.to_vec();
        Ok(Self { salt, stored, server: hmac(digest, &salted, &[b"Server Key"])? })
    }

    /// Keys for a name that is not known, of a digest's size.
    pub(super) fn of_nobody(keys: Vec<u8>, salt: Vec<u8>) -> Self {
        Self { salt, stored: keys.clone(), server: keys }
    }
}

/// One authentication, after the client's first message.
pub(in crate::server) struct Scram {
    digest: MessageDigest,
    user: String,
    known: bool,
    keys: ScramKeys,
    /// What the client's last message must repeat: the header of its first, and the nonce of both.
    header: String,
    nonce: String,
    /// The client's part of the nonce alone, by its length.
    client_nonce_bytes: usize,
    /// The two first messages, which the proof is over.
    firsts: String,
}

impl Scram {
    /// Takes the client's first message, and returns the answer to it.
    pub(super) fn begin(
        credentials: &Credentials,
        mechanism: SaslMechanism,
        token: &[u8],
    ) -> Result<(Self, Vec<u8>), SaslError> {
        let mut random = [0; NONCE_BYTES];
        rand_bytes(&mut random)?;
        let first = First::parse(token).ok_or(SaslError::Token)?;
        let (keys, known) = credentials.scram_keys(mechanism, &first.user)?;
        let nonce = format!("{}{}", first.nonce, encode_block(&random));
        let challenge = format!("r={nonce},s={},i={ITERATIONS}", encode_block(&keys.salt));
        let firsts = format!("{},{challenge}", first.bare);
        let header = first.header.to_owned();
        let client_nonce_bytes = first.nonce.len();
        let digest = mechanism.digest();
        let scram = Self { digest, user: first.user, known, keys, header, nonce, client_nonce_bytes, firsts };
        Ok((scram, challenge.into_bytes()))
    }

    /// Takes the client's last message, and returns the proof that the server has the keys.
    pub(super) fn finish(&self, token: &[u8]) -> Result<Vec<u8>, SaslError> {
        let text = str::from_utf8(token).map_err(|_| SaslError::Token)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(SaslError::Token)?;
        let (binding, rest) = without_proof
            .strip_prefix("c=")
            .and_then(|rest| rest.split_once(",r="))
            .ok_or(SaslError::Token)?;
        let nonce = rest.split(',').next().unwrap_or_default();
        let binding = decode_block(binding).map_err(|_| SaslError::Token)?;
        let proof = decode_block(proof).map_err(|_| SaslError::Token)?;
        if binding != self.header.as_bytes() || !self.repeats(nonce) || proof.len() != self.digest.size() {
            return Err(SaslError::Token);
        }
        let message = format!("{},{without_proof}", self.firsts);
        let signature = hmac(self.digest, &self.keys.stored, &[message.as_bytes()])?;
        let client: Vec<u8> = proof.iter().zip(&signature).map(|(proof, mask)| proof ^ mask).collect();
        let proven = memcmp::eq(&hash(self.digest, &client)?, &self.keys.stored);
        if !(proven && self.known) {
            return Err(SaslError::Credentials);
        }
        let server = hmac(self.digest, &self.keys.server, &[message.as_bytes()])?;
        Ok(format!("v={}", encode_block(&server)).into_bytes())
    }

    /// Whether a nonce is the one of this exchange. librdkafka before 2.6.1 puts its own part before it once more; the
    /// server's part is there all the same, and the proof covers what was sent, so nothing old can be sent again.
    fn repeats(&self, nonce: &str) -> bool {
        let doubled = nonce.strip_prefix(&self.nonce[..self.client_nonce_bytes]);
        nonce == self.nonce || doubled == Some(&self.nonce)
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }
}

/// The parts of a client's first message.
struct First<'a> {
    /// Up to the second comma: the channel binding, and the name to act as.
    header: &'a str,
    bare: &'a str,
    user: String,
    nonce: &'a str,
}

impl<'a> First<'a> {
    fn parse(token: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(token).ok()?;
        let mut parts = text.splitn(3, ',');
        let (binding, acting, bare) = (parts.next()?, parts.next()?, parts.next()?);
        // "y" is a client that could bind but was not offered to; one that insists cannot be served.
        if !matches!(binding, "n" | "y") {
            return None;
        }
        let mut attributes = bare.split(',');
        // A mandatory extension (m=) would come before the name, so it is refused here.
        let user = name(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let acting = match acting {
            "" => None,
            acting => Some(name(acting.strip_prefix("a=")?)?),
        };
        let itself = acting.is_none_or(|acting| acting == user);
        let header = &text[..text.len() - bare.len()];
        (itself && !user.is_empty() && !nonce.is_empty()).then_some(Self { header, bare, user, nonce })
    }
}

/// A name, in which a comma is written "=2C" and an equals sign "=3D".
fn name(written: &str) -> Option<String> {
    let plain = written.replace("=2C", ",").replace("=3D", "=");
    let escapes = written.matches('=').count();
    let right = written.matches("=2C").count() + written.matches("=3D").count();
    (escapes == right).then_some(plain)
}
