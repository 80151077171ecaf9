//! The site's side of a session: handshake, spec down, status and events up, certificate renewal.

use linecamp_model::limits::{EVENTS_PER_MESSAGE_MAX, SPEC_DOCUMENTS_MAX};
use linecamp_model::{
    ConditionKind, DialId, DocumentKey, EventBatch, FromServer, FromSite, Generation, Hello, Incarnation, JoinRequest,
    Now, Refusal, RefusalCode, SiteChange, SiteOrigin, SpecBody, SpecDelta, Target, Text, WallTime, Welcome,
};

use super::config::{CLOCK_SKEW_MAX, RENEW_RETRY_MAX, RENEW_RETRY_MIN};
use super::output::{SiteOutput, Timer};
use super::uplink::LossReason;
use super::uplink::{Purpose, State};
use super::{Release, Site, coarse};
use crate::sync::{Ack, Source, Verdict, judge};

/// What the server has been sent and has acknowledged in the current session.
#[derive(Clone, Debug)]
pub(super) struct SessionProgress {
    pub(super) status: Source,
    pub(super) events_held: u64,
    pub(super) events_sent: bool,
    /// Whether a new incarnation must start before events can be sent.
    pub(super) needs_incarnation: bool,
    /// The incarnation of the server's spec for this site.
    pub(super) spec_incarnation: Incarnation,
    /// Whether the site waits for an operator to accept it and may not send anything yet.
    pub(super) is_pending: bool,
}

impl Site {
    pub(super) fn greet(&mut self, dial: DialId, now: Now) {
        let state = self.ledger.state();
        let origin = state.origin.unwrap_or_default();
        let message = match (self.uplink.purpose, &self.config.join) {
            (Purpose::Join, Some(wish)) => FromSite::Join(JoinRequest {
                versions: self.config.versions,
                token: wish.token.id,
                secret: wish.token.secret,
                name: wish.name.clone(),
                daemon_version: self.config.daemon_version.clone(),
            }),
            (Purpose::Join | Purpose::Link, _) => FromSite::Hello(Hello {
                versions: self.config.versions,
                run: self.config.run,
                daemon_version: self.config.daemon_version.clone(),
                wall: now.wall,
                spec_incarnation: origin.spec_incarnation,
                spec_held: state.spec.head(),
                status_incarnation: origin.status_incarnation,
                facts: self.facts.reported(&self.held_reported()).unwrap_or_default(),
            }),
        };
        self.send(dial, message);
    }

    pub(super) fn receive(&mut self, dial: DialId, message: FromServer, now: Now) {
        match message {
            FromServer::Welcome(welcome) => self.handle_welcome(dial, welcome, now),
            FromServer::Identity(grant) => {
                // On an established session this is a renewal; otherwise it completes the session.
                if !self.uplink.is_up() {
                    self.uplink.save(&mut self.timers);
                    let refusal = Refusal::new(RefusalCode::Done, "certificate received");
                    self.outputs.push_back(SiteOutput::Hangup { dial, refusal });
                }
                self.outputs.push_back(SiteOutput::SaveIdentity(grant));
            }
            FromServer::Spec(delta) => self.handle_spec(dial, delta, now),
            FromServer::StatusAck(held) => self.handle_status_ack(dial, held, now),
            FromServer::EventsAck(held) => self.handle_events_ack(dial, held, now),
            FromServer::Probe => self.send(dial, FromSite::Alive),
            FromServer::Plugin(piece) => self.handle_piece(dial, piece, now),
        }
    }

    fn handle_welcome(&mut self, dial: DialId, welcome: Welcome, now: Now) {
        let events_made = self.ledger.state().origin.unwrap_or_default().events_made;
        self.uplink.handle_welcome(welcome.session, welcome.redial_spread, &mut self.timers, now);
        self.following = Some(SessionProgress {
            status: Source::new(welcome.status_held),
            events_held: welcome.events_held,
            events_sent: false,
            needs_incarnation: false,
            spec_incarnation: welcome.spec_incarnation,
            is_pending: welcome.pending,
        });
        self.server_ahead = (now.wall, welcome.wall);
        let skew = now.wall.distance(welcome.wall);
        let detail = (CLOCK_SKEW_MAX < skew).then(|| {
            let side = if now.wall < welcome.wall { "behind" } else { "ahead of" };
            Text::lossy(&format!(
                "the site's clock is {} {side} the server's: set it, or enable time sync",
                coarse(skew)
            ))
        });
        self.level(ConditionKind::ClockSkew, detail, now);
        if events_made < welcome.events_held {
            self.begin_incarnation();
        } else {
            self.handle_events_ack(dial, welcome.events_held, now);
        }
        self.note_observed(&welcome.observed_address);
        self.ask_for_pieces();
        self.set_renewal(now);
    }

    /// Starts a new incarnation. The server has more events of the current incarnation than this disk: the disk was
    /// cloned or restored. Without a new incarnation the server would discard new events as duplicates.
    pub(super) fn begin_incarnation(&mut self) {
        if let (Some(following), Some(dial)) = (&mut self.following, self.uplink.current()) {
            following.needs_incarnation = true;
            let origin = self.ledger.state().origin.unwrap_or_default();
            let origin = SiteOrigin { status_incarnation: Incarnation(self.rng.next_u64() | 1), ..origin };
            self.stage(&[SiteChange::Origin(Some(origin))], vec![Release::GreetAgain { dial }]);
        }
    }

