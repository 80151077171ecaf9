//! An in-memory network on tokio's paused clock.
//!
//! Each endpoint's socket has an address. An address with a [`Path`] belongs to a site: all its datagrams, in both
//! directions, go through its path, which delays, loses, duplicates and reorders them, and can be cut in either
//! direction. In front of every site is a NAT router that shows the site under an outer address; it can lose that
//! mapping and take another address, and datagrams to the old one are lost. Other addresses are in the core of the
//! network; servers are there.
//!
//! All randomness comes from the seed, and each site has its own stream, from which every datagram draws the same
//! number of values whatever happens to it: a change at one site does not shift another. Datagrams due at the same time
//! arrive in the order they were sent. There are no threads and no wall clock; one task waits for the next due
//! datagram.
//!
//! Not modeled: congestion, queues and packet sizes. A path carries any load without delay; a socket whose endpoint
//! does not read buffers up to a limit and drops the rest.

mod path;
mod socket;
mod wire_hash;

#[cfg(test)]
mod tests;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use linecamp_transport::AsyncUdpSocket;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::path::{LineTraffic, Path};

use self::path::{Direction, SiteLine};
use self::socket::{Port, SimSocket};
use self::wire_hash::WireHash;

/// A network. Clones share it.
#[derive(Clone)]
pub(crate) struct SimNetwork(Arc<Shared>);

struct Shared {
    began: Instant,
    /// Signals that a datagram is due earlier than the delivery task expects.
    sooner: Notify,
    net: Mutex<Net>,
}

struct Net {
    seed: u64,
    /// By the site's own address.
    lines: BTreeMap<SocketAddr, SiteLine>,
    /// Maps a site's outer address to its own.
    sites: BTreeMap<SocketAddr, SocketAddr>,
    ports: BTreeMap<SocketAddr, Arc<Port>>,
    in_transit: BinaryHeap<Reverse<Flight>>,
    flights: u64,
    wire: WireHash,
}

/// A datagram in transit.
struct Flight {
    due: Duration,
    number: u64,
    /// The line it travels on, and the direction.
    line: Option<(SocketAddr, Direction)>,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Arc<[u8]>,
}

impl SimNetwork {
    /// Creates an empty network that carries datagrams as long as the runtime lives.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub(crate) fn start(seed: u64) -> Self {
        let net = Net {
            seed,
            lines: BTreeMap::new(),
            sites: BTreeMap::new(),
            ports: BTreeMap::new(),
            in_transit: BinaryHeap::new(),
            flights: 0,
            wire: WireHash::default(),
        };
        let network = Self(Arc::new(Shared { began: Instant::now(), sooner: Notify::new(), net: Mutex::new(net) }));
        tokio::spawn(network.clone().deliver());
        network
    }

    /// Makes `site` a site's address at the end of `path`, or changes its path. Until its router takes another outer
    /// address, the site is visible under `site` itself.
    pub(crate) fn set_path(&self, site: SocketAddr, path: Path) {
        let mut net = self.net();
        let seed = net.seed;
        let line = net.lines.entry(site).or_insert_with(|| SiteLine::new(seed, site));
        line.path = path;
        let outer = line.outer;
        net.sites.insert(outer, site);
    }

    /// Opens or blocks each direction of a site's path: from it, and to it. Datagrams in transit on a blocked direction
    /// are lost. With both blocked it is a black hole; no loss is reported.
    pub(crate) fn set_open(&self, site: SocketAddr, is_up_open: bool, is_down_open: bool) {
        if let Some(line) = self.net().lines.get_mut(&site) {
            line.set_open(is_up_open, is_down_open);
        }
    }

    /// Moves the router in front of a site to another outer address. Datagrams to the old one are lost.
    pub(crate) fn rebind(&self, site: SocketAddr, outer: SocketAddr) {
        let mut net = self.net();
        if let Some(line) = net.lines.get_mut(&site) {
            let before = std::mem::replace(&mut line.outer, outer);
            net.sites.remove(&before);
            net.sites.insert(outer, site);
        }
    }

    /// Resends the last datagram of a site in each direction, as networks sometimes do.
    pub(crate) fn echo(&self, site: SocketAddr) {
        let last = self.net().lines.get(&site).map(SiteLine::last);
        for (from, to, bytes) in last.into_iter().flatten().flatten() {
            self.send(from, to, bytes);
        }
    }

    /// Opens a socket at `address`. A socket already there is disconnected, as by [`SimNetwork::kill`].
    pub(crate) fn socket(&self, address: SocketAddr) -> Arc<dyn AsyncUdpSocket> {
        self.kill(address);
        let port = Arc::new(Port::default());
        self.net().ports.insert(address, Arc::clone(&port));
        Arc::new(SimSocket::new(self.clone(), address, port))
    }

    /// Permanently disconnects the socket at `address`: nothing leaves it and nothing arrives. To crash an endpoint,
    /// call this before dropping the endpoint, so that it cannot send a close.
    pub(crate) fn kill(&self, address: SocketAddr) {
        let port = self.net().ports.remove(&address);
        if let Some(port) = port {
            port.kill();
        }
    }

    /// Returns the traffic of a site's line so far.
    pub(crate) fn traffic(&self, site: SocketAddr) -> LineTraffic {
        self.net().lines.get(&site).map(|line| line.traffic).unwrap_or_default()
    }

    /// Returns the number of datagrams sent so far.
    #[cfg(test)]
    pub(crate) fn datagrams(&self) -> u64 {
        self.net().wire.datagrams()
    }

    /// Returns a digest of every datagram sent so far, with its time, source and destination.
    pub(crate) fn wire_hash(&self) -> u64 {
        self.net().wire.digest()
    }

    /// Carries a datagram sent by the socket at `from`.
    fn send(&self, from: SocketAddr, to: SocketAddr, bytes: Arc<[u8]>) {
        let now = self.0.began.elapsed();
        if self.net().send(now, from, to, bytes) {
            self.0.sooner.notify_one();
        }
    }

    /// Frees the address of a dropped socket, unless another socket has taken it.
    fn release(&self, address: SocketAddr, port: &Arc<Port>) {
        let mut net = self.net();
        if net.ports.get(&address).is_some_and(|holder| Arc::ptr_eq(holder, port)) {
            net.ports.remove(&address);
        }
    }

    async fn deliver(self) {
        let sleep = tokio::time::sleep_until(self.0.began);
        tokio::pin!(sleep);
        loop {
            let next = self.net().deliver(self.0.began.elapsed());
            let Some(due) = next else {
                self.0.sooner.notified().await;
                continue;
            };
            sleep.as_mut().reset(self.0.began + due);
            tokio::select! {
                biased;
                () = self.0.sooner.notified() => {}
                () = &mut sleep => {}
            }
        }
    }

    fn net(&self) -> MutexGuard<'_, Net> {
        self.0.net.lock().expect("no holder panics")
    }
}

