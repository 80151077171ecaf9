//! The interface between a plugin's requests and the network; tests and the test kit provide their own implementations.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use bytes::Bytes;
use linecamp_model::Endpoint;

/// A pending [`Outbound`] operation. Dropped when its time is up.
pub type OutboundFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, OutboundError>> + Send + 'a>>;

/// Sends the requests of plugins that the host has allowed: it has checked the grant, charged the budget and inserted
/// the secrets. The host drops an operation that takes too long. A test kit emulates services with its own
/// implementation.
pub trait Outbound: Send + Sync {
    /// Resolves a name to its addresses. The host rejects those that the grant does not cover.
    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> OutboundFuture<'a, Vec<IpAddr>>;

    /// Sends a request and returns the complete response, up to `response_bytes_max` bytes. The request's URI is its
    /// path and query; `Host` is set.
    fn send<'a>(
        &'a self,
        target: &'a Target,
        request: http::Request<Bytes>,
        response_bytes_max: u64,
    ) -> OutboundFuture<'a, http::Response<Bytes>>;

    /// Sends a DNS message and returns the response to it: one with the same ID and question.
    fn send_dns<'a>(&'a self, target: &'a Target, message: Bytes) -> OutboundFuture<'a, Bytes>;
}

/// The only place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The granted host and port. With TLS, the certificate must be valid for this host.
    pub endpoint: Endpoint,
    /// The addresses it resolved to, all of them checked; at least one.
    pub addresses: Vec<SocketAddr>,
    /// Whether the connection uses TLS.
    pub is_tls: bool,
}

/// Why an operation got no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The name does not resolve, there is no route, nothing is listening, or the certificate is invalid.
    #[error("{0}")]
    Unreachable(String),
    /// The operation timed out.
    #[error("no response in time")]
    Timeout,
    /// The response has more bytes than allowed.
    #[error("the response is too large")]
    TooLarge,
    /// The response is malformed.
    #[error("{0}")]
    Protocol(String),
}
