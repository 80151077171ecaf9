//! A machine at a site: its daemon's state machine, its disk, its clock, and its environment.

mod disk;
mod identity;

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_core::{
    DropIns, EnvironmentLabels, Fact, LinkEvent, LossReason, PendingJoin, SavedSite, ServerSource, Site, SiteConfig,
    SiteIdentity, SiteOutput,
};
use linecamp_model::{
    BootId, CommandId, DialId, FromMember, GapCause, JoinToken, KeyFingerprint, KnownAuthorities, KnownServers,
    LabelKey, LabelValue, Level, MemberKind, Name, Now, ProviderSpec, Refusal, RefusalCode, RunId, SiteChange, Text,
};
use linecamp_proto::{VERSIONS, decode_from_member, encode_from_member};

use super::hostile::Hostile;
use super::server_addresses::joined_servers;
use super::{End, FaultEnd, SimEvent, World, name, text};
use crate::check::{Watch, stored_local_label};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::line_profile::Profile;
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{NodeId, Transport};

/// A machine at a site.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Name,
    pub(super) profile: Profile,
    pub(super) key: KeyFingerprint,
    /// The machine whose disk was cloned to this one.
    pub(super) original: Option<NodeId>,
    /// The daemon, while it runs.
    pub(super) site: Option<Box<Site>>,
    /// Replaces the daemon if the site is a hostile member.
    pub(super) hostile: Option<Box<Hostile>>,
    pub(super) identity: Option<SiteIdentity>,
    pub(super) servers: KnownServers,
    pub(super) join: Option<PendingJoin>,
    pub(super) disk: Disk<SiteChange>,
    pub(super) clock: Clock,
    /// Counts how often the machine lost its power.
    pub(super) power_cycles: u8,
    /// Counts the daemon's starts; requests of earlier ones are void.
    pub(super) boot: u32,
    /// After how many more outputs the daemon is killed.
    pub(super) crash_after_outputs: Option<u32>,
    /// How long it stays off after that.
    pub(super) off_for: Duration,
    pub(super) wake_at: Option<Duration>,
    pub(super) rng: SimRng,
    pub(super) facts: BTreeMap<LabelKey, LabelValue>,
    /// Providers in its own configuration.
    pub(super) providers: Vec<ProviderSpec>,
    pub(super) drop_ins: DropIns,
    pub(super) cuts_up: u32,
    pub(super) cuts_down: u32,
    /// Whether its database will be found corrupt at the next start.
    pub(super) is_corrupt: bool,
    /// How it ended permanently.
    pub(super) end: Option<End>,
    /// Local requests not answered yet.
    pub(super) asked: BTreeMap<CommandId, (Level, LabelKey, LabelValue)>,
    /// The locally confirmed value, followed by the values that may hold instead because of a crash.
    pub(super) acknowledged: BTreeMap<(Level, LabelKey), Vec<Option<LabelValue>>>,
    pub(super) next_command: CommandId,
    pub(super) writes: u64,
    wants_facts: bool,
}

impl Node {
    pub(super) fn new(number: NodeId, seed: u64, profile: Profile, key: KeyFingerprint, token: JoinToken) -> Self {
        let mut rng = SimRng::of(seed, Purpose::Machine, number as u64);
        let name = name(&format!("site-{number:04}"));
        let fact =
            |key: &str, value: &str| (LabelKey::parse(key).expect("a key"), LabelValue::parse(value).expect("a value"));
        let cpus = (2 << rng.below(4)).to_string();
        let facts = BTreeMap::from([fact("os", "linux"), fact("cpus", &cpus), fact("line", profile.as_str())]);
        Self {
            join: Some(PendingJoin { token, kind: MemberKind::Site, name: name.clone(), site: None }),
            name,
            profile,
            key,
            original: None,
            site: None,
            hostile: None,
            identity: None,
            servers: joined_servers(),
            disk: Disk::default(),
            clock: Clock::default(),
            power_cycles: 0,
            boot: 0,
            crash_after_outputs: None,
            off_for: Duration::ZERO,
            wake_at: None,
            rng,
            facts,
            providers: Vec::new(),
            drop_ins: DropIns::default(),
            cuts_up: 0,
            cuts_down: 0,
            is_corrupt: false,
            end: None,
            asked: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            next_command: CommandId(1),
            writes: 0,
            wants_facts: false,
        }
    }

    /// Registers the labels of its drop-in files with the checkers.
    pub(super) fn note_drop_ins(&self, watch: &mut Watch) {
        for (level, labels) in &self.drop_ins.labels {
            for (key, value) in labels {
                watch.set_locally(&self.key, *level, key, value);
            }
        }
    }

