//! Accepts connections on the local socket, and serves each once it is admitted.

use std::sync::Arc;
use std::time::Duration;

use linecamp_service::Class;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::admission::Admission;
use super::connection::serve;

/// How long a connection waits for admission. After that it is closed.
const WAITING_LIMIT: Duration = Duration::from_secs(5);

/// Delay before retrying a failed accept; the likely cause is that the process has no free file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

pub(super) async fn accept(listener: UnixListener, admission: Arc<Admission>, mut stop: watch::Receiver<bool>) {
    // Dropping the set aborts its connections, so no connection outlives this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(admit(stream, Arc::clone(&admission)));
                }
                Err(error) => {
                    tracing::warn!(
                        name: "peer: accept failed on the local socket",
                        %error,
                        "cannot accept a connection on the local socket"
                    );
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // If the sender is gone, treat it as a stop as well.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}

/// Serves a connection once it is admitted.
pub(super) async fn admit(stream: UnixStream, admission: Arc<Admission>) {
    let user = match (admission.peer_uid)(&stream) {
        Ok(user) => user,
        Err(error) => {
            tracing::debug!(name: "peer: local connection refused", %error, "cannot get the user of a local connection");
            return;
        }
    };
    let class = match user == 0 || user == rustix::process::geteuid().as_raw() {
        true => Class::Authenticated,
        false => Class::Unauthenticated,
    };
    let Some(waiting) = admission.waiting.admit(user, class) else { return };
    let Some(permit) = admission.connections.admit_within(WAITING_LIMIT, (user, class), waiting).await else {
        tracing::debug!(name: "peer: local connection refused", user, "connection limit reached on the local socket");
        return;
    };
    tokio::select! {
        biased;
        () = permit.evicted() => {
            tracing::debug!(name: "peer: local connection refused", user, "local connection closed to make room for another");
        }
        () = serve(stream, user, &permit, &admission) => {}
    }
}
