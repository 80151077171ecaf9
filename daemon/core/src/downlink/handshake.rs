//! The first message of a session: a join or a hello, and the arbitration between two sessions of one member.

use linecamp_model::{
    ConditionKind, EventKind, FromParent, Generation, Hello, Incarnation, JoinRequest, LabelSet, LinkState, MemberId,
    Now, Parent, Refusal, RefusalCode, ReplicationCursor, SessionId, Text, VersionRange, Welcome,
};

use super::Downlink;
use super::admission::is_pending;
use super::config::{DUPLICATE_CLEARS_AFTER, DUPLICATE_RETRY, FIRST_MESSAGE_MAX, PROBE_MAX};
use super::link::Link;
use super::link_history::{Absence, record_gaps};
use super::members::{MemberChange, Members};
use super::output::{Credential, DownlinkTimer, Output, Release, SpecClaim, Write};
use super::replication::held_by;
use super::sessions::{Stage, Up};
use crate::document_sync::Source;

impl Downlink {
    /// Handles a join: the owner decides it.
    pub(super) fn join(&mut self, id: SessionId, request: JoinRequest, members: &dyn Members, now: Now) {
        let Some(key) = self.sessions.peer(id).map(|peer| peer.fingerprint) else { return };
        let unavailable = members.unavailable(&key);
        if unavailable.is_some() {
            self.report_refused(id, None);
        }
        let refusal = unavailable.or_else(|| self.common_version(request.versions).err());
        self.expect_close(id, now);
        match refusal {
            Some(refusal) => self.refuse(id, refusal, members, now),
            None => self.output(Output::Join { session: id, key, request }),
        }
    }

    pub(super) fn greet(&mut self, id: SessionId, hello: Hello, members: &dyn Members, now: Now) {
        let Some(peer) = self.sessions.peer(id) else { return };
        let (key, credential) = (peer.fingerprint, peer.credential);
        if let Some(refusal) = members.unavailable(&key) {
            self.report_refused(id, Some(&hello));
            return self.refuse(id, refusal, members, now);
        }
        match self.common_version(hello.versions).and_then(|_| members.registered(&key)) {
            Ok(Some(member)) if credential == Credential::Issued => self.admit(id, member, hello, members, now),
            Ok(Some(member)) => {
                self.expect_close(id, now);
                self.output(Output::Recover { session: id, member });
            }
            Ok(None) => {
                if credential == Credential::Issued {
                    self.report_refused(id, Some(&hello));
                }
                self.refuse(id, not_registered(self.parent), members, now);
            }
            Err(refusal) => self.refuse_when_durable(id, refusal, members, now),
        }
    }

    /// Tells the owner who was refused, and what it says about its spec.
    fn report_refused(&mut self, id: SessionId, hello: Option<&Hello>) {
        let Some(peer) = self.sessions.peer(id) else { return };
        let (key, address) = (peer.fingerprint, peer.address.clone());
        let claim = hello.map(|hello| SpecClaim {
            incarnation: hello.spec_incarnation,
            generation: hello.spec_held,
            target: hello.target,
        });
        self.output(Output::Refused { key, address, claim });
    }

    /// Handles a request for another certificate. Requests more frequent than
    /// [`RENEW_INTERVAL_MIN`](super::config::RENEW_INTERVAL_MIN) are ignored.
    pub(super) fn renew(&mut self, id: SessionId, member: MemberId, members: &dyn Members, now: Now) {
        if !self.sessions.may_renew(id, now.instant) {
            self.ignored += 1;
            return;
        }
        let Some(peer) = self.sessions.peer(id) else { return };
        if members.registered(&peer.fingerprint) == Ok(Some(member)) {
            self.output(Output::Issue { session: id, member });
        }
    }

    /// Admits a registered member, unless another machine is connected with its identity.
    fn admit(&mut self, id: SessionId, member: MemberId, hello: Hello, members: &dyn Members, now: Now) {
        let Some(link) = self.links.get_mut(member) else {
            self.links.insert(member, Link::new(LinkState::Reconnecting, now.wall, Text::default()));
            return self.welcome(id, member, &hello, members, now);
        };
        let Some(established) = link.session() else { return self.welcome(id, member, &hello, members, now) };
        if self.sessions.up(established).map(|up| up.writer.1) == Some(hello.run) {
            self.supersede(established, member, members, now);
            return self.welcome(id, member, &hello, members, now);
        }
        if link.probing().is_some() {
            let (parent, noun) = (self.parent, member.kind());
            let text = format!(
                "the {parent} is checking whether another session of this {noun} is alive; retry in a few seconds"
            );
            let refusal = Refusal::new(RefusalCode::Busy, &text).retry_after(PROBE_MAX);
            return self.refuse(id, refusal, members, now);
        }
        link.begin_probe(id);
        self.sessions.set_stage(id, Stage::Probing { hello: Box::new(hello), member });
        self.timers.clear(DownlinkTimer::Late(id));
        self.timers.set(DownlinkTimer::ProbeLate(id), now.instant + PROBE_MAX);
        self.output(Output::Send { session: established, message: FromParent::Probe });
    }

