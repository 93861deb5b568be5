//! Who is let in: SASL in both of its forms, TLS, and where a broker may listen.

use std::path::PathBuf;
use std::pin::Pin;

use kafka_protocol::messages::{SaslAuthenticateResponse, SaslHandshakeResponse};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod};
use openssl::x509::{X509, X509NameBuilder};
use tokio_openssl::SslStream;

use super::*;
use crate::settings::{SaslMechanism, Tls, User};
use crate::{SecurityError, TlsError};

const HANDSHAKE: i16 = 17;
const AUTHENTICATE: i16 = 36;
const PLAIN: &[u8] = b"\x00\x05PLAIN";

fn with_users(settings: &mut Settings) {
    settings.security.mechanisms = vec![SaslMechanism::Plain, SaslMechanism::ScramSha512];
    settings.security.users = vec![User { name: "alice".into(), password: "wonderland".into() }];
}

fn bytes(token: &[u8]) -> Vec<u8> {
    [&(token.len() as i32).to_be_bytes()[..], token].concat()
}

async fn handshake(socket: &mut TcpStream, version: i16, mechanism: &[u8]) -> i16 {
    send(socket, HANDSHAKE, version, 1, mechanism).await;
    let mut response = receive(socket).await.1;
    let response = SaslHandshakeResponse::decode(&mut response, version).unwrap();
    assert_eq!(response.mechanisms.len(), 2);
    response.error_code
}

async fn authenticate(socket: &mut TcpStream, token: &[u8]) -> i16 {
    send(socket, AUTHENTICATE, 1, 2, &bytes(token)).await;
    SaslAuthenticateResponse::decode(&mut receive(socket).await.1, 1).unwrap().error_code
}

/// `ListGroups`, which is answered to whoever is let in.
async fn is_let_in(socket: &mut TcpStream) -> bool {
    socket.write_all(&frame(16, 0, 3, &[])).await.unwrap();
    socket.read_u32().await.is_ok()
}

#[test]
fn plain_in_requests_and_in_bare_tokens() {
    run(async {
        let broker = Running::start(with_users).await;
        let mut socket = broker.connect().await;
        assert_eq!(handshake(&mut socket, 1, PLAIN).await, 0);
        assert_eq!(authenticate(&mut socket, b"\0alice\0wonderland").await, 0);
        assert!(is_let_in(&mut socket).await);
        let mut socket = broker.connect().await;
        assert_eq!(handshake(&mut socket, 0, PLAIN).await, 0);
        socket.write_all(&bytes(b"\0alice\0wonderland")).await.unwrap();
        assert_eq!(socket.read_u32().await.unwrap(), 0);
        assert!(is_let_in(&mut socket).await);
        broker.stop().await;
    });
}

#[test]
fn wrong_passwords_are_told_and_closed() {
    run(async {
        let broker = Running::start(with_users).await;
        let mut socket = broker.connect().await;
        handshake(&mut socket, 1, PLAIN).await;
        assert_eq!(authenticate(&mut socket, b"\0alice\0Wonderland").await, 58);
        assert!(is_closed(&mut socket).await);
        let mut socket = broker.connect().await;
        handshake(&mut socket, 0, PLAIN).await;
        socket.write_all(&bytes(b"\0alice\0Wonderland")).await.unwrap();
        assert!(is_closed(&mut socket).await);
        let mut socket = broker.connect().await;
        assert_eq!(handshake(&mut socket, 1, b"\x00\x06GSSAPI").await, 33);
        assert!(is_closed(&mut socket).await);
        broker.stop().await;
    });
}

#[test]
fn before_authentication_little_is_answered() {
    run(async {
        let broker = Running::start(with_users).await;
        let mut socket = broker.connect().await;
        send(&mut socket, 18, 0, 1, &[]).await;
        assert_eq!(receive(&mut socket).await.0, 1);
        // A token before the choice of a mechanism.
        assert_eq!(authenticate(&mut socket, b"\0alice\0wonderland").await, 34);
        assert!(!is_let_in(&mut socket).await);
        let mut socket = broker.connect().await;
        socket.write_all(&[0, 1, 0, 1, 0, 18]).await.unwrap();
        assert!(is_closed(&mut socket).await, "a large frame");
        let mut socket = broker.connect().await;
        send(&mut socket, HANDSHAKE, 1, 1, b"\x7f\xff").await;
        assert!(is_closed(&mut socket).await, "a length beyond the frame");
        broker.stop().await;
    });
}

#[test]
fn authentication_takes_no_longer_than_its_bound() {
    run_hurried(async {
        let broker = Running::start(with_users).await;
        let mut socket = broker.connect().await;
        handshake(&mut socket, 1, PLAIN).await;
        let began = tokio::time::Instant::now();
        assert!(is_closed(&mut socket).await);
        assert!(began.elapsed() <= limits::AUTHENTICATION);
    });
}

