//! Links: the production transport as a [`Transport`].

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::authorities::{save_authorities, stored_authorities};
use linecamp_core::{Dial, IssueRequest, SessionEvent, SiteIdentity};
use linecamp_model::{
    AuthorityRotation, AuthoritySet, DialId, FromMember, FromParent, IdentityGrant, KeyFingerprint, KnownAuthorities,
    KnownServers, Parent, Pin, Refusal, RotationStep, ServerAddress, SessionId, Text, WallTime,
};
use linecamp_server::for_simulator::{self as server, SESSION_NOTES_MAX, SessionNote};
use linecamp_transport::{
    Authority, LinkSettings, Listener, ListenerSettings, Platform, RandomSource, SiteKey, WallClock,
};
use linecampd::for_simulator::{Credentials, LinkDriver};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::network::{Path, SimNetwork};
use crate::clock::Clock;
use crate::line_profile::Profile;
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{Arrival, NodeId, Traffic, Transport};

/// Duplicated datagrams, per thousand.
const DUPLICATED_PER_MILLE: u32 = 2;

/// Reordered datagrams, per thousand.
const REORDERED_PER_MILLE: u32 = 5;

/// Maximum orders queued for a site's task.
const ORDERS_MAX: usize = 1_024;

/// Maximum reports of all sites queued for the world. When the queue is full, the sites' tasks block, and their server
/// with them.
const REPORTS_MAX: usize = 1_024;

/// Age of the server's CA when the run starts, so that its clock may be wrong from the beginning.
const AUTHORITY_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// An order to a site's task.
#[derive(Debug)]
enum Order {
    Dial(Dial, Credentials),
    Send(DialId, FromMember),
    HangUp(DialId, Refusal),
}

/// A report of a site's task: the site, the daemon start it belongs to, and the report.
type Report = (NodeId, u32, linecampd::for_simulator::LinkReport);

/// The wall clock of one machine.
#[derive(Debug)]
struct MachineClock {
    began: Instant,
    ahead_millis: AtomicI64,
}

impl MachineClock {
    fn new(began: Instant, clock: Clock) -> Arc<Self> {
        Arc::new(Self { began, ahead_millis: AtomicI64::new(clock.ahead_millis) })
    }

    fn set(&self, clock: Clock) {
        self.ahead_millis.store(clock.ahead_millis, Ordering::Relaxed);
    }
}

impl WallClock for MachineClock {
    fn now(&self) -> WallTime {
        Clock { ahead_millis: self.ahead_millis.load(Ordering::Relaxed) }.wall(self.began.elapsed())
    }
}

/// A site's end of the link.
#[derive(Debug)]
struct SiteEnd {
    profile: Profile,
    address: SocketAddr,
    random: RandomSource,
    clock: Arc<MachineClock>,
    key: Arc<SiteKey>,
    credentials: Credentials,
    /// Counts the starts of the daemon.
    boot: u32,
    rebinds: u16,
    dials_arrived: u64,
    running: Option<(mpsc::Sender<Order>, JoinHandle<()>)>,
}

/// The server's end of the links.
#[derive(Debug)]
struct ServerEnd {
    driver: server::MemberDriver,
    notes: mpsc::Receiver<(SessionId, SessionNote)>,
    accepting: JoinHandle<()>,
}

/// The production transport on an in-memory network.
#[derive(Debug)]
pub(super) struct Links {
    seed: u64,
    began: Instant,
    network: SimNetwork,
    authority: Arc<Authority>,
    server_random: RandomSource,
    server_clock: Arc<MachineClock>,
    server_address: SocketAddr,
    server: Option<ServerEnd>,
    sites: Vec<SiteEnd>,
    of_key: BTreeMap<KeyFingerprint, NodeId>,
    reports: mpsc::Receiver<Report>,
    reporter: mpsc::Sender<Report>,
    arrived: VecDeque<Arrival>,
}

