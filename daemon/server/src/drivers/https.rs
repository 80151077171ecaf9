//! The API's connections: each has time limits, and the limiter shares them fairly among clients.
//!
//! A connection is charged to its source network until a request on it presents an API key, and to that key from then
//! on. Clients without a key therefore cannot use up the connections reserved for operators with a key. A connection
//! of a trusted proxy is charged to the client of its latest request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use linecamp_core::{STREAMS_MAX, Scheme};
use linecamp_model::excerpt;
use linecamp_service::{
    Class, ConnectionLimiter, ConnectionPermit, Network, PEER_TEXT_BYTES_MAX, ShareLimits, report_unlogged,
};
use linecamp_transport::{TcpAcceptor, TlsIncoming, TlsListener, error_chain, is_http2};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::http_connection::{ConnectionPeer, StreamLimiter, note_end, stopped};
use super::request_permit::{Client, ConnectionPlace};
use super::{http1, http2};
use crate::trusted_proxies::TrustedProxies;

/// Connection limits of the API. A connection costs about 60 KB with TLS, so all of them cost 27 MB.
///
/// Without a key: installations and every client's first request, hundreds at once behind one address. With a key:
/// operators and their scripts, dozens, and every event stream over HTTP/1.1. The graces apply only under pressure,
/// within one network or key: three seconds cover a TLS handshake and a request over a satellite link; in a minute a
/// package arrives at 90 KB/s.
pub(crate) const SHARES: ShareLimits = ShareLimits {
    unauthenticated_max: 256,
    authenticated_max: 128 + STREAMS_MAX,
    idle_grace: Duration::from_secs(3),
    busy_grace: Duration::from_secs(60),
};

/// Limits on requests in progress over HTTP/2, where a connection has several. A stream costs about 100 KB with its
/// buffers, so all of them cost 77 MB. Those with a key are many more than the connections, because a page in a browser
/// keeps several open.
pub(crate) const STREAM_SHARES: ShareLimits = ShareLimits { authenticated_max: 512, ..SHARES };

/// Limits for connections that wait for a permit, before TLS. At the limit, a new connection evicts one of the network
/// that has the most.
const WAITING: ShareLimits = ShareLimits { authenticated_max: 0, idle_grace: Duration::ZERO, ..SHARES };

/// How long a connection waits for a permit: the idle grace of the connections before it ([`SHARES`]), plus a margin.
/// After that it is closed.
const WAITING_LIMIT: Duration = Duration::from_secs(5);

/// Timeout for a request and its complete response: the largest plugin at 40 KB/s, a package of 5 MB at 6 KB/s. After
/// that the connection is closed, so that a client that reads slowly or not at all cannot hold it forever.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Interval between checks for requests that exceed [`REQUEST_LIMIT`].
pub(crate) const OVERDUE_PERIOD: Duration = Duration::from_secs(15);

/// Grace period for requests in progress when the server stops. After that they are aborted.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// The limiters of the API.
#[derive(Clone, Debug)]
pub(crate) struct ApiConnections {
    /// All connections.
    pub(crate) connections: ConnectionLimiter<Client>,
    /// All requests in progress over HTTP/2.
    pub(crate) streams: StreamLimiter,
}

impl ApiConnections {
    /// Creates the limiters of an API.
    pub(crate) fn new() -> Self {
        Self::with_limits(SHARES, STREAM_SHARES)
    }

    /// Creates limiters with other limits.
    pub(crate) fn with_limits(connections: ShareLimits, streams: ShareLimits) -> Self {
        Self { connections: ConnectionLimiter::new(connections), streams: ConnectionLimiter::new(streams) }
    }
}

/// The listeners of the API.
#[derive(Debug)]
pub(crate) struct ApiListeners {
    /// For everyone.
    pub(crate) tls: TlsListener,
    /// For proxies that end TLS.
    pub(crate) plain: Option<TcpAcceptor>,
}

/// A new connection.
enum Incoming {
    Tls(TlsIncoming),
    Plain(TcpStream, SocketAddr),
}

