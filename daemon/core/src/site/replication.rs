//! Replication with the server of the current session: spec down, status and events up.
//!
//! [`document_sync`](crate::document_sync) has the rules for documents, [`events`](super::events) those for events.
//! Nothing is sent that is not durable, and nothing at all while the site waits for an operator to accept it.
//!
//! A server that violates the protocol is answered with a [`Violation`]; its message is discarded.

use linecamp_model::{
    DialId, DocumentKey, FromMember, Generation, HostId, Incarnation, MemberKind, SiteChange, SiteOrigin, SpecBody,
    SpecDelta, Target, Welcome,
};

use super::effects::{Effects, Release};
use super::state::SiteState;
use crate::document_sync::{Ack, Changed, Collector, DeltaError, Source, Verdict, judge};

/// A message that the protocol does not allow: what the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation(pub(super) String);

/// What to do with spec that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SpecStep {
    /// Wait for the rest of it.
    Nothing,
    /// Acknowledge what is held.
    Acknowledge,
    /// Store these changes, then acknowledge this generation.
    Adopt {
        /// The changes.
        changes: Vec<SiteChange>,
        /// The generation.
        held: Generation,
        /// Whether the server counts under another incarnation.
        is_new_incarnation: bool,
    },
}

impl From<DeltaError> for Violation {
    fn from(error: DeltaError) -> Self {
        Self(error.to_string())
    }
}

/// The replication with the server; active while a session is up.
#[derive(Clone, Debug, Default)]
pub(super) struct Replication(Option<SessionProgress>);

/// What the server has been sent and has acknowledged in the current session.
#[derive(Clone, Debug)]
struct SessionProgress {
    status: Source,
    /// The parts of an unfinished spec delta.
    spec: Collector<SpecBody>,
    /// The incarnation of the server's spec for this site.
    spec_incarnation: Incarnation,
    /// Whether the site waits for an operator to accept it and may not send anything yet.
    is_pending: bool,
}

impl Replication {
    /// Starts with what the server reports to hold. Returns whether it holds events that this disk never made.
    pub(super) fn open(&mut self, welcome: &Welcome, effects: &mut Effects) -> bool {
        self.0 = Some(SessionProgress {
            status: Source::new(welcome.status_held),
            spec: Collector::default(),
            spec_incarnation: welcome.spec_incarnation,
            is_pending: welcome.pending,
        });
        effects.events_mut().open(welcome.events_held);
        effects.state().origin.unwrap_or_default().events_made < welcome.events_held
    }

    /// Ends with the session.
    pub(super) fn close(&mut self, effects: &mut Effects) {
        self.0 = None;
        effects.events_mut().close();
    }

    /// Whether a session is up.
    pub(super) const fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a session is up and the site may send in it.
    pub(super) fn may_send(&self) -> bool {
        self.0.as_ref().is_some_and(|progress| !progress.is_pending)
    }

    /// Starts a new incarnation. The server has more events of the current incarnation than this disk: the disk was
    /// cloned or restored. Without a new incarnation the server would discard new events as duplicates.
    pub(super) fn begin_incarnation(&self, dial: DialId, effects: &mut Effects) {
        if self.0.is_some() {
            effects.events_mut().require_incarnation();
            let origin = effects.state().origin.unwrap_or_default();
            let origin = SiteOrigin { status_incarnation: Incarnation(effects.rng().next_u64() | 1), ..origin };
            effects.stage(&[SiteChange::Origin(Some(origin))], vec![Release::GreetAgain { dial }]);
        }
    }

    /// Decides the server's spec when its last part has arrived. `member` is what has joined.
    ///
    /// # Errors
    /// The delta violates the protocol, or the spec would exceed a limit.
    pub(super) fn handle_spec(
        &mut self,
        part: SpecDelta,
        member: Option<(MemberKind, HostId)>,
        effects: &Effects,
    ) -> Result<SpecStep, Violation> {
        // Without a session there is no incarnation that the spec could belong to.
        let Some(progress) = &mut self.0 else { return Ok(SpecStep::Nothing) };
        let Some(delta) = progress.spec.add(part)? else { return Ok(SpecStep::Nothing) };
        let incarnation = progress.spec_incarnation;
        let state = effects.state();
        let origin = state.origin.unwrap_or_default();
        let is_new_incarnation = incarnation != origin.spec_incarnation;
        let is_snapshot = delta.snapshot;
        let is_base = is_snapshot || !is_new_incarnation;
        let verdict = match is_base {
            true => judge(&state.spec, delta),
            // The documents held belong to another incarnation: only a snapshot can replace them.
            false => Verdict::Acknowledge,
        };
        let Verdict::Adopt(documents) = verdict else { return Ok(SpecStep::Acknowledge) };
        let after = Changed::new(&state.spec, &documents);
        after.check()?;
        debug_assert!(is_snapshot || state.spec.head() < after.head(), "without a snapshot, generations only rise");
        let held = after.head();
        if let (Some(SpecBody::Site(site)), Some((MemberKind::Site, _))) = (after.body(DocumentKey::Site), member) {
            progress.is_pending = site.target == Target::Pending;
        }
        let mut changes: Vec<_> =
            documents.into_iter().map(|(key, document)| SiteChange::Spec(key, document)).collect();
        if is_new_incarnation {
            changes.push(SiteChange::Origin(Some(SiteOrigin { spec_incarnation: incarnation, ..origin })));
        }
        Ok(SpecStep::Adopt { changes, held, is_new_incarnation })
    }

