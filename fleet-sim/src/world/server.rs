//! The server: its state machine, its disk, its clock.

use std::time::Duration;

use linecamp_core::{
    Fleet, FleetCommand, FleetConfig, FleetOutput, IssuedCommand, SavedFleet, SessionEvent, StoreFault,
};
use linecamp_model::{CommandId, FleetChange, FromParent, MemberId, Now, SessionId, SiteId, WriteId};
use linecamp_proto::{VERSIONS, decode_from_parent, encode_from_parent};

use super::server_addresses::ServerAddresses;
use super::{FaultEnd, RunPhase, SimEvent, World};
use crate::check::{Promise, Slot};
use crate::clock::Clock;
use crate::disk::{Disk, DiskFault};
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{NodeId, Transport};

/// The machine that the server runs on.
#[derive(Debug)]
pub(super) struct Server {
    /// The server, while it runs.
    pub(super) fleet: Option<Box<Fleet>>,
    pub(super) disk: Disk<FleetChange>,
    pub(super) clock: Clock,
    pub(super) addresses: ServerAddresses,
    pub(super) boot: u32,
    /// After how many more outputs it is killed.
    pub(super) crash_after_outputs: Option<u32>,
    /// How long it stays off after that.
    pub(super) off_for: Duration,
    wake_at: Option<Duration>,
    pub(super) rng: SimRng,
    pub(super) next_command: CommandId,
    certificate_life: Duration,
}

impl Server {
    pub(super) fn new(seed: u64, certificate_life: Duration) -> Self {
        Self {
            fleet: None,
            disk: Disk::default(),
            clock: Clock::default(),
            addresses: ServerAddresses::new(),
            boot: 0,
            crash_after_outputs: None,
            off_for: Duration::ZERO,
            wake_at: None,
            rng: SimRng::of(seed, Purpose::Server, 0),
            next_command: CommandId(1),
            certificate_life,
        }
    }

    pub(super) fn now(&self, elapsed: Duration) -> Now {
        self.clock.now(elapsed)
    }

    pub(super) const fn config(&self) -> FleetConfig {
        FleetConfig { versions: VERSIONS, certificate_life: self.certificate_life }
    }
}

impl<C: Transport> World<C> {
    pub(super) fn start_server(&mut self) {
        let elapsed = self.elapsed;
        let server = &mut self.server;
        if server.fleet.is_some() {
            return;
        }
        let records = match server.disk.records() {
            Ok(records) => records,
            Err(problem) => return self.watch.find("restarts", [], format!("a record cannot be read: {problem}")),
        };
        let (config, rng) = (server.config(), server.rng.core_rng());
        server.fleet = Some(Box::new(Fleet::new(
            config,
            SavedFleet { records, ..SavedFleet::default() },
            rng,
            server.now(elapsed),
        )));
        let boot = server.boot;
        self.transport.start_server();
        self.note(None, "server starts", &[u64::from(boot)], || format!("the server starts, boot {boot}"));
        self.watch.server_started(&self.server.disk, elapsed);
        self.watch.check_left();
        self.counters.server_up(elapsed, "server down");
        self.tell_addresses();
        self.report_authorities();
        self.drain_server();
    }

    /// Kills the server immediately.
    pub(super) fn kill_server(&mut self) {
        let server = &mut self.server;
        if server.fleet.take().is_none() {
            return;
        }
        self.counters.server_down();
        server.boot += 1;
        server.crash_after_outputs = None;
        server.wake_at = None;
        let is_kept = server.rng.happens(500);
        let group = server.disk.crash(is_kept);
        self.note(None, "server killed", &[u64::from(is_kept)], || "the server is killed".to_owned());
        for (_, changes) in group {
            self.keep_at_server(&changes);
        }
        self.watch.server_lost_links(self.elapsed);
        self.watch.server_stopped();
        self.transport.kill_server();
    }

    /// Sends an operator's request to the server. Returns whether the server is running.
    pub(super) fn ask(&mut self, command: FleetCommand, claims: impl IntoIterator<Item = (Slot, Promise)>) -> bool {
        let now = self.server.now(self.elapsed);
        let id = self.server.next_command;
        if self.server.fleet.is_none() {
            return false;
        }
        self.server.next_command = id.next();
        self.counters.figures.requests += 1;
        let claims: Vec<_> = claims.into_iter().collect();
        let node = claims.first().and_then(|((site, _), _)| *site).and_then(|site| self.watch.node_of(site));
        self.note(node, "ask", &[id.0], || format!("an operator asks {id}: {command:?}"));
        self.watch.record_request(id, claims);
        self.watch.operator_waits(id, self.elapsed);
        if let Some(fleet) = &mut self.server.fleet {
            fleet.handle_command(id, IssuedCommand::of_console(command), now);
        }
        self.drain_server();
        true
    }

