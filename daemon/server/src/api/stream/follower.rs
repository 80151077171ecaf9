//! The task of a stream.

use std::time::Duration;

use axum::body::Bytes;
use linecamp_core::StreamFilter;
use linecamp_proto::api::{STREAM_HEARTBEAT_SECONDS, StreamEnd, StreamEndReason, StreamMessage};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::reset_message;
use crate::api::Api;
use crate::api::authenticate::Presented;
use crate::event_streams::{EventStreams, StreamSeat, frame};
use crate::fleet_access::FleetAccess;

const HEARTBEAT: Duration = Duration::from_secs(STREAM_HEARTBEAT_SECONDS);

/// How long a credential that does not end by itself counts, until it is checked again anyway.
const CHECK_PERIOD: Duration = Duration::from_secs(24 * 3600);

/// What a stream does next.
enum Step {
    /// Send this.
    Send(String),
    /// Send this and end.
    End(StreamEndReason),
    /// End: the client is gone, or the server stops.
    Leave,
}

/// The task of a stream.
pub(super) struct Follower {
    api: Api,
    fleet: FleetAccess,
    presented: Presented,
    streams: EventStreams,
    seat: StreamSeat,
    filter: StreamFilter,
    /// The last message that was considered.
    last: u64,
    newest: watch::Receiver<u64>,
    access: watch::Receiver<u64>,
    /// When the credential is checked next, if nothing changes.
    check_at: Instant,
    heartbeat_at: Instant,
}

impl Follower {
    pub(super) fn new(
        api: Api,
        fleet: FleetAccess,
        presented: Presented,
        (seat, filter, last): (StreamSeat, StreamFilter, u64),
    ) -> Self {
        let streams = api.event_streams().clone();
        let (newest, mut access) = (streams.watch_newest(), streams.watch_access());
        // Whatever changed since the request was authorized is checked first.
        access.mark_changed();
        let now = Instant::now();
        let (check_at, heartbeat_at) = (now + CHECK_PERIOD, now + HEARTBEAT);
        Self { api, fleet, presented, streams, seat, filter, last, newest, access, check_at, heartbeat_at }
    }

    /// Runs the stream until it ends.
    pub(super) async fn run(mut self, first: String, sender: mpsc::Sender<Bytes>) {
        if sender.send(first.into()).await.is_err() {
            return;
        }
        loop {
            let step = match self.wait_for_room(&sender).await {
                Ok(()) => self.next(&sender).await,
                Err(step) => step,
            };
            match step {
                // There is room, and no other sender.
                Step::Send(text) => drop(sender.try_send(text.into())),
                Step::End(reason) => {
                    let message = StreamMessage::End(StreamEnd { reason });
                    let text = frame(message.name(), self.streams.position(self.last), &message.data());
                    // A client that does not read learns it from the end of the connection.
                    return drop(sender.try_send(text.into()));
                }
                Step::Leave => return,
            }
        }
    }

    /// Waits until the client has taken what it was sent.
    async fn wait_for_room(&mut self, sender: &mpsc::Sender<Bytes>) -> Result<(), Step> {
        loop {
            tokio::select! {
                biased;
                () = self.seat.replaced() => return Err(Step::End(StreamEndReason::Replaced)),
                is_open = access_event(&mut self.access, self.check_at) => self.check(is_open).await?,
                room = sender.reserve() => return room.map(drop).map_err(|_| Step::Leave),
            }
        }
    }

    /// Waits for something to send.
    async fn next(&mut self, sender: &mpsc::Sender<Bytes>) -> Step {
        loop {
            if self.access.has_changed().unwrap_or(true)
                && let Err(step) = self.check(true).await
            {
                return step;
            }
            if let Some(text) = self.read() {
                return Step::Send(text);
            }
            tokio::select! {
                biased;
                () = self.seat.replaced() => return Step::End(StreamEndReason::Replaced),
                is_open = access_event(&mut self.access, self.check_at) => {
                    if let Err(step) = self.check(is_open).await {
                        return step;
                    }
                }
                changed = self.newest.changed() => if changed.is_err() {
                    return Step::Leave;
                },
                () = sleep_until(self.heartbeat_at) => return self.beat().await,
                () = sender.closed() => return Step::Leave,
            }
        }
    }

    /// Returns the messages that are there, if any.
    fn read(&mut self) -> Option<String> {
        self.newest.mark_unchanged();
        let (filter, caller) = (&self.filter, self.fleet.authorization());
        match self.streams.read(self.last, |subject| filter.selects(subject, caller)) {
            Ok((last, text)) => {
                self.last = last;
                Some(text).filter(|text| !text.is_empty())
            }
            Err(reason) => {
                self.last = self.streams.last();
                Some(reset_message(&self.streams, self.last, reason))
            }
        }
    }

    /// Returns a comment, with the id up to which the client has everything.
    async fn beat(&mut self) -> Step {
        self.heartbeat_at = Instant::now() + HEARTBEAT;
        if !self.presented.is_cookie {
            // A use of the credential; what it says is checked below.
            drop(self.api.authenticate(self.presented.credential).await);
        }
        match self.check(true).await {
            Ok(()) => Step::Send(format!(":\nid: {}\n\n", self.streams.position(self.last))),
            Err(step) => step,
        }
    }

    /// Checks that the caller is still who it was, and may see what it could.
    async fn check(&mut self, is_open: bool) -> Result<(), Step> {
        if !is_open {
            return Err(Step::Leave);
        }
        self.access.mark_unchanged();
        match self.fleet.standing(self.presented.credential).await {
            Ok(Some(lasts)) => {
                self.check_at = Instant::now() + lasts.unwrap_or(CHECK_PERIOD).min(CHECK_PERIOD);
                Ok(())
            }
            Ok(None) => Err(Step::End(StreamEndReason::AccessChanged)),
            Err(_) => Err(Step::Leave),
        }
    }
}

/// Waits until access has to be checked. Returns false if the server is stopping.
async fn access_event(access: &mut watch::Receiver<u64>, check_at: Instant) -> bool {
    tokio::select! {
        changed = access.changed() => changed.is_ok(),
        () = sleep_until(check_at) => true,
    }
}
