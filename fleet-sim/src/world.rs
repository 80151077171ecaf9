//! The world: the production machines, their links and disks, and the acts on them.
//!
//! One event is processed at a time: an arrival or a due timer. It becomes one input of one machine, whose outputs are
//! performed before the next event. Checkers watch every input and output. A run has three phases: faults and operator
//! actions; then, without faults, all sites have to converge in time; then, for an hour, nothing may be written.

mod acts;
mod authorities;
mod dns_acts;
mod final_phase;
mod hostile;
mod name_server;
mod node;
mod operators;
mod server;
mod server_addresses;

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{
    AuthoritySet, CallId, DialId, IdentityGrant, JoinSecret, JoinToken, KnownServers, Name, Refusal, ServerAddress,
    Text, TokenId,
};

use crate::check::{Finding, Watch};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::plan::{MemberSlot, Plan};
use crate::queue::Queue;
use crate::scenario::Scenario;
use crate::sim_rng::{Purpose, SimRng};
use crate::trace::Trace;
use crate::transport::{Arrival, NodeId, Transport};

use self::name_server::Dns;
use self::node::Node;
use self::server::Server;

/// Sites that share a join token.
const SITES_PER_TOKEN: u32 = 20;

/// First number of the tokens for [`APPROVAL`].
const PENDING_TOKENS: u64 = 2_000_000_000;

/// First number of the tokens for hostile members, so that they do not consume the uses of honest sites' tokens.
const HOSTILE_TOKENS: u64 = 3_000_000_000;

/// Delay before an operator retries a request that reached no server or came too early.
const AGAIN: Duration = Duration::from_secs(60);

/// The environment in which sites wait for an operator's approval.
const APPROVAL: &str = "approval";

/// How long nothing may be written once all sites have converged.
const QUIET: Duration = Duration::from_secs(3600);

/// A scheduled event.
#[derive(Debug)]
enum SimEvent {
    /// The act with this index.
    Act(usize),
    /// A fault or another act ends.
    FaultEnd(FaultEnd),
    /// A machine's deadline may be due.
    NodeWake(NodeId),
    ServerWake,
    /// A disk has completed a write.
    NodeDisk(NodeId, u32),
    ServerDisk(u32),
    /// A site's provider call completes.
    CallDone(NodeId, u32, CallId),
    /// A certificate is on the disk.
    IdentitySaved(NodeId, u32, Box<IdentityGrant>),
    /// Server addresses are on the disk.
    ServersSaved(NodeId, u32, Box<KnownServers>),
    AuthoritiesSaved(NodeId, u32, Box<AuthoritySet>),
    /// A dial to an address where no server is times out.
    DialUnanswered(NodeId, u32, DialId),
    /// The server moves to another address.
    ServerMoves(ServerAddress),
    /// A rejected site gets a new token.
    NewToken(NodeId),
    /// An operator accepts a pending site, or retries because it has not joined yet.
    Accept(NodeId),
    /// A hostile member's next turn, unless it was rescheduled since.
    Hostile(NodeId, u32),
    /// All faults end.
    FaultsEnd,
    /// Time to check whether all sites have converged.
    CheckConvergence,
    /// The end of the quiet phase.
    QuietEnd,
    Sample,
}

/// The fault or act that ends.
#[derive(Clone, Copy, Debug)]
enum FaultEnd {
    Cut { node: NodeId, up: bool, down: bool },
    Off(NodeId, u32),
    NodeDiskFault(NodeId),
    Image(NodeId),
    Clock(NodeId),
    Clone(NodeId),
    ServerOff(u32),
    ServerStopping { boot: u32, off_for: Duration },
    ServerDiskFull,
    ServerSlow,
    ServerClock,
    DnsFault(u64),
    DnsStale,
    ProviderRemoved,
}

/// The phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunPhase {
    /// Faults and operator actions.
    Faults,
    /// No faults; all sites have to converge by this time.
    Settling { until: Duration },
    /// All sites have converged; nothing may be written.
    Quiet,
    /// The run is over.
    Done,
}

/// The server's address.
pub(crate) const SERVER: &str = "10.255.255.1:443";

