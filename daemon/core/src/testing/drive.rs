//! The driver of a story: executes the outputs of the machines and feeds in events.

use std::time::Duration;

use linecamp_model::{
    ConditionKind, DialId, FromMember, FromParent, IdentityGrant, KnownAuthorities, KnownServers, Name, Pin,
    PluginDigest, PluginPiece, PluginWant, ProviderFailure, ProviderReply, Refusal, SessionId, SiteChange, Text,
    WallTime, WriteId,
};

use super::authorities::granted;
use super::disk::{change_key, fleet_change_key, is_fleet_removal, is_site_removal, keep, size_of, takes};
use super::{CALL, COMMIT, DiskFault, LATENCY, Node, PIECE, Pair, PairEvent, Parent, Route};
use crate::{
    Dial, Fact, Facts, FleetOutput, HostOutput, IssueRequest, LinkEvent, LossReason, ServerSource, SessionEvent,
    SiteIdentity, SiteOutput, StoreFault, UnsavedIdentity,
};

impl Node {
    /// Returns the results of a round of facts.
    fn round(&self) -> Facts {
        let observed = self.facts.iter().map(|(key, value)| (key.clone(), Fact::Observed(value.clone())));
        let failed = self.not_observed.iter().map(|key| (key.clone(), Fact::NotObserved(Text::lossy("no answer"))));
        observed.chain(failed).collect()
    }

    /// Erases its disk and stops, because it was removed.
    fn erase(&mut self, refusal: Refusal) {
        (self.identity, self.saved_identity) = (None, None);
        self.disk.clear();
        self.ended = Some(refusal);
    }

    fn has_plugin(&self, digest: PluginDigest) -> bool {
        self.plugins.get(&digest).is_some_and(|bytes| PluginDigest::of(bytes) == digest)
    }
}

