//! Pair: one Fleet, one or more Sites, one clock, and a network and disks controlled by the test.
//!
//! For stories. Time advances only when a test runs it; a year takes milliseconds. Events are ordered by (time,
//! number), so a story is the same on every run.

mod authorities;
mod builders;
mod clocks;
mod crashes;
mod dials;
mod disk;
mod drive;
mod hostile;
mod hosts;
mod name_server;
mod node;
mod observe;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use linecamp_model::{
    Actor, AuthorityRotation, AuthoritySet, BootId, CallId, CommandId, DialId, Event, FleetChange, GapCause,
    IdentityGrant, Instant, JoinSecret, JoinToken, KeyFingerprint, KnownAuthorities, KnownServers, LabelKey,
    LabelValue, LinkGap, MemberKind, Name, Now, Pin, PluginDigest, ProviderReply, Refusal, RunId, ServerAddress,
    SessionId, SiteChange, SiteView, Text, TokenId, VersionRange, WallTime, WriteId,
};

use crate::{
    CERTIFICATE_LIFE, DropIns, EnvironmentLabels, EventFilter, Fleet, FleetCommand, FleetCommandError, FleetConfig,
    IssuedCommand, LinkEvent, LossReason, NewToken, PendingJoin, Rng, SavedFleet, SavedSite, ServerSource,
    SessionEvent, Site, SiteCommand, SiteCommandError, SiteConfig, SiteIdentity,
};

pub use self::authorities::DiskImage;
use self::authorities::first_authority;
pub use self::builders::{addresses, host_ref, key, name, patch, site_ref};
pub use self::disk::DiskFault;
pub use self::name_server::{NameServer, NameServerFault, Sets};
pub use self::node::Node;

/// One day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many simulated events the trace keeps.
const TRACE_MAX: usize = 200;

const LATENCY: Duration = Duration::from_millis(20);
const COMMIT: Duration = Duration::from_millis(2);
const CALL: Duration = Duration::from_millis(50);
/// Bytes of a plugin in one message of a story.
const PIECE: usize = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
const STARTED_AT: WallTime = WallTime::from_unix_millis(1_795_300_000_000);
const VERSIONS: VersionRange = VersionRange { min: 1, max: 1 };

/// A simulated event.
#[derive(Clone, Debug)]
enum PairEvent {
    DialArrives { site: usize, dial: DialId, server: ServerAddress, boot: u32 },
    AtSite(usize, LinkEvent),
    AtParent(Parent, SessionId, SessionEvent),
    SiteCommitted(usize, WriteId, u32),
    FleetCommitted(WriteId, u32),
    IdentitySaved(usize, u32),
    ServersSaved(usize, KnownServers, u32),
    AuthoritiesSaved(usize, AuthoritySet, u32),
    Facts(usize, u32),
    PluginKept(usize, PluginDigest, u32),
    PluginNotKept(usize, PluginDigest, u32),
    Replied { site: usize, call: CallId, reply: ProviderReply, boot: u32 },
}

/// The parent of a session: the server, or the gateway with this index.
type Parent = Option<usize>;

/// An established session.
#[derive(Clone, Copy, Debug)]
struct Route {
    /// The member that dialed.
    member: usize,
    dial: DialId,
    parent: Parent,
}

