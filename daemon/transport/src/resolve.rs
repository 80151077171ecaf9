//! The addresses of a server's name.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use linecamp_model::ServerAddress;

use crate::address_schedule::ADDRESSES_MAX;
use crate::dial_error::{DialError, server_text};

/// Time limit for DNS. The libc resolver gives up after 5 s per server, and most machines have two.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Resolves the addresses of `server`, in the resolver's order, at most [`ADDRESSES_MAX`]. A literal address needs no
/// lookup and is returned immediately.
///
/// # Errors
/// [`DialError::Resolve`] if there is no address.
pub async fn resolve(server: &ServerAddress) -> Result<Vec<SocketAddr>, DialError> {
    resolve_host(server.host(), server.port()).await
}

/// Like [`resolve`].
pub(crate) async fn resolve_host(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let failed = |source| DialError::Resolve { server: server_text(host, port), source };
    let addresses: Vec<_> = match tokio::time::timeout(RESOLVE_LIMIT, tokio::net::lookup_host((host, port))).await {
        Ok(found) => found.map_err(failed)?.take(ADDRESSES_MAX).collect(),
        Err(_) => return Err(failed(io::ErrorKind::TimedOut.into())),
    };
    if addresses.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}
