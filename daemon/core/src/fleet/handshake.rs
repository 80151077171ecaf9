//! The first message of a session: a join or a hello.

use linecamp_model::{
    Condition, ConditionKind, EventKind, FleetChange, FromServer, Generation, Hello, Incarnation, JoinRequest,
    LabelSet, LinkState, Now, Refusal, RefusalCode, SessionId, SiteId, Text, VersionRange, Welcome,
};

use super::config::{DUPLICATE_CLEARS_AFTER, DUPLICATE_RETRY, FIRST_MESSAGE_MAX, PROBE_MAX};
use super::downlink::{Credential, Link, Stage};
use super::registry::{Joining, Membership, join, member, recover};
use super::{Fleet, FleetOutput, FleetTimer, Release};
use crate::mutants::{Mutant, planted};
use crate::sync::Source;

impl Fleet {
    pub(super) fn join(&mut self, id: SessionId, request: &JoinRequest, now: Now) {
        let Some(key) = self.downlink.sessions.get(&id).map(|session| session.peer.fingerprint) else {
            return;
        };
        let joining = self.common_version(request.versions).and_then(|_| join(self.ledger.state(), key, request, now));
        let joining = match self.unreadable(&key) {
            Some(refusal) => Err(refusal),
            None => joining,
        };
        self.expect_leave(id, now);
        match joining {
            Ok(Joining::Again(member)) => {
                let request = self.issue_request(member, now);
                self.release_when_durable(vec![FleetOutput::Issue { session: id, request }]);
            }
            Ok(Joining::New(member, changes)) => {
                let (site, name, environment) = (member.site, member.name.clone(), member.environment.clone());
                let address = self.downlink.sessions.get(&id).map(|session| session.peer.address.clone());
                let link = Link::new(LinkState::Reconnecting, now.wall, address.unwrap_or_default());
                self.downlink.links.insert(site, link);
                self.timers.set(FleetTimer::Disconnect(site), now.instant + crate::DISCONNECTED_AFTER);
                let request = self.issue_request(member, now);
                let release = Release::Output(FleetOutput::Issue { session: id, request });
                let text = format!("{name} joined environment {environment}");
                self.stage_noted(changes, (EventKind::SiteJoined, Some(site), text), vec![release], now);
            }
            Err(refusal) => self.refuse(id, refusal, now),
        }
    }

    pub(super) fn greet(&mut self, id: SessionId, hello: Hello, now: Now) {
        let Some(peer) = self.downlink.sessions.get(&id).map(|session| session.peer.clone()) else {
            return;
        };
        if let Some(refusal) = self.unreadable(&peer.fingerprint) {
            return self.refuse(id, refusal, now);
        }
        let known = self.common_version(hello.versions).and_then(|_| member(self.ledger.state(), peer.fingerprint));
        let member = match known {
            Ok(Some(member)) => member,
            Ok(None) => {
                return self.refuse(id, not_registered(), now);
            }
            Err(refusal) => return self.refuse_when_durable(id, refusal, now),
        };
        match peer.credential {
            Credential::Issued => self.admit(id, member.site, hello, now),
            Credential::Expired | Credential::SelfMade | Credential::Foreign => self.recover(id, member, now),
        }
    }

    /// Issues a new certificate to a site that still holds its key.
    fn recover(&mut self, id: SessionId, member: Membership, now: Now) {
        self.expect_leave(id, now);
        let site = member.site;
        match recover(self.ledger.state(), site, now) {
            Ok(change) => {
                let request = self.issue_request(member, now);
                let release = Release::Output(FleetOutput::Issue { session: id, request });
                let text = "let in with an expired certificate, given a new one".to_owned();
                let note = (EventKind::SiteRecovered, Some(site), text);
                self.stage_noted(change.into_iter().collect(), note, vec![release], now);
                self.clear_condition(site, ConditionKind::RecoverRefused);
            }
            Err(refusal) => {
                self.raise_condition(site, ConditionKind::RecoverRefused, refusal.text.clone(), now);
                self.refuse(id, refusal, now);
            }
        }
    }

    /// Issues a new certificate on an established session. Requests more frequent than
    /// [`RENEW_INTERVAL_MIN`](super::config::RENEW_INTERVAL_MIN) are ignored.
    pub(super) fn renew(&mut self, id: SessionId, site: SiteId, now: Now) {
        if !self.downlink.may_renew(id, now.instant) {
            self.ignored += 1;
            return;
        }
        let Some(key) = self.downlink.sessions.get(&id).map(|session| session.peer.fingerprint) else {
            return;
        };
        if let Ok(Some(member)) = member(self.ledger.state(), key).map(|member| member.filter(|of| of.site == site)) {
            let request = self.issue_request(member, now);
            self.outputs.push_back(FleetOutput::Issue { session: id, request });
        }
    }

