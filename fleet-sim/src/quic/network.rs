//! A network in memory, under tokio's paused clock.
//!
//! Sockets of endpoints stand at addresses. An address with a [`Path`] is a site's: all its datagrams, in both
//! directions, go along its path, which delays, loses, doubles and reorders them, and may be cut in either direction.
//! In front of every site stands a router that shows the site under an outer address; it may forget that one and
//! take another, and what still comes for the old one is lost. Other addresses are in the middle of the net, and
//! servers stand there.
//!
//! Nothing in here draws on anything but the seed, and each site has a stream of its own, from which every datagram
//! takes the same count of numbers whatever becomes of it: a change at one site shifts nothing at another. What arrives
//! at the same time arrives in the order of sending. There are no threads and there is no wall clock; one task waits
//! for what is due next.
//!
//! What is *not* here: congestion, queues and packet sizes. A path carries whatever is sent, at once; a socket whose
//! endpoint does not read holds so much and loses the rest.

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

/// A network. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SimNetwork(Arc<Shared>);

struct Shared {
    began: Instant,
    /// Something is due earlier than the delivering task waits for.
    sooner: Notify,
    net: Mutex<Net>,
}

struct Net {
    seed: u64,
    /// By the address that the site itself knows.
    lines: BTreeMap<SocketAddr, SiteLine>,
    /// From the address that others know a site by.
    sites: BTreeMap<SocketAddr, SocketAddr>,
    ports: BTreeMap<SocketAddr, Arc<Port>>,
    under_way: BinaryHeap<Reverse<Flight>>,
    flights: u64,
    wire: WireHash,
}

/// A datagram under way.
struct Flight {
    due: Duration,
    number: u64,
    /// Whose line it goes along, and which way.
    line: Option<(SocketAddr, Direction)>,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Arc<[u8]>,
}

impl SimNetwork {
    /// Makes a network without anybody on it, and lets it carry for as long as the runtime lives.
    ///
    /// # Panics
    /// Platform a tokio runtime.
    pub(crate) fn start(seed: u64) -> Self {
        let net = Net {
            seed,
            lines: BTreeMap::new(),
            sites: BTreeMap::new(),
            ports: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            flights: 0,
            wire: WireHash::default(),
        };
        let network = Self(Arc::new(Shared { began: Instant::now(), sooner: Notify::new(), net: Mutex::new(net) }));
        tokio::spawn(network.clone().deliver());
        network
    }

    /// Makes `site` the address of a site at the end of `path`, or gives it another path. Until its router takes
    /// another one, it is known by that very address.
    pub(crate) fn set_path(&self, site: SocketAddr, path: Path) {
        let mut net = self.net();
        let seed = net.seed;
        let line = net.lines.entry(site).or_insert_with(|| SiteLine::new(seed, site));
        line.path = path;
        let outer = line.outer;
        net.sites.insert(outer, site);
    }

    /// Says which ways of a site's path are open: from it, and to it. What is under way on one that closes is lost.
    /// With both closed it is a black hole; nobody is told of any loss.
    pub(crate) fn set_open(&self, site: SocketAddr, is_up_open: bool, is_down_open: bool) {
        if let Some(line) = self.net().lines.get_mut(&site) {
            line.set_open(is_up_open, is_down_open);
        }
    }

    /// Lets the router in front of a site take another address. What comes for the old one is lost.
    pub(crate) fn rebind(&self, site: SocketAddr, outer: SocketAddr) {
        let mut net = self.net();
        if let Some(line) = net.lines.get_mut(&site) {
            let before = std::mem::replace(&mut line.outer, outer);
            net.sites.remove(&before);
            net.sites.insert(outer, site);
        }
    }

    /// Sends the last datagram of a site in each direction once more, as networks sometimes do.
    pub(crate) fn echo(&self, site: SocketAddr) {
        let last = self.net().lines.get(&site).map(SiteLine::last);
        for (from, to, bytes) in last.into_iter().flatten().flatten() {
            self.send(from, to, bytes);
        }
    }

    /// Opens a socket at `address`. Whoever had it before is cut off, as by [`SimNetwork::kill`].
    pub(crate) fn socket(&self, address: SocketAddr) -> Arc<dyn AsyncUdpSocket> {
        self.kill(address);
        let port = Arc::new(Port::default());
        self.net().ports.insert(address, Arc::clone(&port));
        Arc::new(SimSocket::new(self.clone(), address, port))
    }

    /// Cuts off the socket at `address`, for good: nothing leaves it any more, and nothing arrives. To crash an
    /// endpoint, do this first and drop the endpoint afterwards, so that it cannot say goodbye.
    pub(crate) fn kill(&self, address: SocketAddr) {
        let port = self.net().ports.remove(&address);
        if let Some(port) = port {
            port.kill();
        }
    }

    /// Returns what went over a site's line so far.
    pub(crate) fn traffic(&self, site: SocketAddr) -> LineTraffic {
        self.net().lines.get(&site).map(|line| line.traffic).unwrap_or_default()
    }

    /// Returns how many datagrams were sent so far, by anybody.
    #[cfg(test)]
    pub(crate) fn datagrams(&self) -> u64 {
        self.net().wire.datagrams()
    }

    /// Returns a digest of every datagram that was sent so far, with its time, source and destination.
    pub(crate) fn wire_hash(&self) -> u64 {
        self.net().wire.digest()
    }

    /// Carries a datagram that the socket at `from` sends.
    fn send(&self, from: SocketAddr, to: SocketAddr, bytes: Arc<[u8]>) {
        let now = self.0.began.elapsed();
        if self.net().send(now, from, to, bytes) {
            self.0.sooner.notify_one();
        }
    }

    /// Frees the address of a socket that is dropped, unless somebody else has it.
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
    /// Puts a datagram on its way. Says whether it is the next one to arrive.
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
        let line = self.lines.get_mut(&site).expect("a router stands in front of a site");
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
        let is_next = self.under_way.peek().is_none_or(|Reverse(next)| flight.due < next.due);
        self.under_way.push(Reverse(Flight { number: self.flights, ..flight }));
        is_next
    }

    /// Delivers what is due, and returns when the next one is.
    fn deliver(&mut self, now: Duration) -> Option<Duration> {
        loop {
            let due = self.under_way.peek().map(|Reverse(next)| next.due)?;
            if now < due {
                return Some(due);
            }
            let Reverse(flight) = self.under_way.pop().expect("it was there a moment ago");
            self.arrive(flight);
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let address = match self.sites.get(&flight.to) {
            Some(site) => *site,
            // A site that its router shows under another address.
            None if self.lines.contains_key(&flight.to) => return,
            None => flight.to,
        };
        if let Some((site, direction)) = flight.line {
            let line = self.lines.get_mut(&site).expect("lines stay");
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