/// How a daemon ended permanently.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// It was removed and has erased its identity.
    Forgotten,
    /// It was rejected, and waits for an operator.
    Refused(Refusal),
    /// It was a clone or a hostile member, and was stopped for good.
    Retired,
}

/// The simulated world.
#[derive(Debug)]
pub(crate) struct World<C> {
    pub(crate) transport: C,
    pub(crate) counters: Counters,
    pub(crate) trace: Trace,
    scenario: Scenario,
    seed: u64,
    plan: Plan,
    elapsed: Duration,
    step: u64,
    phase: RunPhase,
    queue: Queue<SimEvent>,
    nodes: Vec<Node>,
    server: Server,
    watch: Watch,
    dns: Option<Dns>,
    found: Option<Finding>,
    /// Sites that got a certificate in the quiet phase.
    renewed: BTreeSet<NodeId>,
}

impl<C: Transport> World<C> {
    /// Builds the world before its first event.
    pub(crate) fn new(scenario: Scenario, seed: u64, plan: Plan, transport: C, trace: Trace) -> Self {
        let total = plan.ends_at + scenario.settle + QUIET;
        let mut world = Self {
            counters: Counters::new(total),
            server: Server::new(seed, scenario.certificate_life),
            transport,
            trace,
            scenario,
            seed,
            elapsed: Duration::ZERO,
            step: 0,
            phase: RunPhase::Faults,
            queue: Queue::default(),
            nodes: Vec::new(),
            watch: Watch::default(),
            dns: None,
            found: None,
            renewed: BTreeSet::new(),
            plan,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        if self.scenario.dns.is_some() {
            let dns = Dns::new(self.seed, &self.plan.site_slots);
            self.watch.set_zone(dns.zone());
            self.dns = Some(dns);
        }
        self.start_server();
        self.prepare_server();
        for (number, site_slot) in self.plan.site_slots.clone().into_iter().enumerate() {
            let clock = Clock::default();
            let key = self.transport.add_node(number, site_slot.profile, clock);
            let token = self.token_of(number);
            self.nodes.push(Node::new(number, self.seed, site_slot.profile, key, token));
            self.set_up_dns(number);
            self.watch.add_machine(number, key);
            if site_slot.member.is_hostile {
                self.make_hostile(number);
            }
            self.nodes[number].note_drop_ins(&mut self.watch);
            self.queue.push(site_slot.joins_at, SimEvent::FaultEnd(FaultEnd::Off(number, 0)));
        }
        self.expect_act(0);
        self.queue.push(self.plan.ends_at, SimEvent::FaultsEnd);
        self.queue.push(Duration::ZERO, SimEvent::Sample);
    }

    /// Schedules an act. Each is scheduled by the one before it: a month has tens of thousands.
    fn expect_act(&mut self, number: usize) {
        if let Some(act) = self.plan.acts.get(number) {
            self.queue.push(act.at, SimEvent::Act(number));
        }
    }

    /// Returns the token that a site joins with.
    fn token_of(&self, node: NodeId) -> JoinToken {
        let member = self.plan.site_slots.get(node).map(|site_slot| site_slot.member).unwrap_or_default();
        let group = u64::from(u32::try_from(node).unwrap_or(u32::MAX) / SITES_PER_TOKEN);
        self.token(tokens_for(member) + group)
    }

    /// Returns the token with this number.
    fn token(&self, number: u64) -> JoinToken {
        let mut rng = SimRng::of(self.seed, Purpose::Server, 1_000 + number);
        let (id, secret) = (TokenId::from_bytes(rng.bytes()), JoinSecret::from_bytes(rng.bytes()));
        JoinToken { id, secret, pin: self.transport.pin() }
    }

    /// Returns the fraction of the run that is done.
    pub(crate) fn progress(&self) -> f64 {
        self.elapsed.as_secs_f64() / self.total().as_secs_f64().max(1.0)
    }

    /// Returns the approximate duration of the run: it is slightly longer if the last site converges late.
    pub(crate) fn total(&self) -> Duration {
        self.plan.ends_at + self.scenario.settle + QUIET
    }

    /// Returns the elapsed virtual time.
    pub(crate) const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the number of events so far.
    pub(crate) const fn steps(&self) -> u64 {
        self.step
    }

    /// Returns the number of sites, not counting clones.
    pub(crate) fn sites(&self) -> u32 {
        u32::try_from(self.plan.site_slots.len()).unwrap_or(u32::MAX)
    }

    /// Returns the violation, if one was found.
    pub(crate) const fn found(&self) -> Option<&Finding> {
        self.found.as_ref()
    }

    /// Returns the name of a machine.
    pub(crate) fn name(&self, node: NodeId) -> String {
        self.nodes.get(node).map_or_else(|| format!("machine {node}"), |node| node.name.to_string())
    }

    /// Returns whether the run is over, because it completed or a violation was found.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == RunPhase::Done || self.found.is_some()
    }

