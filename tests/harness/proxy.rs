//! The network path between sites and their server, controlled by the test.
//!
//! Sites dial a [`UdpProxy`]'s address instead of the server's. For each source address it keeps its own socket towards
//! the server, like a NAT, and relays datagrams in both directions. One thread delivers everything, so that order is
//! preserved; it holds delayed datagrams, up to [`WAITING_MAX`].

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum datagrams in transit: one second of a fast link. Excess datagrams are lost, as in any router.
const QUEUED_MAX: usize = 4096;
/// How often an idle thread checks whether it should exit.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum size of a UDP datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Traffic since the proxy was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams from sites that were delivered.
    pub datagrams_up: u64,
    /// Datagrams to sites that were delivered.
    pub datagrams_down: u64,
    /// Bytes in `datagrams_up`, without headers.
    pub bytes_up: u64,
    /// Bytes in `datagrams_down`, without headers.
    pub bytes_down: u64,
    /// Datagrams dropped by a cut, in either direction.
    pub lost: u64,
}

/// A proxy that can be cut, delayed and moved. Dropping it stops it.
#[derive(Debug)]
pub struct UdpProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    front: UdpSocket,
    server: SocketAddr,
    is_stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    /// How many more datagrams pass before the proxy is cut.
    cut_after: Option<u64>,
    delay: Duration,
    /// The socket towards the server, by a site's address.
    upstream: BTreeMap<SocketAddr, Arc<UdpSocket>>,
    traffic: Traffic,
}

#[derive(Debug)]
struct Datagram {
    due: Instant,
    bytes: Vec<u8>,
    route: Route,
}

#[derive(Debug)]
enum Route {
    Up(Arc<UdpSocket>),
    Down(SocketAddr),
}

impl UdpProxy {
    /// Starts a proxy to the server, without loss or delay.
    ///
    /// # Panics
    /// If no more sockets can be opened.
    pub fn start(server: SocketAddr) -> Self {
        let front = listen();
        let address = front.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { state: Mutex::default(), front, server, is_stopped: AtomicBool::new(false) });
        let (queue, arrivals) = sync_channel(QUEUED_MAX);
        let sender = Arc::clone(&shared);
        thread::spawn(move || deliver(&sender, &arrivals));
        let reader = Arc::clone(&shared);
        thread::spawn(move || read_front(&reader, &queue));
        Self { shared, address }
    }

    /// Returns the address that a site dials.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the path: later datagrams and those in transit are lost.
    pub fn cut(&self) {
        self.shared.lock().is_cut = true;
    }

    /// Passes this many more datagrams, both directions combined, and then cuts the path.
    pub fn cut_after(&self, datagrams: u64) {
        self.shared.lock().cut_after = Some(datagrams);
    }

    /// Restores the path.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        state.is_cut = false;
        state.cut_after = None;
    }

    /// Returns whether the path is cut.
    pub fn is_cut(&self) -> bool {
        self.shared.lock().is_cut
    }

    /// Sets the one-way delay, from here on.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Drops the sockets towards the server, like a restarted NAT: from here on sites come from other ports, and what
    /// the server sends to the old ones is lost.
    pub fn rebind(&self) {
        self.shared.lock().upstream.clear();
    }

    /// Returns the traffic so far.
    pub fn traffic(&self) -> Traffic {
        self.shared.lock().traffic
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        self.rebind();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

impl State {
    /// Counts a datagram that is due. Returns whether it passes.
    fn passes(&mut self, route: &Route, bytes: usize) -> bool {
        if let Some(left) = &mut self.cut_after {
            if *left == 0 {
                self.is_cut = true;
            }
            *left = left.saturating_sub(1);
        }
        let traffic = &mut self.traffic;
        match route {
            _ if self.is_cut => traffic.lost += 1,
            Route::Up(_) => {
                traffic.datagrams_up += 1;
                traffic.bytes_up += bytes as u64;
            }
            Route::Down(_) => {
                traffic.datagrams_down += 1;
                traffic.bytes_down += bytes as u64;
            }
        }
        !self.is_cut
    }
}

fn listen() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket can be bound");
    socket.set_read_timeout(Some(POLL_INTERVAL)).expect("a socket takes a timeout");
    socket
}

/// Reads datagrams from sites.
fn read_front(shared: &Arc<Shared>, queue: &SyncSender<Datagram>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    while !shared.is_stopped() {
        let Ok((bytes, site)) = shared.front.recv_from(&mut buffer) else {
            continue;
        };
        let upstream = {
            let mut state = shared.lock();
            let opened = state.upstream.entry(site).or_insert_with(|| {
                let socket = Arc::new(listen());
                // Not connected, since a refused port would make a connected socket fail; so each send names its peer.
                let (shared, queue, reader) = (Arc::clone(shared), queue.clone(), Arc::clone(&socket));
                thread::spawn(move || read_upstream(&shared, &queue, &reader, site));
                socket
            });
            Arc::clone(opened)
        };
        enqueue(shared, queue, &buffer[..bytes], Route::Up(upstream));
    }
}

