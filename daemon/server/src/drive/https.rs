//! The API's connections: each one bounded in number and in time.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use linecamp_transport::{ServerTlsStream, TlsListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections at one time. Past it newcomers wait in the kernel. A connection costs some 60 KB with TLS, so all of
/// them cost 15 MB; operators and their scripts are dozens.
const CONNECTIONS_MAX: usize = 256;

/// Time for a request's head, and so for a connection that is kept and not used. Past it the connection is closed.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// Bytes of a request's head, and of what is read ahead. A longer head is refused.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Time for requests under way to end when the server stops. Past it they are cut.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Serves `router` until told to stop, or until whoever could tell is gone.
pub(crate) async fn serve(mut listener: TlsListener, router: Router, mut stop: watch::Receiver<bool>) {
    // Dropping the set ends its connections, so this task leaves nothing behind.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            (stream, remote) = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                connections.spawn(converse(stream, remote, router.clone(), stop.clone()));
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    drop(tokio::time::timeout(STOP_LIMIT, all).await);
}

async fn converse(stream: ServerTlsStream, remote: SocketAddr, router: Router, mut stop: watch::Receiver<bool>) {
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%remote, %error, "a connection of the API broke");
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without anybody who could say so, it is over as well.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}
