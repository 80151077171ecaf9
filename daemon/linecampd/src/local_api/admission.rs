//! Admission at the local socket: connection limits and rate limits, shared fairly among users as identified by the
//! kernel. Root and the user that runs the daemon have reserved connections.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use linecamp_proto::local::LocalRequest;
use linecamp_service::{ConnectionLimiter, RateLimit, ShareLimits, TokenBuckets};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::LocalCall;

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

/// Returns the peer's user ID, or the error if the system cannot tell.
pub(super) type PeerUid = fn(&UnixStream) -> io::Result<u32>;

/// State shared by all connections.
pub(super) struct Admission {
    pub(super) calls: mpsc::Sender<LocalCall>,
    pub(super) peer_uid: PeerUid,
    pub(super) waiting: ConnectionLimiter<u32>,
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

/// Whether a request changes something, or causes calls to providers.
const fn is_change(request: &LocalRequest) -> bool {
    match request {
        LocalRequest::Status
        | LocalRequest::Why
        | LocalRequest::Labels
        | LocalRequest::Hosts
        | LocalRequest::HostTokens
        | LocalRequest::Records
        | LocalRequest::Providers
        | LocalRequest::Metrics => false,
        LocalRequest::PlanRecords
        | LocalRequest::AdoptRecord(_)
        | LocalRequest::ChangeLabels { .. }
        | LocalRequest::RemoveHost(_)
        | LocalRequest::CreateHostToken(_)
        | LocalRequest::RevokeHostToken(_)
        | LocalRequest::Leave => true,
    }
}