impl Links {
    /// Creates an empty network.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub(super) fn new(seed: u64, began: Instant) -> Self {
        let server_random = RandomSource::seeded(SimRng::of(seed, Purpose::Wire, u64::MAX).bytes());
        let made_at = Clock { ahead_millis: -i64::try_from(AUTHORITY_AGE.as_millis()).unwrap_or(0) };
        let made_at = made_at.wall(Duration::ZERO);
        let authority = Authority::generate(&[], made_at, server_random.clone()).expect("an authority needs no disk");
        let (reporter, reports) = mpsc::channel(REPORTS_MAX);
        Self {
            seed,
            began,
            network: SimNetwork::start(seed),
            authority: Arc::new(authority),
            server_random,
            server_clock: MachineClock::new(began, Clock::default()),
            server_address: crate::world::SERVER.parse().expect("a constant that is an address"),
            server: None,
            sites: Vec::new(),
            of_key: BTreeMap::new(),
            reports,
            reporter,
            arrived: VecDeque::new(),
        }
    }

    /// Waits for the next arrival. Cancel-safe.
    pub(super) async fn arrival(&mut self) {
        if !self.arrived.is_empty() {
            return;
        }
        let note = async {
            match &mut self.server {
                Some(server) => server.notes.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(report) = self.reports.recv() => self.take_report(report),
            Some((id, note)) = note => self.take_note(id, note),
            else => std::future::pending().await,
        }
    }

    fn take_report(&mut self, (node, boot, report): Report) {
        if self.sites[node].boot == boot {
            self.arrived.push_back(Arrival::AtSite(node, report.event));
        }
    }

    fn take_note(&mut self, id: SessionId, note: SessionNote) {
        let Some(server) = &mut self.server else { return };
        let event = server.driver.note(id, note);
        if let SessionEvent::Opened(peer) = &event
            && let Some(node) = self.of_key.get(&peer.fingerprint)
        {
            self.sites[*node].dials_arrived += 1;
        }
        self.arrived.push_back(Arrival::AtServer(id, event));
    }

    fn add_site_end(
        &mut self,
        node: NodeId,
        profile: Profile,
        clock: Clock,
        key: Arc<SiteKey>,
        credentials: Credentials,
    ) {
        let line = profile.line();
        let path = Path {
            latency: line.latency,
            jitter: line.jitter,
            loss_per_mille: line.loss_per_mille,
            duplicated_per_mille: DUPLICATED_PER_MILLE,
            reordered_per_mille: REORDERED_PER_MILLE,
        };
        let address = address_of(node);
        self.network.set_path(address, path);
        let seed = SimRng::of(self.seed, Purpose::Wire, node as u64).bytes();
        self.sites.push(SiteEnd {
            profile,
            address,
            random: RandomSource::seeded(seed),
            clock: MachineClock::new(self.began, clock),
            key,
            credentials,
            boot: 0,
            rebinds: 0,
            dials_arrived: 0,
            running: None,
        });
    }

    fn order(&self, node: NodeId, order: Order) {
        if let Some((orders, _)) = &self.sites[node].running {
            let ordered = orders.try_send(order);
            let is_full = matches!(ordered, Err(mpsc::error::TrySendError::Full(_)));
            assert!(!is_full, "a machine has few outputs at a time, and its task performs them immediately");
        }
    }

    fn platform(&self, address: SocketAddr, clock: &Arc<MachineClock>, random: &RandomSource) -> Platform {
        let clock: Arc<dyn WallClock> = Arc::<MachineClock>::clone(clock);
        Platform { clock, socket: Some(self.network.socket(address)), random: random.clone() }
    }
}

impl Transport for Links {
    fn add_node(&mut self, node: NodeId, profile: Profile, clock: Clock) -> KeyFingerprint {
        let random = RandomSource::seeded(SimRng::of(self.seed, Purpose::Key, node as u64).bytes());
        let key = Arc::new(SiteKey::generate(&random).expect("a key needs no disk"));
        let fingerprint = key.fingerprint();
        let credentials = Credentials::Joining(Arc::clone(&key), self.authority.pin(), Parent::Server);
        self.of_key.insert(fingerprint, node);
        self.add_site_end(node, profile, clock, key, credentials);
        fingerprint
    }