    pub(super) fn session_event(&mut self, session: SessionId, event: SessionEvent) {
        let now = self.server.now(self.elapsed);
        if self.server.fleet.is_none() {
            return;
        }
        let known = (self.watch.site_of(session), self.watch.node_of_session(session));
        self.watch.session_event(session, &event);
        let site = known.0.or_else(|| self.watch.site_of(session));
        let node = known.1.or_else(|| self.watch.node_of_session(session));
        let numbers = match &event {
            SessionEvent::Opened(_) => [1, session.0],
            SessionEvent::Received(_) => [2, session.0],
            SessionEvent::Moved(_) => [3, session.0],
            SessionEvent::Closed(_) => [4, session.0],
        };
        if matches!(event, SessionEvent::Opened(_)) {
            self.counters.dial_arrived(self.elapsed);
        }
        self.note(node, "at server", &numbers, || format!("{session} {event:?}"));
        if let Some(fleet) = &mut self.server.fleet {
            fleet.handle_session(session, event, now);
        }
        self.drain_server();
        if let (Some(site), Some(fleet)) = (site, &self.server.fleet) {
            self.watch.check_link(site, fleet);
        }
    }

    /// Returns the site that a machine is registered as.
    pub(super) fn site_of(&self, node: NodeId) -> Option<SiteId> {
        self.watch.site_of_key(&self.nodes[node].key)
    }

    fn node_of(&self, site: Option<SiteId>) -> Option<usize> {
        site.and_then(|site| self.watch.node_of(site))
    }

    pub(super) fn wake_server(&mut self) {
        let elapsed = self.elapsed;
        let server = &mut self.server;
        if server.wake_at.is_none_or(|wake_at| elapsed < wake_at) {
            return;
        }
        server.wake_at = None;
        let now = server.now(elapsed);
        if let Some(fleet) = &mut server.fleet {
            if fleet.next_deadline().is_some_and(|(deadline, _)| deadline <= now.instant) {
                self.trace.note(elapsed, None, "server timeout", &[]);
                fleet.handle_timeout(now);
            }
            self.drain_server();
        }
    }

    /// Performs the machine's outputs until there are none left or it is killed.
    pub(super) fn drain_server(&mut self) {
        loop {
            let server = &mut self.server;
            let Some(fleet) = &mut server.fleet else { return };
            let Some(output) = fleet.poll_output() else { break };
            // A crash comes between two outputs that require work, not between two notices.
            if output.is_notice() {
                self.server_notes(&output);
                continue;
            }
            match server.crash_after_outputs {
                Some(0) => {
                    let off_for = server.off_for;
                    self.kill_server();
                    let boot = self.server.boot;
                    return self.after(off_for, SimEvent::FaultEnd(FaultEnd::ServerOff(boot)));
                }
                Some(left) => server.crash_after_outputs = Some(left - 1),
                None => {}
            }
            self.perform_server(output);
        }
        let (elapsed, server) = (self.elapsed, &mut self.server);
        let deadline = server.fleet.as_ref().and_then(|fleet| fleet.next_deadline());
        if let Some((deadline, _)) = deadline {
            let at = deadline.since_origin().max(elapsed);
            if server.wake_at.is_none_or(|wake_at| at < wake_at) {
                server.wake_at = Some(at);
                self.queue.push(at, SimEvent::ServerWake);
            }
        }
    }

