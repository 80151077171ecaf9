//! World: the production machines, what is between and under them, and what happens to them.
//!
//! One thing happens at a time: something arrives, or its time has come. It becomes one input of one machine, whose
//! outputs are carried out before the next. Checkers look at every input and output. A run has three parts: things
//! go wrong and people work; then everything is well again and all have to agree in time; then, for an hour, nothing
//! may be written.

mod acts;
mod ending;
mod hostile;
mod name_server;
mod node;
mod people;
mod records;
mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{CallId, IdentityGrant, JoinSecret, JoinToken, Name, Text, TokenId};

use crate::carrier::{Arrival, Carrier, NodeId};
use crate::chance::{Chance, Purpose};
use crate::check::{Finding, Watch};
use crate::clock::Clock;
use crate::meter::Meter;
use crate::plan::{MemberBerth, Plan};
use crate::queue::Queue;
use crate::scenario::Scenario;
use crate::trace::Trace;

pub(crate) use self::node::SERVER;

use self::name_server::Dns;
use self::node::Node;
use self::server::Server;

/// Sites that share a join token.
const SITES_PER_TOKEN: u32 = 20;

/// Where the numbers of the tokens begin that lead into [`APPROVAL`].
const PENDING_TOKENS: u64 = 2_000_000_000;

/// Where the numbers of the tokens begin that hostile members use: they take no place of an honest one's.
const HOSTILE_TOKENS: u64 = 3_000_000_000;

/// How long an operator waits whose request was not heard, or came too early.
const AGAIN: Duration = Duration::from_secs(60);

/// The environment in which sites wait until an operator accepts them.
const APPROVAL: &str = "approval";

/// How long nothing may be written once everybody agrees.
const QUIET: Duration = Duration::from_secs(3600);

/// What is to happen at its time.
#[derive(Debug)]
enum SimEvent {
    /// The act of this number.
    Act(usize),
    /// Something that was done is over.
    FaultEnd(FaultEnd),
    /// A machine's deadline may be here.
    NodeWake(NodeId),
    ServerWake,
    /// A disk has written.
    NodeDisk(NodeId, u32),
    ServerDisk(u32),
    /// A site's call of its provider has come through.
    Called(NodeId, u32, CallId),
    /// A certificate is on the disk.
    Saved(NodeId, u32, Box<IdentityGrant>),
    /// A site that was refused is given a new token.
    NewToken(NodeId),
    /// An operator accepts a site that waits for it, or tries again because it has not joined yet.
    Accept(NodeId),
    /// It is a hostile member's turn, unless it has had another one set since.
    Hostile(NodeId, u32),
    /// All faults stop.
    AllWell,
    /// It is time to see whether everybody agrees.
    Look,
    /// Nothing was to be written until this moment.
    QuietOver,
    Sample,
}

/// What is over.
#[derive(Clone, Copy, Debug)]
enum FaultEnd {
    Cut { node: NodeId, up: bool, down: bool },
    Off(NodeId, u32),
    DiskTrouble(NodeId),
    Image(NodeId),
    Clock(NodeId),
    Copy(NodeId),
    ServerOff(u32),
    ServerStopping { boot: u32, off_for: Duration },
    ServerDiskTrouble,
    ServerSlow,
    ServerClock,
    DnsTrouble(u64),
    DnsStale,
    NoProvider,
}

/// Which part of the run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Things go wrong.
    Faults,
    /// All is well; everybody has to agree until this moment.
    Settling { until: Duration },
    /// Everybody agreed; nothing may be written.
    Quiet,
    /// It is over.
    FaultEnd,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World<C> {
    pub(crate) carrier: C,
    pub(crate) meter: Meter,
    pub(crate) trace: Trace,
    scenario: Scenario,
    seed: u64,
    plan: Plan,
    elapsed: Duration,
    step: u64,
    part: Part,
    queue: Queue<SimEvent>,
    nodes: Vec<Node>,
    server: Server,
    watch: Watch,
    dns: Option<Dns>,
    found: Option<Finding>,
    /// Sites that were given a certificate in the quiet part.
    renewed: BTreeSet<NodeId>,
}

impl<C: Carrier> World<C> {
    /// Builds the world; nothing has happened in it.
    pub(crate) fn new(scenario: Scenario, seed: u64, plan: Plan, carrier: C, trace: Trace) -> Self {
        let total = plan.ends_at + scenario.settle + QUIET;
        let mut world = Self {
            meter: Meter::new(total),
            server: Server::new(seed, scenario.certificate_life),
            carrier,
            trace,
            scenario,
            seed,
            elapsed: Duration::ZERO,
            step: 0,
            part: Part::Faults,
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
            self.watch.zone_begins(dns.zone());
            self.dns = Some(dns);
        }
        self.start_server();
        self.begin_work();
        for (number, site_slot) in self.plan.site_slots.clone().into_iter().enumerate() {
            let clock = Clock::default();
            let key = self.carrier.add_node(number, site_slot.profile, clock);
            let token = self.token_of(number);
            self.nodes.push(Node::new(number, self.seed, site_slot.profile, key, token));
            self.settle_in_dns(number);
            self.watch.add_site(number, key);
            if site_slot.member.is_hostile {
                self.make_hostile(number);
            }
            self.nodes[number].wear(&mut self.watch);
            self.queue.push(site_slot.joins_at, SimEvent::FaultEnd(FaultEnd::Off(number, 0)));
        }
        self.expect_act(0);
        self.queue.push(self.plan.ends_at, SimEvent::AllWell);
        self.queue.push(Duration::ZERO, SimEvent::Sample);
    }