impl fmt::Debug for SimNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimNetwork")
    }
}

impl Net {
    /// Sends a datagram. Returns whether it is the next one to arrive.
    fn send(&mut self, now: Duration, from: SocketAddr, to: SocketAddr, bytes: Arc<[u8]>) -> bool {
        let line = match self.sites.get(&to) {
            _ if self.lines.contains_key(&from) => Some((from, Direction::Up)),
            Some(site) => Some((*site, Direction::Down)),
            None => None,
        };
        let Some((site, direction)) = line else {
            self.wire.add(now, from, to, &bytes);
            return self.push(Flight { due: now, number: 0, line, from, to, bytes });
        };
        let line = self.lines.get_mut(&site).expect("every site has a line");
        let shown = if direction == Direction::Up { line.outer } else { from };
        self.wire.add(now, shown, to, &bytes);
        let arrivals = line.carry(now, direction, (from, to, &bytes));
        let mut is_next = false;
        for due in arrivals.into_iter().flatten() {
            let bytes = Arc::clone(&bytes);
            is_next |= self.push(Flight { due, number: 0, line: Some((site, direction)), from: shown, to, bytes });
        }
        is_next
    }

    fn push(&mut self, flight: Flight) -> bool {
        self.flights += 1;
        let is_next = self.in_transit.peek().is_none_or(|Reverse(next)| flight.due < next.due);
        self.in_transit.push(Reverse(Flight { number: self.flights, ..flight }));
        is_next
    }

    /// Delivers all datagrams that are due, and returns when the next one is due.
    fn deliver(&mut self, now: Duration) -> Option<Duration> {
        loop {
            let due = self.in_transit.peek().map(|Reverse(next)| next.due)?;
            if now < due {
                return Some(due);
            }
            let Reverse(flight) = self.in_transit.pop().expect("it was just peeked");
            self.arrive(flight);
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let address = match self.sites.get(&flight.to) {
            Some(site) => *site,
            // A site that its router now shows under another outer address.
            None if self.lines.contains_key(&flight.to) => return,
            None => flight.to,
        };
        if let Some((site, direction)) = flight.line {
            let line = self.lines.get_mut(&site).expect("lines are never removed");
            if !line.arrive(direction, flight.bytes.len()) {
                return;
            }
        }
        if let Some(port) = self.ports.get(&address) {
            port.take(flight.from, flight.bytes);
        }
    }
}

impl Flight {
    const fn order(&self) -> (Duration, u64) {
        (self.due, self.number)
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Flight {}