    /// Returns the time of the next event.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        match (self.queue.next_at(), self.transport.next_at()) {
            (Some(ours), Some(carriers)) => Some(ours.min(carriers)),
            (ours, carriers) => ours.or(carriers),
        }
    }

    /// Processes the next event that is due at `now`. Returns whether there was one.
    pub(crate) fn step(&mut self, now: Duration) -> bool {
        self.elapsed = now;
        if let Some(arrival) = self.transport.poll(now) {
            self.step += 1;
            self.arrive(arrival);
        } else if let Some(event) = self.queue.pop(now) {
            self.step += 1;
            self.process(event);
        } else {
            return false;
        }
        if let Some(found) = self.watch.take_found() {
            self.found.get_or_insert(found);
        }
        true
    }

    fn after(&mut self, delay: Duration, event: SimEvent) {
        self.queue.push(self.elapsed + delay, event);
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::AtSite(node, event) => self.link_event(node, event),
            Arrival::AtServer(session, event) => self.session_event(session, event),
        }
    }

    fn process(&mut self, event: SimEvent) {
        match event {
            SimEvent::Act(number) => {
                self.expect_act(number + 1);
                self.act(self.plan.acts[number]);
            }
            SimEvent::FaultEnd(over) => self.end_fault(over),
            SimEvent::NodeWake(node) => self.wake_node(node),
            SimEvent::ServerWake => self.wake_server(),
            SimEvent::NodeDisk(node, boot) => self.node_disk_wrote(node, boot),
            SimEvent::ServerDisk(boot) => self.server_disk_wrote(boot),
            SimEvent::CallDone(node, boot, call) => self.call_done(node, boot, call),
            SimEvent::IdentitySaved(node, boot, grant) => self.identity_saved(node, boot, &grant),
            SimEvent::ServersSaved(node, boot, servers) => self.servers_saved(node, boot, *servers),
            SimEvent::AuthoritiesSaved(node, boot, set) => self.authorities_saved(node, boot, &set),
            SimEvent::DialUnanswered(node, boot, dial) => self.dial_unanswered(node, boot, dial),
            SimEvent::ServerMoves(address) => self.move_server(address),
            SimEvent::NewToken(node) => self.give_new_token(node),
            SimEvent::Accept(node) => self.accept(node),
            SimEvent::Hostile(node, turn) => self.hostile_turn(node, turn),
            SimEvent::FaultsEnd => self.end_all_faults(),
            SimEvent::CheckConvergence => self.check_convergence(),
            SimEvent::QuietEnd => self.finish(),
            SimEvent::Sample => self.sample(),
        }
    }

    /// Records an event of a site, or of the server, in the trace.
    fn note(&mut self, node: Option<NodeId>, tag: &'static str, numbers: &[u64], text: impl FnOnce() -> String) {
        self.trace.note(self.elapsed, node, tag, numbers);
        self.trace.log(self.elapsed, node, || format!("{tag}: {}", text()));
    }
}

/// Returns the first number of the tokens that such members join with.
const fn tokens_for(member: MemberSlot) -> u64 {
    match member {
        MemberSlot { is_pending: true, .. } => PENDING_TOKENS,
        MemberSlot { is_hostile: true, .. } => HOSTILE_TOKENS,
        MemberSlot { .. } => 0,
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("names in a run are made of letters and digits")
}

fn text(text: &str) -> Text {
    Text::lossy(text)
}