    fn perform_server(&mut self, output: FleetOutput) {
        match output {
            FleetOutput::Send { session, message } => self.server_sends(session, &message),
            FleetOutput::Issue { session, request } => {
                let site = request.site;
                self.note(self.node_of(Some(site)), "issue", &[session.0], || format!("{session} {request:?}"));
                self.watch.server_grants(site, &self.server.disk);
                self.watch.check_grant(site, &self.server.disk);
                self.transport.issue(session, request);
            }
            FleetOutput::Hangup { session, refusal } => {
                let node = self.watch.node_of_session(session);
                self.note(node, "server hangs up", &[session.0], || format!("{session}: {refusal}"));
                self.watch.check_hang_up(session, &refusal);
                self.watch.session_over(session);
                self.transport.hang_up_on_site(session, &refusal);
            }
            // No plugin was uploaded here.
            FleetOutput::ReadPlugin { .. } => {}
            FleetOutput::Persist { write, changes } => {
                self.trace.note(self.elapsed, None, "server persists", &[write.0, changes.len() as u64]);
                self.watch.check_readable(None, &changes);
                self.watch.check_received(&changes, self.server.now(self.elapsed).wall);
                self.server.disk.enqueue(write, changes);
                self.begin_server_disk();
            }
            FleetOutput::TryStore(write) => {
                self.trace.note(self.elapsed, None, "server tries its disk", &[write.0]);
                self.server.disk.enqueue_probe(write);
                self.begin_server_disk();
            }
            FleetOutput::ResumeStore(_) => self.server.disk.resume(),
            FleetOutput::LinkUp { .. }
            | FleetOutput::LinkDown { .. }
            | FleetOutput::SiteJoined { .. }
            | FleetOutput::HostJoined { .. }
            | FleetOutput::ServersChanged(_)
            | FleetOutput::ServerUrlChanged(_)
            | FleetOutput::Removed { .. } => {}
            FleetOutput::Reply { command, result } => {
                let node = self.watch.node_of_request(command);
                self.note(node, "server replies", &[command.0, u64::from(result.is_ok())], || {
                    format!("reply to {command}: {result:?}")
                });
                self.counters.figures.requests_refused += u64::from(result.is_err());
                self.watch.operator_is_answered(command);
                self.watch.reply(command, &result, &self.server.disk);
            }
        }
    }

    /// Handles a notice: it is checked, and has no effect in the simulated world.
    fn server_notes(&mut self, output: &FleetOutput) {
        if let FleetOutput::LinkUp { session, member: MemberId::Site(site) } = output {
            self.watch.server_admits(*session, *site, &self.server.disk);
            self.watch.check_return(*site, (self.server.clock, self.elapsed), &self.server.disk);
        }
        if let (FleetOutput::LinkDown { member: MemberId::Site(site), .. }, elapsed) = (output, self.elapsed) {
            self.node_of(Some(*site)).into_iter().for_each(|node| self.watch.server_lost_link(node, elapsed));
        }
    }

    fn server_sends(&mut self, session: SessionId, message: &FromParent) {
        let bytes = encode_from_parent(message);
        let node = self.watch.node_of_session(session);
        self.note(node, "server sends", &[session.0], || format!("{session} {message:?}"));
        self.trace.bytes(&bytes);
        self.watch.check_frame(node, bytes.len());
        if decode_from_parent(&bytes).ok().as_ref() != Some(message) {
            self.watch.find("wire", node, format!("{message:?} does not decode from its own bytes"));
        }
        self.watch.check_server_acknowledgement(session, message, &self.server.disk);
        self.watch.server_sends(session, message, &self.server.disk);
        self.transport.send_to_site(session, message, &bytes);
    }

    fn begin_server_disk(&mut self) {
        let server = &mut self.server;
        if !server.disk.begin() {
            return;
        }
        let micros = Duration::from_micros;
        let delay = match server.disk.fault {
            DiskFault::Healthy => server.rng.between(micros(100), micros(3_000)),
            DiskFault::Slow | DiskFault::Full => server.rng.between(micros(50_000), micros(500_000)),
        };
        let boot = server.boot;
        self.after(delay, SimEvent::ServerDisk(boot));
    }

    pub(super) fn server_disk_wrote(&mut self, boot: u32) {
        if self.server.boot != boot {
            return;
        }
        let (fault, group) = (self.server.disk.fault, self.server.disk.written());
        let mut group = group.into_iter();
        while let Some((write, changes)) = group.next() {
            if fault == DiskFault::Full && self.server.disk.needs_space(write, &changes) {
                let rest = group.map(|(write, _)| write).collect();
                return self.server_disk_failed(write, rest);
            }
            self.keep_at_server(&changes);
            self.answer_server(write, Ok(()));
            if self.server.boot != boot {
                for (_, changes) in group {
                    self.keep_at_server(&changes);
                }
                return;
            }
        }
        self.begin_server_disk();
    }

    fn server_disk_failed(&mut self, write: WriteId, rest: Vec<WriteId>) {
        let waiting = self.server.disk.reject_writes();
        for write in [write].into_iter().chain(rest).chain(waiting) {
            self.answer_server(write, Err(StoreFault::DiskFull));
        }
        self.begin_server_disk();
    }