    pub(super) fn now(&self, elapsed: Duration) -> Now {
        self.clock.now(elapsed)
    }

    /// Returns the saved state that a daemon starts from.
    pub(super) fn saved(
        &self,
        authorities: KnownAuthorities,
        corrupt_database: Option<Text>,
    ) -> Result<SavedSite, String> {
        let records = self.disk.records()?;
        let (servers, drop_ins) = (Some(self.servers.clone()), self.drop_ins.clone());
        Ok(SavedSite { identity: self.identity, servers, authorities, records, corrupt_database, drop_ins })
    }

    pub(super) fn config(&mut self) -> SiteConfig {
        SiteConfig {
            daemon_version: text("0.1.0"),
            directory: text("/var/lib/linecamp"),
            versions: VERSIONS,
            run: RunId::from_bytes(self.rng.bytes()),
            boot: Some(BootId([self.power_cycles; 16])),
            servers: ServerSource::Saved,
            labels: EnvironmentLabels::default(),
            join: self.join.clone().filter(|_| self.identity.is_none()),
            providers: self.providers.clone(),
        }
    }
}

impl<C: Transport> World<C> {
    /// Starts a machine's daemon from its disk.
    pub(super) fn start_node(&mut self, number: NodeId) {
        let elapsed = self.elapsed;
        let node = &mut self.nodes[number];
        if node.site.is_some() || node.end.is_some() {
            return;
        }
        if node.hostile.is_some() {
            return self.start_hostile(number);
        }
        let corrupt_database = std::mem::take(&mut node.is_corrupt).then(|| text("site.db.corrupt"));
        if corrupt_database.is_some() {
            node.disk.erase();
            node.acknowledged.clear();
        }
        let (authorities, _) = self.transport.authorities(number);
        let saved = match node.saved(authorities, corrupt_database) {
            Ok(saved) => saved,
            Err(problem) => {
                return self.watch.find("restarts", [number], format!("a record cannot be read: {problem}"));
            }
        };
        let config = node.config();
        let rng = node.rng.core_rng();
        node.site = Some(Box::new(Site::new(config, saved, rng, node.now(elapsed))));
        let boot = node.boot;
        self.transport.start_node(number);
        self.watch.daemon_starts(number, elapsed);
        self.note(Some(number), "start", &[u64::from(boot)], || format!("the daemon starts, boot {boot}"));
        self.drain_node(number);
    }

    /// Kills a machine's daemon immediately.
    pub(super) fn kill_node(&mut self, number: NodeId) {
        let node = &mut self.nodes[number];
        if node.site.take().is_none() {
            return;
        }
        node.boot += 1;
        node.crash_after_outputs = None;
        node.wake_at = None;
        node.wants_facts = false;
        self.watch.site_lost_link(number, self.elapsed);
        let node = &mut self.nodes[number];
        let is_kept = node.rng.happens(500);
        let group = node.disk.crash(is_kept);
        for (_, (level, key, value)) in std::mem::take(&mut node.asked) {
            let before = stored_local_label(&node.disk, level, &key);
            node.acknowledged.entry((level, key)).or_insert_with(|| vec![before]).push(Some(value));
        }
        self.note(Some(number), "kill", &[u64::from(is_kept)], || "the daemon is killed".to_owned());
        for (_, changes) in group {
            self.keep_at_node(number, &changes);
        }
        self.abandon_calls(number);
        self.watch.site_wait_ends(number);
        self.transport.kill_node(number);
    }

    pub(super) fn wake_node(&mut self, number: NodeId) {
        let elapsed = self.elapsed;
        let node = &mut self.nodes[number];
        if node.wake_at.is_none_or(|wake_at| elapsed < wake_at) {
            return;
        }
        node.wake_at = None;
        let now = node.now(elapsed);
        if let Some(site) = &mut node.site {
            if site.next_deadline().is_some_and(|(deadline, _)| deadline <= now.instant) {
                self.trace.note(elapsed, Some(number), "timeout", &[]);
                site.handle_timeout(now);
            }
            self.drain_node(number);
        }
    }

