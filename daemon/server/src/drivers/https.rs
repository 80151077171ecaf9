//! The API's connections: each has time limits, and the limiter shares them fairly among clients.
//!
//! A connection is charged to its source network until a request on it presents an API key, and to that key from then
//! on. Clients without a key therefore cannot use up the connections reserved for operators with a key.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::panics;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use linecamp_model::{SecretHash, excerpt};
use linecamp_service::{
    Class, ConnectionLimiter, ConnectionPermit, Network, PEER_TEXT_BYTES_MAX, ShareLimits, report_unlogged,
};
use linecamp_transport::{TlsIncoming, TlsListener, error_chain};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// Connection limits of the API. A connection costs about 60 KB with TLS, so all of them cost 23 MB.
///
/// Without a key: installations and every client's first request, hundreds at once behind one address. With a key:
/// operators and their scripts, dozens. The graces apply only under pressure, within one network or key: three seconds
/// cover a TLS handshake and a request over a satellite link; in a minute a package arrives at 90 KB/s.
pub(crate) const SHARES: ShareLimits = ShareLimits {
    unauthenticated_max: 256,
    authenticated_max: 128,
    idle_grace: Duration::from_secs(3),
    busy_grace: Duration::from_secs(60),
};

/// Limits for connections that wait for a permit, before TLS. At the limit, a new connection evicts one of the network
/// that has the most.
const WAITING: ShareLimits = ShareLimits { authenticated_max: 0, idle_grace: Duration::ZERO, ..SHARES };

/// How long a connection waits for a permit: the idle grace of the connections before it ([`SHARES`]), plus a margin.
/// After that it is closed.
const WAITING_LIMIT: Duration = Duration::from_secs(5);

/// Timeout for reading a request's head. It covers a new connection that has sent nothing yet and an idle keep-alive
/// connection. After that the connection is closed.
pub(crate) const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Maximum size of a request's head and of the read buffer, in bytes. A longer head is rejected.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Timeout for a request and its complete response: the largest plugin at 40 KB/s, a package of 5 MB at 6 KB/s. After
/// that the connection is closed, so that a client that reads slowly or not at all cannot hold it forever.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Interval between checks for requests that exceed [`REQUEST_LIMIT`].
pub(crate) const OVERDUE_PERIOD: Duration = Duration::from_secs(15);

/// Grace period for requests in progress when the server stops. After that they are aborted.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// The account that an API connection is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// The source network.
    Network(Network),
    /// The API key that was presented on the connection.
    Key(SecretHash),
}

/// The limiter of all API connections.
pub(crate) type ApiConnections = ConnectionLimiter<Client>;

/// The permit of the connection that a request arrived on, available to request handlers as an extension.
pub(crate) type ApiConnection = Arc<ConnectionPermit<Client>>;

/// Creates the connection limiter of an API.
pub(crate) fn connections() -> ApiConnections {
    ConnectionLimiter::new(SHARES)
}

/// Serves `router` until a stop is requested or the stop sender is dropped.
pub(crate) async fn serve(
    listener: TlsListener,
    router: Router,
    limiter: ApiConnections,
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
                limiter.evict_overdue(REQUEST_LIMIT);
                report_unlogged();
            }
            incoming = listener.accept() => {
                let network = Client::Network(Network::of(incoming.remote_address().ip()));
                if let Some(waiting) = waiting_limiter.admit(network, Class::Unauthenticated) {
                    let client = Newcomer { incoming, network, waiting };
                    connections.spawn(serve_connection(client, limiter.clone(), router.clone(), stop.clone()));
                }
            }
        }
    }
    drop(listener);
    let all = async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    };
    drop(tokio::time::timeout(STOP_LIMIT, all).await);
}

/// A panic on one connection ends only that connection.
fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended.map_err(JoinError::try_into_panic)
        && let Ok(panic) = error
    {
        tracing::error!(panic = panics::message(&*panic), "an API connection panicked");
    }
}

struct Newcomer {
    incoming: TlsIncoming,
    network: Client,
    waiting: ConnectionPermit<Client>,
}

async fn serve_connection(newcomer: Newcomer, limiter: ApiConnections, router: Router, stop: watch::Receiver<bool>) {
    let Newcomer { incoming, network, waiting } = newcomer;
    let remote = incoming.remote_address();
    let admitted = limiter.admit_within(WAITING_LIMIT, (network, Class::Unauthenticated), waiting).await;
    let Some(permit) = admitted.map(Arc::new) else {
        return tracing::debug!(name: "peer: API connection refused", %remote, "too many API connections: closing");
    };
    let ended = tokio::select! {
        biased;
        () = permit.evicted() => Err("evicted to make room for another, or a request took too long".to_owned()),
        ended = serve_http(incoming, &permit, router, stop) => ended,
    };
    if let Err(problem) = ended {
        let problem = excerpt(&problem, PEER_TEXT_BYTES_MAX);
        tracing::debug!(name: "peer: API connection failed", %remote, problem, "API connection failed");
    }
}

async fn serve_http(
    incoming: TlsIncoming,
    permit: &ApiConnection,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let stream = incoming.establish().await.map_err(|error| error_chain(&error))?;
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        let busy_guard = BusyGuard::begin(Arc::clone(permit));
        request.extensions_mut().insert(Arc::clone(permit));
        let answer = router.call(request);
        async move {
            let guard_body = |body| Body::new(GuardedBody { body, _busy_guard: busy_guard });
            answer.await.map(|answer| answer.map(guard_body))
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    result.map_err(|error| error_chain(&error))
}

/// A request in progress. It marks its connection busy until it is dropped.
struct BusyGuard(ApiConnection);

impl BusyGuard {
    fn begin(connection: ApiConnection) -> Self {
        connection.set_busy(true);
        Self(connection)
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.set_busy(false);
    }
}

/// A response body that ends its request when it is dropped.
struct GuardedBody {
    body: Body,
    _busy_guard: BusyGuard,
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A dropped sender also means stop.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}