    /// Handles the answer to a probe: the established session is alive, so the waiting one is a duplicate.
    pub(super) fn probe_answered(&mut self, member: MemberId, members: &dyn Members, now: Now) {
        let Some(link) = self.links.get_mut(member) else { return };
        let Some(newcomer) = link.end_probe() else { return };
        self.timers.clear(DownlinkTimer::ProbeLate(newcomer));
        let (established, address, noun) = (link.address(), self.sessions.address(newcomer), member.kind());
        let detail = format!(
            "two machines have this {noun}'s identity: {established} is linked, {address} was refused; one is a copy of the other: join it again under a name of its own"
        );
        let text = format!(
            "another machine, at {established}, is connected with this identity; if this machine is a copy of its disk, run `linecampd forget` here and join it with a name of its own"
        );
        let is_new = link.conditions.raise(ConditionKind::DuplicateIdentity, Text::lossy(&detail), now.wall);
        self.timers.set(DownlinkTimer::DuplicateClears(member), now.instant + DUPLICATE_CLEARS_AFTER);
        if is_new {
            let note = Some((EventKind::DuplicateRefused, detail));
            self.output(Output::Stage(Write { note, ..Write::new(member, Vec::new()) }));
        }
        let refusal = Refusal::new(RefusalCode::DuplicateIdentity, &text).retry_after(DUPLICATE_RETRY);
        self.refuse(newcomer, refusal, members, now);
    }

    /// Handles an unanswered probe: the waiting session replaces the established one.
    pub(super) fn probe_unanswered(&mut self, newcomer: SessionId, members: &dyn Members, now: Now) {
        let Some(Stage::Probing { hello, member }) = self.sessions.stage(newcomer) else { return };
        let (hello, member) = (hello.clone(), *member);
        let key = self.sessions.peer(newcomer).map(|peer| peer.fingerprint);
        self.timers.clear(DownlinkTimer::ProbeLate(newcomer));
        let established = self.links.get_mut(member).and_then(|link| {
            link.end_probe();
            link.session()
        });
        if let Some(established) = established {
            self.supersede(established, member, members, now);
        }
        // The member may have been removed while the session waited.
        match key.map_or(Ok(None), |key| members.registered(&key)) {
            Ok(Some(_)) => self.welcome(newcomer, member, &hello, members, now),
            Ok(None) => self.refuse(newcomer, not_registered(self.parent), members, now),
            Err(refusal) => self.refuse_when_durable(newcomer, refusal, members, now),
        }
    }

    /// Refuses once pending writes are durable: a member that is told it was removed deletes its identity.
    fn refuse_when_durable(&mut self, id: SessionId, refusal: Refusal, members: &dyn Members, now: Now) {
        if members.is_durable() {
            return self.refuse(id, refusal, members, now);
        }
        self.expect_close(id, now);
        self.output(Output::WhenDurable(vec![Release::Refuse { session: id, refusal }]));
    }

    fn supersede(&mut self, established: SessionId, member: MemberId, members: &dyn Members, now: Now) {
        if let Some(link) = self.links.get_mut(member) {
            link.supersede(now.wall);
        }
        let text = format!("a newer session of this {} took over", member.kind());
        let refusal = Refusal::new(RefusalCode::Superseded, &text);
        self.refuse(established, refusal, members, now);
    }

