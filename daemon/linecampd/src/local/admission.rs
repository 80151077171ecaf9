//! Admission at the local socket: connection limits and rate limits, shared fairly among users as identified by the
//! kernel. Root and the user that runs the daemon have reserved connections.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use linecamp_proto::local::LocalRequest;
use linecamp_service::{Class, ConnectionLimiter, RateLimit, ShareLimits, TokenBuckets};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{LocalCall, serve};

/// Connection limits, per user and in total. Root and the user that runs the daemon have a separate quota
/// (`authenticated_max`) that no other user can occupy. Under pressure, a user with more connections than others loses
/// some to them; among one user's connections, one that has sent nothing can be evicted after half a second, and one
/// that waits for its response after five seconds.
pub(super) const SHARES: ShareLimits = ShareLimits {
    unauthenticated_max: 32,
    authenticated_max: 16,
    idle_grace: Duration::from_millis(500),
    busy_grace: Duration::from_secs(5),
};

/// Limits for connections waiting for admission. When they are full, a new one evicts one of the user with the most.
const WAITING: ShareLimits =
    ShareLimits { unauthenticated_max: 64, authenticated_max: 64, idle_grace: Duration::ZERO, ..SHARES };

/// How long a connection waits for admission. After that it is closed.
const WAITING_LIMIT: Duration = Duration::from_secs(5);

/// Rate limit of one user: a burst of 1,000 reads or 100 changes, then 100 reads or 10 changes per second. Requests
/// above the rate are queued in order, up to [`RATE_WAIT_MAX`]. Scripts that poll every few seconds never reach the
/// limit.
pub(super) const RATE: RateLimit = RateLimit { burst: 1_000, interval: Duration::from_millis(10) };

/// The cost of a change, in reads: it causes one disk write here and one at the server.
pub(super) const CHANGE_COST: u32 = 10;

/// The longest that a request waits for its user's rate limit. Requests that would wait longer are rejected.
pub(super) const RATE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Users with a rate limit of their own. Further users share one until an entry becomes idle.
const USERS_MAX: usize = 256;

/// Delay before retrying a failed accept; the likely cause is that the process has no free file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Returns the peer's user ID, or the error if the system cannot tell.
pub(super) type PeerUid = fn(&UnixStream) -> io::Result<u32>;

/// State shared by all connections.
pub(super) struct Admission {
    pub(super) calls: mpsc::Sender<LocalCall>,
    peer_uid: PeerUid,
    waiting: ConnectionLimiter<u32>,
    pub(super) connections: ConnectionLimiter<u32>,
    rates: Mutex<TokenBuckets<u32>>,
}

impl Admission {
    pub(super) fn new(calls: mpsc::Sender<LocalCall>, peer_uid: PeerUid) -> Self {
        Self {
            calls,
            peer_uid,
            waiting: ConnectionLimiter::new(WAITING),
            connections: ConnectionLimiter::new(SHARES),
            rates: Mutex::new(TokenBuckets::new(RATE, USERS_MAX)),
        }
    }

    /// Charges a request to its user's rate limit. Returns how long the request has to wait.
    pub(super) fn reserve(&self, user: u32, request: &LocalRequest) -> Result<Duration, Duration> {
        let cost = if is_change(request) { CHANGE_COST } else { 1 };
        let now = tokio::time::Instant::now().into_std();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.reserve_within(user, cost, RATE_WAIT_MAX, now)
    }
}

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
                    tracing::warn!(%error, "cannot accept a connection on the local socket");
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
pub(super) async fn admit(mut stream: UnixStream, admission: Arc<Admission>) {
    let user = match (admission.peer_uid)(&stream) {
        Ok(user) => user,
        Err(error) => return tracing::debug!(%error, "cannot get the user of a local connection"),
    };
    let class = match user == 0 || user == rustix::process::geteuid().as_raw() {
        true => Class::Authenticated,
        false => Class::Unauthenticated,
    };
    let Some(waiting) = admission.waiting.admit(user, class) else { return };
    let Some(permit) = admission.connections.admit_within(WAITING_LIMIT, (user, class), waiting).await else {
        return tracing::debug!(user, "connection limit reached on the local socket");
    };
    tokio::select! {
        biased;
        () = permit.evicted() => tracing::debug!(user, "local connection closed to make room for another"),
        () = serve(&mut stream, user, &permit, &admission) => {}
    }
}

/// Whether a request changes something, or causes calls to providers.
const fn is_change(request: &LocalRequest) -> bool {
    match request {
        LocalRequest::Status {}
        | LocalRequest::Why {}
        | LocalRequest::LabelList {}
        | LocalRequest::HostList {}
        | LocalRequest::DnsList {}
        | LocalRequest::ProviderList {}
        | LocalRequest::Metrics {} => false,
        LocalRequest::DnsPlan {}
        | LocalRequest::DnsAdopt { .. }
        | LocalRequest::LabelSet { .. }
        | LocalRequest::LabelRemove { .. } => true,
    }
}