    pub(super) fn link_event(&mut self, number: NodeId, event: LinkEvent) {
        let elapsed = self.elapsed;
        let numbers = match &event {
            LinkEvent::Dialed(dial) => [1, dial.0],
            LinkEvent::Received(dial, _) => [2, dial.0],
            LinkEvent::Lost(dial, _) => [3, dial.0],
        };
        self.note(Some(number), "link", &numbers, || describe_event(&event));
        if self.nodes[number].hostile.is_some() {
            return self.hostile_link_event(number, event);
        }
        if let LinkEvent::Received(_, message) = &event {
            self.counters.message();
            self.watch.site_is_answered(number, message);
        }
        if matches!(event, LinkEvent::Lost(..)) {
            self.watch.site_wait_ends(number);
            self.counters.lost(number);
        }
        let node = &mut self.nodes[number];
        let now = node.now(elapsed);
        if let Some(site) = &mut node.site {
            site.handle_link(event, now);
            self.drain_node(number);
        }
    }

    /// Performs the machine's outputs until there are none left or it is killed.
    pub(super) fn drain_node(&mut self, number: NodeId) {
        let mut outputs = 0;
        loop {
            let elapsed = self.elapsed;
            let node = &mut self.nodes[number];
            let now = node.now(elapsed);
            let Some(site) = &mut node.site else { return };
            let Some(output) = site.poll_output() else {
                if !std::mem::take(&mut node.wants_facts) {
                    break;
                }
                let observed = |(key, value): (&LabelKey, &LabelValue)| (key.clone(), Fact::Observed(value.clone()));
                site.handle_facts(node.facts.iter().map(observed).collect(), now);
                continue;
            };
            // A notice requires no work: a crash cannot interrupt it.
            if !output.is_notice() {
                outputs += 1;
                match node.crash_after_outputs {
                    Some(0) => return self.crash_node(number),
                    Some(left) => node.crash_after_outputs = Some(left - 1),
                    None => {}
                }
            }
            self.perform_site(number, output);
        }
        self.watch.check_outputs(number, outputs);
        self.schedule_node(number);
    }

    /// Kills a node, which restarts later.
    fn crash_node(&mut self, number: NodeId) {
        let off_for = self.nodes[number].off_for;
        self.watch.daemon_ends(number, GapCause::DaemonCrash, self.elapsed);
        self.kill_node(number);
        let boot = self.nodes[number].boot;
        self.after(off_for, SimEvent::FaultEnd(FaultEnd::Off(number, boot)));
    }

    fn schedule_node(&mut self, number: NodeId) {
        let elapsed = self.elapsed;
        let node = &mut self.nodes[number];
        let Some(site) = &node.site else { return };
        if let Some((deadline, _)) = site.next_deadline() {
            let at = deadline.since_origin().max(elapsed);
            if node.wake_at.is_none_or(|wake_at| at < wake_at) {
                node.wake_at = Some(at);
                self.queue.push(at, SimEvent::NodeWake(number));
            }
        }
    }

    fn perform_site(&mut self, number: NodeId, output: SiteOutput) {
        match output {
            SiteOutput::Dial(dial) => {
                self.note(Some(number), "dial", &[dial.dial.0], || format!("dials {} ({:?})", dial.dial, dial.purpose));
                self.counters.figures.dials += 1;
                if self.is_dialed(number, dial.dial, &dial.server) {
                    self.transport.dial(number, &dial);
                }
            }
            SiteOutput::Send { dial, message } => self.site_sends(number, dial, &message),
            SiteOutput::Hangup { dial, refusal } => {
                self.note(Some(number), "hang up", &[dial.0], || format!("hangs up {dial}: {refusal}"));
                self.counters.lost(number);
                self.watch.site_wait_ends(number);
                self.transport.hang_up_on_server(number, dial, &refusal);
            }
            SiteOutput::Persist { write, changes } => {
                self.note(Some(number), "persist", &[write.0, changes.len() as u64], || format!("{write} {changes:?}"));
                self.watch.check_readable(Some(number), &changes);
                self.nodes[number].disk.enqueue(write, changes);
                self.begin_node_disk(number);
            }
            SiteOutput::TryStore(write) => {
                self.note(Some(number), "try the disk", &[write.0], || format!("tries the disk with {write}"));
                self.nodes[number].disk.enqueue_probe(write);
                self.begin_node_disk(number);
            }
            SiteOutput::ResumeStore(write) => {
                self.note(Some(number), "resume", &[write.0], || "resumes the store".to_owned());
                self.nodes[number].disk.resume();
            }
            SiteOutput::SaveIdentity(grant) => {
                let node = &mut self.nodes[number];
                let (delay, boot) = (node.rng.between(Duration::from_millis(1), Duration::from_millis(20)), node.boot);
                self.renewed.insert(number);
                self.after(delay, SimEvent::IdentitySaved(number, boot, Box::new(grant)));
            }
            SiteOutput::SaveServers(servers) => self.save_servers(number, servers),
            SiteOutput::SaveAuthorities(told) => self.save_authorities(number, told),
            SiteOutput::Call { call, request, .. } => self.begin_call(number, call, request),
            // No provider here names a server plugin, and there is no local socket that could fail to open.
            SiteOutput::MeasurePlugin(_) | SiteOutput::KeepPiece(_) | SiteOutput::OpenLocalSocket => {}
            SiteOutput::CollectFacts => self.nodes[number].wants_facts = true,
            SiteOutput::Reply { command, result } => self.site_replies(number, command, result.is_ok()),
            SiteOutput::LinkUp { .. } => {
                self.watch.site_linked(number);
                self.counters.linked(number, self.elapsed);
            }
            SiteOutput::LinkDown { .. } => self.watch.site_lost_link(number, self.elapsed),
            SiteOutput::Joined(_) | SiteOutput::DialFailed { .. } | SiteOutput::Condition { .. } => {}
            SiteOutput::Host(_) => {}
            SiteOutput::Removed(refusal) => {
                self.note(Some(number), "forget", &[], || format!("erases its identity: {refusal}"));
                self.end_node(number, End::Forgotten);
            }
            SiteOutput::JoinRefused(refusal) => self.join_refused(number, refusal),
        }
    }

