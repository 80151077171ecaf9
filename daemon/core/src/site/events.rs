//! The event log: events wait in a durable outbox until the server has acknowledged them.
//!
//! Events are numbered within an incarnation. If the server holds more of them than this disk has made, the disk was
//! cloned or restored, and the server would discard new events as duplicates: no event is sent until a new incarnation
//! has started. One batch is in flight at a time.
//!
//! While the store fails, events wait in a bounded queue in memory (`QUEUED_EVENTS_MAX`).

use std::collections::VecDeque;

use linecamp_model::limits::{COUNTER_MAX, EVENTS_PER_MESSAGE_MAX};
use linecamp_model::{Event, EventBatch, SiteChange, SiteOrigin};

use super::state::SiteState;

/// Events queued in memory while the disk accepts no writes: one message's worth. Beyond it the oldest is dropped and
/// counted.
const QUEUED_EVENTS_MAX: usize = EVENTS_PER_MESSAGE_MAX;

/// The events that are not yet at the server.
#[derive(Clone, Debug, Default)]
pub(super) struct EventLog {
    /// What the server holds, while a session is up.
    server: Option<Server>,
    /// Events that wait for the disk, oldest first.
    queue: VecDeque<Event>,
    /// Events dropped from that queue.
    lost: u64,
}

/// What the server of a session holds of the events.
#[derive(Clone, Debug)]
struct Server {
    held: u64,
    /// Whether a batch is in flight.
    is_sent: bool,
    /// Whether a new incarnation must start before events can be sent.
    needs_incarnation: bool,
}

impl EventLog {
    /// Starts a session with a server that holds the events up to `held`.
    pub(super) const fn open(&mut self, held: u64) {
        self.server = Some(Server { held, is_sent: false, needs_incarnation: false });
    }

    /// Ends the session.
    pub(super) const fn close(&mut self) {
        self.server = None;
    }

    /// Notes that the server holds events this disk never made.
    pub(super) const fn require_incarnation(&mut self) {
        if let Some(server) = &mut self.server {
            server.needs_incarnation = true;
        }
    }

    /// Whether a new incarnation must start before events can be sent.
    pub(super) fn needs_incarnation(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.needs_incarnation)
    }

    /// Handles the server's acknowledgement of the events up to `held`.
    pub(super) fn handle_ack(&mut self, held: u64) {
        if let Some(server) = &mut self.server {
            server.held = server.held.max(held);
            server.is_sent = false;
        }
    }

    /// Returns the changes that add `events` to the outbox.
    pub(super) fn changes(&self, events: Vec<Event>, state: &SiteState) -> Vec<SiteChange> {
        // The server would discard an event with a number it already holds.
        state.outbox_changes(events, self.held().unwrap_or(0))
    }

    /// Returns the changes that remove the acknowledged events from the outbox.
    pub(super) fn acknowledged(&self, state: &SiteState) -> Vec<SiteChange> {
        let Some(held) = self.held() else { return Vec::new() };
        state.events.range(..=held).map(|(seq, _)| SiteChange::Event(*seq, None)).collect()
    }

    /// Returns the next batch, or `None` if one is in flight or the server holds everything. `state` must be durable.
    pub(super) fn poll(&mut self, state: &SiteState) -> Option<EventBatch> {
        let server = self.server.as_mut().filter(|server| !server.is_sent && !server.needs_incarnation)?;
        let pending = state.events.range(server.held + 1..).take(EVENTS_PER_MESSAGE_MAX);
        let first = *pending.clone().next()?.0;
        // A batch has no gaps; numbers the server already held were skipped.
        let events = (first..).zip(pending).take_while(|(number, (seq, _))| number == *seq);
        let events = events.map(|(_, (_, event))| event.clone()).collect();
        server.is_sent = true;
        Some(EventBatch { first, dropped: state.origin.unwrap_or_default().events_dropped, events })
    }

    /// Queues an event in memory.
    pub(super) fn queue(&mut self, event: Event) {
        self.queue.push_back(event);
        self.drop_surplus();
    }

    /// Queues events that could not be persisted ahead of those already queued.
    pub(super) fn requeue(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.queue.push_front(event);
        }
        self.drop_surplus();
    }

    /// Takes back a count of lost events that could not be persisted.
    pub(super) const fn restore_lost(&mut self, lost: u64) {
        self.lost += lost;
    }

    /// Removes and returns the count of lost events and the queue.
    pub(super) fn take_queue(&mut self) -> (u64, VecDeque<Event>) {
        (std::mem::take(&mut self.lost), std::mem::take(&mut self.queue))
    }

    /// Returns the number of events that wait for the disk.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Returns the newest event the server holds of the current incarnation.
    fn held(&self) -> Option<u64> {
        self.server.as_ref().filter(|server| !server.needs_incarnation).map(|server| server.held)
    }

    fn drop_surplus(&mut self) {
        let surplus = self.queue.len().saturating_sub(QUEUED_EVENTS_MAX);
        self.queue.drain(..surplus);
        self.lost += surplus as u64;
    }
}

