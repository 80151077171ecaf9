//! The wire between sites and their server, in the test's hand.
//!
//! A [`UdpProxy`] has an address sites dial in place of the server's. For each address that sends to it, it keeps a
//! socket of its own towards the server, as a NAT does, and carries datagrams both ways. One courier thread delivers
//! everything, so that order is kept; it holds what is delayed, up to [`WAITING_MAX`] datagrams.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many datagrams may be under way: a second of a fast link. What comes on top is lost, as in any router.
const WAITING_MAX: usize = 4096;
/// How often a thread that hears nothing looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// The most an UDP datagram holds.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// What went through, counted from the proxy's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams from sites that were delivered.
    pub datagrams_up: u64,
    /// Datagrams to sites that were delivered.
    pub datagrams_down: u64,
    /// Bytes in them, without headers.
    pub bytes_up: u64,
    /// Bytes in them, without headers.
    pub bytes_down: u64,
    /// Datagrams that were cut, in either direction.
    pub lost: u64,
}

/// A wire that can be cut, delayed and moved. Dropping it ends it.
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
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    /// How many datagrams still pass before the wire is cut.
    cut_after: Option<u64>,
    delay: Duration,
    /// The socket towards the server, for each address of a site.
    behind: BTreeMap<SocketAddr, Arc<UdpSocket>>,
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
    /// Starts a wire to the server, whole and without delay.
    ///
    /// # Panics
    /// If this machine has no sockets left.
    pub fn start(server: SocketAddr) -> Self {
        let front = listen();
        let address = front.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { state: Mutex::default(), front, server, is_over: AtomicBool::new(false) });
        let (courier, arrivals) = sync_channel(WAITING_MAX);
        let sender = Arc::clone(&shared);
        thread::spawn(move || deliver(&sender, &arrivals));
        let reader = Arc::clone(&shared);
        thread::spawn(move || read_front(&reader, &courier));
        Self { shared, address }
    }

    /// Returns the address a site dials.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the wire: what is sent from here on is lost, and so is what is under way.
    pub fn cut(&self) {
        self.shared.lock().is_cut = true;
    }

    /// Lets so many datagrams pass, in both directions together, and cuts the wire then.
    pub fn cut_after(&self, datagrams: u64) {
        self.shared.lock().cut_after = Some(datagrams);
    }

    /// Mends the wire.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        state.is_cut = false;
        state.cut_after = None;
    }

    /// Whether the wire is cut.
    pub fn is_cut(&self) -> bool {
        self.shared.lock().is_cut
    }

    /// Makes each way take so long, from here on.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Forgets the sockets towards the server, as a NAT that was restarted: sites come from other ports from here on,
    /// and what the server sends to the old ones is lost.
    pub fn rebind(&self) {
        self.shared.lock().behind.clear();
    }

    /// Returns what went through so far.
    pub fn traffic(&self) -> Traffic {
        self.shared.lock().traffic
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.rebind();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

impl State {
    /// Counts a datagram that arrives at its end, or at the cut.
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
    socket.set_read_timeout(Some(LOOK)).expect("a socket takes a timeout");
    socket
}

/// Reads what sites send.
fn read_front(shared: &Arc<Shared>, courier: &SyncSender<Datagram>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    while !shared.is_over() {
        let Ok((bytes, site)) = shared.front.recv_from(&mut buffer) else {
            continue;
        };
        let behind = {
            let mut state = shared.lock();
            let opened = state.behind.entry(site).or_insert_with(|| {
                let socket = Arc::new(listen());
                // A refused port would end the socket's use if it were connected; so it names its peer each time.
                let (shared, courier, reader) = (Arc::clone(shared), courier.clone(), Arc::clone(&socket));
                thread::spawn(move || read_behind(&shared, &courier, &reader, site));
                socket
            });
            Arc::clone(opened)
        };
        enqueue(shared, courier, &buffer[..bytes], Route::Up(behind));
    }
}

/// Reads what the server sends to one site, for as long as that site has this socket.
fn read_behind(shared: &Shared, courier: &SyncSender<Datagram>, socket: &Arc<UdpSocket>, site: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let is_current = || shared.lock().behind.get(&site).is_some_and(|current| Arc::ptr_eq(current, socket));
    while !shared.is_over() && is_current() {
        let Ok((bytes, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if from == shared.server && is_current() {
            enqueue(shared, courier, &buffer[..bytes], Route::Down(site));
        }
    }
}

fn enqueue(shared: &Shared, courier: &SyncSender<Datagram>, bytes: &[u8], route: Route) {
    let due = Instant::now() + shared.lock().delay;
    match courier.try_send(Datagram { due, bytes: bytes.to_vec(), route }) {
        Ok(()) | Err(TrySendError::Disconnected(_)) => {}
        Err(TrySendError::Full(_)) => shared.lock().traffic.lost += 1,
    }
}

/// Delivers everything in the order of its arrival, each when it is due.
fn deliver(shared: &Shared, arrivals: &Receiver<Datagram>) {
    let mut waiting: VecDeque<Datagram> = VecDeque::new();
    while !shared.is_over() {
        let wait = waiting.front().map_or(LOOK, |first| first.due.saturating_duration_since(Instant::now()).min(LOOK));
        // While too much waits, what arrives fills the channel, and then it is lost.
        let next =
            if waiting.len() < WAITING_MAX { arrivals.recv_timeout(wait) } else { Err(RecvTimeoutError::Timeout) };
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
            // A wire does not report what happens to a datagram, and neither do we.
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

    struct World {
        server: UdpSocket,
        site: UdpSocket,
        proxy: UdpProxy,
    }

    fn world() -> World {
        let (server, site) = (listen(), listen());
        for socket in [&server, &site] {
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        let proxy = UdpProxy::start(server.local_addr().unwrap());
        site.connect(proxy.address()).unwrap();
        World { server, site, proxy }
    }

    impl World {
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
        let world = world();
        let from = world.send_up("hello");
        world.server.send_to(b"hi", from).unwrap();
        let mut buffer = [0; 100];
        assert_eq!(world.site.recv(&mut buffer).unwrap(), 2);
        let expected = Traffic { datagrams_up: 1, datagrams_down: 1, bytes_up: 5, bytes_down: 2, lost: 0 };
        assert_eq!(world.proxy.traffic(), expected);
    }

    #[test]
    fn a_cut_wire_loses_everything_until_it_heals() {
        let world = world();
        world.proxy.cut_after(1);
        world.send_up("passes");
        world.site.send(b"lost").unwrap();
        crate::wait_until(crate::PATIENCE, || (world.proxy.traffic().lost == 1).then_some(())).unwrap();
        assert!(world.proxy.is_cut());
        world.proxy.heal();
        world.send_up("passes again");
    }

    #[test]
    fn a_rebound_wire_comes_from_another_port() {
        let world = world();
        let before = world.send_up("one");
        world.proxy.rebind();
        assert_ne!(world.send_up("two"), before);
    }

    #[test]
    fn a_delayed_wire_takes_its_time() {
        let world = world();
        world.proxy.delay(Duration::from_millis(100));
        let started = Instant::now();
        world.send_up("slow");
        assert!(started.elapsed() >= Duration::from_millis(100));
    }
}
