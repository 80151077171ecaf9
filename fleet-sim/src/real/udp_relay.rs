//! The links between the sites and the server: one for each site, controlled by the run.
//!
//! A site dials the front address of its link instead of the server. The link relays datagrams in both directions
//! between that address and its own socket towards the server, like a NAT, and delays, loses or drops them as its
//! [`LinkConditions`] requires. All links run on one separate thread; each is one task, which holds up to
//! [`IN_TRANSIT_MAX`] datagrams in transit. A link's losses and jitter come from the seed and the site's number.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use linecamp_core::Rng;
use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Maximum datagrams in transit on one link: one second of a busy one. Excess datagrams are lost, as in a router.
const IN_TRANSIT_MAX: usize = 512;

/// The links send at most 1,200 bytes at a time, without MTU discovery.
const DATAGRAM_BYTES_MAX: usize = 2_048;

/// Characteristics of a link, from the next datagram on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkConditions {
    /// One-way latency.
    pub(super) latency: Duration,
    /// Maximum random additional delay; it can reorder datagrams.
    pub(super) jitter: Duration,
    /// Percentage of datagrams lost in each direction.
    pub(super) loss_percent: u8,
    /// The directions that pass.
    pub(super) passing: Directions,
}

/// The directions that a link passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Directions {
    /// Both directions.
    #[default]
    Both,
    /// A cut: neither direction, and datagrams in transit are lost too.
    Neither,
    /// A black hole: the server receives from the site, and the site receives nothing.
    UpOnly,
}

/// All links of a run. Dropping them stops them.
#[derive(Debug)]
pub(super) struct Links {
    links: Vec<(SocketAddr, watch::Sender<LinkConditions>)>,
    over: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Links {
    /// Starts `count` links to the server, without loss or delay.
    pub(super) fn start(server: SocketAddr, count: usize, seed: u64) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("failed to start the links' runtime")?;
        let mut seeds = Rng::new(seed);
        let (mut links, mut tasks) = (Vec::new(), JoinSet::new());
        for _ in 0..count {
            let _entered = runtime.enter();
            let (sender, line) = watch::channel(LinkConditions::default());
            let link = Link::new(server, line, Rng::new(seeds.next_u64()))?;
            links.push((link.site_socket.local_addr().context("failed to find a link's address")?, sender));
            tasks.spawn(link.carry());
        }
        let (over, is_over) = oneshot::channel::<()>();
        let run = move || {
            // Ends however the sender goes away; the tasks end when their set is dropped.
            let _ = runtime.block_on(is_over);
            drop(tasks);
        };
        let thread = thread::Builder::new().name("links".to_owned()).spawn(run);
        let thread = thread.context("failed to start a thread for the links")?;
        Ok(Self { links, over: Some(over), thread: Some(thread) })
    }

    /// Returns the address that a site dials, counted from 0.
    pub(super) fn address(&self, site: usize) -> Option<SocketAddr> {
        self.links.get(site).map(|(address, _)| *address)
    }

    /// Sets the characteristics of each link, by the site's number.
    pub(super) fn set(&self, line: impl Fn(usize) -> LinkConditions) {
        for (site, (_, link)) in self.links.iter().enumerate() {
            link.send_replace(line(site));
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, the panic was already reported.
            let _ = thread.join();
        }
    }
}

/// Sockets are not connected: otherwise a server that is down would cause errors on them.
fn listen() -> anyhow::Result<UdpSocket> {
    let socket = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| {
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    });
    socket.context("failed to open a socket for a link")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

struct Link {
    site_socket: UdpSocket,
    server_socket: UdpSocket,
    server: SocketAddr,
    line: watch::Receiver<LinkConditions>,
    rng: Rng,
    /// The site's last known source address.
    site: Option<SocketAddr>,
    /// By due time, then by number.
    in_transit: BTreeMap<(Instant, u64), (Direction, Vec<u8>)>,
    /// Number of datagrams so far.
    datagrams: u64,
}

impl Link {
    fn new(server: SocketAddr, line: watch::Receiver<LinkConditions>, rng: Rng) -> anyhow::Result<Self> {
        let (site_socket, server_socket) = (listen()?, listen()?);
        Ok(Self {
            site_socket,
            server_socket,
            server,
            line,
            rng,
            site: None,
            in_transit: BTreeMap::new(),
            datagrams: 0,
        })
    }

    async fn carry(mut self) {
        let (mut up, mut down) = ([0; DATAGRAM_BYTES_MAX], [0; DATAGRAM_BYTES_MAX]);
        loop {
            self.deliver();
            let next = self.in_transit.first_key_value().map(|((due, _), _)| *due);
            tokio::select! {
                // A receive error counts as a lost datagram.
                Ok((bytes, site)) = self.site_socket.recv_from(&mut up) => {
                    self.site = Some(site);
                    self.accept(Direction::Up, &up[..bytes]);
                }
                Ok((bytes, from)) = self.server_socket.recv_from(&mut down) => {
                    if from == self.server {
                        self.accept(Direction::Down, &down[..bytes]);
                    }
                }
                () = wait_until(next) => {}
            }
        }
    }