/// Returns the change that adds `lost` to the count of dropped events.
pub(super) fn count_lost(state: &SiteState, lost: u64) -> SiteChange {
    let origin = state.origin.unwrap_or_default();
    let events_dropped = (origin.events_dropped + lost).min(COUNTER_MAX);
    SiteChange::Origin(Some(SiteOrigin { events_dropped, ..origin }))
}

#[cfg(test)]
mod tests {
    use linecamp_model::{EventKind, Text, WallTime};

    use super::*;
    use crate::staging::Replay;

    fn event(text: &str) -> Event {
        Event { at: WallTime::EPOCH, kind: EventKind::DaemonStarted, site: None, host: None, text: Text::lossy(text) }
    }

    fn add(log: &EventLog, state: &mut SiteState, text: &str) {
        for change in log.changes(vec![event(text)], state) {
            state.apply(change);
        }
    }

    #[test]
    fn one_batch_is_in_flight_and_acknowledged_events_leave_the_outbox() {
        let (mut log, mut state) = (EventLog::default(), SiteState::default());
        add(&log, &mut state, "a");
        assert!(log.poll(&state).is_none(), "no session");
        log.open(0);
        assert_eq!(log.poll(&state).map(|batch| (batch.first, batch.events.len())), Some((1, 1)));
        add(&log, &mut state, "b");
        assert!(log.poll(&state).is_none(), "one at a time");
        log.handle_ack(1);
        assert_eq!(log.acknowledged(&state), [SiteChange::Event(1, None)]);
        assert_eq!(log.poll(&state).map(|batch| batch.first), Some(2));
    }

    #[test]
    fn an_event_never_gets_a_number_that_the_server_already_has() {
        let (mut log, mut state) = (EventLog::default(), SiteState::default());
        add(&log, &mut state, "a");
        log.open(5);
        add(&log, &mut state, "b");
        assert_eq!(state.events.keys().copied().collect::<Vec<_>>(), [1, 6]);
        assert_eq!(log.poll(&state).map(|batch| (batch.first, batch.events.len())), Some((6, 1)));
    }

    #[test]
    fn no_event_is_sent_or_dropped_before_a_required_new_incarnation() {
        let (mut log, mut state) = (EventLog::default(), SiteState::default());
        add(&log, &mut state, "a");
        log.open(9);
        log.require_incarnation();
        assert!(log.needs_incarnation() && log.poll(&state).is_none() && log.acknowledged(&state).is_empty());
        log.close();
        assert!(!log.needs_incarnation());
    }

    #[test]
    fn the_queue_in_memory_is_limited_and_counts_dropped_events() {
        let mut log = EventLog::default();
        for number in 0..=QUEUED_EVENTS_MAX {
            log.queue(event(&number.to_string()));
        }
        log.requeue(vec![event("before")]);
        assert_eq!(log.queued(), QUEUED_EVENTS_MAX);
        log.restore_lost(3);
        let (lost, queue) = log.take_queue();
        assert_eq!((lost, queue.front().map(|event| event.text.to_string())), (5, Some("1".to_owned())));
    }
}
