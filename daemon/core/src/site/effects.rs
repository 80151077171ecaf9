//! Effects: what the parts of a site cause. Each part puts its outputs, staged changes, timers, conditions and events
//! here, in the order in which they must happen; [`Site`](super::Site) hands the outputs to the driver.
//!
//! A staged change takes effect in memory at once, and everything read through [`Effects::state`] includes it. What the
//! outside may learn from it is a [`Release`], which comes back when the write is durable.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use linecamp_model::{
    Actor, CommandId, Condition, ConditionKind, DialId, Event, EventKind, FromMember, Generation, Instant, Name, Now,
    ProviderId, SiteChange, Text, WallTime, WriteId,
};

use super::command::SiteCommandError;
use super::condition_notices::ConditionNotices;
use super::conditions::{Conditions, Transition};
use super::events::EventLog;
use super::host_release::HostRelease;
use super::output::{HostOutput, SiteOutput, Timer};
use super::state::SiteState;
use crate::rng::Rng;
use crate::staging::StagedState;
use crate::timers::Timers;

/// What is released when a write is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Release {
    SpecAck {
        dial: DialId,
        held: Generation,
    },
    /// Repeat the handshake under the incarnation that this write makes durable.
    GreetAgain {
        dial: DialId,
    },
    Reply(CommandId),
    /// The ownership notes that a provider's changes wait for.
    Noted(ProviderId),
    /// Releases nothing; a failed write gives the event back.
    Recorded(Event),
    /// Releases nothing; a failed write gives the count of lost events back.
    CountedLost(u64),
    /// What hosts of the LAN wait for.
    Host(HostRelease),
    /// Ends the store failure.
    StoreTried,
}

/// The state all parts share, and what they caused.
#[derive(Clone, Debug)]
pub(super) struct Effects {
    staged: StagedState<SiteState, Release>,
    timers: Timers<Timer>,
    outputs: VecDeque<SiteOutput>,
    conditions: Conditions,
    notices: ConditionNotices,
    events: EventLog,
    /// The local commands that have no reply yet.
    commands: BTreeMap<CommandId, Actor>,
    rng: Rng,
    /// Whether an input of the status may have changed.
    is_status_stale: bool,
    /// The number of unexpected answers.
    ignored: u64,
}

impl Effects {
    /// Starts from the durable state.
    pub(super) fn new(state: SiteState, rng: Rng) -> Self {
        Self {
            staged: StagedState::new(state),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            conditions: Conditions::default(),
            notices: ConditionNotices::default(),
            events: EventLog::default(),
            commands: BTreeMap::new(),
            rng,
            is_status_stale: true,
            ignored: 0,
        }
    }

    /// Returns the state, including changes that are not durable yet.
    pub(super) const fn state(&self) -> &SiteState {
        self.staged.state()
    }

    /// Returns the state together with the random source.
    pub(super) const fn state_and_rng(&mut self) -> (&SiteState, &mut Rng) {
        (self.staged.state(), &mut self.rng)
    }

    /// Returns the random source.
    pub(super) const fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Counts an unexpected answer, which is ignored.
    pub(super) const fn ignore(&mut self) {
        self.ignored += 1;
    }

    /// Returns the number of unexpected answers that were ignored.
    pub(super) const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Appends an output.
    pub(super) fn output(&mut self, output: SiteOutput) {
        self.outputs.push_back(output);
    }

    /// Appends an output about the hosts of the LAN.
    pub(super) fn output_to_host(&mut self, output: HostOutput) {
        self.output(SiteOutput::Host(output));
    }

    /// Sends a message on the session of `dial`, which must be the current one.
    pub(super) fn send(&mut self, dial: DialId, message: FromMember) {
        self.output(SiteOutput::Send { dial, message });
    }

    /// Removes and returns the oldest output.
    pub(super) fn next_output(&mut self) -> Option<SiteOutput> {
        self.outputs.pop_front()
    }
}

/// Durable changes.
impl Effects {
    /// Applies `changes` in memory and requests that they are made durable; `releases` come back then.
    pub(super) fn stage(&mut self, changes: &[SiteChange], releases: Vec<Release>) {
        self.is_status_stale |= !changes.is_empty();
        let before = cfg!(debug_assertions).then(|| Generations::of(self.state()));
        let write = self.staged.stage(changes, releases);
        if let Some(before) = before {
            Generations::of(self.state()).assert_not_below(&before);
        }
        self.output(SiteOutput::Persist { write, changes: changes.to_vec() });
    }

    /// Requests a probe of the store.
    pub(super) fn try_store(&mut self) {
        let write = self.staged.stage(&[], vec![Release::StoreTried]);
        self.output(SiteOutput::TryStore(write));
    }