    fn answer_server(&mut self, write: WriteId, result: Result<(), StoreFault>) {
        let now = self.server.now(self.elapsed);
        self.trace.note(self.elapsed, None, "server stored", &[write.0, u64::from(result.is_ok())]);
        if let Some(fleet) = &mut self.server.fleet {
            match result {
                Ok(()) => fleet.handle_persisted(write, now),
                Err(fault) => fleet.handle_persist_failed(write, fault, now),
            }
            self.drain_server();
        }
    }

    /// Makes changes durable at the server.
    fn keep_at_server(&mut self, changes: &[FleetChange]) {
        if changes.is_empty() {
            return;
        }
        self.counters.figures.server_writes += 1;
        for change in changes {
            self.watch.server_registers(change);
        }
        for change in changes {
            self.watch.server_writes_life(change, &self.server.disk);
            self.watch.server_writes_document(change);
            self.watch.server_writes_records(change, &self.server.disk);
            self.watch.server_writes_event(change, &self.server.disk);
            self.watch.check_gap(change, (self.server.clock, self.elapsed));
            self.watch.server_writes_of_pending(change, &self.server.disk);
            self.watch.server_accepts(change, &self.server.disk);
            self.server.disk.store(change);
            self.watch.server_holds(change);
        }
        self.watch.check_server_disk(&self.server.disk);
        if self.phase == RunPhase::Quiet {
            self.check_quiet_server(changes);
        }
    }

    /// Deleting expired records does not count as a change, and neither does what follows from a renewed certificate.
    fn check_quiet_server(&mut self, changes: &[FleetChange]) {
        let of_site = |change: &FleetChange| match change {
            FleetChange::ReplicationCursor(site, Some(_)) => Some(*site),
            FleetChange::SiteTrust(site, Some(_)) => Some(*site),
            FleetChange::Site(site, Some(_)) if self.watch.is_hostile(*site) => Some(*site),
            FleetChange::Event(_, Some(logged)) => logged.event.site,
            _ => None,
        };
        // A hostile member was removed, which the server notices later.
        let may_change = |site: SiteId| {
            let node = self.node_of(Some(site));
            self.watch.is_hostile(site) || node.is_some_and(|node| self.renewed.contains(&node))
        };
        let is_unrest = |change: &&FleetChange| !is_expiry(change) && !of_site(change).is_some_and(may_change);
        if let Some(change) = changes.iter().find(is_unrest) {
            let what = format!("the server wrote {change:?} though nothing had happened");
            self.watch.find("quiet", of_site(change).and_then(|site| self.node_of(Some(site))), what);
        }
    }
}

/// Whether `change` deletes a record that expires: a removed site's, a token's, or an event. Every kind is listed, so
/// that a new kind of record of a site is not reported as a change when its site is purged.
fn is_expiry(change: &FleetChange) -> bool {
    match change {
        FleetChange::Site(_, body) => body.is_none(),
        FleetChange::SiteKey(_, _, body) => body.is_none(),
        FleetChange::Host(_, _, body) => body.is_none(),
        // No host of a run joins the server directly.
        FleetChange::HostMember(..) => false,
        FleetChange::Spec(_, _, body) => body.is_none(),
        FleetChange::Status(_, _, body) => body.is_none(),
        FleetChange::ReplicationCursor(_, body) => body.is_none(),
        FleetChange::SiteTrust(_, body) => body.is_none(),
        FleetChange::Token(_, body) => body.is_none(),
        FleetChange::TokenUse(_, _, body) => body.is_none(),
        FleetChange::Event(_, body) => body.is_none(),
        FleetChange::LinkGap(_, _, body) => body.is_none(),
        FleetChange::AuditBlock(_, body) => body.is_none(),
        FleetChange::AuditEntry(_, body) => body.is_none(),
        FleetChange::KeptAnswer(_, body) => body.is_none(),
        FleetChange::BulkAction(_, body) => body.is_none(),
        FleetChange::Origin(_)
        | FleetChange::Environment(..)
        | FleetChange::User(..)
        | FleetChange::ApiKey(..)
        | FleetChange::UserSession(..)
        | FleetChange::Settings(_)
        | FleetChange::RevokedKey(..)
        | FleetChange::Provider(..)
        | FleetChange::Plugin(..)
        | FleetChange::Servers(_)
        | FleetChange::Authorities(_)
        | FleetChange::Restored(_)
        | FleetChange::HeldSite(..)
        | FleetChange::HeldToken(..)
        | FleetChange::HeldApiKey(..) => false,
    }
}
