//! The order and the pace in which the addresses of a server are tried (RFC 8305, Happy Eyeballs). No I/O and no clock.
//!
//! Everything that connects to a name uses this: the link, the API's clients, the doctors and the sandbox of plugins.
//! [`dial_order`] interleaves the address families. [`AddressSchedule`] says when which attempt starts.
//! [`DialHistory`](crate::DialHistory) carries over to the next dial what the last one found.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses of one name that are used; further ones are ignored. No answer without EDNS has room for more than 31.
pub const ADDRESSES_MAX: usize = 64;

/// How fast the addresses of one name are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Delay before the next address is tried in parallel. It is tried at once when an attempt fails.
    pub delay: Duration,
    /// Attempts in progress at the same time.
    pub parallel_max: usize,
    /// No attempt starts later than this after the first one. A later dial tries the addresses that are left.
    pub start_max: Duration,
}

impl Pace {
    /// The link. The delay is longer than a satellite round trip (RFC 8305, 8 allows up to 2 s), so that a working link
    /// usually costs one handshake. With a handshake limit of 10 s a dial takes 18 s after the name lookup, which takes
    /// 10 s at most: less than the 30 s that the state machine allows. If no address answers, one dial tries eight.
    pub const LINK: Self = Self { delay: Duration::from_secs(1), parallel_max: 8, start_max: Duration::from_secs(8) };

    /// TCP: the delay that RFC 8305, 8 recommends. An attempt costs a few small packets, so many may be in progress:
    /// with a limit of 10 s for an attempt, all of [`ADDRESSES_MAX`] are tried within 18 s.
    pub const TCP: Self =
        Self { delay: Duration::from_millis(250), parallel_max: 32, start_max: Duration::from_secs(20) };
}

/// Returns the addresses in the order in which to try them, each once and at most [`ADDRESSES_MAX`].
///
/// `preferred` is first if it is among them. The families alternate: beginning with that of `preferred`, otherwise with
/// that of the first address, which the resolver has sorted (RFC 6724): IPv6 if this machine can use it.
pub fn dial_order(addresses: &[SocketAddr], preferred: Option<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let mut unique: Vec<_> = addresses.iter().copied().filter(|address| seen.insert(*address)).collect();
    unique.truncate(ADDRESSES_MAX);
    // A stable sort: the resolver's order is kept within each family.
    unique.sort_by_key(|address| Some(*address) != preferred);
    let begins_with_ipv6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        unique.into_iter().partition(|address| address.is_ipv6() == begins_with_ipv6);
    let mut order = Vec::new();
    while !first.is_empty() || !second.is_empty() {
        order.extend(first.pop_front());
        order.extend(second.pop_front());
    }
    order
}

/// What to do next in a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleStep {
    /// Start an attempt with this address.
    Start(SocketAddr),
    /// Wait for the result of an attempt, but not longer than until this time.
    WaitUntil(Duration),
    /// Wait for the result of an attempt.
    WaitForResult,
    /// No attempt is in progress and none is left to start: the dial has failed.
    Exhausted,
}

/// One dial: which address is tried when. Times count from its start.
#[derive(Debug)]
pub struct AddressSchedule {
    pace: Pace,
    waiting: VecDeque<SocketAddr>,
    in_progress: usize,
    next_start: Duration,
}

impl AddressSchedule {
    /// Starts a dial that tries the addresses in this order.
    pub fn new(order: Vec<SocketAddr>, pace: Pace) -> Self {
        Self { pace, waiting: order.into(), in_progress: 0, next_start: Duration::ZERO }
    }

    /// Returns what to do at this time. An attempt that is to be started counts as in progress.
    pub fn next_step(&mut self, now: Duration) -> ScheduleStep {
        let start_at = self.next_start.max(now);
        let may_start = !self.waiting.is_empty() && start_at <= self.pace.start_max;
        if !may_start || self.pace.parallel_max <= self.in_progress {
            return if self.in_progress == 0 { ScheduleStep::Exhausted } else { ScheduleStep::WaitForResult };
        }
        if now < start_at {
            return ScheduleStep::WaitUntil(start_at);
        }
        let Some(address) = self.waiting.pop_front() else { return ScheduleStep::Exhausted };
        self.in_progress += 1;
        self.next_start = now + self.pace.delay;
        ScheduleStep::Start(address)
    }

    /// Records that an attempt failed: the next one may start.
    pub fn attempt_failed(&mut self, now: Duration) {
        self.in_progress = self.in_progress.saturating_sub(1);
        self.next_start = self.next_start.min(now);
    }
}

#[cfg(test)]
mod tests;
