//! TLS with the operator's certificates, by OpenSSL.
//!
//! Invariants: versions below 1.2 are refused; a key with a passphrase is refused rather than asked for on the terminal.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::settings::Tls;

/// Why the operator's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read the {what} {path:?}: {source}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{path:?} holds no {what} in PEM that can be used: {reason}")]
    Content {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// The key is another certificate's.
    #[error("the private key {key:?} does not belong to the certificate {certificate:?}")]
    Pair {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The library of ciphers failed.
    #[error("the cipher library failed: {0}")]
    Library(#[from] ErrorStack),
}

const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key without a passphrase";
const AUTHORITIES: &str = "certificates of authorities";
/// Sessions are resumed only where they were begun.
const SESSION_CONTEXT: &[u8] = b"broker";

/// Reads the operator's files.
pub(super) fn acceptor(tls: &Tls) -> Result<SslAcceptor, TlsError> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    let chain = certificates(CERTIFICATE, &tls.certificate)?;
    let mut chain = chain.into_iter();
    if let Some(leaf) = chain.next() {
        acceptor.set_certificate(&leaf)?;
    }
    chain.try_for_each(|certificate| acceptor.add_extra_chain_cert(certificate))?;
    let pem = read(KEY, &tls.key)?;
    // Without a callback the library would ask for a passphrase on the terminal.
    let key = PKey::private_key_from_pem_callback(&pem, |_| Ok(0))
        .map_err(|error| content(KEY, &tls.key, &error))?;
    // With the certificate set before, the library compares the two.
    let pair = TlsError::Pair { key: tls.key.clone(), certificate: tls.certificate.clone() };
    acceptor.set_private_key(&key).map_err(|_| pair)?;
    acceptor.set_session_id_context(SESSION_CONTEXT)?;
    if let Some(path) = &tls.client_authorities {
        for authority in certificates(AUTHORITIES, path)? {
            acceptor.add_client_ca(&authority)?;
            acceptor.cert_store_mut().add_cert(authority)?;
        }
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    Ok(acceptor.build())
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { what, path: path.to_owned(), source })
}

fn content(what: &'static str, path: &Path, reason: &dyn ToString) -> TlsError {
    TlsError::Content { what, path: path.to_owned(), reason: reason.to_string() }
}

/// At least one certificate.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<X509>, TlsError> {
    let found = X509::stack_from_pem(&read(what, path)?).map_err(|error| content(what, path, &error))?;
    if found.is_empty() { Err(content(what, path, &"it has none")) } else { Ok(found) }
}

/// Shakes hands with a client.
pub(super) async fn accept(
    acceptor: &SslAcceptor,
    tcp: TcpStream,
) -> Result<SslStream<TcpStream>, openssl::ssl::Error> {
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, tcp)?;
    Pin::new(&mut stream).accept().await?;
    Ok(stream)
}

/// Whom the client's certificate is for: its common name.
pub(super) fn client_name(stream: &SslStream<TcpStream>) -> Option<String> {
    let certificate = stream.ssl().peer_certificate()?;
    let name = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next()?.data().to_string().ok()?;
    Some(name)
}
