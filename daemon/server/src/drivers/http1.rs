//! A connection of HTTP/1.1: one request at a time.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use linecamp_transport::error_chain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::http_connection::{ConnectionPeer, HEAD_BYTES_MAX, HEAD_LIMIT, stopped};
use super::lingering::Lingering;
use super::request_permit::{ConnectionPlace, GuardedBody, RequestPermit};

/// Serves the requests of a connection until it ends or a stop is requested.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: ConnectionPeer,
    place: Arc<ConnectionPlace>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        let busy_guard = BusyGuard::begin(Arc::clone(&place));
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(RequestPermit::of_connection(Arc::clone(&place)));
        let answer = router.call(request);
        async move {
            let guard_body = |body| Body::new(GuardedBody::new(body, busy_guard));
            answer.await.map(|answer| answer.map(guard_body))
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(HEAD_BYTES_MAX as usize)
            .serve_connection(TokioIo::new(Lingering::new(stream)), service)
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
struct BusyGuard(Arc<ConnectionPlace>);

impl BusyGuard {
    fn begin(connection: Arc<ConnectionPlace>) -> Self {
        connection.permit().set_busy(true);
        Self(connection)
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.permit().set_busy(false);
    }
}