    /// Acknowledges the spec that is held, once everything staged before is durable.
    pub(super) fn acknowledge(&self, dial: DialId, effects: &mut Effects) {
        let held = self.spec_held(effects.state());
        effects.stage(&[], vec![Release::SpecAck { dial, held }]);
    }

    /// Handles the server's acknowledgement of a status.
    pub(super) fn handle_status_ack(&mut self, held: Generation) -> Result<(), Violation> {
        match self.0.as_mut().map(|progress| progress.status.handle_ack(held)) {
            Some(Ack::NeverSent) => {
                Err(Violation(format!("an acknowledgement of status {held}, which was never sent")))
            }
            Some(Ack::More | Ack::NotMore) | None => Ok(()),
        }
    }

    /// Handles the server's acknowledgement of events.
    pub(super) fn handle_events_ack(&self, held: u64, effects: &mut Effects) -> Result<(), Violation> {
        if effects.state().origin.unwrap_or_default().events_made < held {
            return Err(Violation(format!("an acknowledgement of event {held}, which does not exist")));
        }
        effects.events_mut().handle_ack(held);
        effects.forget_events();
        Ok(())
    }

    /// Sends what the server lacks, once everything is durable.
    pub(super) fn pump(&mut self, dial: DialId, effects: &mut Effects) {
        if effects.in_flight() != 0 {
            return;
        }
        let Some(progress) = self.0.as_mut().filter(|progress| !progress.is_pending) else { return };
        for part in progress.status.poll(&effects.state().status) {
            effects.send(dial, FromMember::Status(part));
        }
        let (events, state) = effects.events_and_state();
        if let Some(batch) = events.poll(state) {
            effects.send(dial, FromMember::Events(batch));
        }
    }

    /// Returns the newest status the server has acknowledged in this session.
    pub(super) fn status_held(&self) -> Option<Generation> {
        self.0.as_ref().map(|progress| progress.status.held())
    }

    /// Returns the generation held of this server's spec incarnation.
    fn spec_held(&self, state: &SiteState) -> Generation {
        let ours = state.origin.unwrap_or_default().spec_incarnation;
        let is_theirs = self.0.as_ref().is_none_or(|progress| progress.spec_incarnation == ours);
        if is_theirs { state.spec.head() } else { Generation::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use linecamp_model::Delta;

    use super::*;
    use crate::site::SiteOutput;
    use crate::site::testing::{effects, outputs, welcome};

    const DIAL: DialId = DialId(1);

    fn open(pending: bool) -> (Replication, Effects) {
        let (mut replication, mut effects) = (Replication::default(), effects());
        replication.open(&Welcome { pending, ..welcome() }, &mut effects);
        (replication, effects)
    }

    #[test]
    fn a_spec_is_acknowledged_only_with_the_write_that_holds_it() {
        let (mut replication, effects) = open(false);
        let delta = Delta {
            base: Generation::ZERO,
            to: Generation(3),
            snapshot: true,
            documents: BTreeMap::new(),
            more: false,
        };
        let step = replication.handle_spec(delta, None, &effects);
        let changes = vec![SiteChange::Origin(Some(SiteOrigin {
            spec_incarnation: Incarnation(5),
            ..effects.state().origin.unwrap()
        }))];
        assert_eq!(step, Ok(SpecStep::Adopt { changes, held: Generation::ZERO, is_new_incarnation: true }));
    }

    #[test]
    fn what_was_never_sent_or_made_cannot_be_acknowledged() {
        let (mut replication, mut effects) = open(false);
        assert!(replication.handle_status_ack(Generation(1)).is_err());
        assert!(replication.handle_events_ack(1, &mut effects).is_err());
        assert_eq!(replication.handle_status_ack(Generation::ZERO), Ok(()));
        assert_eq!(replication.handle_events_ack(0, &mut effects), Ok(()));
    }

    #[test]
    fn nothing_is_sent_before_it_is_durable_or_while_the_site_is_pending() {
        for pending in [false, true] {
            let (mut replication, mut effects) = open(pending);
            effects.record(linecamp_model::EventKind::DaemonStarted, "started", crate::site::testing::NOW);
            let [SiteOutput::Persist { write, .. }] = outputs(&mut effects)[..] else { panic!("one write") };
            replication.pump(DIAL, &mut effects);
            assert_eq!(outputs(&mut effects), [], "it is not durable");
            assert!(effects.settle(write, true).is_some());
            replication.pump(DIAL, &mut effects);
            assert_eq!(outputs(&mut effects).len(), usize::from(!pending));
        }
    }

    #[test]
    fn a_new_incarnation_is_greeted_with_once_it_is_durable() {
        let (replication, mut effects) = open(false);
        replication.begin_incarnation(DIAL, &mut effects);
        let [SiteOutput::Persist { write, .. }] = outputs(&mut effects)[..] else { panic!("one write") };
        assert!(effects.events().needs_incarnation());
        assert_eq!(effects.settle(write, true), Some(vec![Release::GreetAgain { dial: DIAL }]));
    }
}
