//! An established session: spec down, status and events up, and what they mean for a site's life.

use linecamp_model::{
    DocumentKey, EventBatch, FleetChange, FromServer, Generation, Mark, Now, Phase, PhaseEvent, Refusal, RefusalCode,
    SessionId, SiteId, StatusDelta,
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
        let may_speak_of = [DocumentKey::Site, DocumentKey::Host(site.gateway())];
        if delta.documents.keys().any(|key| !may_speak_of.contains(key)) {
            let text = "status of a host that is not this site's";
            return self.refuse(id, Refusal::new(RefusalCode::Protocol, text), now);
        }
        let Some(record) = self.ledger.state().sites.get(&site) else {
            return;
        };
        let mut after = record.status.clone();
        let is_snapshot = delta.snapshot;
        let Verdict::Adopt(documents) = judge(&record.status, delta) else {
            let held = after.head();
            let message = FromServer::StatusAck(held);
            return self.release_when_durable(vec![FleetOutput::Send { session: id, message }]);
        };
        let mut changes = Vec::with_capacity(documents.len());
        for (key, document) in documents {
            after.set(key, document.clone());
            changes.push(FleetChange::Status(site, key, document));
        }
        if let (true, Some((history, run))) = (is_snapshot, self.downlink.writer(id)) {
            let mark = self.mark_of(site);
            let base = if mark.status_history == history { mark } else { Mark::default() };
            let after = Mark { status_history: history, status_run: Some(run), ..base };
            changes.extend((after != mark).then_some(FleetChange::Mark(site, Some(after))));
        }
        let message = FromServer::StatusAck(after.head());
        self.stage(changes, vec![Release::Output(FleetOutput::Send { session: id, message })]);
        self.confirm(site, now);
    }

    /// Tells a session what is held of its status, after a commit that failed.
    pub(super) fn acknowledge_status(&mut self, id: SessionId) {
        let Some((site, _)) = self.downlink.up(id) else { return };
        let head = self.ledger.state().sites.get(&site).map(|record| record.status.head()).unwrap_or_default();
        let held = self.mark_of(site).events_held;
        let send = |message| FleetOutput::Send { session: id, message };
        self.release_when_durable(vec![send(FromServer::StatusAck(head)), send(FromServer::EventsAck(held))]);
    }

    pub(super) fn handle_events(&mut self, id: SessionId, batch: EventBatch) {
        let Some((site, _)) = self.downlink.up(id) else { return };
        let mark = self.mark_of(site);
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
        let changes = if after == mark { Vec::new() } else { vec![FleetChange::Mark(site, Some(after))] };
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
            let has_converged = life.asked_at <= record.converged();
            let event = match life.phase {
                Phase::Registering if has_reported => PhaseEvent::Reported,
                Phase::Deactivating | Phase::Activating | Phase::Removing if has_converged => PhaseEvent::Confirmed,
                _ => continue,
            };
            let Some(phase) = life.phase.after(event) else { continue };
            let life = linecamp_model::Life { phase, since: now.wall, ..life };
            let changes = life_changes(site, registration, subject, life, now);
            let text = format!("{} is {phase}", subject.as_str());
            let event = Some((linecamp_model::EventKind::PhaseChanged, Some(site), text));
            self.carry_out(Decision { changes, event, site: Some(site) }, Vec::new(), now);
        }
    }
}