    fn join_refused(&mut self, number: NodeId, refusal: Refusal) {
        self.note(Some(number), "refused", &[], || format!("join rejected: {refusal}"));
        use RefusalCode::{TokenExpired, TokenRevoked, TokenUnknown, TokenUsedUp};
        let is_token = matches!(refusal.code, TokenRevoked | TokenUsedUp | TokenExpired | TokenUnknown);
        self.end_node(number, End::Refused(refusal));
        if is_token {
            self.after(Duration::from_secs(60), SimEvent::NewToken(number));
        }
    }

    fn site_sends(&mut self, number: NodeId, dial: DialId, message: &FromMember) {
        self.watch.check_site_acknowledgement(number, message, &self.nodes[number].disk);
        self.watch.site_waits(number, message, self.elapsed);
        self.send_to_server(number, dial, message);
    }

    /// Sends a message to the server.
    pub(super) fn send_to_server(&mut self, number: NodeId, dial: DialId, message: &FromMember) {
        let bytes = encode_from_member(message);
        self.note(Some(number), "send", &[dial.0], || format!("sends {message:?}"));
        self.trace.bytes(&bytes);
        self.counters.message();
        self.watch.check_frame([number], bytes.len());
        if decode_from_member(&bytes).ok().as_ref() != Some(message) {
            self.watch.find("wire", [number], format!("{message:?} does not decode from its own bytes"));
        }
        self.transport.send_to_server(number, dial, message, &bytes);
    }

    fn site_replies(&mut self, number: NodeId, command: CommandId, is_done: bool) {
        let node = &mut self.nodes[number];
        let Some((level, key, value)) = node.asked.remove(&command) else {
            return;
        };
        if is_done {
            let later = node.asked.values().filter(|(of, label, _)| *of == level && *label == key);
            let mut values: Vec<_> = later.map(|(_, _, value)| value.clone()).collect();
            values.push(value.clone());
            node.acknowledged.insert((level, key.clone()), vec![Some(value)]);
            self.watch.site_replies(number, (level, &key), &values, &node.disk);
        }
        self.note(Some(number), "reply", &[command.0, u64::from(is_done)], || format!("answers {command}"));
    }

    /// Ends a daemon permanently.
    pub(super) fn end_node(&mut self, number: NodeId, end: End) {
        let node = &mut self.nodes[number];
        node.site = None;
        node.boot += 1;
        node.wake_at = None;
        node.crash_after_outputs = None;
        node.asked.clear();
        if end == End::Forgotten {
            node.disk = Disk::default();
            node.identity = None;
            node.acknowledged.clear();
            self.transport.forget_identity(number);
        }
        node.disk.crash(false);
        node.end = Some(end);
        self.abandon_calls(number);
        self.watch.site_wait_ends(number);
        self.transport.kill_node(number);
        self.counters.ended(number);
    }
}

fn describe_event(event: &LinkEvent) -> String {
    match event {
        LinkEvent::Dialed(dial) => format!("{dial} connected"),
        LinkEvent::Received(dial, message) => format!("{dial} received {message:?}"),
        LinkEvent::Lost(dial, LossReason::Closed(refusal)) => format!("{dial} was closed: {refusal}"),
        LinkEvent::Lost(dial, LossReason::Unreachable(_, why) | LossReason::Failed(why)) => {
            format!("{dial} is lost: {why}")
        }
    }
}
