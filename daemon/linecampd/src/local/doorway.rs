//! Who gets a place at the local socket, and how often he may ask: fair shares among users, as the kernel names them.
//! Root, and who runs the daemon, have places that no other user takes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use linecamp_proto::local::LocalRequest;
use linecamp_service::{Class, ConnectionLimiter, RateLimit, ShareLimits, TokenBuckets};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{LocalCall, serve};

/// Connections of one user and of all, root and who runs the daemon apart: they have places of their own
/// (`authenticated_max`), which no other user takes. Under pressure a user who has more than others makes room for
/// them; among a user's own connections one that has said nothing for half a second makes room, and one that waits for
/// its answer after five seconds.
const SHARES: ShareLimits = ShareLimits {
    unauthenticated_max: 32,
    authenticated_max: 16,
    idle_grace: Duration::from_millis(500),
    busy_grace: Duration::from_secs(5),
};

/// Those who wait for a place. One more takes the place of another one of the user who has the most.
const WAITING: ShareLimits =
    ShareLimits { unauthenticated_max: 64, authenticated_max: 64, idle_grace: Duration::ZERO, ..SHARES };

/// How long somebody waits for a place. Past it, it is cut off.
const WAITING_LIMIT: Duration = Duration::from_secs(5);

/// What one user may ask: 1,000 looks or 100 changes at once, then 100 looks or 10 changes a second. What is more waits
/// in its turn, up to [`RATE_WAIT_MAX`]. Scripts that look every few seconds never notice.
pub(super) const RATE: RateLimit = RateLimit { burst: 1_000, interval: Duration::from_millis(10) };

/// What a change costs of it: a write to the disk here, and one at the server.
pub(super) const CHANGE_COST: u32 = 10;

/// The longest that a request waits for its user's rate. Past it, it is refused.
pub(super) const RATE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Users whose rates are kept apart. Further ones share one rate until others have asked nothing for a while.
const USERS_MAX: usize = 256;

/// How long to leave a socket alone that could not accept: this process has no files left, most likely.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Says who is at the other end, or that the system does not tell.
pub(super) type WhoIs = fn(&UnixStream) -> io::Result<u32>;

/// What all connections share.
pub(super) struct Doorway {
    pub(super) calls: mpsc::Sender<LocalCall>,
    who: WhoIs,
    lobby: ConnectionLimiter<u32>,
    places: ConnectionLimiter<u32>,
    rates: Mutex<TokenBuckets<u32>>,
}

impl Doorway {
    pub(super) fn new(calls: mpsc::Sender<LocalCall>, who: WhoIs) -> Self {
        Self {
            calls,
            who,
            lobby: ConnectionLimiter::new(WAITING),
            places: ConnectionLimiter::new(SHARES),
            rates: Mutex::new(TokenBuckets::new(RATE, USERS_MAX)),
        }
    }

    /// Takes what a request costs of its user's rate. Returns how long it has to wait.
    pub(super) fn reserve(&self, user: u32, request: &LocalRequest) -> Result<Duration, Duration> {
        let cost = if changes(request) { CHANGE_COST } else { 1 };
        let now = tokio::time::Instant::now().into_std();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.reserve_within(user, cost, RATE_WAIT_MAX, now)
    }
}

pub(super) async fn accept(listener: UnixListener, doorway: Arc<Doorway>, mut stop: watch::Receiver<bool>) {
    // Dropping the set ends its connections, so this task leaves nothing behind.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(admit(stream, Arc::clone(&doorway)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the local socket could not accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without anybody who could say so, it is over as well.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}

/// Serves a connection once there is a place for it.
async fn admit(mut stream: UnixStream, doorway: Arc<Doorway>) {
    let user = match (doorway.who)(&stream) {
        Ok(user) => user,
        Err(error) => return tracing::debug!(%error, "the system does not say who asks at the local socket"),
    };
    let class = match user == 0 || user == rustix::process::geteuid().as_raw() {
        true => Class::Authenticated,
        false => Class::Unauthenticated,
    };
    let Some(waiting) = doorway.lobby.admit(user, class) else { return };
    let Some(permit) = doorway.places.admit_within(WAITING_LIMIT, (user, class), waiting).await else {
        return tracing::debug!(user, "there is no place for another local connection");
    };
    tokio::select! {
        biased;
        () = permit.evicted() => tracing::debug!(user, "a local connection had to make room for another"),
        () = serve(&mut stream, user, &permit, &doorway) => {}
    }
}

/// Whether a request changes something, or has others asked.
const fn changes(request: &LocalRequest) -> bool {
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