/// One Fleet and its sites.
#[derive(Debug)]
pub struct Pair {
    /// The server's state machine.
    pub fleet: Fleet,
    /// The sites, in order of creation.
    pub nodes: Vec<Node>,
    /// Components that were pushed to the server.
    pub plugins: BTreeMap<PluginDigest, Vec<u8>>,
    /// How far the server's wall clock is behind the true time.
    pub fleet_clock_behind: Duration,
    /// How far the server's wall clock is ahead of the true time.
    pub fleet_clock_ahead: Duration,
    /// How long a round of facts takes.
    pub facts_take: Duration,
    /// The number of plugin pieces sent to sites.
    pub pieces_sent: u64,
    /// The name server of all providers of all sites.
    pub name_server: NameServer,
    /// Where the server is reachable.
    pub listens_at: Vec<ServerAddress>,
    /// Where another server of the same authority answers that does not know the sites.
    pub refuses_at: Vec<ServerAddress>,
    /// The fault mode of the server's disk.
    pub fleet_disk_fault: DiskFault,
    /// The authorities in the server's data directory.
    pub authorities: AuthorityRotation,
    authorities_made: u8,
    /// The number of the server's write requests.
    pub fleet_writes: u64,
    /// Spec deltas that reached a site.
    pub deltas_delivered: u64,
    /// Replies to operators, by command.
    pub replies: BTreeMap<CommandId, Result<(), FleetCommandError>>,
    trace: VecDeque<(Duration, PairEvent)>,
    fleet_disk: BTreeMap<String, FleetChange>,
    fleet_pending: BTreeMap<WriteId, Vec<FleetChange>>,
    fleet_trial: Option<WriteId>,
    fleet_refused: usize,
    fleet_boot: u32,
    is_fleet_down: bool,
    elapsed: Duration,
    queue: BTreeMap<(Duration, u64), PairEvent>,
    next_number: u64,
    next_session: SessionId,
    next_command: CommandId,
    sessions: BTreeMap<SessionId, Route>,
    seed: u64,
    certificate_life: Duration,
    token: JoinToken,
}

impl Pair {
    /// Creates a server with one join token, and one machine that joins as `camp`.
    pub fn new(seed: u64) -> Self {
        Self::with_certificate_life(seed, CERTIFICATE_LIFE)
    }

    /// Like [`new`](Self::new), with a server that issues certificates with the lifetime `life`.
    pub fn with_certificate_life(seed: u64, life: Duration) -> Self {
        let token =
            JoinToken { id: TokenId::from_bytes([1; 8]), secret: JoinSecret::from_bytes([2; 16]), pin: Pin::of(b"ca") };
        let config = FleetConfig { versions: VERSIONS, certificate_life: life };
        let now = Now { instant: Instant::ORIGIN, wall: STARTED_AT };
        let mut pair = Self {
            certificate_life: life,
            fleet: Fleet::new(config, SavedFleet::default(), Rng::new(seed), now),
            nodes: Vec::new(),
            plugins: BTreeMap::new(),
            facts_take: COMMIT,
            fleet_clock_behind: Duration::ZERO,
            fleet_clock_ahead: Duration::ZERO,
            pieces_sent: 0,
            name_server: NameServer::new(&["example.org"]),
            listens_at: addresses(&["server:443"]),
            refuses_at: Vec::new(),
            fleet_disk_fault: DiskFault::Well,
            authorities: first_authority(),
            authorities_made: 0,
            fleet_writes: 0,
            deltas_delivered: 0,
            replies: BTreeMap::new(),
            trace: VecDeque::new(),
            fleet_disk: BTreeMap::new(),
            fleet_pending: BTreeMap::new(),
            fleet_trial: None,
            fleet_refused: 0,
            fleet_boot: 0,
            is_fleet_down: false,
            elapsed: Duration::ZERO,
            queue: BTreeMap::new(),
            next_number: 0,
            next_session: SessionId(1),
            next_command: CommandId(1),
            sessions: BTreeMap::new(),
            seed,
            token,
        };
        pair.report_authorities();
        pair.create_token(&name("default"), 10, &[]);
        pair.add_node("camp");
        pair
    }

    /// Creates a server and a site named `camp` that has joined, connected and settled.
    pub fn linked(seed: u64) -> Self {
        let mut pair = Self::new(seed);
        pair.run_for(Duration::from_secs(30));
        assert!(pair.is_linked(), "a fresh site links: {}", pair.trace());
        pair
    }

