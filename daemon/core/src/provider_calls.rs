//! The state machine of one provider's calls: rounds, deadlines, retries and the circuit breaker, for every kind of
//! provider.
//!
//! ```text
//! idle ─► validating ─► calling, noting … ─► idle
//!            any call that fails ─► waiting ─► validating
//! ```
//!
//! - **Rounds.** Work is done in rounds. A round starts at once when something changed, and otherwise every
//!   [`RECONCILE_INTERVAL`]. After a start, and after a failed call, an earlier call may still take effect late: one
//!   more round follows after [`RECHECK_DELAY`].
//! - **One at a time.** At most one call is in flight. Each call gets one answer, and a missing answer is covered by
//!   [`CALL_MAX`].
//! - **Retries** live here and not in plugins. A failed call ends the round; the next one starts after a delay that
//!   grows at random from [`RETRY_FIRST`] to [`RETRY_MAX`], and no sooner than the service asked for. A round may also
//!   be interrupted because the service asked to wait: it continues after that time, without a validation.
//! - **Circuit breaker.** The first round, and each round after a failed call, starts with a validation of the
//!   settings: a service that is down costs one small call per retry.
//! - **Notes.** A round may wait until the site's store has written what its next calls rely on.
//! - **New settings** during a call: its answer is discarded.
//!
//! The caller decides which calls a round makes and what their answers mean. It attaches its own `Work` to each call
//! and note, and gets it back with the answer. `Capabilities` is what a validation returns.

use std::time::Duration;

use linecamp_model::{CallId, ConditionKind, EventKind, Instant, PartState, ProviderFailure, Text};

use crate::backoff::Backoff;
use crate::rng::Rng;

/// The interval between rounds of a provider that has nothing to do: drift is repaired within it. With 500 sites at one
/// name server this is about one query per second.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(600);

/// The delay before a provider observes again when an abandoned call may still be running: as long as the plugin host
/// lets a call take.
pub const RECHECK_DELAY: Duration = Duration::from_secs(30);

/// The upper bound of the first delay after a failed call.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);

/// The upper bound of all delays after failed calls: a recovered service is used again within it.
pub const RETRY_MAX: Duration = Duration::from_secs(600);

/// The longest wait a service can ask for: it cannot stop a provider for more than an hour.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How long a call may take, as seen from here. The plugin host ends calls sooner; this covers a call that never
/// returns.
pub const CALL_MAX: Duration = Duration::from_secs(120);

/// A request to the site. `Call` and `Note` are answered once each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect<Request, Notes> {
    /// Call the plugin.
    Call { call: CallId, request: Request },
    /// Persist these notes.
    Note(Notes),
    /// Wait this long before the next round.
    Wait(Duration),
    /// Record an event for operators.
    Event(EventKind, Text),
}

/// Why a provider does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: ConditionKind,
    pub(crate) text: Text,
}

/// An answered call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered<Work> {
    /// A call under former settings: its answer means nothing.
    Discarded,
    /// The validation of the settings.
    Validation,
    /// A call that [`CallRunner::start`] began.
    Work(Work),
}

/// What the runner is doing or waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State<Work> {
    /// Nothing to do before the next round.
    Idle,
    /// Validating the settings.
    Validating { call: CallId },
    /// A call is in flight.
    Calling { call: CallId, work: Work },
    /// Notes are being persisted.
    Noting { work: Work },
    /// The settings changed during a call: its answer will be discarded.
    Draining { call: CallId },
    /// Waiting before a retry.
    Waiting,
}

/// The state machine that runs the calls of one provider.
#[derive(Clone, Debug)]
pub(crate) struct CallRunner<Work, Capabilities> {
    state: State<Work>,
    /// What the last validation returned; `None` while the circuit breaker is open.
    capabilities: Option<Capabilities>,
    /// Whether something changed since the round began.
    is_due: bool,
    /// Whether the last round was interrupted and is to be continued.
    is_interrupted: bool,
    /// Whether a command waits for a round that changes nothing.
    is_preview: bool,
    /// Until when an abandoned call may still change something; `None` before the first round.
    unsure_until: Option<Instant>,
    backoff: Backoff,
    failure: Option<Failure>,
}

