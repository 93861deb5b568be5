//! Who a client is: its password against those of the settings, by PLAIN (RFC 4616) or SCRAM (RFC 5802).
//!
//! Invariants: no password is kept, only what is derived from it; nothing here is printed or logged; a name that is not
//! known takes the same steps as one that is, and fails at the end; comparisons take the same time wherever they differ.

mod scram;

use std::collections::HashMap;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sign::Signer;

use crate::settings::{SaslMechanism, Security};
use scram::{Scram, ScramKeys};

/// Why a client is not who it says it is. It is told no more than that.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SaslError {
    /// The name is not known, or the password is not its own.
    #[error("wrong name or password")]
    Credentials,
    /// The token is not what the mechanism asks for.
    #[error("a token that the mechanism does not have")]
    Token,
    /// The library of ciphers failed.
    #[error("the cipher library failed: {0}")]
    Library(String),
}

impl From<ErrorStack> for SaslError {
    fn from(error: ErrorStack) -> Self {
        Self::Library(error.to_string())
    }
}

/// Why the users of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// Clients must authenticate and none can.
    #[error("authentication is asked for, but there is no user")]
    None,
    /// A name is empty or there twice.
    #[error("the user name {0:?} is empty or given twice")]
    Name(String),
    /// Empty passwords are refused by clients and mechanisms alike.
    #[error("the password of user {0:?} is empty")]
    Password(String),
    /// The library of ciphers failed.
    #[error("the cipher library failed: {0}")]
    Library(#[from] ErrorStack),
}

impl SaslMechanism {
    /// The registered name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    fn digest(self) -> MessageDigest {
        match self {
            Self::Plain | Self::ScramSha256 => MessageDigest::sha256(),
            Self::ScramSha512 => MessageDigest::sha512(),
        }
    }
}

/// What is derived from the users' passwords when the broker starts.
pub(super) struct Credentials {
    mechanisms: Vec<SaslMechanism>,
    users: HashMap<String, Derived>,
    /// Of this start alone: from it come salts, and the answers for names that are not known.
    secret: [u8; 32],
}

struct Derived {
    /// By [`Credentials::password_tag`].
    plain: Vec<u8>,
    /// One for each mechanism that needs them.
    scram: Vec<(SaslMechanism, ScramKeys)>,
}

impl Credentials {
    /// Derives what each mechanism needs from each password: some milliseconds a user.
    pub(super) fn new(security: &Security) -> Result<Self, UsersError> {
        let mut secret = [0; 32];
        rand_bytes(&mut secret)?;
        let mut credentials = Self { mechanisms: security.mechanisms.clone(), users: HashMap::new(), secret };
        if !security.mechanisms.is_empty() && security.users.is_empty() {
            return Err(UsersError::None);
        }
        for user in &security.users {
            if user.password.is_empty() {
                return Err(UsersError::Password(user.name.clone()));
            }
            let derived = credentials.derive(&user.name, &user.password)?;
            let before = credentials.users.insert(user.name.clone(), derived);
            if user.name.is_empty() || before.is_some() {
                return Err(UsersError::Name(user.name.clone()));
            }
        }
        Ok(credentials)
    }

    fn derive(&self, name: &str, password: &str) -> Result<Derived, ErrorStack> {
        let mut scram = Vec::new();
        for &mechanism in self.mechanisms.iter().filter(|mechanism| **mechanism != SaslMechanism::Plain) {
            let salt = self.salt(mechanism, name)?;
            scram.push((mechanism, ScramKeys::derive(mechanism.digest(), password, salt)?));
        }
        Ok(Derived { plain: self.password_tag(password)?, scram })
    }

    /// Whether clients must authenticate.
    pub(super) fn required(&self) -> bool {
        !self.mechanisms.is_empty()
    }

    /// The mechanisms that are offered.
    pub(super) fn mechanisms(&self) -> &[SaslMechanism] {
        &self.mechanisms
    }