    fn welcome(&mut self, id: SessionId, member: MemberId, hello: &Hello, members: &dyn Members, now: Now) {
        let version = match self.common_version(hello.versions) {
            Ok(version) => version,
            Err(refusal) => return self.refuse(id, refusal, members, now),
        };
        let (held, spec_incarnation) = self.held_spec(member, hello, members);
        let (pending, address) = (is_pending(members, member), self.sessions.address(id));
        let facts = match pending {
            true => LabelSet::default().replaced(&hello.facts, now.wall).unwrap_or_default(),
            false => LabelSet::default(),
        };
        let writer = (hello.status_incarnation, hello.run);
        let up = Up::new(member, writer, Source::new(held));
        self.sessions.set_stage(id, Stage::Up(up));
        self.timers.clear(DownlinkTimer::Late(id));
        self.timers.clear(DownlinkTimer::Disconnect(member));
        let records = members.member(member);
        let (status_held, events_held) = held_by(records, writer);
        let welcome = FromParent::Welcome(Welcome {
            version,
            session: id,
            wall: now.wall,
            spec_incarnation,
            status_held,
            events_held,
            redial_spread: self.redial_spread(),
            observed_address: address.clone(),
            pending,
            gaps_stored: !pending,
        });
        let mut releases = vec![Release::Send { session: id, message: welcome }];
        if let Some(servers) = members.servers() {
            releases.push(Release::Send { session: id, message: FromParent::Servers(servers.clone()) });
        }
        let gaps = self.gaps_at_return(member, hello, members, now);
        if let Some(set) = members.authorities() {
            releases.push(Release::Send { session: id, message: FromParent::Authorities(set.clone()) });
        }
        if let Some(link) = self.links.get_mut(member) {
            link.connect(id, address, facts, now.wall);
            // Its spec follows the welcome, also if the welcome has to wait for the disk.
            link.spec_staged();
            if link.probing().is_some() {
                releases.push(Release::Send { session: id, message: FromParent::Probe });
            }
        }
        if records.is_some_and(|records| records.offline_since.is_some()) {
            let note = Some((EventKind::SiteReturned, "linked again".to_owned()));
            let changes = [MemberChange::OfflineSince(None)].into_iter().chain(gaps).collect();
            self.output(Output::Stage(Write { note, ..Write::new(member, changes) }));
        } else if !gaps.is_empty() {
            self.output(Output::Stage(Write::new(member, gaps)));
        }
        self.output(Output::WhenDurable(releases));
        self.output(Output::WhenSpecDurable(member));
    }

    /// Returns the changes that record why a member was away. A pending member must not cause writes, and before its
    /// first status it had no session to lose.
    fn gaps_at_return(&self, id: MemberId, hello: &Hello, members: &dyn Members, now: Now) -> Vec<MemberChange> {
        let Some(member) = members.member(id).filter(|member| member.cursor != ReplicationCursor::default()) else {
            return Vec::new();
        };
        if is_pending(members, id) {
            return Vec::new();
        }
        let server_started = now.wall.saturating_sub(now.instant.saturating_since(self.started.instant));
        // A record of this run may say no more than when the server began to wait for the member.
        let has_report = hello.gaps.iter().any(|gap| gap.ended_at.is_none());
        let recorded = member.offline_since.filter(|since| *since < server_started || !has_report);
        let lost_at = self.links.get(id).and_then(Link::lost_at).or(recorded);
        record_gaps(member, hello, Absence { lost_at, server_started, now: now.wall })
    }

    /// Returns the spec generation the member holds, and the incarnation of its spec. A member that claims more than
    /// the server has (the server lost data, or the member lies) gets a spec incarnation of its own and a snapshot; the
    /// claimed number is never used.
    fn held_spec(&mut self, id: MemberId, hello: &Hello, members: &dyn Members) -> (Generation, Incarnation) {
        let Some(member) = members.member(id) else { return (Generation::ZERO, Incarnation::default()) };
        let ours = member.spec_incarnation;
        if ours != hello.spec_incarnation {
            return (Generation::ZERO, ours);
        }
        if hello.spec_held <= members.spec(id).map(|spec| spec.head()).unwrap_or_default() {
            return (hello.spec_held, ours);
        }
        // A pending member must not cause writes. It has not sent anything yet that belongs to an incarnation.
        if is_pending(members, id) {
            return (Generation::ZERO, ours);
        }
        let incarnation = Incarnation(self.rng.next_u64() | 1);
        let cursor = ReplicationCursor { spec_incarnation: Some(incarnation), ..member.cursor };
        self.output(Output::Stage(Write::new(id, vec![MemberChange::Cursor(cursor)])));
        (Generation::ZERO, incarnation)
    }

    /// Gives a session that has its answer time to close.
    fn expect_close(&mut self, id: SessionId, now: Now) {
        self.sessions.set_stage(id, Stage::Closing);
        self.timers.set(DownlinkTimer::Late(id), now.instant + FIRST_MESSAGE_MAX);
    }

    fn common_version(&self, theirs: VersionRange) -> Result<u32, Refusal> {
        let ours = self.versions;
        ours.highest_common(theirs).ok_or_else(|| {
            let parent = self.parent.as_str();
            let older = if theirs.max < ours.min { "daemon" } else { parent };
            let text = format!("the {parent} speaks protocol {ours}, the daemon {theirs}: upgrade the {older}");
            Refusal::new(RefusalCode::NoCommonVersion, &text)
        })
    }
}

fn not_registered(parent: Parent) -> Refusal {
    let text = format!("no machine with this key is registered here; join it with a token of this {parent}");
    Refusal::new(RefusalCode::NotRegistered, &text).retry_after(DUPLICATE_RETRY)
}
