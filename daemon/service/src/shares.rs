//! Fair shares of the connections that a port or a socket can hold. It decides who is admitted and who has to go; it
//! opens and closes nothing, and time comes in as an argument.
//!
//! There are two classes, each with a limit of its own: connections that have not shown a key yet, and those that have.
//! So a flood of the first class never takes a place of the second. Below the limit everybody is admitted. At the
//! limit a newcomer is admitted in the place of another connection of its class:
//!
//! 1. If the source with the most connections would still have more than the newcomer's source, it loses one.
//! 2. Otherwise (one address of a NAT or a proxy holds all, or all sources hold the same) the source with the most
//!    loses a connection only if that has had its time: idle for the idle grace, or busy for the busy grace.
//! 3. Otherwise the newcomer is rejected, and nobody is disturbed.
//!
//! What is evicted is idle rather than busy, and the oldest of these.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many connections there may be, and how long each may keep its place under pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareLimits {
    /// Connections that have not shown a key. One more has to take the place of another, or is rejected.
    pub unauthenticated_max: usize,
    /// Connections that have shown a key. One more has to take the place of another, or stays in the other class.
    pub authenticated_max: usize,
    /// How long an idle connection keeps its place although its own source wants it.
    pub idle_grace: Duration,
    /// The same for one that is busy.
    pub busy_grace: Duration,
}

/// Whether a connection has shown a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It has not: it is one of its address's.
    Unauthenticated,
    /// It has: it is one of its user's.
    Authenticated,
}

/// A connection, by a number that is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// A connection that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The newcomer.
    pub id: ConnectionId,
    /// The connection whose place it has. That one has to be closed.
    pub evicted: Option<ConnectionId>,
}

#[derive(Clone, Debug)]
struct Connection<S> {
    class: Class,
    source: S,
    is_busy: bool,
    /// Since when it is idle, or busy.
    since: Instant,
}

/// The connections of one port or socket. `S` says to whom a connection is charged: an address range, a user, a key.
#[derive(Clone, Debug)]
pub struct ConnectionShares<S> {
    limits: ShareLimits,
    last: u64,
    connections: BTreeMap<ConnectionId, Connection<S>>,
}

impl<S: Ord + Clone> ConnectionShares<S> {
    /// Makes shares without a connection.
    pub const fn new(limits: ShareLimits) -> Self {
        Self { limits, last: 0, connections: BTreeMap::new() }
    }

    /// Admits a newcomer, idle at first, or returns `None`: it is to be closed.
    pub fn admit(&mut self, source: S, class: Class, now: Instant) -> Option<Admission> {
        let evicted = self.make_room(class, &source, now)?;
        self.last += 1;
        let id = ConnectionId(self.last);
        self.connections.insert(id, Connection { class, source, is_busy: false, since: now });
        Some(Admission { id, evicted })
    }

    /// Charges a connection to the user whose key it has shown. Returns the connection whose place it has, which has to
    /// be closed. If there is no place, it stays in its class.
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

    /// Says that a connection is busy with a request, or idle again.
    pub fn set_busy(&mut self, id: ConnectionId, is_busy: bool, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            (connection.is_busy, connection.since) = (is_busy, now);
        }
    }

    /// Evicts what has been busy for longer than `limit`, and returns it.
    pub fn evict_overdue(&mut self, limit: Duration, now: Instant) -> Vec<ConnectionId> {
        let is_overdue = |connection: &Connection<S>| connection.is_busy && limit < age(connection, now);
        let overdue: Vec<_> =
            self.connections.iter().filter(|(_, connection)| is_overdue(connection)).map(|(id, _)| *id).collect();
        for id in &overdue {
            self.connections.remove(id);
        }
        overdue
    }

    /// Forgets a connection that has ended.
    pub fn release(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// Returns how many connections of a class there are.
    pub fn count(&self, class: Class) -> usize {
        self.connections.values().filter(|connection| connection.class == class).count()
    }

    /// Returns `None` if there is no room for one more connection, and otherwise what was evicted for it.
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
        // With one more the newcomer's source still has fewer than the other with one less, or as many.
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
