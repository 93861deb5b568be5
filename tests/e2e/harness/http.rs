//! One HTTP GET over a plain socket: all that the endpoints need, and no client library to trust.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// For instance 200.
    pub(crate) status: u16,
    /// The header lines, in lower case.
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// Asks `address` (host:port) for `path`.
pub(crate) fn get(address: &str, path: &str) -> io::Result<Answer> {
    let limit = Some(Duration::from_secs(10));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no head"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status: {head}")))?;
    Ok(Answer { status, headers: head.to_lowercase(), body: body.to_owned() })
}