    /// Accepts a datagram, or loses it.
    fn accept(&mut self, direction: Direction, bytes: &[u8]) {
        let line = *self.line.borrow();
        // Drawn for every datagram, so that later losses do not depend on earlier settings.
        let (draw, jitter) = (self.rng.next_u64() % 100, self.rng.delay_up_to(line.jitter));
        let is_lost = draw < u64::from(line.loss_percent) || self.in_transit.len() == IN_TRANSIT_MAX;
        if is_lost || !line.passing.allows(direction) {
            return;
        }
        self.datagrams += 1;
        let due = Instant::now() + line.latency + jitter;
        self.in_transit.insert((due, self.datagrams), (direction, bytes.to_vec()));
    }

    /// Delivers the datagrams that are due.
    fn deliver(&mut self) {
        while let Some(first) = self.in_transit.first_entry() {
            if Instant::now() < first.key().0 {
                return;
            }
            let (direction, bytes) = first.remove();
            if !self.line.borrow().passing.allows(direction) {
                continue;
            }
            // A link does not report losses, and a full socket loses datagrams.
            let _ = match direction {
                Direction::Up => self.server_socket.try_send_to(&bytes, self.server),
                Direction::Down => self.site.map_or(Ok(0), |site| self.site_socket.try_send_to(&bytes, site)),
            };
        }
    }
}

impl Directions {
    fn allows(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::Neither => false,
            Self::UpOnly => direction == Direction::Up,
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing here takes this long.
    const PATIENCE: Duration = Duration::from_secs(10);

    struct World {
        server: StdSocket,
        site: StdSocket,
        links: Links,
    }

    fn world() -> World {
        let open = || {
            let socket = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        let (server, site) = (open(), open());
        let links = Links::start(server.local_addr().unwrap(), 2, 7).unwrap();
        site.connect(links.address(1).unwrap()).unwrap();
        World { server, site, links }
    }

    impl World {
        fn heard(&self) -> (Vec<u8>, SocketAddr) {
            let mut buffer = [0; 100];
            let (bytes, from) = self.server.recv_from(&mut buffer).unwrap();
            (buffer[..bytes].to_vec(), from)
        }

        fn answered(&self) -> Vec<u8> {
            let mut buffer = [0; 100];
            let bytes = self.site.recv(&mut buffer).unwrap();
            buffer[..bytes].to_vec()
        }
    }

    #[test]
    fn datagrams_pass_both_ways_with_the_configured_latency() {
        let world = world();
        world.site.send(b"hello").unwrap();
        let (said, from) = world.heard();
        assert_eq!(said, b"hello");
        let latency = Duration::from_millis(60);
        world.links.set(|_| LinkConditions { latency, ..LinkConditions::default() });
        let began = std::time::Instant::now();
        world.server.send_to(b"hi", from).unwrap();
        assert_eq!(world.answered(), b"hi");
        assert!(latency <= began.elapsed());
    }

    #[test]
    fn a_cut_drops_both_directions_and_a_black_hole_drops_answers() {
        let world = world();
        world.site.send(b"first").unwrap();
        let (_, from) = world.heard();
        world.links.set(|site| LinkConditions {
            passing: [Directions::Both, Directions::Neither][site],
            ..LinkConditions::default()
        });
        world.site.send(b"lost").unwrap();
        world.server.send_to(b"lost", from).unwrap();
        // Datagrams sent afterwards over another link of the same thread arrive, so these are lost by then.
        pass_over_the_other(&world);
        world.links.set(|_| LinkConditions { passing: Directions::UpOnly, ..LinkConditions::default() });
        world.server.send_to(b"lost", from).unwrap();
        world.site.send(b"second").unwrap();
        assert_eq!(world.heard().0, b"second");
        pass_over_the_other(&world);
        world.links.set(|_| LinkConditions::default());
        world.server.send_to(b"answer", from).unwrap();
        assert_eq!(world.answered(), b"answer");
    }

    fn pass_over_the_other(world: &World) {
        let other = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for _ in 0..2 {
            other.send_to(b"other", world.links.address(0).unwrap()).unwrap();
            assert_eq!(world.heard().0, b"other");
        }
    }

    #[tokio::test]
    async fn the_same_seed_loses_the_same_datagrams() {
        let survivors = |seed| {
            let line = LinkConditions { loss_percent: 50, ..LinkConditions::default() };
            let mut link = Link::new(([127, 0, 0, 1], 7).into(), watch::channel(line).1, Rng::new(seed)).unwrap();
            (0..100).for_each(|number| link.accept(Direction::Up, &[number]));
            link.in_transit.into_values().map(|(_, bytes)| bytes[0]).collect::<Vec<_>>()
        };
        let first = survivors(7);
        assert!(20 < first.len() && first.len() < 80, "{first:?}");
        assert_eq!(first, survivors(7));
        assert_ne!(first, survivors(8));
    }
}
