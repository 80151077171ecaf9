//! The connections of a port or a socket, for the tasks that serve them: [`ConnectionShares`] decides, and evicted
//! connections are notified.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection_shares::{Class, ConnectionId, ConnectionShares, ShareLimits};

/// Low bits of an IPv6 address that are ignored. A customer of a network has at least a /64 (RFC 6177), so all
/// addresses in a /64 count as one source.
const IPV6_PREFIX_BITS: u32 = 64;

/// How often a waiting connection checks for a place: rarely enough for hundreds of them, and not noticeable.
const ADMIT_RETRY: Duration = Duration::from_millis(100);

/// The source network of connections: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(IpAddr);

impl Network {
    /// Returns the network that an address is charged to. An IPv4-mapped IPv6 address counts as IPv4.
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let prefix = address.to_bits() >> IPV6_PREFIX_BITS << IPV6_PREFIX_BITS;
                Self(IpAddr::V6(Ipv6Addr::from_bits(prefix)))
            }
        }
    }
}

/// Connection counts since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Current unauthenticated connections.
    pub unauthenticated: usize,
    /// Current authenticated connections.
    pub authenticated: usize,
    /// Connections evicted to make room for others, or because they took too long.
    pub evicted: u64,
    /// Connections rejected because there was no room.
    pub rejected: u64,
}

/// Limits the connections of one port or socket. Clones share the state.
#[derive(Debug)]
pub struct ConnectionLimiter<S>(Arc<Mutex<State<S>>>);

#[derive(Debug)]
struct State<S> {
    shares: ConnectionShares<S>,
    /// Notifies each connection of its eviction.
    evictions: BTreeMap<ConnectionId, Arc<Notify>>,
    evicted: u64,
    rejected: u64,
}

impl<S> Clone for ConnectionLimiter<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Ord + Clone> ConnectionLimiter<S> {
    /// Creates a limiter without connections.
    pub fn new(limits: ShareLimits) -> Self {
        let shares = ConnectionShares::new(limits);
        Self(Arc::new(Mutex::new(State { shares, evictions: BTreeMap::new(), evicted: 0, rejected: 0 })))
    }

    /// Admits a new connection, possibly by evicting another. `None` if it is rejected and has to be closed.
    pub fn admit(&self, source: S, class: Class) -> Option<ConnectionPermit<S>> {
        let mut state = self.lock();
        let Some((id, eviction)) = state.admit(&source, class) else {
            state.rejected += 1;
            return None;
        };
        Some(ConnectionPermit { limiter: self.clone(), id, eviction })
    }

    /// Admits a stream of `connection`, which belongs to another limiter, possibly by evicting another stream. Evicting
    /// a stream evicts its whole connection: a peer that does not read cannot be made to end one stream. `None` if the
    /// stream is rejected.
    pub fn admit_stream(
        &self,
        source: S,
        class: Class,
        connection: &ConnectionPermit<S>,
    ) -> Option<ConnectionPermit<S>> {
        let mut state = self.lock();
        let Some((id, eviction)) = state.admit_with(&source, class, Arc::clone(&connection.eviction)) else {
            state.rejected += 1;
            return None;
        };
        Some(ConnectionPermit { limiter: self.clone(), id, eviction })
    }

    /// Admits a new connection as soon as there is room, within `limit`. `waiting` is its permit from another limiter,
    /// which bounds the number of waiting connections: if that permit is evicted, the connection is rejected here too.
    /// `None` if it has to be closed.
    pub async fn admit_within(
        &self,
        limit: Duration,
        (source, class): (S, Class),
        waiting: ConnectionPermit<S>,
    ) -> Option<ConnectionPermit<S>> {
        let admitted = async {
            loop {
                // A separate statement, so that the lock is not held during the sleep.
                let admitted = self.lock().admit(&source, class);
                match admitted {
                    Some((id, eviction)) => return ConnectionPermit { limiter: self.clone(), id, eviction },
                    None => tokio::time::sleep(ADMIT_RETRY).await,
                }
            }
        };
        tokio::select! {
            biased;
            admitted = tokio::time::timeout(limit, admitted) => {
                let admitted = admitted.ok();
                self.lock().rejected += u64::from(admitted.is_none());
                admitted
            }
            () = waiting.evicted() => {
                self.lock().rejected += 1;
                None
            }
        }
    }

    /// Evicts the connections that have been busy for longer than `limit`.
    pub fn evict_overdue(&self, limit: Duration) {
        let mut state = self.lock();
        let overdue = state.shares.evict_overdue(limit, now());
        state.evict(overdue);
    }

