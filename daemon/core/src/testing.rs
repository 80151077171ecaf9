//! Pair: one Fleet, one or more Sites, one clock, and a network and disks controlled by the test.
//!
//! For stories. Time advances only when a test runs it; a year takes milliseconds. Events are ordered by (time,
//! number), so a story is the same on every run.

mod authorities;
mod builders;
mod clocks;
mod crashes;
mod disk;
mod drive;
mod hostile;
mod name_server;
mod observe;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use linecamp_model::{
    Actor, AuthorityRotation, AuthoritySet, BootId, CallId, CommandId, DialId, Event, FleetChange, GapCause,
    IdentityGrant, Instant, JoinSecret, JoinToken, KeyFingerprint, KnownAuthorities, KnownServers, LabelKey,
    LabelValue, LinkGap, Name, Now, Pin, PluginDigest, ProviderReply, Refusal, RunId, ServerAddress, SessionId,
    SiteChange, SiteView, Text, TokenId, VersionRange, WallTime, WriteId,
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
    AtFleet(SessionId, SessionEvent),
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

/// A machine that runs a daemon.
#[derive(Debug)]
pub struct Node {
    /// The state machine under test.
    pub site: Site,
    /// The fault mode of its disk.
    pub disk_fault: DiskFault,
    /// The fault mode of its disk for certificates.
    pub identity_disk_fault: DiskFault,
    /// Why its local socket cannot be opened, if it cannot.
    pub socket_problem: Option<Text>,
    /// Where a corrupt database was moved, as reported at its next start.
    pub corrupt_database: Option<Text>,
    /// How far its wall clock is behind the true time.
    pub clock_behind: Duration,
    /// How far its wall clock is ahead of the true time.
    pub clock_ahead: Duration,
    /// Why the daemon stopped, if it did.
    pub ended: Option<Refusal>,
    /// The number of write requests.
    pub writes: u64,
    /// Replies to local commands.
    pub replies: Vec<Result<(), SiteCommandError>>,
    /// The notices of conditions, for the log of the machine.
    pub condition_notices: Vec<String>,
    /// The drop-in files at its next start.
    pub drop_ins: DropIns,
    /// The stored parts of centrally pushed plugins.
    pub plugins: BTreeMap<PluginDigest, Vec<u8>>,
    /// For each provider called, whether the last call marked it as the site's own.
    pub called: BTreeMap<Name, bool>,
    /// The fault mode of its disk for plugin pieces.
    pub plugin_disk_fault: DiskFault,
    /// Facts it will report.
    pub facts: BTreeMap<LabelKey, LabelValue>,
    /// Facts it cannot observe, whatever `facts` says about them.
    pub not_observed: BTreeSet<LabelKey>,
    /// Its configuration.
    pub config: SiteConfig,
    key: KeyFingerprint,
    /// The contents of its disk, by key.
    pub disk: BTreeMap<String, SiteChange>,
    pending: BTreeMap<WriteId, Vec<SiteChange>>,
    /// The write that only tests whether there is room.
    trial: Option<WriteId>,
    /// The size of the largest write refused since there was room last.
    refused: usize,
    identity: Option<SiteIdentity>,
    /// The identity that a start loads.
    saved_identity: Option<SiteIdentity>,
    saving: Option<(IdentityGrant, SiteIdentity)>,
    /// The server addresses on its disk.
    pub servers: Option<KnownServers>,
    /// The authority that issued the certificate in use, and that of the saved one.
    issuer: Option<Pin>,
    saved_issuer: Option<Pin>,
    /// The authorities on its disk.
    pub authorities: KnownAuthorities,
    sessions: BTreeMap<DialId, SessionId>,
    boot: u32,
    is_cut: bool,
    /// Why its dials fail while it is cut; by default nothing answers.
    pub obstacle: Option<GapCause>,
    /// Whether the story sends in its name: it then receives no acknowledgements.
    is_impersonated: bool,
    /// Modifies the next hello in transit.
    forged_greeting: Option<fn(&mut linecamp_model::Hello)>,
    /// Modifies the server's next answer to a hello.
    forged_welcome: Option<fn(&mut linecamp_model::Welcome)>,
    /// How the server closed its last session.
    hangup: Option<Refusal>,
    /// The last event the server acknowledged.
    events_acknowledged: Option<u64>,
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
    sessions: BTreeMap<SessionId, (usize, DialId)>,
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
            replaces: None,
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
        let join = Some(PendingJoin { token: self.token.clone(), name: name(wished) });
        let fingerprint = KeyFingerprint::of(&[u8::try_from(index).expect("few nodes")]);
        self.push_node(fingerprint, (None, KnownAuthorities::default()), BTreeMap::new(), join)
    }

    fn push_node(
        &mut self,
        key: KeyFingerprint,
        (identity, authorities): (Option<SiteIdentity>, KnownAuthorities),
        disk: BTreeMap<String, SiteChange>,
        join: Option<PendingJoin>,
    ) -> usize {
        let index = self.nodes.len();
        let servers = identity.map(|_| KnownServers::of_token(addresses(&["server:443"])));
        let config = site_config(index, identity, join);
        let saved = SavedSite {
            identity,
            servers: servers.clone(),
            authorities: authorities.clone(),
            records: disk.values().cloned().collect(),
            corrupt_database: None,
            drop_ins: DropIns::default(),
        };
        let site = Site::new(config.clone(), saved, Rng::new(self.seed + index as u64 + 100), self.now());
        self.nodes.push(Node {
            site,
            disk_fault: DiskFault::Well,
            identity_disk_fault: DiskFault::Well,
            socket_problem: None,
            corrupt_database: None,
            clock_behind: Duration::ZERO,
            clock_ahead: Duration::ZERO,
            ended: None,
            writes: 0,
            replies: Vec::new(),
            condition_notices: Vec::new(),
            drop_ins: DropIns::default(),
            plugins: BTreeMap::new(),
            called: BTreeMap::new(),
            plugin_disk_fault: DiskFault::Well,
            facts: BTreeMap::new(),
            not_observed: BTreeSet::new(),
            config,
            key,
            disk,
            pending: BTreeMap::new(),
            trial: None,
            refused: 0,
            identity,
            saved_identity: identity,
            saving: None,
            servers,
            issuer: None,
            saved_issuer: None,
            authorities,
            sessions: BTreeMap::new(),
            boot: 0,
            is_cut: false,
            obstacle: None,
            is_impersonated: false,
            forged_greeting: None,
            forged_welcome: None,
            hangup: None,
            events_acknowledged: None,
        });
        index
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
        let (now, id) = (self.now_at(0), self.next_command);
        self.next_command = id.next();
        self.nodes[0].site.handle_command(id, Actor::LocalSocket, command, now);
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

/// Returns the configuration of a node.
fn site_config(index: usize, identity: Option<SiteIdentity>, join: Option<PendingJoin>) -> SiteConfig {
    SiteConfig {
        daemon_version: Text::lossy("0.1.0"),
        directory: Text::lossy("/var/lib/linecamp"),
        versions: VERSIONS,
        run: RunId::from_bytes([u8::try_from(index).expect("few nodes"); 8]),
        boot: Some(BootId([0; 16])),
        servers: match identity {
            Some(_) => ServerSource::Saved,
            None => ServerSource::Token(addresses(&["server:443"])),
        },
        labels: EnvironmentLabels::default(),
        join,
        providers: Vec::new(),
    }
}