    /// Admits a registered site, unless another machine is connected with its identity.
    fn admit(&mut self, id: SessionId, site: SiteId, hello: Hello, now: Now) {
        let link = self.downlink.links.entry(site);
        let link = link.or_insert_with(|| Link::new(LinkState::Reconnecting, now.wall, Text::default()));
        let (established, probing) = (link.session, link.probing);
        let Some(established) = established else {
            return self.welcome(id, site, &hello, now);
        };
        if self.downlink.run(established) == Some(hello.run) {
            self.supersede(established, site, now);
            return self.welcome(id, site, &hello, now);
        }
        if probing.is_some() {
            let text = "another session of this site is being looked into; try again in a moment";
            return self.refuse(id, Refusal::new(RefusalCode::Busy, text).retry_after(PROBE_MAX), now);
        }
        if let Some(link) = self.downlink.links.get_mut(&site) {
            link.probing = Some(id);
        }
        self.downlink.set_stage(id, Stage::Probing { hello: Box::new(hello), site });
        self.timers.clear(FleetTimer::Late(id));
        self.timers.set(FleetTimer::ProbeLate(id), now.instant + PROBE_MAX);
        self.outputs.push_back(FleetOutput::Send { session: established, message: FromServer::Probe });
    }

    /// Handles the answer to a probe: the established session is alive, so the waiting one is a duplicate.
    pub(super) fn probe_answered(&mut self, site: SiteId, now: Now) {
        let Some(link) = self.downlink.links.get_mut(&site) else {
            return;
        };
        let Some(newcomer) = link.probing.take() else { return };
        let established = link.address.clone();
        self.timers.clear(FleetTimer::ProbeLate(newcomer));
        let address =
            self.downlink.sessions.get(&newcomer).map(|session| session.peer.address.clone()).unwrap_or_default();
        let detail = format!(
            "two machines have this site's identity: {established} is linked, {address} was refused; one is a copy of the other: join it again under a name of its own"
        );
        let is_new = self.raise_condition(site, ConditionKind::DuplicateIdentity, Text::lossy(&detail), now);
        self.timers.set(FleetTimer::DuplicateClears(site), now.instant + DUPLICATE_CLEARS_AFTER);
        if is_new {
            let note = (EventKind::DuplicateRefused, Some(site), detail);
            self.stage_noted(Vec::new(), note, Vec::new(), now);
        }
        let text = format!(
            "another machine, at {established}, is linked with this identity; if this one is a copy of its disk, remove its identity and join it under a name of its own"
        );
        self.refuse(newcomer, Refusal::new(RefusalCode::DuplicateIdentity, &text).retry_after(DUPLICATE_RETRY), now);
    }

    /// Handles an unanswered probe: the waiting session replaces the established one.
    pub(super) fn probe_unanswered(&mut self, newcomer: SessionId, now: Now) {
        let Some(session) = self.downlink.sessions.get(&newcomer) else {
            return;
        };
        let Stage::Probing { hello, site } = &session.stage else {
            return;
        };
        let (hello, site, session_key) = (hello.clone(), *site, session.peer.fingerprint);
        self.timers.clear(FleetTimer::ProbeLate(newcomer));
        let link = self.downlink.links.get_mut(&site);
        let established = link.and_then(|link| {
            link.probing = None;
            link.session
        });
        if let Some(established) = established {
            self.supersede(established, site, now);
        }
        // The site may have been removed while the session waited.
        match member(self.ledger.state(), session_key) {
            Ok(Some(_)) => self.welcome(newcomer, site, &hello, now),
            Ok(None) => self.refuse(newcomer, not_registered(), now),
            Err(refusal) => self.refuse_when_durable(newcomer, refusal, now),
        }
    }

    /// Refuses once pending writes are durable: a site that is told it was removed deletes its identity.
    fn refuse_when_durable(&mut self, id: SessionId, refusal: Refusal, now: Now) {
        if self.is_durable() {
            return self.refuse(id, refusal, now);
        }
        self.expect_leave(id, now);
        self.release_when_durable(vec![FleetOutput::Hangup { session: id, refusal }]);
    }

    fn supersede(&mut self, established: SessionId, site: SiteId, now: Now) {
        if let Some(link) = self.downlink.links.get_mut(&site) {
            link.session = None;
        }
        self.refuse(established, Refusal::new(RefusalCode::Superseded, "a newer session of this site took over"), now);
    }

