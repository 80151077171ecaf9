//! The production link on the in-memory network: the same seed gives the same bytes.
//!
//! The runtime is that of `#[tokio::test(start_paused = true)]` without I/O: nothing here uses a socket or a disk.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linecamp_core::{Dial, LinkEvent, Purpose, Rng, SessionEvent};
use linecamp_model::{
    DialId, FromMember, FromParent, HostId, IdentityGrant, KnownServers, MemberKind, Name, ServerAddress, SessionId,
    SiteId, WallTime,
};
use linecamp_server::for_simulator::{self as server, SESSION_NOTES_MAX, SessionNote};
use linecamp_transport::{
    Authority, LinkSettings, Listener, ListenerSettings, Platform, RandomSource, SiteIdentity, SiteKey, WallClock,
};
use linecampd::for_simulator::{Credentials, LinkDriver};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::network::{Path, SimNetwork};

/// 2026-11-22, in whole seconds.
const START: WallTime = WallTime::from_unix_millis(1_795_314_424_000);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
const SITES: u8 = 5;

/// How often a site in these tests sends a message.
const MESSAGE_PERIOD: Duration = Duration::from_secs(7);

#[derive(Debug)]
struct VirtualClock(Instant);

impl WallClock for VirtualClock {
    fn now(&self) -> WallTime {
        START + self.0.elapsed()
    }
}

/// Events: the millisecond, the site and a description.
type Trace = Arc<Mutex<Vec<(u128, u8, String)>>>;

struct World {
    began: Instant,
    network: SimNetwork,
    authority: Arc<Authority>,
    server_random: RandomSource,
    server: Option<ServerEnd>,
    sites: Vec<SiteEnd>,
    trace: Trace,
}

struct ServerEnd {
    listener: Arc<Listener>,
    tasks: [JoinHandle<()>; 2],
}

struct SiteEnd {
    address: SocketAddr,
    random: RandomSource,
    credentials: Credentials,
    is_talking: bool,
    task: JoinHandle<()>,
}

fn server_address() -> SocketAddr {
    ([10, 0, 0, 1], 4433).into()
}

fn site_address(number: u8) -> SocketAddr {
    ([10, 1, 0, number], 40_000).into()
}

fn seed_of(seed: u8, whose: u8) -> RandomSource {
    let mut bytes = [seed; 32];
    bytes[0] = whose;
    RandomSource::seeded(bytes)
}

impl World {
    fn start(seed: u8, path: Path) -> Self {
        let network = SimNetwork::start(u64::from(seed));
        let server_random = seed_of(seed, 0);
        let authority = Arc::new(Authority::generate(&[], START, server_random.clone()).unwrap());
        let servers = KnownServers::of_token(vec![ServerAddress::parse(&server_address().to_string()).unwrap()]);
        let mut world = Self {
            began: Instant::now(),
            network,
            authority: Arc::clone(&authority),
            server_random,
            server: None,
            sites: Vec::new(),
            trace: Trace::default(),
        };
        world.start_server();
        for number in 1..=SITES {
            let random = seed_of(seed, number);
            let key = Arc::new(SiteKey::generate(&random).unwrap());
            let certificate = authority
                .issue_member(key.public_key(), SiteId::from_bytes([number; 16]).into(), START..START + MONTH)
                .unwrap();
            let grant = IdentityGrant {
                kind: MemberKind::Site,
                name: Name::parse("site").unwrap(),
                environment: Name::parse("default").unwrap(),
                site: SiteId::from_bytes([number; 16]),
                host: HostId::from_bytes([number; 16]),
                certificate,
                gateway_chain: Vec::new(),
                authorities: vec![authority.certificate_der().to_vec()],
            };
            let identity = SiteIdentity::in_memory(key, &grant, &servers).unwrap();
            world.network.set_path(site_address(number), path);
            world.sites.push(SiteEnd {
                address: site_address(number),
                random,
                credentials: Credentials::Member(Arc::new(identity)),
                is_talking: true,
                task: tokio::spawn(async {}),
            });
        }
        world
    }