    fn copy_node(&mut self, node: NodeId, original: NodeId, clock: Clock) {
        let of = &self.sites[original];
        let (profile, key, credentials) = (of.profile, Arc::clone(&of.key), of.credentials.clone());
        self.add_site_end(node, profile, clock, key, credentials);
    }

    fn pin(&self) -> Pin {
        self.authority.pin()
    }

    fn set_node_clock(&mut self, node: NodeId, clock: Clock) {
        self.sites[node].clock.set(clock);
    }

    fn set_server_clock(&mut self, clock: Clock) {
        self.server_clock.set(clock);
    }

    fn start_node(&mut self, node: NodeId) {
        let site = &self.sites[node];
        let platform = self.platform(site.address, &site.clock, &site.random);
        let settings = if site.profile.is_metered() { LinkSettings::metered() } else { LinkSettings::default() };
        let link = LinkDriver::bind(settings, platform).expect("an in-memory socket always binds");
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let (boot, reporter) = (site.boot, self.reporter.clone());
        let task = tokio::spawn(run_orders(link, received, node, boot, reporter));
        self.sites[node].running = Some((orders, task));
    }

    fn kill_node(&mut self, node: NodeId) {
        self.network.kill(self.sites[node].address);
        let site = &mut self.sites[node];
        site.boot += 1;
        if let Some((_, task)) = site.running.take() {
            task.abort();
        }
    }

    fn start_server(&mut self) {
        let platform = self.platform(self.server_address, &self.server_clock, &self.server_random);
        let authority = Arc::clone(&self.authority);
        let listener = Listener::bind(self.server_address, authority, ListenerSettings::default(), platform);
        let listener =
            Arc::new(listener.expect("an in-memory socket always binds, and the clock is past the CA's start"));
        let (sender, notes) = mpsc::channel(SESSION_NOTES_MAX);
        let driver = server::MemberDriver::new(Arc::clone(&self.authority));
        self.server = Some(ServerEnd { driver, notes, accepting: tokio::spawn(server::accept(listener, sender)) });
    }

    fn kill_server(&mut self) {
        self.network.kill(self.server_address);
        if let Some(server) = self.server.take() {
            server.accepting.abort();
        }
        self.arrived.retain(|arrival| matches!(arrival, Arrival::AtSite(..)));
    }

    fn dial(&mut self, node: NodeId, dial: &Dial) {
        self.order(node, Order::Dial(dial.clone(), self.sites[node].credentials.clone()));
    }

    fn send_to_server(&mut self, node: NodeId, dial: DialId, message: &FromMember, _bytes: &[u8]) {
        self.order(node, Order::Send(dial, message.clone()));
    }

    fn hang_up_on_server(&mut self, node: NodeId, dial: DialId, refusal: &Refusal) {
        self.order(node, Order::HangUp(dial, refusal.clone()));
    }

    fn save_identity(&mut self, node: NodeId, grant: &IdentityGrant) -> Result<SiteIdentity, Text> {
        let servers = vec![ServerAddress::parse(crate::world::SERVER).expect("a constant that is an address")];
        let servers = KnownServers::of_token(servers);
        let site = &mut self.sites[node];
        let key = Arc::clone(&site.key);
        let made = match &site.credentials {
            Credentials::Member(member) => member.renewed(grant),
            Credentials::Joining(..) => linecamp_transport::SiteIdentity::in_memory(key, grant, &servers),
        };
        let credentials = Credentials::Member(Arc::new(made.map_err(|error| Text::lossy(&error.to_string()))?));
        let identity = credentials.identity().ok_or_else(|| Text::lossy("a member without an identity"))?;
        site.credentials = credentials;
        Ok(identity)
    }

