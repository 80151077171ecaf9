//! An established session: spec down, status and events up, and what they mean for a site's life.

use linecamp_model::{
    DocumentKey, EventBatch, EventKind, FleetChange, FromServer, Generation, History, Mark, Now, Phase, PhaseEvent,
    Refusal, RefusalCode, RunId, SessionId, SiteId, StatusDelta,
};

use super::config::RESEND_AFTER;
use super::operator::{Decision, life_changes};
use super::subject::Subject;
use super::{Fleet, FleetOutput, FleetTimer, Release};
use crate::sync::{Verdict, judge};

impl Fleet {
    /// Sends a linked site what it lacks, once all of it is durable.
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
        if source.handle_ack(held) {
            self.pump(site);
        } else {
            // It could not keep what it was sent. At once would be a loop.
            self.timers.set(FleetTimer::Resend(id), now.instant + RESEND_AFTER);
        }
    }

    pub(super) fn resend(&mut self, id: SessionId) {
        if let Some((site, _)) = self.downlink.up(id) {
            self.pump(site);
        }
    }

    pub(super) fn handle_status(&mut self, id: SessionId, delta: StatusDelta, now: Now) {
        let Some((site, _)) = self.downlink.up(id) else { return };
        let may_speak_of = |key: &DocumentKey| match key {
            DocumentKey::Site | DocumentKey::Provider(_) => true,
            DocumentKey::Host(host) => *host == site.gateway(),
        };
        if !delta.documents.keys().all(may_speak_of) {
            let text = "status of a host that is not this site's";
            return self.refuse(id, Refusal::new(RefusalCode::Protocol, text), now);
        }
        let (held, _) = self.held_of(id);
        let Some(record) = self.ledger.state().sites.get(&site) else {
            return;
        };
        let mut after = record.status.clone();
        let is_snapshot = delta.snapshot;
        // What another run wrote is no base for this one.
        let verdict = match is_snapshot || held == after.head() {
            true => judge(&record.status, delta),
            false => Verdict::Acknowledge,
        };
        let Verdict::Adopt(documents) = verdict else {
            let message = FromServer::StatusAck(held);
            return self.release_when_durable(vec![FleetOutput::Send { session: id, message }]);
        };
        let mut changes = Vec::with_capacity(documents.len());
        for (key, document) in documents {
            after.set(key, document.clone());
            changes.push(FleetChange::Status(site, key, document));
        }
        if let (true, Some((history, run))) = (is_snapshot, self.downlink.writer(id)) {
            let after = Mark { status_run: Some(run), ..self.mark_under(site, history) };
            changes.extend((after != self.mark_of(site)).then_some(FleetChange::Mark(site, Some(after))));
        }
        let message = FromServer::StatusAck(after.head());
        self.stage(changes, vec![Release::Output(FleetOutput::Send { session: id, message })]);
        self.confirm(site, now);
    }

    /// Tells a session what is held of its status, after a commit that failed.
    pub(super) fn acknowledge_status(&mut self, id: SessionId) {
        let (status, events) = self.held_of(id);
        let send = |message| FleetOutput::Send { session: id, message };
        self.release_when_durable(vec![send(FromServer::StatusAck(status)), send(FromServer::EventsAck(events))]);
    }

    /// Returns what is held of what a session's daemon has written: its status, and the number of its last event.
    fn held_of(&mut self, id: SessionId) -> (Generation, u64) {
        match (self.downlink.up(id).map(|(site, _)| site), self.downlink.writer(id)) {
            (Some(site), Some((history, run))) => self.held_by(site, history, run),
            _ => (Generation::ZERO, 0),
        }
    }

    /// Returns how far a history of a site was followed: not at all, if it was another one.
    fn mark_under(&self, site: SiteId, history: History) -> Mark {
        let mark = self.mark_of(site);
        if mark.status_history == history { mark } else { Mark { status_history: history, ..Mark::default() } }
    }

    /// Returns what is held of what a daemon has written. The status of another run counts as nothing: it may be
    /// that of a copied or restored disk, under the same generations.
    pub(super) fn held_by(&self, site: SiteId, history: History, run: RunId) -> (Generation, u64) {
        let mark = self.mark_under(site, history);
        let head = self.ledger.state().sites.get(&site).map(|record| record.status.head()).unwrap_or_default();
        (if mark.status_run == Some(run) { head } else { Generation::ZERO }, mark.events_held)
    }

    pub(super) fn handle_events(&mut self, id: SessionId, batch: EventBatch) {
        let Some((site, _)) = self.downlink.up(id) else { return };
        let Some((history, _)) = self.downlink.writer(id) else { return };
        let mark = self.mark_under(site, history);
        let last = batch.first.saturating_add(batch.events.len() as u64).saturating_sub(1);
        let fresh = (batch.first..=last).zip(batch.events).filter(|(seq, _)| mark.events_held < *seq);
        let fresh: Vec<_> = fresh.map(|(_, event)| linecamp_model::Event { site: Some(site), ..event }).collect();
        for event in fresh {
            let changes = self.ledger.state().event_changes(event);
            self.stage(changes, Vec::new());
        }
        let held = mark.events_held.max(last);
        let after = Mark { events_held: held, events_dropped: batch.dropped, ..mark };
        let release = Release::Output(FleetOutput::Send { session: id, message: FromServer::EventsAck(held) });
        let changes = if after == self.mark_of(site) { Vec::new() } else { vec![FleetChange::Mark(site, Some(after))] };
        self.stage(changes, vec![release]);
    }

    /// Moves a site and its gateway on where the site has reported or confirmed what they were asked.
    pub(super) fn confirm(&mut self, site: SiteId, now: Now) {
        for subject in [Subject::Site, Subject::Gateway] {
            let Some((record, registration)) = self.ledger.state().site(site) else {
                return;
            };
            let life = subject.life(registration);
            let has_reported = record.status.body(DocumentKey::Site).is_some();
            let has_applied = life.asked_at <= record.applied();
            let has_converged = life.asked_at <= record.converged();
            let event = match life.phase {
                Phase::Registering if has_reported => PhaseEvent::Reported,
                // A name server that is away keeps nobody in service or out of it; who leaves takes his records along.
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