    fn platform(&self, address: SocketAddr, random: &RandomSource) -> Platform {
        Platform {
            clock: Arc::new(VirtualClock(self.began)),
            socket: Some(self.network.socket(address)),
            random: random.clone(),
        }
    }

    fn start_server(&mut self) {
        let platform = self.platform(server_address(), &self.server_random);
        let authority = Arc::clone(&self.authority);
        let listener = Listener::bind(server_address(), authority, ListenerSettings::default(), platform).unwrap();
        let listener = Arc::new(listener);
        let (sender, notes) = mpsc::channel(SESSION_NOTES_MAX);
        let driver = server::MemberDriver::new(Arc::clone(&self.authority));
        let tasks = [
            tokio::spawn(server::accept(Arc::clone(&listener), sender)),
            tokio::spawn(answer(driver, notes, self.log(0))),
        ];
        self.server = Some(ServerEnd { listener, tasks });
    }

    fn crash_server(&mut self) {
        self.network.kill(server_address());
        let ServerEnd { listener, tasks } = self.server.take().expect("it runs");
        tasks.iter().for_each(JoinHandle::abort);
        drop(listener);
    }

    fn start_site(&mut self, number: u8) {
        let place = usize::from(number) - 1;
        let platform = self.platform(self.sites[place].address, &self.sites[place].random);
        let link = LinkDriver::bind(LinkSettings::default(), platform).unwrap();
        let log = self.log(number);
        let site = &mut self.sites[place];
        site.task = tokio::spawn(live(link, site.credentials.clone(), site.is_talking, Rng::new(number.into()), log));
    }

    fn crash_site(&mut self, number: u8) {
        let site = &self.sites[usize::from(number) - 1];
        self.network.kill(site.address);
        site.task.abort();
    }

    fn log(&self, site: u8) -> impl Fn(&dyn fmt::Display) + Send + 'static {
        let (began, trace) = (self.began, Arc::clone(&self.trace));
        move |what| trace.lock().unwrap().push((began.elapsed().as_millis(), site, what.to_string()))
    }

    async fn until(&self, second: u64) {
        sleep_until(self.began + Duration::from_secs(second)).await;
    }
}

/// A server that answers every message with a message.
async fn answer(
    mut driver: server::MemberDriver,
    mut notes: mpsc::Receiver<(SessionId, SessionNote)>,
    log: impl Fn(&dyn fmt::Display),
) {
    while let Some((id, note)) = notes.recv().await {
        match driver.note(id, note) {
            SessionEvent::Opened(peer) => log(&format_args!("{id} opened from {}", peer.address)),
            SessionEvent::Received(_) => driver.send(id, &FromParent::Probe),
            SessionEvent::Moved(address) => log(&format_args!("{id} moved to {address}")),
            SessionEvent::Closed(why) => log(&format_args!("{id} closed: {why}")),
        }
    }
}