    fn handle_spec(&mut self, dial: DialId, delta: SpecDelta, now: Now) {
        let origin = self.ledger.state().origin.unwrap_or_default();
        let incarnation =
            self.following.as_ref().map_or(origin.spec_incarnation, |following| following.spec_incarnation);
        let is_new_incarnation = incarnation != origin.spec_incarnation;
        let is_base = delta.snapshot || !is_new_incarnation;
        let verdict = match is_base {
            true => judge(&self.ledger.state().spec, delta),
            // The documents held belong to another incarnation: only a snapshot can replace them.
            false => Verdict::Acknowledge,
        };
        let Verdict::Adopt(documents) = verdict else {
            let held = self.spec_held();
            return self.stage(&[], vec![Release::SpecAck { dial, held }]);
        };
        let mut after = self.ledger.state().spec.clone();
        let mut changes = Vec::with_capacity(documents.len() + 1);
        for (key, document) in documents {
            after.set(key, document.clone());
            changes.push(SiteChange::Spec(key, document));
        }
        if SPEC_DOCUMENTS_MAX < after.live().count() {
            return self.break_off(dial, &format!("a spec of more than {SPEC_DOCUMENTS_MAX} documents"), now);
        }
        if is_new_incarnation {
            changes.push(SiteChange::Origin(Some(SiteOrigin { spec_incarnation: incarnation, ..origin })));
        }
        if let (Some(following), Some(SpecBody::Site(site))) = (&mut self.following, after.body(DocumentKey::Site)) {
            following.is_pending = site.target == Target::Pending;
        }
        self.stage(&changes, vec![Release::SpecAck { dial, held: after.head() }]);
    }

    /// Returns the generation held of this server's spec incarnation.
    pub(super) fn spec_held(&self) -> Generation {
        let state = self.ledger.state();
        let ours = state.origin.unwrap_or_default().spec_incarnation;
        let is_theirs = self.following.as_ref().is_none_or(|following| following.spec_incarnation == ours);
        if is_theirs { state.spec.head() } else { Generation::ZERO }
    }

    fn handle_status_ack(&mut self, dial: DialId, held: Generation, now: Now) {
        let ack = self.following.as_mut().map(|following| following.status.handle_ack(held));
        if ack == Some(Ack::NeverSent) {
            self.break_off(dial, &format!("an acknowledgement of status {held}, which was never sent"), now);
        }
    }

    /// Closes a session whose server violates the protocol. The offending message is discarded.
    fn break_off(&mut self, dial: DialId, what: &str, now: Now) {
        let text = format!("the server sent {what}");
        let refusal = Refusal::new(RefusalCode::Protocol, &text);
        self.outputs.push_back(SiteOutput::Hangup { dial, refusal });
        self.lose(&LossReason::Failed(Text::lossy(&text)), now);
    }

    fn handle_events_ack(&mut self, dial: DialId, held: u64, now: Now) {
        if self.ledger.state().origin.unwrap_or_default().events_made < held {
            return self.break_off(dial, &format!("an acknowledgement of event {held}, which was never made"), now);
        }
        if let Some(following) = &mut self.following {
            following.events_held = following.events_held.max(held);
            following.events_sent = false;
        }
        self.forget_events();
    }

    /// Removes the events the server has acknowledged from the outbox.
    pub(super) fn forget_events(&mut self) {
        let Some(following) = self.following.as_ref().filter(|following| !following.needs_incarnation) else { return };
        let held = self.ledger.state().events.range(..=following.events_held);
        let done: Vec<_> = held.map(|(seq, _)| SiteChange::Event(*seq, None)).collect();
        if !done.is_empty() {
            self.stage(&done, Vec::new());
        }
    }

    pub(super) fn set_renewal(&mut self, now: Now) {
        if let Some(identity) = self.identity {
            let delay = identity.renew_at().saturating_since(self.server_wall(now));
            self.timers.set(Timer::Renew, now.instant + delay);
        }
    }

    pub(super) fn renew(&mut self, now: Now) {
        if let State::Up { dial, .. } = self.uplink.state {
            self.send(dial, FromSite::Renew);
            let left = self.identity.map(|identity| identity.not_after.saturating_since(self.server_wall(now)));
            let retry = left.map_or(RENEW_RETRY_MAX, |left| (left / 3).clamp(RENEW_RETRY_MIN, RENEW_RETRY_MAX));
            self.timers.set(Timer::Renew, now.instant + retry);
        }
    }

    /// Returns the server's wall clock, estimated from the last handshake: the site's own may be wrong.
    pub(super) fn server_wall(&self, now: Now) -> WallTime {
        let (ours, theirs) = self.server_ahead;
        if ours == WallTime::EPOCH { now.wall } else { theirs + now.wall.saturating_since(ours) }
    }

    /// Sends what the server lacks, once everything is durable.
    pub(super) fn pump(&mut self) {
        let (State::Up { dial, .. }, 0) = (&self.uplink.state, self.ledger.in_flight()) else {
            return;
        };
        let (dial, state) = (*dial, self.ledger.state());
        let Some(following) = self.following.as_mut().filter(|following| !following.is_pending) else { return };
        if let Some(delta) = following.status.poll(&state.status) {
            self.outputs.push_back(SiteOutput::Send { dial, message: FromSite::Status(delta) });
        }
        if following.events_sent || following.needs_incarnation {
            return;
        }
        let pending = state.events.range(following.events_held + 1..).take(EVENTS_PER_MESSAGE_MAX);
        if let Some((first, _)) = pending.clone().next() {
            // A batch has no gaps; numbers the server already held were skipped.
            let events = (*first..).zip(pending.clone()).take_while(|(number, (seq, _))| number == *seq);
            let events: Vec<_> = events.map(|(_, (_, event))| event.clone()).collect();
            let dropped = state.origin.unwrap_or_default().events_dropped;
            let batch = EventBatch { first: *first, dropped, events };
            following.events_sent = true;
            self.outputs.push_back(SiteOutput::Send { dial, message: FromSite::Events(batch) });
        }
    }
}