    fn welcome(&mut self, id: SessionId, site: SiteId, hello: &Hello, now: Now) {
        let version = match self.common_version(hello.versions) {
            Ok(version) => version,
            Err(refusal) => return self.refuse(id, refusal, now),
        };
        let held = self.held_spec(site, hello);
        let facts = match self.is_pending(site) {
            true => LabelSet::default().replaced(&hello.facts, now.wall).unwrap_or_default(),
            false => LabelSet::default(),
        };
        let address = self.downlink.sessions.get(&id).map(|session| session.peer.address.clone()).unwrap_or_default();
        let stage = Stage::Up {
            site,
            run: hello.run,
            incarnation: hello.status_incarnation,
            spec: Source::new(held),
            renewed_at: None,
        };
        self.downlink.set_stage(id, stage);
        self.timers.clear(FleetTimer::Late(id));
        self.timers.clear(FleetTimer::Disconnect(site));
        let message = self.welcome_message(id, site, hello, (version, address.clone()), now);
        let mut outputs = vec![FleetOutput::Send { session: id, message }];
        if let Some(link) = self.downlink.links.get_mut(&site) {
            link.session = Some(id);
            link.probing = link.probing.filter(|waiting| *waiting != id);
            link.state = LinkState::Connected;
            link.since = now.wall;
            link.address = address;
            link.facts = facts;
            // Its spec follows the welcome, also if the welcome has to wait for the disk.
            link.specs_in_flight += 1;
            if link.probing.is_some() {
                outputs.push(FleetOutput::Send { session: id, message: FromServer::Probe });
            }
        }
        if self.is_offline(site) {
            let changes = self.offline_changes(site, None);
            let note = (EventKind::SiteReturned, Some(site), "linked again".to_owned());
            self.stage_noted(changes, note, Vec::new(), now);
        }
        self.release_when_durable(outputs);
        if self.ledger.in_flight() == 0 {
            self.spec_settled(site, now);
        } else {
            self.stage(Vec::new(), vec![Release::SpecDurable(site)]);
        }
    }

    fn welcome_message(
        &self,
        id: SessionId,
        site: SiteId,
        hello: &Hello,
        (version, observed_address): (u32, Text),
        now: Now,
    ) -> FromServer {
        let (status_held, events_held) = self.held_by(site, hello.status_incarnation, hello.run);
        FromServer::Welcome(Welcome {
            version,
            session: id,
            wall: now.wall,
            spec_incarnation: self.ledger.state().spec_incarnation(site),
            status_held,
            events_held,
            redial_spread: self.redial_spread(),
            observed_address,
            pending: self.is_pending(site),
        })
    }

    /// Returns the spec generation the site holds. A site that claims more than the server has (the server lost data,
    /// or the site lies) gets a spec incarnation of its own and a snapshot; the claimed number is never used.
    fn held_spec(&mut self, site: SiteId, hello: &Hello) -> Generation {
        let state = self.ledger.state();
        let is_ours = state.spec_incarnation(site) == hello.spec_incarnation;
        let Some(record) = state.sites.get(&site).filter(|_| is_ours) else {
            return Generation::ZERO;
        };
        if hello.spec_held <= record.spec.head() {
            return hello.spec_held;
        }
        // A pending site must not cause writes. It has not sent anything yet that belongs to an incarnation.
        if self.is_pending(site) {
            return Generation::ZERO;
        }
        let incarnation = Incarnation(self.rng.next_u64() | 1);
        let mut cursor =
            linecamp_model::ReplicationCursor { spec_incarnation: Some(incarnation), ..self.cursor_of(site) };
        if planted(Mutant::UncheckedClaim) {
            cursor.spec_floor = Generation(hello.spec_held.0 + 1);
        }
        self.stage(vec![FleetChange::ReplicationCursor(site, Some(cursor))], Vec::new());
        Generation::ZERO
    }

    /// Gives a session that has its answer time to close.
    fn expect_leave(&mut self, id: SessionId, now: Now) {
        self.downlink.set_stage(id, Stage::Closing);
        self.timers.set(FleetTimer::Late(id), now.instant + FIRST_MESSAGE_MAX);
    }

    fn common_version(&self, theirs: VersionRange) -> Result<u32, Refusal> {
        let ours = self.config.versions;
        ours.highest_common(theirs).ok_or_else(|| {
            let older = if theirs.max < ours.min { "the site's daemon" } else { "the server" };
            let text = format!("the server speaks protocol {ours}, the site {theirs}: upgrade {older}");
            Refusal::new(RefusalCode::NoCommonVersion, &text)
        })
    }

    fn raise_condition(&mut self, site: SiteId, kind: ConditionKind, detail: Text, now: Now) -> bool {
        let Some(link) = self.downlink.links.get_mut(&site) else {
            return false;
        };
        match link.conditions.iter_mut().find(|condition| condition.kind == kind) {
            Some(condition) => {
                condition.detail = detail;
                false
            }
            None => {
                link.conditions.push(Condition { kind, since: now.wall, detail });
                true
            }
        }
    }

    fn clear_condition(&mut self, site: SiteId, kind: ConditionKind) {
        if let Some(link) = self.downlink.links.get_mut(&site) {
            link.conditions.retain(|condition| condition.kind != kind);
        }
    }

    pub(super) fn duplicate_clears(&mut self, site: SiteId) {
        self.clear_condition(site, ConditionKind::DuplicateIdentity);
    }

    fn is_offline(&self, site: SiteId) -> bool {
        self.ledger.state().site(site).is_some_and(|(_, registration)| registration.offline_since.is_some())
    }
}

fn not_registered() -> Refusal {
    let text = "no site with this key is registered here; join it with a token of this server";
    Refusal::new(RefusalCode::NotRegistered, text).retry_after(DUPLICATE_RETRY)
}
