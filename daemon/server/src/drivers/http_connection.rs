//! What connections of both versions of HTTP have in common.

use std::net::IpAddr;
use std::time::Duration;

use linecamp_core::Scheme;
use linecamp_service::{ConnectionLimiter, panics};
use tokio::sync::watch;
use tokio::task::JoinError;

use super::request_permit::Client;

/// Timeout for reading a request's head. It covers a new connection that has sent nothing yet and an idle keep-alive
/// connection. After that the connection is closed.
pub(crate) const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Maximum size of a request's head and of the read buffer, in bytes. A longer head is rejected.
pub(super) const HEAD_BYTES_MAX: u32 = 32 * 1024;

/// The limiter of all HTTP/2 streams.
pub(crate) type StreamLimiter = ConnectionLimiter<Client>;

/// The other end of the connection that a request arrived on, available to request handlers as an extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionPeer {
    /// Its address.
    pub(crate) address: IpAddr,
    /// The scheme of the connection.
    pub(crate) scheme: Scheme,
}

/// A panic on one connection ends only that connection.
pub(super) fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended.map_err(JoinError::try_into_panic)
        && let Ok(panic) = error
    {
        tracing::error!(panic = panics::message(&*panic), "an API connection panicked");
    }
}

pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A dropped sender also means stop.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}
