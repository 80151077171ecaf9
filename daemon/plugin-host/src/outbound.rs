//! What lies behind the gate: the network, or whatever a test puts in its place.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use bytes::Bytes;
use linecamp_model::Endpoint;

/// What an [`Outbound`] is still doing. Dropped when the time is up.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, OutboundError>> + Send + 'a>>;

/// Sends what the gate let through. The gate has checked the grant, counted the request and put the secrets in; it
/// drops an answer that takes too long. A test kit plays services with one of its own.
pub trait Outbound: Send + Sync {
    /// Returns the addresses of a name. The gate refuses what the grant does not cover.
    fn resolve<'a>(&'a self, endpoint: &'a Endpoint) -> Answering<'a, Vec<IpAddr>>;

    /// Sends a request and returns the whole answer, of which at most `answer_bytes_max` are taken. The request's URI
    /// is its path and query; `Host` is set.
    fn send<'a>(
        &'a self,
        target: &'a Target,
        request: http::Request<Bytes>,
        answer_bytes_max: u64,
    ) -> Answering<'a, http::Response<Bytes>>;

    /// Sends a DNS message and returns the answer to it: one with the same id and question.
    fn exchange<'a>(&'a self, target: &'a Target, message: Bytes) -> Answering<'a, Bytes>;
}

/// Where to connect to: nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host and port that were granted. TLS has to vouch for this host.
    pub endpoint: Endpoint,
    /// The addresses it led to, each of them checked; at least one.
    pub addresses: Vec<SocketAddr>,
    /// Whether the connection is TLS.
    pub is_tls: bool,
}

/// How sending ended that brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// No name, no route, nobody there, or a certificate that does not hold.
    #[error("{0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The answer has more bytes than may be taken.
    #[error("the answer is too large")]
    TooLarge,
    /// What came back is not an answer.
    #[error("{0}")]
    Protocol(String),
}