    fn forget_identity(&mut self, node: NodeId) {
        let site = &mut self.sites[node];
        site.credentials = Credentials::Joining(Arc::clone(&site.key), self.authority.pin(), Parent::Server);
    }

    fn save_authorities(&mut self, node: NodeId, told: &AuthoritySet) -> Result<(KnownAuthorities, Option<Pin>), Text> {
        save_authorities(&mut self.sites[node].credentials, told)
    }

    fn authorities(&self, node: NodeId) -> (KnownAuthorities, Option<Pin>) {
        stored_authorities(&self.sites[node].credentials)
    }

    fn rotate(&mut self, step: RotationStep, now: WallTime) {
        self.authority.rotate(step, now).expect("an authority in memory needs no disk");
    }

    fn rotation(&self) -> AuthorityRotation {
        self.authority.rotation()
    }

    fn send_to_site(&mut self, session: SessionId, message: &FromParent, _bytes: &[u8]) {
        if let Some(server) = &self.server {
            server.driver.send(session, message);
        }
    }

    fn issue(&mut self, session: SessionId, request: IssueRequest) {
        if let Some(server) = &self.server {
            server.driver.issue(session, request, Vec::new());
        }
    }

    fn hang_up_on_site(&mut self, session: SessionId, refusal: &Refusal) {
        if let Some(server) = &self.server {
            server.driver.hang_up(session, refusal);
        }
    }

    fn set_line(&mut self, node: NodeId, is_up_open: bool, is_down_open: bool) {
        self.network.set_open(self.sites[node].address, is_up_open, is_down_open);
    }

    fn rebind(&mut self, node: NodeId) {
        let site = &mut self.sites[node];
        site.rebinds = site.rebinds.wrapping_add(1);
        let outer = SocketAddr::new(site.address.ip(), 10_000 + site.rebinds % 20_000);
        self.network.rebind(site.address, outer);
    }

    fn set_server_slowness(&mut self, _factor: u32) {}

    fn echo(&mut self, node: NodeId) {
        self.network.echo(self.sites[node].address);
    }

    fn next_at(&self) -> Option<Duration> {
        if self.arrived.is_empty() { None } else { Some(self.began.elapsed()) }
    }

    fn poll(&mut self, _now: Duration) -> Option<Arrival> {
        if self.arrived.is_empty() {
            if let Ok(report) = self.reports.try_recv() {
                self.take_report(report);
            } else if let Some(server) = &mut self.server
                && let Ok((id, note)) = server.notes.try_recv()
            {
                self.take_note(id, note);
            }
        }
        self.arrived.pop_front()
    }

    fn traffic(&self, node: NodeId, _now: Duration) -> Traffic {
        let site = &self.sites[node];
        let traffic = self.network.traffic(site.address);
        Traffic { bytes: traffic.up.bytes + traffic.down.bytes, dials_arrived: site.dials_arrived }
    }

    fn wire_hash(&self) -> Option<u64> {
        Some(self.network.wire_hash())
    }
}

/// Runs one site's task: executes the world's orders and forwards the link's reports.
async fn run_orders(
    mut link: LinkDriver,
    mut orders: mpsc::Receiver<Order>,
    node: NodeId,
    boot: u32,
    reporter: mpsc::Sender<Report>,
) {
    loop {
        let report = tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Dial(dial, credentials)) => {
                    link.dial(dial, credentials);
                    None
                }
                Some(Order::Send(dial, message)) => link.send(dial, &message),
                Some(Order::HangUp(dial, refusal)) => {
                    link.hang_up(dial, refusal);
                    None
                }
                None => return,
            },
            report = link.report() => Some(report),
        };
        if let Some(report) = report {
            // The receiver is gone once the world is dropped.
            drop(reporter.send((node, boot, report)).await);
        }
    }
}

/// Returns the address of a site's machine.
fn address_of(node: NodeId) -> SocketAddr {
    let [.., high, low] = (node as u64).to_be_bytes();
    ([10, 1, high, low], 40_000).into()
}