/// A site that dials, sends messages periodically, and redials after a loss.
async fn live(
    mut link: LinkDriver,
    credentials: Credentials,
    is_talking: bool,
    mut rng: Rng,
    log: impl Fn(&dyn fmt::Display),
) {
    let Credentials::Member(identity) = &credentials else { panic!("these sites have joined") };
    let server = identity.servers().confirmed.addresses[0].clone();
    for dial in (1..).map(DialId) {
        link.dial(Dial { dial, server: server.clone(), purpose: Purpose::Link }, credentials.clone());
        let mut next_message = None;
        loop {
            let message_due = async {
                match next_message {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                report = link.report() => match report.event {
                    LinkEvent::Dialed(_) => {
                        log(&"linked");
                        assert!(link.send(dial, &FromMember::Alive).is_none());
                        next_message = is_talking.then(|| Instant::now() + MESSAGE_PERIOD);
                    }
                    LinkEvent::Received(..) => log(&"heard"),
                    LinkEvent::Lost(_, why) => {
                        log(&format_args!("lost: {why:?}"));
                        break;
                    }
                },
                () = message_due => {
                    assert!(link.send(dial, &FromMember::Alive).is_none());
                    next_message = Some(Instant::now() + MESSAGE_PERIOD);
                }
            }
        }
        sleep(Duration::from_secs(1) + rng.delay_up_to(Duration::from_secs(5))).await;
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test)
}

#[derive(Debug, PartialEq, Eq)]
struct RunResult {
    wire_hash: u64,
    datagrams: u64,
    bytes: u64,
    trace: Vec<(u128, u8, String)>,
}

/// Ten minutes with every kind of event.
async fn ten_minutes(seed: u8) -> RunResult {
    let millis = Duration::from_millis;
    let path = Path {
        latency: millis(30),
        jitter: millis(10),
        loss_per_mille: 10,
        duplicated_per_mille: 5,
        reordered_per_mille: 5,
    };
    let mut world = World::start(seed, path);
    (1..=SITES).for_each(|number| world.start_site(number));
    world.until(60).await;
    world.network.set_open(site_address(2), false, false);
    world.until(90).await;
    world.network.set_open(site_address(3), true, false);
    world.until(150).await;
    world.network.set_open(site_address(2), true, true);
    world.network.set_open(site_address(3), true, true);
    world.until(200).await;
    world.network.rebind(site_address(4), ([192, 0, 2, 9], 61_000).into());
    world.until(300).await;
    world.crash_server();
    world.until(310).await;
    world.start_server();
    world.until(400).await;
    world.crash_site(5);
    world.until(410).await;
    world.start_site(5);
    world.network.echo(site_address(1));
    world.until(600).await;
    let traffic = (1..=SITES).map(|number| world.network.traffic(site_address(number)));
    RunResult {
        wire_hash: world.network.wire_hash(),
        datagrams: world.network.datagrams(),
        bytes: traffic.map(|traffic| traffic.up.bytes + traffic.down.bytes).sum(),
        trace: world.trace.lock().unwrap().clone(),
    }
}

#[test]
fn the_same_seed_sends_the_same_bytes_and_another_does_not() {
    let [first, second, other] = [1, 1, 2].map(|seed| run(ten_minutes(seed)));
    assert_eq!(first, second);
    assert_ne!(first.wire_hash, other.wire_hash);
    assert_ne!(first.trace, other.trace);

    let happened = |site, what: &str| first.trace.iter().any(|(_, who, line)| *who == site && line.contains(what));
    for site in 1..=SITES {
        assert!(happened(site, "linked") && happened(site, "heard"), "{:#?}", first.trace);
    }
    assert!(happened(2, "idle timeout: no packets from the peer"), "a cut is detected: {:#?}", first.trace);
    assert!(happened(1, "the peer restarted"), "a crash is detected: {:#?}", first.trace);
    assert!(happened(0, "moved to 192.0.2.9:61000"), "a NAT mapping is lost: {:#?}", first.trace);
}

/// Idle sites detect the restart with their next keep-alive, not by silence.
#[test]
fn a_restarted_server_resets_its_sites() {
    let down = Duration::from_secs(2);
    let back = Duration::from_secs(100) + down;
    let trace = run(async {
        let mut world = World::start(7, Path { latency: Duration::from_millis(20), ..Path::default() });
        for number in 1..=SITES {
            world.sites[usize::from(number) - 1].is_talking = false;
            world.start_site(number);
        }
        world.until(100).await;
        world.crash_server();
        world.until(back.as_secs()).await;
        world.start_server();
        world.until(200).await;
        world.trace.lock().unwrap().clone()
    });
    let settings = LinkSettings::default();
    for site in 1..=SITES {
        let of_site = |what: &str| {
            trace.iter().filter(|(_, who, line)| *who == site && line.contains(what)).map(|(at, ..)| *at).collect()
        };
        let lost: Vec<u128> = of_site("lost");
        let reset: Vec<u128> = of_site("the peer restarted");
        assert_eq!((lost.len(), &lost), (1, &reset), "{trace:#?}");
        let noticed = u128::abs_diff(reset[0], back.as_millis());
        assert!(noticed < (settings.keep_alive + Duration::from_secs(1)).as_millis(), "site {site}: {noticed} ms");
        assert_eq!(of_site("linked").len(), 2, "it redials: {trace:#?}");
    }
}