impl Pair {
    pub(super) fn perform(&mut self) {
        loop {
            let mut is_quiet = true;
            for index in 0..self.nodes.len() {
                while let Some(output) = self.nodes[index].site.poll_output() {
                    is_quiet = false;
                    self.perform_site(index, output);
                }
            }
            while let Some(output) = self.fleet.poll_output() {
                is_quiet = false;
                self.perform_fleet(output);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn perform_site(&mut self, index: usize, output: SiteOutput) {
        let boot = self.nodes[index].boot;
        match output {
            SiteOutput::Dial(dial) => {
                let Dial { dial, server, .. } = dial;
                self.after(LATENCY, PairEvent::DialArrives { site: index, dial, server, boot });
            }
            SiteOutput::Send { dial, message } => self.send_from_member(index, dial, message),
            SiteOutput::Hangup { dial, refusal } => {
                let session = self.nodes[index].sessions.remove(&dial);
                let route = session.and_then(|session| Some((session, self.sessions.remove(&session)?)));
                if let Some((session, route)) = route {
                    let closed = SessionEvent::Closed(refusal.text);
                    self.after(LATENCY, PairEvent::AtParent(route.parent, session, closed));
                }
            }
            SiteOutput::Persist { write, changes } => {
                self.nodes[index].writes += u64::from(!changes.is_empty());
                self.write_at_site(index, write, changes);
            }
            SiteOutput::TryStore(write) => {
                self.nodes[index].writes += 1;
                self.nodes[index].trial = Some(write);
                self.write_at_site(index, write, Vec::new());
            }
            SiteOutput::SaveIdentity(grant) => {
                let node = &self.nodes[index];
                let trusted = if node.identity.is_some() { node.authorities.pins.clone() } else { granted(&grant) };
                let identity = identity_of(&grant, &trusted);
                self.nodes[index].saving = Some((grant, identity));
                self.after(COMMIT, PairEvent::IdentitySaved(index, boot));
            }
            SiteOutput::SaveServers(servers) => self.after(COMMIT, PairEvent::ServersSaved(index, servers, boot)),
            SiteOutput::SaveAuthorities(set) => self.after(COMMIT, PairEvent::AuthoritiesSaved(index, set, boot)),
            SiteOutput::Call { call, provider, is_local, request } => {
                self.nodes[index].called.insert(provider.name.clone(), is_local);
                let reply = match provider.plugin.digest {
                    Some(digest) if !self.nodes[index].has_plugin(digest) => {
                        let reason = Text::lossy("it was not fetched yet");
                        ProviderReply::Failed(ProviderFailure::Missing { reason })
                    }
                    _ => self.name_server.answer_at(self.server_now().wall.unix_millis() / 1000, &request),
                };
                self.after(CALL, PairEvent::Replied { site: index, call, reply, boot });
            }
            SiteOutput::MeasurePlugin(digest) => self.after(COMMIT, PairEvent::PluginKept(index, digest, boot)),
            SiteOutput::KeepPiece(piece) if self.nodes[index].plugin_disk_fault == DiskFault::Full => {
                self.after(COMMIT, PairEvent::PluginNotKept(index, piece.digest, boot));
            }
            SiteOutput::KeepPiece(piece) => self.keep_piece(index, piece),
            SiteOutput::OpenLocalSocket => {
                let now = self.now_at(index);
                let node = &mut self.nodes[index];
                node.site.handle_local_socket(node.socket_problem.clone().map_or(Ok(()), Err), now);
            }
            SiteOutput::CollectFacts => self.after(self.facts_take, PairEvent::Facts(index, boot)),
            SiteOutput::Reply { result, .. } => self.nodes[index].replies.push(result),
            SiteOutput::Removed(refusal) => self.nodes[index].erase(refusal),
            SiteOutput::JoinRefused(refusal) => self.nodes[index].ended = Some(refusal),
            SiteOutput::Condition { kind, provider, detail } => {
                self.nodes[index].condition_notices.push(condition_notice(kind, provider, detail));
            }
            SiteOutput::ResumeStore(_)
            | SiteOutput::Joined(_)
            | SiteOutput::LinkUp { .. }
            | SiteOutput::LinkDown { .. }
            | SiteOutput::DialFailed { .. } => {}
            SiteOutput::Host(output) => self.perform_for_host(index, output),
        }
    }

    fn perform_for_host(&mut self, gateway: usize, output: HostOutput) {
        match output {
            HostOutput::Listen(_) => self.nodes[gateway].listens_for_hosts = true,
            HostOutput::Send { session, message } => self.tell_member(session, message),
            HostOutput::Issue { session, request } => {
                let issuer = self.nodes[gateway].lan_authority;
                let trusted = [issuer].into_iter().chain(self.nodes[gateway].authorities.pins.iter().copied());
                let grant = grant_of(&request, issuer, trusted.collect());
                self.tell_member(session, FromParent::Identity(grant));
            }
            HostOutput::HangUp { session, refusal } => self.hang_up(Some(gateway), session, refusal),
            HostOutput::LinkUp { .. } | HostOutput::LinkDown { .. } => {}
        }
    }

    fn send_from_member(&mut self, index: usize, dial: DialId, mut message: FromMember) {
        if let FromMember::Hello(hello) = &mut message
            && let Some(forge) = self.nodes[index].forged_greeting.take()
        {
            forge(hello);
        }
        let session = self.nodes[index].sessions.get(&dial).copied();
        let route = session.and_then(|session| Some((session, *self.sessions.get(&session)?)));
        if let Some((session, route)) = route {
            self.after(LATENCY, PairEvent::AtParent(route.parent, session, SessionEvent::Received(message)));
        }
    }

    fn write_at_site(&mut self, index: usize, write: WriteId, changes: Vec<SiteChange>) {
        let boot = self.nodes[index].boot;
        self.nodes[index].pending.insert(write, changes);
        self.after(COMMIT, PairEvent::SiteCommitted(index, write, boot));
    }

    fn keep_piece(&mut self, index: usize, piece: PluginPiece) {
        let boot = self.nodes[index].boot;
        let kept = self.nodes[index].plugins.entry(piece.digest).or_default();
        kept.extend(piece.bytes);
        if kept.len() as u64 >= piece.total && PluginDigest::of(kept) != piece.digest {
            kept.clear();
        }
        self.after(COMMIT, PairEvent::PluginKept(index, piece.digest, boot));
    }

    fn perform_fleet(&mut self, output: FleetOutput) {
        let boot = self.fleet_boot;
        match output {
            FleetOutput::Send { session, message } => self.tell_member(session, message),
            FleetOutput::Issue { session, request } => {
                let authorities = &self.authorities.authorities;
                let trusted = authorities.iter().map(|one| one.pin).collect();
                let grant = grant_of(&request, authorities[0].pin, trusted);
                self.tell_member(session, FromParent::Identity(grant));
            }
            FleetOutput::Hangup { session, refusal } => self.hang_up(None, session, refusal),
            FleetOutput::Persist { write, changes } => {
                self.fleet_writes += u64::from(!changes.is_empty());
                self.fleet_pending.insert(write, changes);
                self.after(COMMIT, PairEvent::FleetCommitted(write, boot));
            }
            FleetOutput::TryStore(write) => {
                self.fleet_writes += 1;
                self.fleet_trial = Some(write);
                self.fleet_pending.insert(write, Vec::new());
                self.after(COMMIT, PairEvent::FleetCommitted(write, boot));
            }
            FleetOutput::ResumeStore(_)
            | FleetOutput::LinkUp { .. }
            | FleetOutput::LinkDown { .. }
            | FleetOutput::SiteJoined { .. }
            | FleetOutput::HostJoined { .. }
            | FleetOutput::ServersChanged(_)
            | FleetOutput::ServerUrlChanged(_)
            | FleetOutput::Removed { .. } => {}
            FleetOutput::ReadPlugin { session, want } => {
                let piece = self.plugin_piece(want);
                self.pieces_sent += 1;
                self.tell_member(session, FromParent::Plugin(piece));
            }
            FleetOutput::Reply { command, result } => {
                self.replies.insert(command, result);
            }
        }
    }

    fn plugin_piece(&self, want: PluginWant) -> PluginPiece {
        let whole = self.plugins.get(&want.digest).map_or(&[][..], Vec::as_slice);
        let from = usize::try_from(want.offset).unwrap_or(usize::MAX).min(whole.len());
        let bytes = whole[from..].iter().take(PIECE).copied().collect();
        PluginPiece { digest: want.digest, offset: want.offset, total: whole.len() as u64, bytes }
    }

    fn hang_up(&mut self, parent: Parent, session: SessionId, refusal: Refusal) {
        if let Some(Route { member, dial, .. }) = self.sessions.remove(&session) {
            self.nodes[member].sessions.remove(&dial);
            self.nodes[member].hangup = Some(refusal.clone());
            self.after(LATENCY, PairEvent::AtSite(member, LinkEvent::Lost(dial, LossReason::Closed(refusal))));
        }
        let closed = SessionEvent::Closed(Text::lossy("closed here"));
        self.after(Duration::ZERO, PairEvent::AtParent(parent, session, closed));
    }

    fn tell_member(&mut self, session: SessionId, mut message: FromParent) {
        if let Some(Route { member: index, dial, .. }) = self.sessions.get(&session).copied() {
            if let FromParent::Welcome(welcome) = &mut message
                && let Some(forge) = self.nodes[index].forged_welcome.take()
            {
                forge(welcome);
            }
            if let FromParent::EventsAck(last) = &message {
                self.nodes[index].events_acknowledged = Some(*last);
            }
            let is_ack = matches!(message, FromParent::EventsAck(_) | FromParent::StatusAck(_));
            if is_ack && self.nodes[index].is_impersonated {
                return;
            }
            self.after(LATENCY, PairEvent::AtSite(index, LinkEvent::Received(dial, message)));
        }
    }

    pub(super) fn happen(&mut self, happening: PairEvent) {
        let now = self.server_now();
        match happening {
            PairEvent::DialArrives { site, dial, server, boot } if boot == self.nodes[site].boot => {
                self.connect(site, dial, &server);
            }
            PairEvent::AtSite(index, event) => self.at_site(index, event),
            PairEvent::AtParent(None, session, event) => {
                if !self.is_fleet_down {
                    self.fleet.handle_session(session, event, now);
                }
            }
            PairEvent::AtParent(Some(gateway), session, event) => {
                let at = self.now_at(gateway);
                if self.nodes[gateway].ended.is_none() {
                    self.nodes[gateway].site.handle_host_session(session, event, at);
                }
            }
            PairEvent::SiteCommitted(index, write, boot) if boot == self.nodes[index].boot => {
                self.site_committed(index, write);
            }
            PairEvent::FleetCommitted(write, boot) if boot == self.fleet_boot => self.fleet_committed(write),
            PairEvent::IdentitySaved(index, boot) if boot == self.nodes[index].boot => self.identity_saved(index),
            PairEvent::ServersSaved(index, servers, boot) if boot == self.nodes[index].boot => {
                self.servers_saved(index, servers);
            }
            PairEvent::AuthoritiesSaved(index, set, boot) if boot == self.nodes[index].boot => {
                self.authorities_saved(index, &set);
            }
            PairEvent::Facts(index, boot) if boot == self.nodes[index].boot => {
                let facts = self.nodes[index].round();
                let at = self.now_at(index);
                self.nodes[index].site.handle_facts(facts, at);
            }
            PairEvent::Replied { site, call, reply, boot } if boot == self.nodes[site].boot => {
                let at = self.now_at(site);
                self.nodes[site].site.handle_provider(call, reply, at);
            }
            PairEvent::PluginKept(index, digest, boot) if boot == self.nodes[index].boot => {
                let at = self.now_at(index);
                let held = self.nodes[index].plugins.entry(digest).or_default();
                let is_whole = PluginDigest::of(held) == digest;
                let held = (!is_whole).then_some(held.len() as u64);
                self.nodes[index].site.handle_plugin_kept(digest, held, at);
            }
            PairEvent::PluginNotKept(index, digest, boot) if boot == self.nodes[index].boot => {
                let at = self.now_at(index);
                self.nodes[index].site.handle_plugin_not_kept(digest, Text::lossy("no space left"), at);
            }
            PairEvent::PluginKept(..)
            | PairEvent::PluginNotKept(..)
            | PairEvent::Replied { .. }
            | PairEvent::DialArrives { .. }
            | PairEvent::SiteCommitted(..)
            | PairEvent::FleetCommitted(..)
            | PairEvent::IdentitySaved(..)
            | PairEvent::ServersSaved(..)
            | PairEvent::AuthoritiesSaved(..)
            | PairEvent::Facts(..) => {}
        }
    }

    fn identity_saved(&mut self, index: usize) {
        let at = self.now_at(index);
        let node = &mut self.nodes[index];
        let Some((grant, identity)) = node.saving.take() else { return };
        let issuer = issuer_of(&grant);
        let problem = Text::lossy("failed to write membership.pem: no space left on device");
        match (node.identity_disk_fault, node.identity) {
            (DiskFault::Well, _) => {
                if node.identity.is_none() {
                    node.authorities = KnownAuthorities { number: 0, pins: granted(&grant) };
                }
                node.identity = Some(identity);
                (node.issuer, node.saved_issuer) = (Some(issuer), Some(issuer));
                node.saved_identity = node.identity;
                node.config.join = None;
                if let ServerSource::Token(addresses) = std::mem::take(&mut node.config.servers) {
                    node.servers = Some(KnownServers::of_token(addresses));
                }
                node.site.handle_identity_saved(Ok(identity), at);
            }
            (DiskFault::Full | DiskFault::Tight, None) => node.site.handle_identity_saved(Err(problem), at),
            (DiskFault::Full | DiskFault::Tight, Some(_)) => {
                node.identity = Some(identity);
                node.issuer = Some(issuer);
                node.site.handle_identity_unsaved(UnsavedIdentity { grant, identity, problem }, at);
            }
        }
    }

    fn servers_saved(&mut self, index: usize, servers: KnownServers) {
        let at = self.now_at(index);
        let node = &mut self.nodes[index];
        let saved = match node.identity_disk_fault {
            DiskFault::Well => Ok(()),
            DiskFault::Full | DiskFault::Tight => Err(Text::lossy("no space left on device")),
        };
        node.servers = if saved.is_ok() { Some(servers) } else { node.servers.take() };
        node.site.handle_servers_saved(saved, at);
    }

    fn at_site(&mut self, index: usize, event: LinkEvent) {
        let now = self.now_at(index);
        let dial = match &event {
            LinkEvent::Dialed(dial) | LinkEvent::Received(dial, _) | LinkEvent::Lost(dial, _) => *dial,
        };
        // Messages in flight when the link was cut do not arrive; the loss itself does.
        let is_lost = matches!(event, LinkEvent::Lost(..));
        let node = &mut self.nodes[index];
        if node.ended.is_some() || (!is_lost && !node.sessions.contains_key(&dial)) {
            return;
        }
        if matches!(event, LinkEvent::Received(_, FromParent::Spec(_))) {
            self.deltas_delivered += 1;
        }
        node.site.handle_link(event, now);
    }

    fn site_committed(&mut self, index: usize, write: WriteId) {
        let now = self.now_at(index);
        let node = &mut self.nodes[index];
        let Some(changes) = node.pending.remove(&write) else {
            return;
        };
        let is_trial = node.trial == Some(write);
        let bytes = if is_trial { node.refused } else { size_of(&node.disk, &changes, change_key) };
        if takes(node.disk_fault, bytes) {
            node.refused = if is_trial { 0 } else { node.refused };
            for change in changes {
                keep(&mut node.disk, change_key(&change), change.clone(), is_site_removal(&change));
            }
            node.site.handle_persisted(write, now);
        } else {
            node.refused = node.refused.max(bytes);
            node.pending.clear();
            node.site.handle_persist_failed(write, StoreFault::DiskFull, now);
        }
    }

    fn fleet_committed(&mut self, write: WriteId) {
        let now = self.server_now();
        let Some(changes) = self.fleet_pending.remove(&write) else {
            return;
        };
        let is_trial = self.fleet_trial == Some(write);
        let bytes = if is_trial { self.fleet_refused } else { size_of(&self.fleet_disk, &changes, fleet_change_key) };
        if takes(self.fleet_disk_fault, bytes) {
            self.fleet_refused = if is_trial { 0 } else { self.fleet_refused };
            for change in changes {
                keep(&mut self.fleet_disk, fleet_change_key(&change), change.clone(), is_fleet_removal(&change));
            }
            self.fleet.handle_persisted(write, now);
        } else {
            self.fleet_refused = self.fleet_refused.max(bytes);
            self.fleet_pending.clear();
            self.fleet.handle_persist_failed(write, StoreFault::DiskFull, now);
        }
    }
}

fn grant_of(request: &IssueRequest, issuer: Pin, trusted: Vec<Pin>) -> IdentityGrant {
    IdentityGrant {
        kind: request.kind,
        name: request.name.clone(),
        environment: request.environment.clone(),
        site: request.site,
        host: request.host,
        certificate: certificate_of(request, issuer),
        gateway_chain: Vec::new(),
        authorities: trusted.iter().map(|pin| pin.as_bytes().to_vec()).collect(),
    }
}

fn certificate_of(request: &IssueRequest, issuer: Pin) -> Vec<u8> {
    let validity = [request.not_before, request.not_after].map(|at| at.unix_millis().to_be_bytes()).concat();
    [validity.as_slice(), issuer.as_bytes()].concat()
}

/// Returns the authority that issued a certificate.
fn issuer_of(grant: &IdentityGrant) -> Pin {
    Pin::from_bytes(grant.certificate[16..].try_into().expect("a story's certificate ends with a pin"))
}

fn identity_of(grant: &IdentityGrant, trusted: &[Pin]) -> SiteIdentity {
    let at = |from: usize| {
        let bytes = grant.certificate[from..from + 8].try_into().expect("a story's certificate begins with two times");
        WallTime::from_unix_millis(u64::from_be_bytes(bytes))
    };
    let issuer = Some(issuer_of(grant)).filter(|pin| trusted.contains(pin));
    let (kind, site, host) = (grant.kind, grant.site, grant.host);
    SiteIdentity { kind, site, host, not_before: at(0), not_after: at(8), issuer }
}

/// Returns a notice as the stories compare it.
fn condition_notice(kind: ConditionKind, provider: Option<Name>, detail: Option<Text>) -> String {
    let subject = provider.map_or_else(|| kind.to_string(), |provider| format!("{kind} {provider}"));
    let detail = detail.map_or_else(|| "cleared".to_owned(), |detail| detail.to_string());
    format!("{subject}: {detail}")
}
