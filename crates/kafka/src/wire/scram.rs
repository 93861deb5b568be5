//! The client's side of SCRAM (RFC 5802; SHA-256 by RFC 7677), over OpenSSL's primitives.

use openssl::base64::{decode_block, encode_block};
use openssl::hash::{MessageDigest, hash};
use openssl::memcmp;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use super::WireError;

/// The most rounds that a server may ask for: a bound on the work that a hostile one can cause.
const MAX_ITERATIONS: usize = 1_000_000;

/// One authentication under way.
pub(super) struct Scram<'a> {
    digest: MessageDigest,
    password: &'a str,
    first_bare: String,
    nonce: String,
    server_signature: Vec<u8>,
}

impl<'a> Scram<'a> {
    /// `nonce` must be fresh, random and printable without commas.
    pub(super) fn new(digest: MessageDigest, user: &str, password: &'a str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        Self { digest, password, first_bare, nonce, server_signature: Vec::new() }
    }

    /// The client's first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The client's last message, in answer to the server's first.
    pub(super) fn last(&mut self, server_first: &str) -> Result<String, WireError> {
        let refused = || WireError::Authentication("the broker's SCRAM challenge cannot be used".into());
        let attribute = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = attribute("r=").filter(|nonce| nonce.starts_with(&self.nonce)).ok_or_else(refused)?;
        let salt = attribute("s=").and_then(|text| decode_block(text).ok()).ok_or_else(refused)?;
        let iterations = attribute("i=").and_then(|text| text.parse().ok()).ok_or_else(refused)?;
        if iterations == 0 || iterations > MAX_ITERATIONS {
            return Err(refused());
        }
        let mut salted = vec![0; self.digest.size()];
        pbkdf2_hmac(self.password.as_bytes(), &salt, iterations, self.digest, &mut salted).map_err(tls)?;
        let client_key = self.hmac(&salted, b"Client Key")?;
        let stored_key = hash(self.digest, &client_key).map_err(tls)?;
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = self.hmac(&stored_key, message.as_bytes())?;
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();
        let server_key = self.hmac(&salted, b"Server Key")?;
        self.server_signature = self.hmac(&server_key, message.as_bytes())?;
        Ok(format!("{without_proof},p={}", encode_block(&proof)))
    }

    /// Checks that the server knows the password too.
    pub(super) fn verify(&self, server_last: &str) -> Result<(), WireError> {
        let signature = server_last.strip_prefix("v=").and_then(|text| decode_block(text.trim_end()).ok());
        match signature {
            Some(found)
                if found.len() == self.server_signature.len()
                    && memcmp::eq(&found, &self.server_signature) =>
            {
                Ok(())
            }
            _ => Err(WireError::Authentication("the broker does not know the password".into())),
        }
    }

    fn hmac(&self, key: &[u8], text: &[u8]) -> Result<Vec<u8>, WireError> {
        let key = PKey::hmac(key).map_err(tls)?;
        let mut signer = Signer::new(self.digest, &key).map_err(tls)?;
        signer.sign_oneshot_to_vec(text).map_err(tls)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn tls(error: openssl::error::ErrorStack) -> WireError {
    WireError::Tls(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange printed in RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard() {
        let mut scram = Scram::new(MessageDigest::sha256(), "user", "pencil", "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            scram.last(challenge).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(scram.verify("v=AAAA").is_err() && scram.verify("e=no").is_err());
    }

    #[test]
    fn a_challenge_for_somebody_else_is_refused() {
        let mut scram = Scram::new(MessageDigest::sha512(), "u", "p", "mine".into());
        for challenge in
            ["r=theirs,s=AAAA,i=1", "r=mine1,i=1", "r=mine1,s=AAAA,i=0", "r=mine1,s=AAAA,i=99999999", ""]
        {
            assert!(scram.last(challenge).is_err(), "{challenge}");
        }
    }
}
