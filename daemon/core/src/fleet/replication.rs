//! An established session: spec down, status and events up, and the phase transitions that follow from them.

use linecamp_model::{
    DocumentKey, EventBatch, EventKind, FleetChange, FromServer, Generation, Incarnation, Now, Phase, PhaseEvent,
    Refusal, RefusalCode, ReplicationCursor, RunId, SessionId, SiteId, StatusDelta,
};

use super::config::RESEND_AFTER;
use super::downlink::Waits;
use super::members::{check_speaker, check_status};
use super::operator::{Decision, life_changes};
use super::subject::Subject;
use super::{Fleet, FleetOutput, FleetTimer, Release};
use crate::sync::{Ack, Verdict, judge};

impl Fleet {
    /// Sends a connected site what it lacks, once all of it is durable.
    pub(super) fn pump(&mut self, site: SiteId) {
        let Some(link) = self.downlink.links.get(&site).filter(|link| link.specs_in_flight == 0) else {
            return;
        };
        let Some(session) = link.session else { return };
        let Some(record) = self.ledger.state().sites.get(&site) else {
            return;
        };
        let Some((_, source)) = self.downlink.up(session) else {
            return;
        };
        if let Some(delta) = source.poll(&record.spec) {
            self.outputs.push_back(FleetOutput::Send { session, message: FromServer::Spec(delta) });
        }
    }

    pub(super) fn handle_spec_ack(&mut self, id: SessionId, held: Generation, now: Now) {
        let Some((site, source)) = self.downlink.up(id) else {
            return;
        };
        match source.handle_ack(held) {
            Ack::More => self.pump(site),
            // The site could not persist the delta. Re-sending at once would loop.
            Ack::NotMore => self.timers.set(FleetTimer::Resend(id), now.instant + RESEND_AFTER),
            Ack::NeverSent => {
                let text = format!("the site acknowledged spec {held}, which it was never sent");
                self.refuse(id, Refusal::new(RefusalCode::Protocol, &text), now);
            }
        }
    }

    pub(super) fn resend(&mut self, id: SessionId) {
        if let Some((site, _)) = self.downlink.up(id) {
            self.pump(site);
        }
    }

    pub(super) fn handle_status(&mut self, id: SessionId, delta: StatusDelta, now: Now) {
        let Some((site, _)) = self.downlink.up(id) else { return };
        if let Err(refusal) = check_speaker(site, &delta) {
            return self.refuse(id, refusal, now);
        }
        if self.is_under_way(id, |waits| &mut waits.status) {
            self.ignored += 1;
            return;
        }
        let (held, _) = self.held_of(id);
        let Some(record) = self.ledger.state().sites.get(&site) else {
            return;
        };
        let mut after = record.status.clone();
        let is_snapshot = delta.snapshot;
        // Documents written by another run are no valid base.
        let verdict = match is_snapshot || held == after.head() {
            true => judge(&record.status, delta),
            false => Verdict::Acknowledge,
        };
        let Verdict::Adopt(documents) = verdict else {
            return self.acknowledge_when_durable(id, FromServer::StatusAck(held), now);
        };
        let mut changes = Vec::with_capacity(documents.len());
        for (key, document) in documents {
            after.set(key, document.clone());
            changes.push(FleetChange::Status(site, key, document));
        }
        if let Err(refusal) = check_status(&after) {
            return self.refuse(id, refusal, now);
        }
        if let (true, Some((incarnation, run))) = (is_snapshot, self.downlink.writer(id)) {
            let after = ReplicationCursor { status_run: Some(run), ..self.cursor_under(site, incarnation) };
            changes
                .extend((after != self.cursor_of(site)).then_some(FleetChange::ReplicationCursor(site, Some(after))));
        }
        let message = FromServer::StatusAck(after.head());
        self.stage(changes, vec![Release::Output(FleetOutput::Send { session: id, message })]);
        self.confirm(site, now);
    }

    /// Acknowledges the status and events held: after a failed commit, or when the rate limit allows.
    pub(super) fn acknowledge_held(&mut self, id: SessionId, now: Now) {
        let (status, events) = self.held_of(id);
        self.acknowledge_when_durable(id, FromServer::StatusAck(status), now);
        self.acknowledge_when_durable(id, FromServer::EventsAck(events), now);
    }

    fn acknowledge_when_durable(&mut self, id: SessionId, message: FromServer, now: Now) {
        if self.is_durable() {
            return self.acknowledge(id, message, now);
        }
        self.stage(Vec::new(), vec![Release::Output(FleetOutput::Send { session: id, message })]);
    }

    /// Whether a message of this kind is already in flight from a site. If not, marks it so.
    fn is_under_way(&mut self, id: SessionId, of: fn(&mut Waits) -> &mut bool) -> bool {
        let session = self.downlink.sessions.get_mut(&id);
        session.is_none_or(|session| std::mem::replace(of(&mut session.waits), true))
    }