impl Incoming {
    const fn remote_address(&self) -> SocketAddr {
        match self {
            Self::Tls(incoming) => incoming.remote_address(),
            Self::Plain(_, remote) => *remote,
        }
    }
}

impl ApiListeners {
    /// Returns the next connection. Cancel-safe.
    async fn accept(&self) -> Incoming {
        let plain = async {
            match &self.plain {
                Some(plain) => plain.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            incoming = self.tls.accept() => Incoming::Tls(incoming),
            (stream, remote) = plain => Incoming::Plain(stream, remote),
        }
    }
}

/// Serves `router` until a stop is requested or the stop sender is dropped.
pub(crate) async fn serve(
    listeners: ApiListeners,
    router: Router,
    limits: ApiConnections,
    proxies: TrustedProxies,
    mut stop: watch::Receiver<bool>,
) {
    // Dropping the set aborts its connections, so none of them outlives this task.
    let mut connections = JoinSet::new();
    let waiting_limiter = ConnectionLimiter::new(WAITING);
    let mut overdue = tokio::time::interval(OVERDUE_PERIOD);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = connections.join_next() => note_end(ended),
            _ = overdue.tick() => {
                limits.connections.evict_overdue(REQUEST_LIMIT);
                limits.streams.evict_overdue(REQUEST_LIMIT);
                report_unlogged();
            }
            incoming = listeners.accept() => {
                let network = Client::Network(Network::of(incoming.remote_address().ip()));
                if let Some(waiting) = waiting_limiter.admit(network, Class::Unauthenticated) {
                    let is_proxy = proxies.contains(incoming.remote_address().ip());
                    let client = Newcomer { incoming, network, waiting, is_proxy };
                    connections.spawn(serve_connection(client, limits.clone(), router.clone(), stop.clone()));
                }
            }
        }
    }
    drop(listeners);
    let all = async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    };
    drop(tokio::time::timeout(STOP_LIMIT, all).await);
}

struct Newcomer {
    incoming: Incoming,
    network: Client,
    waiting: ConnectionPermit<Client>,
    is_proxy: bool,
}

async fn serve_connection(newcomer: Newcomer, limits: ApiConnections, router: Router, stop: watch::Receiver<bool>) {
    let Newcomer { incoming, network, waiting, is_proxy } = newcomer;
    let remote = incoming.remote_address();
    let source = (network, Class::Unauthenticated);
    let Some(permit) = limits.connections.admit_within(WAITING_LIMIT, source, waiting).await else {
        return tracing::debug!(name: "peer: API connection refused", %remote, "too many API connections: closing");
    };
    let place = Arc::new(ConnectionPlace::new(permit, network));
    // The permit may be held by a stream for longer than by this task.
    let shared = Arc::clone(&place);
    let ended = tokio::select! {
        biased;
        () = place.permit().evicted() => Err("evicted to make room for another, or a request took too long".to_owned()),
        ended = serve_http(incoming, is_proxy, shared, limits.streams, router, stop) => ended,
    };
    if let Err(problem) = ended {
        let problem = excerpt(&problem, PEER_TEXT_BYTES_MAX);
        tracing::debug!(name: "peer: API connection failed", %remote, problem, "API connection failed");
    }
}

async fn serve_http(
    incoming: Incoming,
    is_proxy: bool,
    place: Arc<ConnectionPlace>,
    streams: StreamLimiter,
    router: Router,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let address = incoming.remote_address().ip();
    match incoming {
        Incoming::Plain(stream, _) => {
            let peer = ConnectionPeer { address, scheme: Scheme::Http };
            http1::serve(stream, peer, place, router, stop).await
        }
        Incoming::Tls(incoming) => {
            // With one request at a time on a proxy's connection, it can be charged to the client of that request.
            let incoming = if is_proxy { incoming.without_http2() } else { incoming };
            let stream = incoming.establish().await.map_err(|error| error_chain(&error))?;
            let peer = ConnectionPeer { address, scheme: Scheme::Https };
            match is_http2(&stream) {
                true => http2::serve(stream, peer, place, streams, router, stop).await,
                false => http1::serve(stream, peer, place, router, stop).await,
            }
        }
    }
}
