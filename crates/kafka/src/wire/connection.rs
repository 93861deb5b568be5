//! One connection to one broker: TCP, TLS, SASL, then requests one after the other.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use openssl::base64::encode_block;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};

use super::WireError;
use super::frame::{Reader, Writer};
use super::scram::Scram;
use crate::settings::{KafkaSettings, Role};

const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read: log directories of some 100,000 partitions.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
const CLIENT_ID: &str = "streamgauge";

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// An open connection, authenticated if the settings ask for it.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    correlation: i32,
}

impl Connection {
    pub(super) fn open(settings: &KafkaSettings, host: &str, port: u16) -> Result<Self, WireError> {
        let properties = settings.for_role(Role::Admin);
        let tcp = connect(host, port)?;
        let protocol = property(&properties, "security.protocol").unwrap_or("plaintext").to_ascii_lowercase();
        let (tls, sasl) = match protocol.as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            other => return Err(WireError::Unsupported(format!("security.protocol={other}"))),
        };
        let stream: Box<dyn Stream> = if tls { encrypt(&properties, host, tcp)? } else { Box::new(tcp) };
        let mut connection = Self { stream, correlation: 0 };
        if sasl {
            connection.authenticate(&properties)?;
        }
        Ok(connection)
    }

    /// Sends a request with header version 1 and returns the answer without its header.
    pub(super) fn request(&mut self, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>, WireError> {
        self.correlation += 1;
        let message = Writer::default()
            .int16(key)
            .int16(version)
            .int32(self.correlation)
            .text(CLIENT_ID)
            .raw(body)
            .done();
        self.stream.write_all(&Writer::default().bytes(&message).done())?;
        self.stream.flush()?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
        if !(4..=MAX_ANSWER_BYTES).contains(&length) {
            return Err(WireError::Malformed);
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        let body = answer.split_off(4);
        if answer != self.correlation.to_be_bytes() {
            return Err(WireError::Malformed);
        }
        Ok(body)
    }

    fn authenticate(&mut self, properties: &BTreeMap<String, String>) -> Result<(), WireError> {
        let mechanism = property(properties, "sasl.mechanism")
            .or_else(|| property(properties, "sasl.mechanisms"))
            .unwrap_or("GSSAPI")
            .to_owned();
        let user = property(properties, "sasl.username").unwrap_or_default();
        let password = property(properties, "sasl.password").unwrap_or_default();
        let answer = self.request(SASL_HANDSHAKE, 1, &Writer::default().text(&mechanism).done())?;
        let code = Reader::new(&answer).int16()?;
        if code != 0 {
            return Err(WireError::Authentication(format!("the broker does not offer {mechanism}")));
        }
        let digest = match mechanism.as_str() {
            "PLAIN" => {
                self.exchange(format!("\0{user}\0{password}").as_bytes())?;
                return Ok(());
            }
            "SCRAM-SHA-256" => MessageDigest::sha256(),
            "SCRAM-SHA-512" => MessageDigest::sha512(),
            other => return Err(WireError::Unsupported(format!("sasl.mechanism={other}"))),
        };
        let mut random = [0; 24];
        rand_bytes(&mut random).map_err(|error| WireError::Tls(error.to_string()))?;
        let mut scram = Scram::new(digest, user, password, encode_block(&random));
        let challenge = self.exchange(scram.first().as_bytes())?;
        let proof = scram.last(&challenge)?;
        let verdict = self.exchange(proof.as_bytes())?;
        scram.verify(&verdict)
    }

    /// One step of the authentication.
    fn exchange(&mut self, bytes: &[u8]) -> Result<String, WireError> {
        let answer = self.request(SASL_AUTHENTICATE, 0, &Writer::default().bytes(bytes).done())?;
        let mut reader = Reader::new(&answer);
        let (code, message) = (reader.int16()?, reader.text()?);
        if code != 0 {
            return Err(WireError::Authentication(message.to_owned()));
        }
        String::from_utf8(reader.bytes()?.to_vec()).map_err(|_| WireError::Malformed)
    }
}

fn connect(host: &str, port: u16) -> Result<TcpStream, WireError> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

fn encrypt(
    properties: &BTreeMap<String, String>,
    host: &str,
    tcp: TcpStream,
) -> Result<Box<dyn Stream>, WireError> {
    let failed = |error: openssl::error::ErrorStack| WireError::Tls(error.to_string());
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(failed)?;
    if let Some(path) = property(properties, "ssl.ca.location") {
        builder.set_ca_file(path).map_err(failed)?;
    }
    if let Some(path) = property(properties, "ssl.certificate.location") {
        builder.set_certificate_chain_file(path).map_err(failed)?;
    }
    if let Some(path) = property(properties, "ssl.key.location") {
        match property(properties, "ssl.key.password") {
            None => builder.set_private_key_file(path, SslFiletype::PEM).map_err(failed)?,
            Some(password) => {
                let pem = std::fs::read(path)?;
                let key = PKey::private_key_from_pem_passphrase(&pem, password.as_bytes()).map_err(failed)?;
                builder.set_private_key(&key).map_err(failed)?;
            }
        }
    }
    if property(properties, "enable.ssl.certificate.verification") == Some("false") {
        builder.set_verify(SslVerifyMode::NONE);
    }
    let named = property(properties, "ssl.endpoint.identification.algorithm") != Some("none");
    let configuration = builder.build().configure().map_err(failed)?.verify_hostname(named);
    let stream = configuration.connect(host, tcp).map_err(|error| WireError::Tls(error.to_string()))?;
    Ok(Box::new(stream))
}

fn property<'a>(properties: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    properties.get(key).map(String::as_str).filter(|value| !value.is_empty())
}
