//! The path between a site and the core of the network, and what happens to a datagram on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use linecamp_core::Rng;

use super::wire_hash::digest_of;

/// Bytes of the IPv4 and UDP headers, which count towards traffic.
const HEADER_BYTES: usize = 28;

/// Maximum extra delay of a duplicate or a held-back datagram, beyond the path's own delay.
const STRAGGLE: Duration = Duration::from_millis(20);

/// What the path to a site does to datagrams, in either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    /// One-way latency.
    pub(crate) latency: Duration,
    /// Maximum additional delay, uniformly distributed. It does not reorder.
    pub(crate) jitter: Duration,
    /// Datagrams lost, per thousand.
    pub(crate) loss_per_mille: u32,
    /// Datagrams duplicated, per thousand.
    pub(crate) duplicated_per_mille: u32,
    /// Datagrams held back so that others overtake them, per thousand.
    pub(crate) reordered_per_mille: u32,
}

/// Datagrams and their bytes, including [`HEADER_BYTES`] each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
}

impl Volume {
    const fn add(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.bytes += (bytes + HEADER_BYTES) as u64;
    }
}

/// Traffic of a site's line, as it would be billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineTraffic {
    /// Sent by the site while its uplink was open, whether or not it arrived.
    pub(crate) up: Volume,
    /// Delivered to the site, whether or not a socket was there.
    pub(crate) down: Volume,
    /// Datagrams lost, in both directions.
    pub(crate) lost: u64,
}

/// Direction on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the site.
    Up,
    /// To the site.
    Down,
}

/// A datagram as sent: source, destination, bytes.
pub(super) type Sent = (SocketAddr, SocketAddr, Arc<[u8]>);

/// A site's line.
pub(super) struct SiteLine {
    pub(super) path: Path,
    /// The address under which others see the site.
    pub(super) outer: SocketAddr,
    pub(super) traffic: LineTraffic,
    rng: Rng,
    up: Lane,
    down: Lane,
}

/// One direction of a line.
struct Lane {
    is_open: bool,
    /// When the last datagram that was not held back arrives: no later one arrives before it.
    last_due: Duration,
    last: Option<Sent>,
}

impl Default for Lane {
    fn default() -> Self {
        Self { is_open: true, last_due: Duration::ZERO, last: None }
    }
}

impl SiteLine {
    pub(super) fn new(seed: u64, site: SocketAddr) -> Self {
        Self {
            path: Path::default(),
            outer: site,
            traffic: LineTraffic::default(),
            rng: Rng::new(seed ^ digest_of(site)),
            up: Lane::default(),
            down: Lane::default(),
        }
    }

    pub(super) const fn set_open(&mut self, is_up_open: bool, is_down_open: bool) {
        self.up.is_open = is_up_open;
        self.down.is_open = is_down_open;
    }

    /// Returns the last datagram sent in each direction.
    pub(super) fn last(&self) -> [Option<Sent>; 2] {
        [self.up.last.clone(), self.down.last.clone()]
    }

    /// Decides what happens to a datagram, and returns its arrival times: none, one or two.
    pub(super) fn carry(
        &mut self,
        now: Duration,
        direction: Direction,
        (from, to, bytes): (SocketAddr, SocketAddr, &Arc<[u8]>),
    ) -> [Option<Duration>; 2] {
        // Every datagram takes the same number of draws, whatever happens to it.
        let [lost, doubled, held, jitter, straggle] = std::array::from_fn(|_| self.rng.next_u64());
        let Path { latency, jitter: jitter_max, .. } = self.path;
        let lane = match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        };
        if lane.is_open && direction == Direction::Up {
            self.traffic.up.add(bytes.len());
        }
        if !lane.is_open || happens(lost, self.path.loss_per_mille) {
            self.traffic.lost += 1;
            return [None, None];
        }
        lane.last = Some((from, to, Arc::clone(bytes)));
        let due = now + latency + part(jitter, jitter_max);
        let straggle = part(straggle, jitter_max + STRAGGLE);
        let due = if happens(held, self.path.reordered_per_mille) {
            due + straggle
        } else {
            lane.last_due = lane.last_due.max(due);
            lane.last_due
        };
        [Some(due), happens(doubled, self.path.duplicated_per_mille).then(|| due + straggle)]
    }

    /// Counts a datagram at the end of the line. Returns whether the line is still open.
    pub(super) const fn arrive(&mut self, direction: Direction, bytes: usize) -> bool {
        let is_open = match direction {
            Direction::Up => self.up.is_open,
            Direction::Down => self.down.is_open,
        };
        match direction {
            _ if !is_open => self.traffic.lost += 1,
            Direction::Down => self.traffic.down.add(bytes),
            Direction::Up => {}
        }
        is_open
    }
}

const fn happens(draw: u64, per_mille: u32) -> bool {
    draw % 1_000 < per_mille as u64
}

/// Returns a duration between zero and `max`, inclusive.
fn part(draw: u64, max: Duration) -> Duration {
    let micros = u64::try_from(max.as_micros()).unwrap_or(u64::MAX - 1);
    Duration::from_micros(draw % (micros + 1))
}