    /// Returns the current and total numbers of connections.
    pub fn counts(&self) -> ConnectionCounts {
        let state = self.lock();
        ConnectionCounts {
            unauthenticated: state.shares.count(Class::Unauthenticated),
            authenticated: state.shares.count(Class::Authenticated),
            evicted: state.evicted,
            rejected: state.rejected,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // Every change under the lock is complete before anything that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Ord + Clone> State<S> {
    fn admit(&mut self, source: &S, class: Class) -> Option<(ConnectionId, Arc<Notify>)> {
        self.admit_with(source, class, Arc::default())
    }

    fn admit_with(&mut self, source: &S, class: Class, eviction: Arc<Notify>) -> Option<(ConnectionId, Arc<Notify>)> {
        let admission = self.shares.admit(source.clone(), class, now())?;
        self.evict(admission.evicted);
        self.evictions.insert(admission.id, Arc::clone(&eviction));
        Some((admission.id, eviction))
    }

    fn evict(&mut self, ids: impl IntoIterator<Item = ConnectionId>) {
        for eviction in ids.into_iter().filter_map(|id| self.evictions.remove(&id)) {
            self.evicted += 1;
            eviction.notify_one();
        }
    }
}

/// The permit of one open connection. Dropping it frees the place.
#[derive(Debug)]
pub struct ConnectionPermit<S: Ord + Clone> {
    limiter: ConnectionLimiter<S>,
    id: ConnectionId,
    eviction: Arc<Notify>,
}

impl<S: Ord + Clone> ConnectionPermit<S> {
    /// Waits until the connection has to be closed. For use by one task; cancel-safe.
    pub async fn evicted(&self) {
        self.eviction.notified().await;
    }

    /// Charges the connection to the source whose key it has presented.
    pub fn authenticate(&self, source: S) {
        let mut state = self.limiter.lock();
        let evicted = state.shares.authenticate(self.id, source, now());
        state.evict(evicted);
    }

    /// Charges the connection to another source without authentication.
    pub fn charge(&self, source: S) {
        let mut state = self.limiter.lock();
        let evicted = state.shares.charge(self.id, source, now());
        state.evict(evicted);
    }

    /// Marks the connection as busy with a request, or idle.
    pub fn set_busy(&self, is_busy: bool) {
        self.limiter.lock().shares.set_busy(self.id, is_busy, now());
    }
}

impl<S: Ord + Clone> Drop for ConnectionPermit<S> {
    fn drop(&mut self) {
        let mut state = self.limiter.lock();
        state.shares.release(self.id);
        state.evictions.remove(&self.id);
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ShareLimits = ShareLimits {
        unauthenticated_max: 2,
        authenticated_max: 1,
        idle_grace: Duration::from_secs(2),
        busy_grace: Duration::from_secs(60),
    };

    #[test]
    fn an_address_is_charged_to_its_network() {
        let check = |address: &str, expected: &str| {
            assert_eq!(Network::of(address.parse().unwrap()), Network(expected.parse().unwrap()));
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("::1", "::");
    }

    #[tokio::test(start_paused = true)]
    async fn an_evicted_connection_is_notified_and_a_dropped_permit_frees_its_place() {
        let limiter = ConnectionLimiter::new(LIMITS);
        let first = limiter.admit(1, Class::Unauthenticated).unwrap();
        let second = limiter.admit(1, Class::Unauthenticated).unwrap();
        assert!(limiter.admit(1, Class::Unauthenticated).is_none(), "both are younger than the grace");
        tokio::time::advance(LIMITS.idle_grace).await;
        let third = limiter.admit(1, Class::Unauthenticated).unwrap();
        first.evicted().await;
        let counts = ConnectionCounts { unauthenticated: 2, authenticated: 0, evicted: 1, rejected: 1 };
        assert_eq!(limiter.counts(), counts);

        drop((first, second));
        third.authenticate(7);
        let counts = ConnectionCounts { unauthenticated: 0, authenticated: 1, evicted: 1, rejected: 1 };
        assert_eq!(limiter.counts(), counts, "an evicted permit gives nothing back");
        third.set_busy(true);
        tokio::time::advance(Duration::from_secs(901)).await;
        limiter.evict_overdue(Duration::from_secs(900));
        third.evicted().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_evicted_stream_evicts_its_connection() {
        let (connections, streams) = (ConnectionLimiter::new(LIMITS), ConnectionLimiter::new(LIMITS));
        let connection = connections.admit(1, Class::Unauthenticated).unwrap();
        let admit = || streams.admit_stream(1, Class::Unauthenticated, &connection);
        let _open = (admit().unwrap(), admit().unwrap());
        assert!(admit().is_none(), "no stream has exceeded its grace");
        assert_eq!(streams.counts().rejected, 1);
        let other = connections.admit(2, Class::Unauthenticated).unwrap();
        let _third = streams.admit_stream(2, Class::Unauthenticated, &other);
        tokio::time::advance(LIMITS.idle_grace).await;
        let _fourth = streams.admit_stream(2, Class::Unauthenticated, &other).unwrap();
        connection.evicted().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_connection_is_admitted_in_turn_or_evicted() {
        let one = ShareLimits { unauthenticated_max: 1, idle_grace: Duration::ZERO, ..LIMITS };
        let (limiter, lobby) = (ConnectionLimiter::new(LIMITS), ConnectionLimiter::new(one));
        let admit = || limiter.admit(1, Class::Unauthenticated).unwrap();
        let wait = |seconds| {
            let waiting = lobby.admit(1, Class::Unauthenticated).unwrap();
            limiter.admit_within(Duration::from_secs(seconds), (1, Class::Unauthenticated), waiting)
        };
        let (first, second) = (admit(), admit());
        assert!(wait(1).await.is_none(), "nobody has had his time");
        let third = wait(5).await.expect("the first has had it");
        first.evicted().await;

        drop((second, third));
        let _young = (admit(), admit());
        let (early, late) = tokio::join!(wait(5), wait(5));
        assert!(early.is_none() && late.is_some());
    }
}
