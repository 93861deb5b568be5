//! The listener and its connections: frames in, frames out.

use std::net::IpAddr;

/// Who asks, and in which version of the request.
pub(crate) struct Context {
    pub(crate) api_version: i16,
    pub(crate) client_id: String,
    pub(crate) client_host: IpAddr,
    /// Whom the client authenticated as, if it had to.
    pub(crate) principal: Option<String>,
}
