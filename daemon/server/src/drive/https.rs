//! The API's connections: each one bounded in time, all of them shared fairly among those who come.
//!
//! A connection is charged to the network that it comes from until a request on it shows an API key, and from then on
//! to that key. So whoever opens connections without a key, however many, takes no place of an operator who has one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use linecamp_model::SecretHash;
use linecamp_service::{Class, ConnectionLimiter, ConnectionPermit, Network, ShareLimits};
use linecamp_transport::{TlsIncoming, TlsListener};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::error::describe;
use crate::panics;

/// The places of the API. A connection costs some 60 KB with TLS, so all of them cost 23 MB.
///
/// Without a key: installations and everybody's first request, hundreds at once behind one address. With a key:
/// operators and their scripts, dozens. The graces count under pressure only, within one network or key: three seconds
/// are a TLS handshake and a request over a satellite line, in a minute a package has arrived at 90 KB/s.
const SHARES: ShareLimits = ShareLimits {
    unauthenticated_max: 256,
    authenticated_max: 128,
    idle_grace: Duration::from_secs(3),
    busy_grace: Duration::from_secs(60),
};

/// Those who wait for a place, before TLS. One more takes the place of another one of the network that has the most.
const WAITING: ShareLimits = ShareLimits { authenticated_max: 0, idle_grace: Duration::ZERO, ..SHARES };

/// How long somebody waits for a place: until those before it have had their time ([`SHARES`]), and a little more. Past
/// it the connection is closed.
const WAITING_LIMIT: Duration = Duration::from_secs(5);

/// Time for a request's head: the first one, and so for a connection that has said nothing yet, and each later one, and
/// so for a connection that is kept and not used. Past it the connection is closed.
pub(crate) const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a request's head, and of what is read ahead. A longer head is refused.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Time for a request and its whole answer: the largest plugin at 40 KB/s, a package of 5 MB at 6 KB/s. Past it the
/// connection is closed, so that nobody who reads slowly, or not at all, holds a place for ever.
const REQUEST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How often it is looked for requests that are past their limit.
const OVERDUE_PERIOD: Duration = Duration::from_secs(15);

/// Time for requests under way to end when the server stops. Past it they are cut.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// To whom a connection of the API is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// To where it comes from.
    Network(Network),
    /// To whose key it has shown.
    Key(SecretHash),
}

/// All connections of the API.
pub(crate) type ApiConnections = ConnectionLimiter<Client>;

/// The connection that a request came on, as the handlers of requests know it.
pub(crate) type ApiConnection = Arc<ConnectionPermit<Client>>;

/// Makes the places of an API.
pub(crate) fn connections() -> ApiConnections {
    ConnectionLimiter::new(SHARES)
}

/// Serves `router` until told to stop, or until whoever could tell is gone.
pub(crate) async fn serve(
    listener: TlsListener,
    router: Router,
    limiter: ApiConnections,
    mut stop: watch::Receiver<bool>,
) {
    // Dropping the set ends its connections, so this task leaves nothing behind.
    let mut connections = JoinSet::new();
    let lobby = ConnectionLimiter::new(WAITING);
    let mut overdue = tokio::time::interval(OVERDUE_PERIOD);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(ended) = connections.join_next() => note_end(ended),
            _ = overdue.tick() => limiter.evict_overdue(REQUEST_LIMIT),
            incoming = listener.accept() => {
                let network = Client::Network(Network::of(incoming.remote_address().ip()));
                if let Some(waiting) = lobby.admit(network, Class::Unauthenticated) {
                    let client = Newcomer { incoming, network, waiting };
                    connections.spawn(converse(client, limiter.clone(), router.clone(), stop.clone()));
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

/// A panic on one connection ends that connection and no other.
fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended.map_err(JoinError::try_into_panic)
        && let Ok(panic) = error
    {
        tracing::error!(panic = panics::message(&*panic), "a connection of the API ended with a panic");
    }
}

struct Newcomer {
    incoming: TlsIncoming,
    network: Client,
    waiting: ConnectionPermit<Client>,
}

async fn converse(newcomer: Newcomer, limiter: ApiConnections, router: Router, stop: watch::Receiver<bool>) {
    let Newcomer { incoming, network, waiting } = newcomer;
    let remote = incoming.remote_address();
    let admitted = limiter.admit_within(WAITING_LIMIT, (network, Class::Unauthenticated), waiting).await;
    let Some(permit) = admitted.map(Arc::new) else {
        return tracing::debug!(%remote, "there is no place for another connection of the API");
    };
    let ended = tokio::select! {
        biased;
        () = permit.evicted() => Err("it had to make room for another, or a request on it took too long".to_owned()),
        ended = exchange(incoming, &permit, router, stop) => ended,
    };
    if let Err(problem) = ended {
        tracing::debug!(%remote, problem, "a connection of the API broke");
    }
}

async fn exchange(
    incoming: TlsIncoming,
    permit: &ApiConnection,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let stream = incoming.establish().await.map_err(|error| describe(&error))?;
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        let under_way = UnderWay::begin(Arc::clone(permit));
        request.extensions_mut().insert(Arc::clone(permit));
        let answer = router.call(request);
        async move {
            let until_sent = |body| Body::new(UntilSent { body, _under_way: under_way });
            answer.await.map(|answer| answer.map(until_sent))
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
    result.map_err(|error| describe(&error))
}

/// A request under way. While there is one, its connection is busy.
struct UnderWay(ApiConnection);

impl UnderWay {
    fn begin(connection: ApiConnection) -> Self {
        connection.set_busy(true);
        Self(connection)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set_busy(false);
    }
}

/// An answer's body, with which its request ends.
struct UntilSent {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for UntilSent {
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
    // Without anybody who could say so, it is over as well.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}