    /// Handles the store's answer to a write and returns its releases; `None` for an unknown write, which is ignored. A
    /// failed write is undone with all later ones.
    pub(super) fn settle(&mut self, write: WriteId, is_durable: bool) -> Option<Vec<Release>> {
        let settled = self.staged.settle(write, is_durable);
        self.ignored += u64::from(settled.is_none());
        settled.map(|settled| settled.releases)
    }

    /// Returns the number of writes that the store has not answered.
    pub(super) fn in_flight(&self) -> usize {
        self.staged.in_flight()
    }

    /// Marks the status stale: an input of it may have changed.
    pub(super) const fn touch_status(&mut self) {
        self.is_status_stale = true;
    }

    /// Whether an input of the status may have changed since it was written last.
    pub(super) const fn is_status_stale(&self) -> bool {
        self.is_status_stale
    }

    /// Notes that the status is being written.
    pub(super) const fn status_is_fresh(&mut self) {
        self.is_status_stale = false;
    }
}

/// Timers.
impl Effects {
    /// Sets `timer` to expire after `delay`.
    pub(super) fn set_timer(&mut self, timer: Timer, now: Now, delay: Duration) {
        self.timers.set(timer, now.instant + delay);
    }

    /// Clears `timer`, if it is set.
    pub(super) fn clear_timer(&mut self, timer: Timer) {
        self.timers.clear(timer);
    }

    /// Returns the deadline of `timer`, if it is set.
    pub(super) fn deadline(&self, timer: Timer) -> Option<Instant> {
        self.timers.deadline(timer)
    }

    /// Returns the next deadline and its timer.
    pub(super) fn next_deadline(&self) -> Option<(Instant, Timer)> {
        self.timers.next()
    }

    /// Removes and returns the earliest expired timer.
    pub(super) fn pop_expired(&mut self, now: Now) -> Option<Timer> {
        self.timers.pop_expired(now.instant)
    }
}

/// Commands.
impl Effects {
    /// Notes a local command, which gets exactly one reply.
    pub(super) fn accept_command(&mut self, command: CommandId, actor: Actor) {
        let before = self.commands.insert(command, actor);
        debug_assert!(before.is_none(), "{command} already waits for a reply");
    }

    /// Replies to a local command.
    pub(super) fn reply(&mut self, command: CommandId, result: Result<(), SiteCommandError>) {
        let actor = self.commands.remove(&command);
        debug_assert!(actor.is_some(), "{command} has its reply already");
        self.output(SiteOutput::Reply { command, result });
    }
}

/// Conditions and events.
impl Effects {
    /// Raises `kind` with this detail, or clears it.
    pub(super) fn set_condition(&mut self, kind: ConditionKind, detail: Option<Text>, now: Now) {
        let is_active = detail.is_some();
        self.outputs.extend(self.notices.set(kind, detail.as_ref(), now.wall));
        let transition = self.conditions.set(kind, detail, now.wall);
        self.is_status_stale |= is_active || transition.is_some();
        // The server records the events of storage conditions when it receives their list.
        match transition.filter(|_| !kind.is_of_storage()) {
            Some(Transition::Raised(detail)) => {
                self.record(EventKind::ConditionRaised, &format!("{kind}: {detail}"), now);
            }
            Some(Transition::Cleared) => self.record(EventKind::ConditionCleared, kind.as_str(), now),
            None => {}
        }
    }

    /// Notes the providers that fail, each with the condition that it causes and why.
    pub(super) fn set_failing_providers(&mut self, failing: &BTreeMap<Name, (ConditionKind, Text)>, now: Now) {
        self.outputs.extend(self.notices.set_failing(failing, now.wall));
    }

    /// Raises `kind`.
    pub(super) fn raise(&mut self, kind: ConditionKind, detail: Text, now: Now) {
        self.set_condition(kind, Some(detail), now);
    }

    /// Clears `kind`.
    pub(super) fn clear(&mut self, kind: ConditionKind, now: Now) {
        self.set_condition(kind, None, now);
    }

    /// Raises or clears `kind` without an event: the caller is about to write the status, or restores it.
    pub(super) fn set_condition_silently(&mut self, kind: ConditionKind, detail: Option<Text>, since: WallTime) {
        self.outputs.extend(self.notices.set(kind, detail.as_ref(), since));
        self.conditions.set(kind, detail, since);
    }

    /// Returns the active conditions.
    pub(super) const fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Whether the store has failed and has not yet accepted a write as large as it refused.
    pub(super) fn is_store_failing(&self) -> bool {
        self.conditions.has(ConditionKind::DiskFull) || self.conditions.has(ConditionKind::StoreFailed)
    }