impl<Work, Capabilities> CallRunner<Work, Capabilities> {
    /// Creates an idle runner whose first round is due.
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Idle,
            capabilities: None,
            is_due: true,
            is_interrupted: false,
            is_preview: false,
            unsure_until: None,
            backoff: Backoff::new(),
            failure: None,
        }
    }

    /// Starts again under new settings. Failures under the former settings do not count for the new ones.
    pub(crate) fn restart(&mut self) {
        let state = self.call().map_or(State::Idle, |call| State::Draining { call });
        *self = Self { state, ..Self::new() };
    }

    /// Requests a round now. Its settings are validated again, and earlier failures no longer count.
    pub(crate) fn reset_failures(&mut self) {
        self.capabilities = None;
        self.is_interrupted = false;
        self.backoff.reset();
        self.handle_timeout();
    }

    /// Requests a round now.
    pub(crate) const fn request_round(&mut self) {
        self.is_due = true;
    }

    /// Requests a round now that changes nothing. A provider that waits for its service cannot plan: its last
    /// observation is all there is.
    pub(crate) const fn request_preview(&mut self) {
        self.is_due = true;
        self.is_preview |= !matches!(self.state, State::Waiting);
    }

    /// Whether a command waits for the end of the round.
    pub(crate) const fn is_preview(&self) -> bool {
        self.is_preview
    }

    /// Whether a call is in flight, or a write that calls wait for.
    pub(crate) const fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Waiting)
    }

    /// Whether a round is due and can start, or can be continued.
    pub(crate) const fn is_ready(&self) -> bool {
        (self.is_due || self.is_interrupted) && matches!(self.state, State::Idle)
    }

    /// Whether it waits before a retry.
    pub(crate) const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting)
    }

    /// Returns the call in flight.
    pub(crate) const fn call(&self) -> Option<CallId> {
        match self.state {
            State::Validating { call } | State::Calling { call, .. } | State::Draining { call } => Some(call),
            State::Idle | State::Noting { .. } | State::Waiting => None,
        }
    }

    /// Returns why the provider does not work.
    pub(crate) const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Returns what the last validation returned; `None` if the round has to start with one.
    pub(crate) const fn capabilities(&self) -> Option<&Capabilities> {
        self.capabilities.as_ref()
    }

    /// Stores the result of a successful validation: the round continues.
    pub(crate) fn set_capabilities(&mut self, capabilities: Capabilities) {
        self.capabilities = Some(capabilities);
    }

    /// Starts a round.
    pub(crate) fn begin_round(&mut self, now: Instant) {
        debug_assert!(!self.is_busy(), "a round starts only after the one before it");
        self.is_due = false;
        self.unsure_until.get_or_insert(now + RECHECK_DELAY);
    }

    /// Ends a successful round. Rounds start up to a fifth early at random: sites that were powered on together spread
    /// out.
    pub(crate) fn end_round<R, N>(&mut self, now: Instant, rng: &mut Rng) -> Effect<R, N> {
        self.state = State::Idle;
        self.is_preview = false;
        self.backoff.reset();
        self.failure = None;
        let regular = RECONCILE_INTERVAL - rng.delay_up_to(RECONCILE_INTERVAL / 5);
        let unsure_for = self.unsure_until.map(|until| until.saturating_since(now));
        Effect::Wait(unsure_for.filter(|left| !left.is_zero()).unwrap_or(regular))
    }

    /// Schedules one more round for what may have changed by `until`.
    pub(crate) const fn recheck_at(&mut self, until: Instant) {
        self.unsure_until = Some(until);
    }

    /// Starts the validation of the settings.
    pub(crate) fn validate<R, N>(&mut self, call: CallId, request: R) -> Effect<R, N> {
        debug_assert!(!self.is_busy(), "one call at a time");
        self.state = State::Validating { call };
        Effect::Call { call, request }
    }

    /// Starts a call.
    pub(crate) fn start<R, N>(&mut self, call: CallId, work: Work, request: R) -> Effect<R, N> {
        debug_assert!(!self.is_busy(), "one call at a time");
        self.state = State::Calling { call, work };
        Effect::Call { call, request }
    }

    /// Waits for the site to persist `notes`.
    pub(crate) fn note<R, N>(&mut self, work: Work, notes: N) -> Effect<R, N> {
        debug_assert!(!self.is_busy(), "no call overtakes the notes it relies on");
        self.state = State::Noting { work };
        Effect::Note(notes)
    }

    /// Handles the answer to a call; `None` if the call is unknown.
    pub(crate) fn handle_answer(&mut self, call: CallId) -> Option<Answered<Work>> {
        if self.call() != Some(call) {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Draining { .. } => Some(Answered::Discarded),
            State::Validating { .. } => Some(Answered::Validation),
            State::Calling { work, .. } => Some(Answered::Work(work)),
            State::Idle | State::Noting { .. } | State::Waiting => None,
        }
    }

    /// Returns the call that was never answered, and the failure to handle as its answer.
    pub(crate) fn unanswered(&self) -> Option<(CallId, ProviderFailure)> {
        let reason = Text::lossy(&format!("no answer within {} s", CALL_MAX.as_secs()));
        Some((self.call()?, ProviderFailure::Broken { reason }))
    }

    /// Handles durable notes: the calls that wait for them may start.
    pub(crate) fn handle_noted(&mut self) -> Option<Work> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Noting { work } => Some(work),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Handles notes that could not be persisted: nothing was started, and the round is retried later.
    pub(crate) fn handle_note_failed<R, N>(&mut self, rng: &mut Rng) -> Option<Effect<R, N>> {
        if !matches!(self.state, State::Noting { .. }) {
            return None;
        }
        self.is_due = true;
        self.state = State::Waiting;
        Some(Effect::Wait(self.backoff.next(RETRY_FIRST, RETRY_MAX, rng)))
    }

    /// Ends the round because the service asked to wait, and schedules the next one. Nothing failed.
    pub(crate) fn pause<R, N>(&mut self, asked: Duration) -> Effect<R, N> {
        self.state = State::Waiting;
        self.is_preview = false;
        Effect::Wait(asked.min(RETRY_AFTER_MAX))
    }

    /// Interrupts the round because the service asked to wait. Nothing failed. A round that is requested meanwhile
    /// follows this one.
    pub(crate) fn interrupt<R, N>(&mut self, asked: Duration) -> Effect<R, N> {
        self.is_interrupted = true;
        self.pause(asked)
    }

    /// Whether an interrupted round is to be continued rather than a new one begun. True once per interruption.
    pub(crate) const fn take_interrupted(&mut self) -> bool {
        std::mem::replace(&mut self.is_interrupted, false)
    }

    /// Ends the round because a call failed, and schedules the next one. `what` names the provider and what it did.
    pub(crate) fn fail<R, N>(
        &mut self,
        failure: &ProviderFailure,
        what: &str,
        now: Instant,
        rng: &mut Rng,
    ) -> Effect<R, N> {
        let (kind, cause, retry_after) = match failure {
            ProviderFailure::Broken { .. } | ProviderFailure::Missing { .. } => {
                (ConditionKind::PluginFailed, "", Duration::ZERO)
            }
            ProviderFailure::Unauthorized { .. } => {
                (ConditionKind::ProviderFailed, "the credentials are not accepted: ", Duration::ZERO)
            }
            ProviderFailure::Retry { after, .. } => {
                (ConditionKind::ProviderFailed, "", after.unwrap_or_default().min(RETRY_AFTER_MAX))
            }
            ProviderFailure::Refused { .. }
            | ProviderFailure::Conflict { .. }
            | ProviderFailure::LimitExceeded { .. } => (ConditionKind::ProviderFailed, "", Duration::ZERO),
        };
        self.failure = Some(Failure { kind, text: Text::lossy(&format!("{what}: {cause}{}", failure.reason())) });
        let delay = self.backoff.next(RETRY_FIRST, RETRY_MAX, rng).max(retry_after);
        self.state = State::Waiting;
        self.is_preview = false;
        self.unsure_until = Some(now + RECHECK_DELAY);
        self.capabilities = None;
        Effect::Wait(delay)
    }

    /// Handles the timer of the next round or retry.
    pub(crate) fn handle_timeout(&mut self) {
        if matches!(self.state, State::Waiting) {
            self.state = State::Idle;
        }
        self.is_due |= !self.is_interrupted;
    }

    /// Describes what the runner is doing; `idle` describes the result of the last round, `work` a call.
    pub(crate) fn describe(
        &self,
        idle: impl FnOnce() -> (PartState, String),
        work: impl FnOnce(&Work) -> String,
    ) -> (PartState, String) {
        match (&self.state, &self.failure) {
            (State::Idle, None) => idle(),
            (State::Validating { .. }, _) => (PartState::Active, "validates its settings".to_owned()),
            (State::Draining { .. }, _) => {
                (PartState::Active, "waits for a call with its previous settings to end".to_owned())
            }
            (State::Calling { work: called, .. }, _) => (PartState::Active, work(called)),
            (State::Noting { .. }, _) => {
                (PartState::Waiting, "waits for the disk before it changes anything".to_owned())
            }
            (State::Idle | State::Waiting, Some(failure)) => {
                (PartState::Failing, format!("failed {} times: {}", self.backoff.tries(), failure.text))
            }
            (State::Waiting, None) => (PartState::Waiting, "waits before it tries again".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