    /// Returns what is held from a session's daemon: the status generation and the last event number.
    fn held_of(&mut self, id: SessionId) -> (Generation, u64) {
        match (self.downlink.up(id).map(|(site, _)| site), self.downlink.writer(id)) {
            (Some(site), Some((incarnation, run))) => self.held_by(site, incarnation, run),
            _ => (Generation::ZERO, 0),
        }
    }

    /// Returns the replication cursor for an incarnation of a site; an empty one if the site had another incarnation.
    fn cursor_under(&self, site: SiteId, incarnation: Incarnation) -> ReplicationCursor {
        let cursor = self.cursor_of(site);
        match cursor.status_incarnation == incarnation {
            true => cursor,
            false => ReplicationCursor {
                status_incarnation: incarnation,
                status_run: None,
                events_held: 0,
                events_dropped: 0,
                ..cursor
            },
        }
    }

    /// Returns what is held from a daemon run. The status of another run does not count: it may come from a cloned or
    /// restored disk and reuse the same generations.
    pub(super) fn held_by(&self, site: SiteId, incarnation: Incarnation, run: RunId) -> (Generation, u64) {
        let cursor = self.cursor_under(site, incarnation);
        let head = self.ledger.state().sites.get(&site).map(|record| record.status.head()).unwrap_or_default();
        (if cursor.status_run == Some(run) { head } else { Generation::ZERO }, cursor.events_held)
    }

    pub(super) fn handle_events(&mut self, id: SessionId, batch: EventBatch, now: Now) {
        let Some((site, _)) = self.downlink.up(id) else { return };
        let Some((incarnation, _)) = self.downlink.writer(id) else { return };
        let last = match check_events(&batch) {
            Ok(last) => last,
            Err(refusal) => return self.refuse(id, refusal, now),
        };
        if self.is_under_way(id, |waits| &mut waits.events) {
            self.ignored += 1;
            return;
        }
        let cursor = self.cursor_under(site, incarnation);
        let fresh = (batch.first..=last).zip(batch.events).filter(|(seq, _)| cursor.events_held < *seq);
        let fresh: Vec<_> = fresh.map(|(_, event)| event).collect();
        let mut changes = self.ledger.state().site_event_changes(site, fresh, now);
        let held = cursor.events_held.max(last);
        let after = ReplicationCursor { events_held: held, events_dropped: batch.dropped, ..cursor };
        let release = Release::Output(FleetOutput::Send { session: id, message: FromServer::EventsAck(held) });
        changes.extend((after != self.cursor_of(site)).then_some(FleetChange::ReplicationCursor(site, Some(after))));
        self.stage(changes, vec![release]);
    }

    /// Advances a site and its gateway to the next phase if the site reported or confirmed what was requested.
    pub(super) fn confirm(&mut self, site: SiteId, now: Now) {
        for subject in [Subject::Site, Subject::Gateway] {
            let Some((record, registration)) = self.ledger.state().site(site) else {
                return;
            };
            let life = subject.life(registration);
            let has_reported = record.status.body(DocumentKey::Site).is_some();
            let incarnation = self.ledger.state().spec_incarnation(site);
            let has_applied = life.requested_at <= record.applied(incarnation);
            let has_converged = life.requested_at <= record.converged(incarnation);
            let event = match life.phase {
                Phase::Registering if has_reported => PhaseEvent::Reported,
                // An unreachable name server does not block activation or deactivation; a site being removed withdraws
                // its records.
                Phase::Deactivating | Phase::Activating if has_applied => PhaseEvent::Confirmed,
                Phase::Removing if has_converged => PhaseEvent::Confirmed,
                _ => continue,
            };
            let left = if life.phase == Phase::Removing { record.records_left() } else { Vec::new() };
            let Some(phase) = life.phase.after(event) else { continue };
            let life = linecamp_model::Life { phase, since: now.wall, ..life };
            let changes = life_changes(site, registration, subject, life, now);
            let text = format!("{} is {phase}", subject.as_str());
            let event = Some((EventKind::PhaseChanged, Some(site), text));
            self.carry_out(Decision { changes, event, site: Some(site) }, Vec::new(), now);
            if subject == Subject::Site {
                self.name_left(site, &left, now);
            }
        }
    }
}

/// Checks an event batch and returns the number of its last event.
fn check_events(batch: &EventBatch) -> Result<u64, Refusal> {
    if let Some(event) = batch.events.iter().find(|event| !event.kind.is_a_sites()) {
        let text = format!("an event {}, which only the server says", event.kind);
        return Err(Refusal::new(RefusalCode::Protocol, &text));
    }
    let text = format!("event number {} leaves no numbers for the events, which count from 1", batch.first);
    batch.last().ok_or_else(|| Refusal::new(RefusalCode::Protocol, &text))
}