/// Reads datagrams from the server to one site, as long as that site uses this socket.
fn read_upstream(shared: &Shared, queue: &SyncSender<Datagram>, socket: &Arc<UdpSocket>, site: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let is_current = || shared.lock().upstream.get(&site).is_some_and(|current| Arc::ptr_eq(current, socket));
    while !shared.is_stopped() && is_current() {
        let Ok((bytes, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if from == shared.server && is_current() {
            enqueue(shared, queue, &buffer[..bytes], Route::Down(site));
        }
    }
}

fn enqueue(shared: &Shared, queue: &SyncSender<Datagram>, bytes: &[u8], route: Route) {
    let due = Instant::now() + shared.lock().delay;
    match queue.try_send(Datagram { due, bytes: bytes.to_vec(), route }) {
        Ok(()) | Err(TrySendError::Disconnected(_)) => {}
        Err(TrySendError::Full(_)) => shared.lock().traffic.lost += 1,
    }
}

/// Delivers everything in order of arrival, each datagram when it is due.
fn deliver(shared: &Shared, arrivals: &Receiver<Datagram>) {
    let mut waiting: VecDeque<Datagram> = VecDeque::new();
    while !shared.is_stopped() {
        let wait = waiting
            .front()
            .map_or(POLL_INTERVAL, |first| first.due.saturating_duration_since(Instant::now()).min(POLL_INTERVAL));
        // While too much is queued, arrivals fill the channel, and then they are lost.
        let next =
            if waiting.len() < QUEUED_MAX { arrivals.recv_timeout(wait) } else { Err(RecvTimeoutError::Timeout) };
        match next {
            Ok(datagram) => waiting.push_back(datagram),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while waiting.front().is_some_and(|first| first.due <= Instant::now()) {
            let Some(Datagram { bytes, route, .. }) = waiting.pop_front() else {
                break;
            };
            if !shared.lock().passes(&route, bytes.len()) {
                continue;
            }
            // Losses are not reported, as on a real network.
            let _ = match route {
                Route::Up(socket) => socket.send_to(&bytes, shared.server),
                Route::Down(site) => shared.front.send_to(&bytes, site),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TestLink {
        server: UdpSocket,
        site: UdpSocket,
        proxy: UdpProxy,
    }

    fn test_link() -> TestLink {
        let (server, site) = (listen(), listen());
        for socket in [&server, &site] {
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        let proxy = UdpProxy::start(server.local_addr().unwrap());
        site.connect(proxy.address()).unwrap();
        TestLink { server, site, proxy }
    }

    impl TestLink {
        fn send_up(&self, text: &str) -> SocketAddr {
            self.site.send(text.as_bytes()).unwrap();
            let mut buffer = [0; 100];
            let (bytes, from) = self.server.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..bytes], text.as_bytes());
            from
        }
    }

    #[test]
    fn datagrams_pass_both_ways_and_are_counted() {
        let test_link = test_link();
        let from = test_link.send_up("hello");
        test_link.server.send_to(b"hi", from).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(test_link.site.recv(&mut buffer).unwrap(), 2);
        let expected = Traffic { datagrams_up: 1, datagrams_down: 1, bytes_up: 5, bytes_down: 2, lost: 0 };
        assert_eq!(test_link.proxy.traffic(), expected);
    }

    #[test]
    fn a_cut_link_drops_every_datagram_until_it_is_restored() {
        let test_link = test_link();
        test_link.proxy.cut_after(1);
        test_link.send_up("passes");
        test_link.site.send(b"lost").unwrap();
        crate::wait_until(crate::PATIENCE, || (test_link.proxy.traffic().lost == 1).then_some(())).unwrap();
        assert!(test_link.proxy.is_cut());
        test_link.proxy.heal();
        test_link.send_up("passes again");
    }

    #[test]
    fn a_rebound_link_uses_another_source_port() {
        let test_link = test_link();
        let before = test_link.send_up("one");
        test_link.proxy.rebind();
        assert_ne!(test_link.send_up("two"), before);
    }

    #[test]
    fn a_delayed_link_delays_datagrams() {
        let test_link = test_link();
        test_link.proxy.delay(Duration::from_millis(100));
        let started = Instant::now();
        test_link.send_up("slow");
        assert!(started.elapsed() >= Duration::from_millis(100));
    }
}