    /// Waits for an act. Each waits for the one before it: a month has tens of thousands.
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

    /// Returns the token of this number.
    fn token(&self, number: u64) -> JoinToken {
        let mut chance = Chance::of(self.seed, Purpose::Server, 1_000 + number);
        let (id, secret) = (TokenId::from_bytes(chance.bytes()), JoinSecret::from_bytes(chance.bytes()));
        JoinToken { id, secret, pin: self.carrier.pin() }
    }

    /// Returns how far the run is, as a part of the whole.
    pub(crate) fn progress(&self) -> f64 {
        self.elapsed.as_secs_f64() / self.total().as_secs_f64().max(1.0)
    }

    /// Returns about how long the run takes: a little more, if everybody agrees at the last moment.
    pub(crate) fn total(&self) -> Duration {
        self.plan.ends_at + self.scenario.settle + QUIET
    }

    /// Returns how much time has passed.
    pub(crate) const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns how many things have happened.
    pub(crate) const fn steps(&self) -> u64 {
        self.step
    }

    /// Returns how many sites take part, copies left out.
    pub(crate) fn sites(&self) -> u32 {
        u32::try_from(self.plan.site_slots.len()).unwrap_or(u32::MAX)
    }

    /// Returns what happened that must not, if something did.
    pub(crate) const fn found(&self) -> Option<&Finding> {
        self.found.as_ref()
    }

    /// Returns the name of a machine.
    pub(crate) fn name(&self, node: NodeId) -> String {
        self.nodes.get(node).map_or_else(|| format!("machine {node}"), |node| node.name.to_string())
    }

    /// Whether the run is over, because it came to its end or something was found.
    pub(crate) fn is_over(&self) -> bool {
        self.part == Part::FaultEnd || self.found.is_some()
    }

    /// Returns when the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        match (self.queue.next_at(), self.carrier.next_at()) {
            (Some(ours), Some(carriers)) => Some(ours.min(carriers)),
            (ours, carriers) => ours.or(carriers),
        }
    }

    /// Lets the next thing happen that is due at `now`. Returns whether there was one.
    pub(crate) fn step(&mut self, now: Duration) -> bool {
        self.elapsed = now;
        if let Some(arrival) = self.carrier.poll(now) {
            self.step += 1;
            self.arrive(arrival);
        } else if let Some(happening) = self.queue.pop(now) {
            self.step += 1;
            self.happen(happening);
        } else {
            return false;
        }
        if let Some(found) = self.watch.take_found() {
            self.found.get_or_insert(found);
        }
        true
    }

    fn after(&mut self, delay: Duration, happening: SimEvent) {
        self.queue.push(self.elapsed + delay, happening);
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::AtSite(node, event) => self.link_event(node, event),
            Arrival::AtServer(session, event) => self.session_event(session, event),
        }
    }

    fn happen(&mut self, happening: SimEvent) {
        match happening {
            SimEvent::Act(number) => {
                self.expect_act(number + 1);
                self.act(self.plan.acts[number]);
            }
            SimEvent::FaultEnd(over) => self.over(over),
            SimEvent::NodeWake(node) => self.wake_node(node),
            SimEvent::ServerWake => self.wake_server(),
            SimEvent::NodeDisk(node, boot) => self.node_disk_wrote(node, boot),
            SimEvent::ServerDisk(boot) => self.server_disk_wrote(boot),
            SimEvent::Called(node, boot, call) => self.called(node, boot, call),
            SimEvent::Saved(node, boot, grant) => self.identity_saved(node, boot, &grant),
            SimEvent::NewToken(node) => self.give_new_token(node),
            SimEvent::Accept(node) => self.accept(node),
            SimEvent::Hostile(node, turn) => self.hostile_turn(node, turn),
            SimEvent::AllWell => self.all_well(),
            SimEvent::Look => self.look(),
            SimEvent::QuietOver => self.finish(),
            SimEvent::Sample => self.sample(),
        }
    }

    /// Notes that something happened to a site, or to the server alone.
    fn note(&mut self, node: Option<NodeId>, tag: &'static str, numbers: &[u64], words: impl FnOnce() -> String) {
        self.trace.note(self.elapsed, node, tag, numbers);
        self.trace.say(self.elapsed, node, || format!("{tag}: {}", words()));
    }
}

/// Returns where the numbers of the tokens begin that such members join with.
const fn tokens_for(member: MemberBerth) -> u64 {
    match member {
        MemberBerth { is_pending: true, .. } => PENDING_TOKENS,
        MemberBerth { is_hostile: true, .. } => HOSTILE_TOKENS,
        MemberBerth { .. } => 0,
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("names in a run are made of letters and digits")
}

fn text(text: &str) -> Text {
    Text::lossy(text)
}
