//! A connection of HTTP/2: several requests at a time, each with a place of its own.
//!
//! | what a client does | bound | at the bound |
//! |---|---|---|
//! | opens streams | [`STREAMS_MAX`] on a connection | the stream is refused by the protocol |
//! | opens streams on many connections | the streams' limiter | answered with 503, or its connection is closed |
//! | sends a large head | [`HEAD_BYTES_MAX`] | answered with 431, or the connection is closed |
//! | sends a large body that nobody reads | [`STREAM_WINDOW`], [`CONNECTION_WINDOW`] | flow control stops it |
//! | does not read a response | [`SEND_BYTES_MAX`] a stream, and the time limit of a request | the connection is closed |
//! | resets streams before they are served | [`EARLY_RESETS_MAX`] at a time | the connection is closed |
//! | makes errors that reset streams | [`ERROR_RESETS_MAX`] | the connection is closed |
//! | sends pings and settings | one answer in progress | nothing is read until it is sent |
//! | does nothing | [`IDLE_LIMIT`] without a stream, [`PING_LIMIT`] without an answer to a ping | the connection is closed |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use linecamp_proto::api::operation::PROBLEM_MEDIA;
use linecamp_proto::api::{ErrorCode, Problem};
use linecamp_transport::error_chain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::http_connection::{ConnectionPeer, HEAD_BYTES_MAX, StreamLimiter, note_end, stopped};
use super::lingering::Lingering;
use super::request_permit::{ConnectionPlace, GuardedBody, RequestPermit};

/// Maximum streams of a connection: a page of a browser with its event streams. The client waits with further ones.
pub(crate) const STREAMS_MAX: u32 = 32;

/// Bytes of a request body that are buffered for a stream, and for all streams of a connection. Requests are small; an
/// upload gets through at 64 KiB for each round trip.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;

/// Bytes of a response that are buffered for a stream.
const SEND_BYTES_MAX: usize = 32 * 1024;

/// Maximum streams that a client has reset and that are not served yet (CVE-2023-44487).
const EARLY_RESETS_MAX: usize = 20;

/// Maximum streams that were reset because of the client's errors (CVE-2025-8671).
const ERROR_RESETS_MAX: usize = 100;

/// How long a connection may be without a stream. A browser opens another one when it needs it.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Interval of pings, and how long a client may take to answer one.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_LIMIT: Duration = Duration::from_secs(15);

/// Serves the requests of a connection until it ends, idles or a stop is requested.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: ConnectionPeer,
    place: Arc<ConnectionPlace>,
    limiter: StreamLimiter,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let router = TowerToHyperService::new(router);
    let streams = Arc::new(Streams { place, active: watch::Sender::new(0) });
    let mut active = streams.active.subscribe();
    let service = service_fn(|mut request: Request<Incoming>| {
        let (client, class) = streams.place.charged();
        let permit = limiter.admit_stream(client, class, streams.place.permit());
        let answer = permit.map(|permit| {
            permit.set_busy(true);
            let permit = RequestPermit::of_stream(Arc::clone(&streams.place), permit);
            let guard = (permit.clone(), StreamGuard::begin(Arc::clone(&streams)));
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(permit);
            (router.call(request), guard)
        });
        async move {
            match answer {
                Some((answer, guard)) => {
                    answer.await.map(|answer| answer.map(|body| Body::new(GuardedBody::new(body, guard))))
                }
                None => Ok(refusal()),
            }
        }
    });
    // The last one to be dropped: it ends the streams that are still served.
    let tasks = StreamTasks::default();
    let _end_streams = EndStreams(tasks.clone());
    let mut connection = std::pin::pin!(builder(tasks).serve_connection(TokioIo::new(Lingering::new(stream)), service));
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = async { tokio::select! { () = stopped(&mut stop) => {}, () = idle(&mut active) => {} } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    result.map_err(|error| error_chain(&error))
}

fn builder(tasks: StreamTasks) -> http2::Builder<StreamTasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_pending_accept_reset_streams(EARLY_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_LIMIT);
    builder
}

/// The answer to a stream for which there is no place. Nothing was done.
fn refusal() -> Response {
    let code = ErrorCode::Busy;
    let problem = Problem::new(code, "too many requests in progress; nothing was done. Retry in 1 s");
    let body = serde_json::to_vec(&problem).expect("a problem is a struct with text keys");
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    (status, [(CONTENT_TYPE, PROBLEM_MEDIA), (RETRY_AFTER, "1")], body).into_response()
}

/// Waits until there was no stream for [`IDLE_LIMIT`].
async fn idle(active: &mut watch::Receiver<usize>) {
    loop {
        // The sender is held by the caller.
        drop(active.wait_for(|count| *count == 0).await);
        if tokio::time::timeout(IDLE_LIMIT, active.changed()).await.is_err() {
            return;
        }
    }
}

/// The streams of a connection.
#[derive(Debug)]
struct Streams {
    place: Arc<ConnectionPlace>,
    /// How many are in progress.
    active: watch::Sender<usize>,
}

/// A request in progress. It keeps its connection busy until it is dropped.
struct StreamGuard(Arc<Streams>);

impl StreamGuard {
    fn begin(streams: Arc<Streams>) -> Self {
        // The time limit of a request is that of its stream: the connection's begins with its last stream.
        streams.place.permit().set_busy(true);
        streams.active.send_modify(|count| *count += 1);
        Self(streams)
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.active.send_modify(|count| *count -= 1);
        if *self.0.active.borrow() == 0 {
            self.0.place.permit().set_busy(false);
        }
    }
}

/// The tasks of a connection's streams.
#[derive(Clone, Debug, Default)]
struct StreamTasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamTasks {
    fn execute(&self, task: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            note_end(ended);
        }
        tasks.spawn(task);
    }
}

/// Aborts the tasks of a connection's streams when it is dropped, so that none outlives its connection.
struct EndStreams(StreamTasks);

impl Drop for EndStreams {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