    /// Adds an event to the outbox, or to the queue in memory while the store fails.
    pub(super) fn record(&mut self, kind: EventKind, text: &str, now: Now) {
        let event = new_event(kind, text, now);
        if self.is_store_failing() {
            self.events.queue(event);
        } else {
            self.stage_event(event);
        }
    }

    /// Returns the changes that add an event to the outbox, to be staged with what it is about.
    pub(super) fn event_changes(&self, event: Event) -> Vec<SiteChange> {
        self.events_changes(vec![event])
    }

    /// Returns the changes that add events to the outbox, to be staged with what they are about. While the store fails,
    /// they are lost with the write.
    pub(super) fn events_changes(&self, events: Vec<Event>) -> Vec<SiteChange> {
        self.events.changes(events, self.staged.state())
    }

    fn stage_event(&mut self, event: Event) {
        let changes = self.event_changes(event.clone());
        self.stage(&changes, vec![Release::Recorded(event)]);
    }

    /// Stages the events and the count of lost ones that wait in memory for the disk.
    pub(super) fn stage_queued_events(&mut self) {
        let (lost, events) = self.events.take_queue();
        if 0 < lost {
            let change = super::events::count_lost(self.state(), lost);
            self.stage(&[change], vec![Release::CountedLost(lost)]);
        }
        for event in events {
            self.stage_event(event);
        }
    }

    /// Removes the events the server has acknowledged from the outbox.
    pub(super) fn forget_events(&mut self) {
        let changes = self.events.acknowledged(self.staged.state());
        if !changes.is_empty() {
            self.stage(&changes, Vec::new());
        }
    }

    /// Returns the event log.
    pub(super) const fn events(&self) -> &EventLog {
        &self.events
    }

    /// Returns the event log together with the state.
    pub(super) const fn events_and_state(&mut self) -> (&mut EventLog, &SiteState) {
        (&mut self.events, self.staged.state())
    }

    /// Returns the event log, to change it.
    pub(super) const fn events_mut(&mut self) -> &mut EventLog {
        &mut self.events
    }

    /// Returns the storage conditions.
    pub(super) fn storage_conditions(&self) -> Vec<Condition> {
        self.conditions.of_storage()
    }
}

/// Creates an event of this site.
pub(super) fn new_event(kind: EventKind, text: &str, now: Now) -> Event {
    Event { at: now.wall, kind, site: None, host: None, text: Text::lossy(text) }
}

/// The numbers of a state that a staged change never lowers within one incarnation.
struct Generations {
    incarnation: Option<linecamp_model::Incarnation>,
    status: Generation,
    events_made: u64,
}

impl Generations {
    fn of(state: &SiteState) -> Self {
        let origin = state.origin.unwrap_or_default();
        Self {
            incarnation: state.origin.map(|origin| origin.status_incarnation),
            status: state.status.head(),
            events_made: origin.events_made,
        }
    }

    fn assert_not_below(&self, before: &Self) {
        debug_assert!(
            self.incarnation != before.incarnation
                || (before.status <= self.status && before.events_made <= self.events_made),
            "generations only rise"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::testing::{NOW, effects, outputs};

    #[test]
    fn a_raised_condition_records_one_event() {
        let mut effects = effects();
        for detail in ["a", "b"] {
            effects.raise(ConditionKind::ClockSkew, Text::lossy(detail), NOW);
        }
        effects.clear(ConditionKind::ClockSkew, NOW);
        effects.clear(ConditionKind::ClockSkew, NOW);
        let kinds: Vec<_> = effects.state().events.values().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::ConditionRaised, EventKind::ConditionCleared]);
    }

    #[test]
    fn while_the_store_fails_events_wait_in_memory() {
        let mut effects = effects();
        effects.raise(ConditionKind::DiskFull, Text::lossy("full"), NOW);
        effects.record(EventKind::DaemonStarted, "started", NOW);
        assert_eq!((effects.state().events.len(), effects.events().queued()), (0, 1));
        effects.stage_queued_events();
        assert_eq!((effects.state().events.len(), effects.events().queued()), (1, 0));
    }

    #[test]
    fn staged_outputs_are_released_once_durable() {
        let mut effects = effects();
        effects.stage(&[], vec![Release::Reply(CommandId(7))]);
        let [SiteOutput::Persist { write, .. }] = &outputs(&mut effects)[..] else { panic!("one write") };
        assert_eq!(effects.in_flight(), 1);
        assert_eq!(effects.settle(*write, true), Some(vec![Release::Reply(CommandId(7))]));
        assert_eq!((effects.settle(*write, true), effects.in_flight()), (None, 0));
    }
}