    /// Recreates the story's join token.
    pub fn create_token(&mut self, environment: &Name, uses: u32, labels: &[&str]) {
        let new = NewToken {
            joins_as: crate::JoinsAs::Site,
            id: self.token.id,
            secret: self.token.secret.hash(),
            environment: environment.clone(),
            ttl: DAY,
            uses,
            labels: patch(labels),
        };
        self.operator(FleetCommand::CreateToken(new));
    }

    /// Adds a machine with its own key that is about to join.
    pub fn add_node(&mut self, wished: &str) -> usize {
        let index = self.nodes.len();
        let token = self.token.clone();
        let join = PendingJoin { token, kind: MemberKind::Site, name: name(wished), site: None };
        let fingerprint = KeyFingerprint::of(&[u8::try_from(index).expect("few nodes")]);
        self.push_node(fingerprint, (None, KnownAuthorities::default()), BTreeMap::new(), Some(join))
    }

    /// Sends an operator command to the server and returns its id.
    pub fn operator(&mut self, command: FleetCommand) -> CommandId {
        let id = self.next_command;
        self.next_command = id.next();
        self.fleet.handle_command(id, IssuedCommand::of_console(command), self.server_now());
        id
    }

    /// Sends an operator command, runs until the server has answered, and returns the answer.
    pub fn ask(&mut self, command: FleetCommand) -> Result<(), FleetCommandError> {
        let id = self.operator(command);
        for _ in 0..1000 {
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
            self.step();
        }
        panic!("no reply to {id}: {}", self.trace());
    }

    /// Sends a local command to the first site.
    pub fn local_command(&mut self, command: SiteCommand) {
        self.local_command_at(0, command);
    }

    /// Sends a local command to a daemon.
    pub fn local_command_at(&mut self, index: usize, command: SiteCommand) {
        let (now, id) = (self.now_at(index), self.next_command);
        self.next_command = id.next();
        self.nodes[index].site.handle_command(id, Actor::LocalSocket, command, now);
    }

    /// Runs the simulation for a period of time.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.elapsed + time;
        self.perform();
        while self.next_moment().is_some_and(|moment| moment <= end) {
            self.step();
        }
        self.elapsed = end;
        self.perform();
    }

    /// Executes the next event that is due and its immediate consequences.
    pub fn step(&mut self) {
        self.perform();
        let Some(moment) = self.next_moment() else { return };
        self.elapsed = self.elapsed.max(moment);
        match self.queue.first_key_value() {
            Some(((due, _), _)) if *due <= self.elapsed => {
                let (_, happening) = self.queue.pop_first().expect("looked at a moment ago");
                self.trace.push_back((self.elapsed, happening.clone()));
                self.happen(happening);
            }
            Some(_) | None => self.ring(),
        }
        if TRACE_MAX < self.trace.len() {
            self.trace.pop_front();
        }
        self.perform();
    }

    /// Returns the most recent events as text, for failure messages.
    pub fn trace(&self) -> String {
        self.trace.iter().map(|(at, happening)| format!("{at:?} {happening:?}\n")).collect()
    }

    fn next_moment(&self) -> Option<Duration> {
        let queued = self.queue.keys().next().map(|(due, _)| *due);
        let sites = self.nodes.iter().filter(|node| node.ended.is_none());
        let sites = sites.filter_map(|node| node.site.next_deadline()).map(|(due, _)| due.since_origin());
        let fleet = self.fleet.next_deadline().filter(|_| !self.is_fleet_down).map(|(due, _)| due.since_origin());
        queued.into_iter().chain(sites).chain(fleet).min()
    }

    fn ring(&mut self) {
        for index in 0..self.nodes.len() {
            let now = self.now_at(index);
            let node = &mut self.nodes[index];
            if node.ended.is_none() && node.site.next_deadline().is_some_and(|(due, _)| due <= now.instant) {
                node.site.handle_timeout(now);
                return;
            }
        }
        self.fleet.handle_timeout(self.server_now());
    }

    fn after(&mut self, delay: Duration, happening: PairEvent) {
        self.queue.insert((self.elapsed + delay, self.next_number), happening);
        self.next_number += 1;
    }
}
