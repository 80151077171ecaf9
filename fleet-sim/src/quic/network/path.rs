//! The way between a site and the middle of the net, and what becomes of a datagram on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use linecamp_core::Rng;

use super::wire_hash::digest_of;

/// Bytes of the headers of IPv4 and UDP, which are paid for as well.
const HEADER_BYTES: usize = 28;

/// At most so much later comes a second copy, or one that was held back, than the path alone explains.
const STRAGGLE: Duration = Duration::from_millis(20);

/// What the way to a site does to datagrams, in either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    /// One way.
    pub(crate) latency: Duration,
    /// At most so much is added, evenly. It does not change the order.
    pub(crate) jitter: Duration,
    /// Datagrams lost, of a thousand.
    pub(crate) loss_per_mille: u32,
    /// Datagrams that arrive twice, of a thousand.
    pub(crate) duplicated_per_mille: u32,
    /// Datagrams that are held back so that others overtake them, of a thousand.
    pub(crate) reordered_per_mille: u32,
}

/// Datagrams and their bytes, with [`HEADER_BYTES`] each.
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

/// What went over a site's line: what it would be billed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineTraffic {
    /// What the site sent while its way up was open, whether or not it arrived.
    pub(crate) up: Volume,
    /// What arrived at the site, whether or not anybody was there.
    pub(crate) down: Volume,
    /// Datagrams lost on the way, in both directions.
    pub(crate) lost: u64,
}

/// Which way along a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the site.
    Up,
    /// To the site.
    Down,
}

/// A datagram as its sender sent it: from, to, bytes.
pub(super) type Sent = (SocketAddr, SocketAddr, Arc<[u8]>);

/// A site's line.
pub(super) struct SiteLine {
    pub(super) path: Path,
    /// The address that others know the site by.
    pub(super) outer: SocketAddr,
    pub(super) traffic: LineTraffic,
    rng: Rng,
    up: Lane,
    down: Lane,
}

/// One direction.
struct Lane {
    is_open: bool,
    /// When the last datagram arrives that was not held back: no later one arrives before it.
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

    /// Returns what was sent last in each direction.
    pub(super) fn last(&self) -> [Option<Sent>; 2] {
        [self.up.last.clone(), self.down.last.clone()]
    }

    /// Decides what becomes of a datagram, and returns when it arrives: never, once or twice.
    pub(super) fn carry(
        &mut self,
        now: Duration,
        direction: Direction,
        (from, to, bytes): (SocketAddr, SocketAddr, &Arc<[u8]>),
    ) -> [Option<Duration>; 2] {
        // As many draws for each datagram, whatever becomes of it.
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

    /// Counts a datagram at the end of the line. Says whether the line is still open.
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

/// Returns a time from zero up to and with `max`.
fn part(draw: u64, max: Duration) -> Duration {
    let micros = u64::try_from(max.as_micros()).unwrap_or(u64::MAX - 1);
    Duration::from_micros(draw % (micros + 1))
}
