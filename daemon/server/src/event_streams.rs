//! Event streams: the loop's end ([`StreamFeed`]) and the API's end ([`EventStreams`]) of the messages.
//!
//! The loop writes each message once, encoded, into the backlog, and wakes the streams. What a stream gets, and when it
//! is told to start over, is decided in `linecamp_core` (`event_stream`). Nothing here waits for a stream.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linecamp_core::{
    Fleet, MessageKind, ResetReason, StateChange, StreamBacklog, StreamId, StreamPosition, StreamShares, StreamSubject,
};
use linecamp_model::{CallerAccount, FleetChange, Now};
use linecamp_proto::api::StreamMessage;
use tokio::sync::{Notify, watch};

/// Maximum sites whose states are told in a turn of the loop, a millisecond's work. The others follow in the next one.
const SITES_PER_TURN_MAX: usize = 256;

/// How much is read from the backlog at a time, in bytes. It ends with the message that exceeds it.
const READ_BYTES_MAX: usize = 32 * 1024;

/// A message, encoded for all streams.
#[derive(Clone, Debug)]
struct EncodedMessage {
    subject: StreamSubject,
    name: &'static str,
    data: String,
}

#[derive(Debug, Default)]
struct Seats {
    shares: StreamShares<CallerAccount>,
    /// Notifies each stream that another one takes its place.
    replaced: BTreeMap<StreamId, Arc<Notify>>,
    rejected: u64,
}

/// The streams, for the API. Clones share the state.
#[derive(Clone, Debug)]
pub(crate) struct EventStreams {
    backlog: Arc<Mutex<StreamBacklog<EncodedMessage>>>,
    seats: Arc<Mutex<Seats>>,
    newest: watch::Receiver<u64>,
    access: watch::Receiver<u64>,
}

impl EventStreams {
    /// Takes a place for a stream; `None` if there is none.
    pub(crate) fn open(&self, owner: CallerAccount) -> Option<StreamSeat> {
        let mut seats = lock(&self.seats);
        let Some((id, ended)) = seats.shares.open(owner) else {
            seats.rejected += 1;
            return None;
        };
        if let Some(replaced) = ended.and_then(|ended| seats.replaced.remove(&ended)) {
            replaced.notify_one();
        }
        let replaced = Arc::new(Notify::new());
        seats.replaced.insert(id, Arc::clone(&replaced));
        Some(StreamSeat { seats: Arc::clone(&self.seats), id, replaced })
    }

    /// Returns the number of open streams, and of those that were rejected.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let seats = lock(&self.seats);
        (seats.shares.len(), seats.rejected)
    }

    /// Returns a receiver that changes when there is another message. It closes when the loop has ended.
    pub(crate) fn watch_newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// Returns a receiver that changes when the access of a caller may have changed.
    pub(crate) fn watch_access(&self) -> watch::Receiver<u64> {
        self.access.clone()
    }

    /// Returns the number of the newest message.
    pub(crate) fn last(&self) -> u64 {
        lock(&self.backlog).last()
    }

    /// Returns the position of a message.
    pub(crate) fn position(&self, number: u64) -> StreamPosition {
        lock(&self.backlog).position(number)
    }

    /// Returns the number after which a stream continues that had this position.
    pub(crate) fn resume(&self, position: &str) -> Result<u64, ResetReason> {
        lock(&self.backlog).resume(position)
    }

    /// Returns the selected messages after a number in the format of a stream, with the number of the last one that was
    /// considered.
    pub(crate) fn read(
        &self,
        after: u64,
        selects: impl Fn(&StreamSubject) -> bool,
    ) -> Result<(u64, String), ResetReason> {
        let backlog = lock(&self.backlog);
        let (mut last, mut text) = (after, String::new());
        for (number, message) in backlog.after(after)? {
            last = number;
            if selects(&message.subject) {
                text.push_str(&frame(message.name, backlog.position(number), &message.data));
                if READ_BYTES_MAX < text.len() {
                    break;
                }
            }
        }
        Ok((last, text))
    }
}

/// Returns a message in the format of a stream.
pub(crate) fn frame(name: &str, position: StreamPosition, data: &str) -> String {
    format!("event: {name}\nid: {position}\ndata: {data}\n\n")
}

/// The place of a stream. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct StreamSeat {
    seats: Arc<Mutex<Seats>>,
    id: StreamId,
    replaced: Arc<Notify>,
}

impl StreamSeat {
    /// Waits until another stream takes the place. For use by one task; cancel-safe.
    pub(crate) async fn replaced(&self) {
        self.replaced.notified().await;
    }
}

impl Drop for StreamSeat {
    fn drop(&mut self) {
        let mut seats = lock(&self.seats);
        seats.shares.close(self.id);
        seats.replaced.remove(&self.id);
    }
}

/// The streams, for the loop.
#[derive(Debug)]
pub(crate) struct StreamFeed {
    streams: EventStreams,
    newest: watch::Sender<u64>,
    access: watch::Sender<u64>,
    /// The newest event that was told.
    events_told: u64,
}

impl StreamFeed {
    /// Creates the feed of a run of the server, with a random number and the number of the newest event.
    pub(crate) fn new(incarnation: u64, newest_event: u64) -> Self {
        let (newest, access) = (watch::Sender::new(0), watch::Sender::new(0));
        let streams = EventStreams {
            backlog: Arc::new(Mutex::new(StreamBacklog::new(incarnation))),
            seats: Arc::default(),
            newest: newest.subscribe(),
            access: access.subscribe(),
        };
        Self { streams, newest, access, events_told: newest_event }
    }

    /// Returns the API's end.
    pub(crate) fn streams(&self) -> EventStreams {
        self.streams.clone()
    }

    /// Notes changes that are decided: they may be about what the callers of streams may see.
    pub(crate) fn note_changes(&self, changes: &[FleetChange]) {
        if changes.iter().any(FleetChange::affects_access) {
            self.access.send_modify(|revision| *revision += 1);
        }
    }

    /// Tells what has changed since the last call. Of the events, those up to number `durable` exist.
    pub(crate) fn publish(&mut self, fleet: &mut Fleet, durable: u64, now: Now) {
        if self.events_told < durable {
            let events = fleet.view().events_with_environments(self.events_told, durable);
            self.events_told = durable;
            for (environment, event) in events {
                let kind = MessageKind::Event { is_reported: event.received_at.is_some() };
                let subject = StreamSubject { kind, environment, site: event.event.site };
                self.push(subject, &StreamMessage::Event((&event).into()));
            }
        }
        for change in fleet.take_state_changes(SITES_PER_TURN_MAX, now) {
            let kind = MessageKind::State;
            let (environment, site, message) = match &change {
                StateChange::Site(state) => (&state.environment, state.id, StreamMessage::Site(state.into())),
                StateChange::Host(site, state) => (&state.environment, *site, StreamMessage::Host(state.into())),
            };
            self.push(StreamSubject { kind, environment: Some(environment.clone()), site: Some(site) }, &message);
        }
        self.wake();
    }

    /// Wakes the streams if there is another message.
    pub(crate) fn wake(&self) {
        let last = self.streams.last();
        self.newest.send_if_modified(|newest| std::mem::replace(newest, last) != last);
    }

    /// Adds a message to the backlog.
    pub(crate) fn push(&self, subject: StreamSubject, message: &StreamMessage) {
        let data = message.data();
        let bytes = data.len();
        lock(&self.streams.backlog).push(EncodedMessage { subject, name: message.name(), data }, bytes);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under a lock is complete before anything that could panic.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
