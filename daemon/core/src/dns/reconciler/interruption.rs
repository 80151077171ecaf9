//! Rounds that a service interrupts because it limits the rate of requests.
//!
//! A service that permits few requests per second rejects a call with more requests than that, and asks to wait.
//! Beginning again with the same calls would then never end. So the round is interrupted and continued after that time,
//! without another validation. What was observed is kept, and calls have half as many names, down to one; each answered
//! call adds one name to the next. A step of changes is tried again after the wait: a part of it that was applied makes
//! it a conflict, which is observed. The first step that has to wait is planned again, with one record set per call.
//!
//! A wait that is longer than [`WAIT_MAX`], and the one after [`WAITS_MAX`] waits without an answer between them, fail
//! the round instead: the provider reports it. At worst every name and every record set waits once, [`WAIT_MAX`] at a
//! time.

use std::collections::VecDeque;
use std::time::Duration;

use linecamp_model::{DomainName, RecordChange};

use super::observe::{NAMES_PER_CALL_MAX, Observation};
use super::{Context, DnsEffect, Reconciler};
use crate::provider_calls::RECHECK_DELAY;

/// The longest wait within a round. What was observed before a longer one is too old to continue with.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The shortest wait: a service that asks for none is not called at once.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// Consecutive waits without an answer: as many as reduce a call to one name, and three with one name.
const WAITS_MAX: u32 = NAMES_PER_CALL_MAX.ilog2() + 3;

/// The pace that a service permits.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// The number of names per call.
    names: usize,
    /// Waits since the last answer to a call that observes.
    waits: u32,
    /// Waits since the last applied step.
    waits_of_changes: u32,
    interrupted: Option<Interrupted>,
}

/// What a round does next, after it was interrupted.
#[derive(Clone, Debug)]
enum Interrupted {
    /// Observes the rest of a zone.
    Observation(DomainName, Observation),
    /// Applies the rest of a zone's steps.
    Steps(DomainName, VecDeque<Vec<RecordChange>>),
    /// Observes the next zone.
    NextZone,
}

impl Default for Pace {
    fn default() -> Self {
        Self { names: NAMES_PER_CALL_MAX, waits: 0, waits_of_changes: 0, interrupted: None }
    }
}

impl Pace {
    /// Returns the number of names in the next call, which is at most `names_max`.
    pub(super) fn within(&self, names_max: usize) -> usize {
        self.names.min(names_max).max(1)
    }

    /// Handles an answered call.
    pub(super) fn handle_answered(&mut self) {
        (self.names, self.waits) = (NAMES_PER_CALL_MAX.min(self.names + 1), 0);
    }

    /// Whether the round may wait this long, after a call that was told to. Calls have half as many names from now on.
    pub(super) fn may_wait(&mut self, asked: Duration) -> bool {
        self.waits += 1;
        let may_wait = asked <= WAIT_MAX && self.waits <= WAITS_MAX;
        if !may_wait {
            (self.names, self.waits) = (1, 0);
        }
        may_wait
    }

    /// Handles an applied step.
    pub(super) const fn handle_applied(&mut self) {
        self.waits_of_changes = 0;
    }

    /// Whether the round may wait this long, after a step that was told to.
    pub(super) fn may_wait_to_change(&mut self, asked: Duration) -> bool {
        self.waits_of_changes += 1;
        let may_wait = asked <= WAIT_MAX && self.waits_of_changes <= WAITS_MAX;
        if !may_wait {
            self.waits_of_changes = 0;
        }
        may_wait
    }

    /// Describes what waits, if anything does.
    pub(super) fn waiting(&self) -> Option<String> {
        let doing = match self.interrupted.as_ref()? {
            Interrupted::Observation(zone, observation) => {
                format!("observes zone {zone}, {} names so far", observation.queried.len())
            }
            Interrupted::Steps(zone, steps) => format!("changes records in zone {zone}, {} steps left", steps.len()),
            Interrupted::NextZone => "reconcile incomplete".to_owned(),
        };
        Some(format!("{doing}; waits because the service asked for it"))
    }
}

impl Reconciler {
    /// Interrupts the observation of a zone because a call with this many names was told to wait.
    pub(super) fn interrupt_round(
        &mut self,
        zone: DomainName,
        names: usize,
        observation: Observation,
        asked: Duration,
    ) -> Vec<DnsEffect> {
        self.pace.names = (names / 2).max(1);
        self.pace.interrupted = Some(Interrupted::Observation(zone, observation));
        vec![self.calls.interrupt(asked.max(WAIT_MIN))]
    }

    /// Interrupts the changes of a zone because a step was told to wait.
    pub(super) fn interrupt_changes(
        &mut self,
        zone: DomainName,
        mut steps: VecDeque<Vec<RecordChange>>,
        step: &[RecordChange],
        (asked, context): (Duration, &Context<'_>),
    ) -> Vec<DnsEffect> {
        self.calls.recheck_at(context.now.instant + RECHECK_DELAY);
        self.pace.interrupted = Some(match std::mem::replace(&mut self.has_small_steps, true) {
            true => {
                steps.push_front(step.to_vec());
                Interrupted::Steps(zone, steps)
            }
            false => {
                self.todo.push_front(zone);
                Interrupted::NextZone
            }
        });
        vec![self.calls.interrupt(asked.max(WAIT_MIN))]
    }

    /// Continues an interrupted round; `None` if there is none.
    pub(super) fn continue_round(&mut self, context: &mut Context<'_>) -> Option<Vec<DnsEffect>> {
        let interrupted = self.pace.interrupted.take();
        if !self.calls.take_interrupted() || self.calls.capabilities().is_none() {
            return None;
        }
        Some(match interrupted? {
            Interrupted::Observation(zone, observation) => self.observe_next(zone, observation, context),
            Interrupted::Steps(zone, steps) => self.next_step(zone, steps, context),
            Interrupted::NextZone => self.next_zone(context),
        })
    }
}
