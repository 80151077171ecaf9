//! Fair sharing of the connections that a port or a socket can hold. It decides which connections are admitted and
//! which are evicted; it does not open or close any, and time is passed as an argument.
//!
//! There are two classes, each with its own limit: unauthenticated connections, and authenticated ones. A flood of the
//! first class therefore never takes a place of the second. Below the limit every connection is admitted. At the limit
//! a new connection is admitted by evicting another one of its class:
//!
//! 1. If the source with the most connections would still have more than the new connection's source, it loses one.
//! 2. Otherwise (one address of a NAT or a proxy has all connections, or all sources have the same number) the source
//!    with the most connections loses one only if that connection has exceeded its grace period: the idle grace if it
//!    is idle, the busy grace if it is busy.
//! 3. Otherwise the new connection is rejected, and no other is affected.
//!
//! Idle connections are evicted before busy ones, and the oldest first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The limits on connections, and how long each keeps its place when the limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareLimits {
    /// Maximum unauthenticated connections. Another one has to evict one of them, or is rejected.
    pub unauthenticated_max: usize,
    /// Maximum authenticated connections. Another one has to evict one of them, or stays in the other class.
    pub authenticated_max: usize,
    /// How long an idle connection cannot be evicted under rule 2, even by its own source.
    pub idle_grace: Duration,
    /// The same for a busy connection.
    pub busy_grace: Duration,
}

/// Whether a connection is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Not authenticated: charged to its address.
    Unauthenticated,
    /// Authenticated: charged to its user.
    Authenticated,
}

/// Identifies a connection; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// An admitted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The new connection.
    pub id: ConnectionId,
    /// The evicted connection, which has to be closed.
    pub evicted: Option<ConnectionId>,
}

#[derive(Clone, Debug)]
struct Connection<S> {
    class: Class,
    source: S,
    is_busy: bool,
    /// When it became idle or busy.
    since: Instant,
}

/// The connections of one port or socket. `S` is the source that a connection is charged to: an address range, a user,
/// a key.
#[derive(Clone, Debug)]
pub struct ConnectionShares<S> {
    limits: ShareLimits,
    last: u64,
    connections: BTreeMap<ConnectionId, Connection<S>>,
}

impl<S: Ord + Clone> ConnectionShares<S> {
    /// Creates shares without connections.
    pub const fn new(limits: ShareLimits) -> Self {
        Self { limits, last: 0, connections: BTreeMap::new() }
    }

    /// Admits a new connection, initially idle. `None` if it is rejected and has to be closed.
    pub fn admit(&mut self, source: S, class: Class, now: Instant) -> Option<Admission> {
        let evicted = self.make_room(class, &source, now)?;
        self.last += 1;
        let id = ConnectionId(self.last);
        self.connections.insert(id, Connection { class, source, is_busy: false, since: now });
        Some(Admission { id, evicted })
    }

    /// Charges a connection to the user it has authenticated as. Returns the evicted connection, which has to be
    /// closed. If there is no place, the connection stays in its class.
    pub fn authenticate(&mut self, id: ConnectionId, source: S, now: Instant) -> Option<ConnectionId> {
        let connection = self.connections.get(&id)?;
        if connection.class == Class::Authenticated && connection.source == source {
            return None;
        }
        let evicted = self.make_room(Class::Authenticated, &source, now)?;
        if let Some(connection) = self.connections.get_mut(&id) {
            (connection.class, connection.source) = (Class::Authenticated, source);
        }
        evicted
    }

    /// Charges a connection to another source without authentication, such as the client that a proxy forwards for.
    /// Returns the evicted connection, which has to be closed. If there is no place, the connection stays where it is.
    pub fn charge(&mut self, id: ConnectionId, source: S, now: Instant) -> Option<ConnectionId> {
        let connection = self.connections.get(&id)?;
        let evicted = match connection.class {
            Class::Unauthenticated => None,
            Class::Authenticated => self.make_room(Class::Unauthenticated, &source, now)?,
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            (connection.class, connection.source) = (Class::Unauthenticated, source);
        }
        evicted
    }

    /// Marks a connection as busy with a request, or idle.
    pub fn set_busy(&mut self, id: ConnectionId, is_busy: bool, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            (connection.is_busy, connection.since) = (is_busy, now);
        }
    }

    /// Evicts the connections that have been busy for longer than `limit`, and returns them.
    pub fn evict_overdue(&mut self, limit: Duration, now: Instant) -> Vec<ConnectionId> {
        let is_overdue = |connection: &Connection<S>| connection.is_busy && limit < age(connection, now);
        let overdue: Vec<_> =
            self.connections.iter().filter(|(_, connection)| is_overdue(connection)).map(|(id, _)| *id).collect();
        for id in &overdue {
            self.connections.remove(id);
        }
        overdue
    }

    /// Removes a connection that has ended.
    pub fn release(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// Returns the number of connections of a class.
    pub fn count(&self, class: Class) -> usize {
        self.connections.values().filter(|connection| connection.class == class).count()
    }

    /// Makes room for one more connection. Returns the evicted connection, if one had to be; `None` if there is no
    /// room.
    fn make_room(&mut self, class: Class, source: &S, now: Instant) -> Option<Option<ConnectionId>> {
        let most = match class {
            Class::Unauthenticated => self.limits.unauthenticated_max,
            Class::Authenticated => self.limits.authenticated_max,
        };
        if self.count(class) < most {
            return Some(None);
        }
        let victim = self.victim(class, source, now)?;
        self.connections.remove(&victim);
        Some(Some(victim))
    }

    fn victim(&self, class: Class, newcomer: &S, now: Instant) -> Option<ConnectionId> {
        let of_class = || self.connections.iter().filter(|(_, connection)| connection.class == class);
        let mut counts = BTreeMap::<&S, usize>::new();
        for (_, connection) in of_class() {
            *counts.entry(&connection.source).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        let own = counts.get(newcomer).copied().unwrap_or_default();
        // With one more, the new connection's source still has no more than the other source with one less.
        let is_owed = own + 1 < most;
        let may_go = |connection: &Connection<S>| {
            let grace = if connection.is_busy { self.limits.busy_grace } else { self.limits.idle_grace };
            counts.get(&connection.source) == Some(&most) && (is_owed || grace <= age(connection, now))
        };
        let candidates = of_class().filter(|(_, connection)| may_go(connection));
        candidates.min_by_key(|(id, connection)| (connection.is_busy, connection.since, **id)).map(|(id, _)| *id)
    }
}

fn age<S>(connection: &Connection<S>, now: Instant) -> Duration {
    now.saturating_duration_since(connection.since)
}

#[cfg(test)]
mod tests;