#[test]
fn beyond_this_machine_only_with_authentication_or_on_purpose() {
    run(async {
        let data = tempfile::tempdir().unwrap();
        let mut settings = settings(&data);
        settings.listen = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(Broker::bind(settings.clone()).await, Err(BrokerError::Open { .. })));
        let mut open = settings.clone();
        open.security.open_to_the_network = true;
        drop(Broker::bind(open).await.unwrap());
        with_users(&mut settings);
        drop(Broker::bind(settings).await.unwrap());
    });
}

#[test]
fn a_port_or_a_directory_that_is_taken_is_named() {
    run(async {
        let broker = Running::start(|_| {}).await;
        let data = tempfile::tempdir().unwrap();
        let mut other = settings(&data);
        other.listen = broker.address;
        let error = Broker::bind(other).await.err().unwrap();
        assert!(error.to_string().contains(&broker.address.to_string()), "{error}");
        let error = Broker::bind(settings(&broker.data)).await.err().unwrap();
        assert!(matches!(error, BrokerError::Locked { .. }), "{error}");
        broker.stop().await;
    });
}

/// A certificate of its own, and its key, as files.
struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

fn certificate(directory: &TempDir, name: &str) -> Certificate {
    let key: PKey<Private> = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let files = Certificate {
        certificate: directory.path().join(format!("{name}.pem")),
        key: directory.path().join(format!("{name}.key")),
    };
    std::fs::write(&files.certificate, builder.build().to_pem().unwrap()).unwrap();
    std::fs::write(&files.key, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    files
}

/// The correlation id that a broker repeats over TLS, if it lets the client in.
async fn ask_encrypted(
    address: SocketAddr,
    server: &Certificate,
    client: Option<&Certificate>,
) -> Option<i32> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_ca_file(&server.certificate).unwrap();
    if let Some(client) = client {
        connector.set_certificate_file(&client.certificate, SslFiletype::PEM).unwrap();
        connector.set_private_key_file(&client.key, SslFiletype::PEM).unwrap();
    }
    let ssl = connector.build().configure().unwrap().verify_hostname(false).into_ssl("localhost").unwrap();
    let mut stream = SslStream::new(ssl, TcpStream::connect(address).await.unwrap()).unwrap();
    Pin::new(&mut stream).connect().await.ok()?;
    stream.write_all(&frame(18, 0, 77, &[])).await.ok()?;
    stream.read_u32().await.ok()?;
    stream.read_i32().await.ok()
}

#[test]
fn certificates_encrypt_and_may_be_asked_of_clients() {
    run(async {
        let files = tempfile::tempdir().unwrap();
        let (server, client) = (certificate(&files, "server"), certificate(&files, "client"));
        let tls = Tls {
            certificate: server.certificate.clone(),
            key: server.key.clone(),
            client_authorities: None,
        };
        let broker = Running::start(|settings| settings.security.tls = Some(tls.clone())).await;
        assert_eq!(ask_encrypted(broker.address, &server, None).await, Some(77));
        let mut plain = broker.connect().await;
        send(&mut plain, 18, 0, 1, &[]).await;
        assert!(is_closed(&mut plain).await || plain.read_u8().await.is_err());
        broker.stop().await;
        let asked = Tls { client_authorities: Some(client.certificate.clone()), ..tls };
        let broker = Running::start(|settings| settings.security.tls = Some(asked)).await;
        assert_eq!(ask_encrypted(broker.address, &server, Some(&client)).await, Some(77));
        assert_eq!(ask_encrypted(broker.address, &server, None).await, None);
        assert_eq!(ask_encrypted(broker.address, &server, Some(&server)).await, None);
        broker.stop().await;
    });
}

#[test]
fn a_handshake_that_does_not_come_is_cut_off() {
    let files = tempfile::tempdir().unwrap();
    let server = certificate(&files, "server");
    let tls = Tls { certificate: server.certificate, key: server.key, client_authorities: None };
    run_hurried(async {
        let broker = Running::start(|settings| settings.security.tls = Some(tls)).await;
        let mut socket = broker.connect().await;
        assert!(is_closed(&mut socket).await);
    });
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let files = tempfile::tempdir().unwrap();
    let (one, other) = (certificate(&files, "one"), certificate(&files, "other"));
    let check = |certificate: &PathBuf, key: &PathBuf, expected: fn(&TlsError) -> bool| {
        run(async {
            let data = tempfile::tempdir().unwrap();
            let mut settings = settings(&data);
            let tls = Tls { certificate: certificate.clone(), key: key.clone(), client_authorities: None };
            settings.security.tls = Some(tls);
            match Broker::bind(settings).await.err().unwrap() {
                BrokerError::Security(SecurityError::Tls(error)) => assert!(expected(&error), "{error}"),
                other => panic!("{other}"),
            }
        });
    };
    let missing = files.path().join("missing.pem");
    check(&missing, &one.key, |error| matches!(error, TlsError::File { .. }));
    check(&one.key, &one.key, |error| matches!(error, TlsError::Content { .. }));
    check(&one.certificate, &one.certificate, |error| matches!(error, TlsError::Content { .. }));
    check(&one.certificate, &other.key, |error| matches!(error, TlsError::Pair { .. }));
}