    /// The mechanism of a name, if it is offered.
    pub(super) fn offered(&self, name: &str) -> Option<SaslMechanism> {
        self.mechanisms.iter().copied().find(|mechanism| mechanism.name() == name)
    }

    /// Of equal length for all passwords, so that comparing tells nothing of the length either.
    fn password_tag(&self, password: &str) -> Result<Vec<u8>, ErrorStack> {
        hmac(MessageDigest::sha256(), &self.secret, &[b"password", password.as_bytes()])
    }

    fn salt(&self, mechanism: SaslMechanism, name: &str) -> Result<Vec<u8>, ErrorStack> {
        let mut salt = hmac(
            MessageDigest::sha256(),
            &self.secret,
            &[b"salt", mechanism.name().as_bytes(), name.as_bytes()],
        )?;
        salt.truncate(SALT_BYTES);
        Ok(salt)
    }

    /// The keys of a user, or keys that no password has for a name that is not known; and whether it is known.
    fn scram_keys(&self, mechanism: SaslMechanism, name: &str) -> Result<(ScramKeys, bool), ErrorStack> {
        let derived = self.users.get(name).map(|derived| &derived.scram);
        if let Some((_, keys)) = derived.and_then(|keys| keys.iter().find(|(of, _)| *of == mechanism)) {
            return Ok((keys.clone(), true));
        }
        let nobody = hmac(mechanism.digest(), &self.secret, &[b"nobody", name.as_bytes()])?;
        Ok((ScramKeys::of_nobody(nobody, self.salt(mechanism, name)?), false))
    }

    /// Checks a message of PLAIN: the name to act as, the name, the password, apart by zeros.
    fn plain(&self, token: &[u8]) -> Result<String, SaslError> {
        let text = str::from_utf8(token).map_err(|_| SaslError::Token)?;
        let mut parts = text.split('\0');
        let (Some(acting), Some(name), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SaslError::Token);
        };
        let given = self.password_tag(password)?;
        let known = self.users.get(name);
        let expected = known.map_or(&self.secret[..], |derived| &derived.plain);
        let equal = memcmp::eq(&given, expected);
        let itself = acting.is_empty() || acting == name;
        if known.is_some() && equal && itself { Ok(name.to_owned()) } else { Err(SaslError::Credentials) }
    }
}

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// What follows a client's token.
pub(super) enum Step {
    /// The client must answer this.
    Challenge(Vec<u8>),
    /// The client is who it says it is; it may want a last token.
    Done { user: String, last: Vec<u8> },
}

/// One authentication under way.
pub(super) enum Exchange {
    Plain,
    ScramBegin(SaslMechanism),
    Scram(Box<Scram>),
}

impl Exchange {
    pub(super) fn new(mechanism: SaslMechanism) -> Self {
        match mechanism {
            SaslMechanism::Plain => Self::Plain,
            SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512 => Self::ScramBegin(mechanism),
        }
    }

    /// Takes a token of the client. After an error there is no further step.
    pub(super) fn step(&mut self, credentials: &Credentials, token: &[u8]) -> Result<Step, SaslError> {
        match self {
            Self::Plain => credentials.plain(token).map(|user| Step::Done { user, last: Vec::new() }),
            Self::ScramBegin(mechanism) => {
                let (scram, challenge) = Scram::begin(credentials, *mechanism, token)?;
                *self = Self::Scram(Box::new(scram));
                Ok(Step::Challenge(challenge))
            }
            Self::Scram(scram) => {
                let last = scram.finish(token)?;
                Ok(Step::Done { user: scram.user().to_owned(), last })
            }
        }
    }
}

/// A keyed digest over parts, each with its length before it unless it is the only one.
fn hmac(digest: MessageDigest, key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(digest, &key)?;
    for part in parts {
        if parts.len() > 1 {
            signer.update(&(part.len() as u64).to_be_bytes())?;
        }
        signer.update(part)?;
    }
    signer.sign_to_vec()
}

#[cfg(test)]
mod tests;
