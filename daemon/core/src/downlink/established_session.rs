//! An established session: spec down, and status, events and storage reports up.

use linecamp_model::{
    Condition, EventBatch, FromParent, Generation, MemberId, Now, Refusal, RefusalCode, SessionId, StatusDelta,
};

use super::Downlink;
use super::config::RESEND_AFTER;
use super::link::Link;
use super::members::Members;
use super::output::{DownlinkTimer, Held, Output, Release, Write};
use super::replication::{StatusStep, check_events, held_by, receive_events, receive_status};
use super::sessions::CollectedStatus;
use crate::document_sync::Ack;

/// Calls of the owner.
impl Downlink {
    /// Counts a write to a member's spec that is not durable yet. Until [`spec_settled`](Self::spec_settled), the
    /// member is sent no spec.
    pub(crate) fn spec_staged(&mut self, member: MemberId) {
        if let Some(link) = self.links.get_mut(member) {
            link.spec_staged();
        }
    }

    /// Counts a write to a member's spec that the store has answered.
    pub(crate) fn spec_settled(&mut self, member: MemberId) {
        if let Some(link) = self.links.get_mut(member) {
            link.spec_settled();
        }
    }

    /// Sends a connected member the spec it lacks, once all of it is durable.
    pub(crate) fn send_spec(&mut self, member: MemberId, members: &dyn Members) {
        let Some(session) = self.links.get(member).and_then(Link::spec_reader) else { return };
        let Some(spec) = members.spec(member) else { return };
        let Some(up) = self.sessions.up_mut(session) else { return };
        for part in up.spec.poll(&spec) {
            self.output(Output::Send { session, message: FromParent::Spec(part) });
        }
    }
}

/// What the server tells all members.
impl Downlink {
    /// Tells all connected members the server's addresses, each after its welcome, which may wait for the disk.
    pub(crate) fn send_servers(&mut self, members: &dyn Members) {
        let Some(servers) = members.servers() else { return };
        self.send_to_all(&FromParent::Servers(servers.clone()));
    }

    /// Tells all connected members the server's authorities, each after its welcome.
    pub(crate) fn send_authorities(&mut self, members: &dyn Members) {
        let Some(set) = members.authorities() else { return };
        self.send_to_all(&FromParent::Authorities(set.clone()));
    }

    fn send_to_all(&mut self, message: &FromParent) {
        let send = |session| Release::Send { session, message: message.clone() };
        let releases: Vec<_> = self.links.sessions().map(send).collect();
        self.outputs.push(Output::WhenDurable(releases));
    }

    /// Handles a member's report that it has stored this set of server addresses.
    pub(super) fn handle_servers_stored(&mut self, member: MemberId, number: u64) {
        if let Some(link) = self.links.get_mut(member) {
            link.set_servers_stored(number);
        }
    }
}

impl Downlink {
    pub(super) fn handle_spec_ack(&mut self, id: SessionId, held: Generation, members: &dyn Members, now: Now) {
        let Some(up) = self.sessions.up_mut(id) else { return };
        let member = up.member;
        match up.spec.handle_ack(held) {
            Ack::More => self.send_spec(member, members),
            // The member could not persist the delta. Re-sending at once would loop.
            Ack::NotMore => self.timers.set(DownlinkTimer::Resend(id), now.instant + RESEND_AFTER),
            Ack::NeverSent => {
                let text = format!("the {} acknowledged spec generation {held}, which was never sent", member.kind());
                self.refuse(id, Refusal::new(RefusalCode::Protocol, &text), members, now);
            }
        }
    }

    pub(super) fn resend(&mut self, id: SessionId, members: &dyn Members) {
        if let Some(member) = self.sessions.member(id) {
            self.send_spec(member, members);
        }
    }

    pub(super) fn handle_status(&mut self, id: SessionId, part: StatusDelta, members: &dyn Members, now: Now) {
        let Some((member, writer)) = self.sessions.up(id).map(|up| (up.member, up.writer)) else { return };
        let delta = match self.sessions.collect_status(id, part) {
            Ok(CollectedStatus::Complete(delta)) => delta,
            Ok(CollectedStatus::Incomplete) => return,
            Ok(CollectedStatus::Ignored) => {
                self.ignored += 1;
                return;
            }
            Err(error) => return self.refuse(id, error.into(), members, now),
        };
        let Some(records) = members.member(member) else { return };
        match receive_status((member, records), writer, delta, members) {
            Ok(StatusStep::Acknowledge(held)) => self.acknowledge_when_durable(id, Held::Status(held)),
            Ok(StatusStep::Adopt(changes, held)) => {
                let releases = vec![Release::Acknowledge { session: id, held: Held::Status(held) }];
                self.output(Output::Stage(Write { releases, ..Write::new(member, changes) }));
                self.output(Output::StatusChanged(member));
            }
            Err(refusal) => self.refuse(id, refusal, members, now),
        }
    }

    pub(super) fn handle_events(&mut self, id: SessionId, batch: EventBatch, members: &dyn Members, now: Now) {
        let Some((member, writer)) = self.sessions.up(id).map(|up| (up.member, up.writer)) else { return };
        let last = match check_events(&batch) {
            Ok(last) => last,
            Err(refusal) => return self.refuse(id, refusal, members, now),
        };
        if !self.sessions.begin_events(id) {
            self.ignored += 1;
            return;
        }
        let cursor = members.member(member).map(|records| records.cursor).unwrap_or_default();
        let step = receive_events(cursor, writer.0, batch, last);
        let releases = vec![Release::Acknowledge { session: id, held: Held::Events(step.held) }];
        self.output(Output::Stage(Write { events: step.fresh, releases, ..Write::new(member, step.changes) }));
    }

    pub(super) fn handle_storage(&mut self, member: MemberId, report: Vec<Condition>, now: Now) {
        let Some(link) = self.links.get_mut(member) else { return };
        let events = link.conditions.report_storage(report, now.wall);
        if !events.is_empty() {
            // Reported by the member, so they count as its events.
            self.output(Output::Stage(Write { events, ..Write::new(member, Vec::new()) }));
        }
    }

    /// Returns what is held from a session's daemon: the status generation and the last event number.
    pub(super) fn held_of(&self, id: SessionId, members: &dyn Members) -> (Generation, u64) {
        match self.sessions.up(id) {
            Some(up) => held_by(members.member(up.member), up.writer),
            None => (Generation::ZERO, 0),
        }
    }
}
