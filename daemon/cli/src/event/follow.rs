//! `event tail`: the event stream.
//!
//! The stream is opened before the newest events are listed, so nothing is missed between them. After a reconnect the
//! stream continues with the last message; if the server cannot continue there, the events are listed.

use std::time::Duration;

use anyhow::bail;
use linecamp_proto::api::operation::{FollowEvents, ListEvents};
use linecamp_proto::api::query::{EventQuery, StreamQuery, StreamTopic};
use linecamp_proto::api::{EVENTS_PER_ANSWER_MAX, Event, List, StreamEnd, StreamEndReason, StreamMessage};
use tokio::time::sleep;

use super::{TAIL_DEFAULT, line};
use crate::client::{ApiRequest, Client, ClientError, ServerEvents};
use crate::context::Context;

/// Retry delays in seconds; the last one repeats. They have no jitter, because few operators run this at a time.
const RETRY_SECONDS: [u64; 5] = [1, 2, 4, 8, 15];

/// Prints events until an error that a retry cannot fix.
pub(super) async fn follow(query: EventQuery, context: &Context<'_>) -> anyhow::Result<()> {
    let mut tail = Tail { client: context.client()?, query, context, shown: 0 };
    let mut stream = tail.open(None).await?;
    let first = tail.newest(TAIL_DEFAULT).await?;
    tail.show(&first.items)?;
    loop {
        let ended = tail.print(&mut stream).await?;
        stream = tail.reconnect(&ended, stream.last_id()).await?;
    }
}

/// Why a stream ended that is opened again.
enum Ended {
    Failed(ClientError),
    /// The server ended it.
    AccessChanged,
}

struct Tail<'a> {
    client: Client,
    query: EventQuery,
    context: &'a Context<'a>,
    /// The number of the last event that was printed.
    shown: u64,
}

impl Tail<'_> {
    async fn open(&self, last_id: Option<&str>) -> Result<ServerEvents, ClientError> {
        let EventQuery { site, environment, source, .. } = self.query.clone();
        let topic = Some(StreamTopic::Events);
        let query = StreamQuery { site, environment, source, topic, last_event_id: None };
        self.client.follow(ApiRequest::<FollowEvents>::new().query(&query), last_id).await
    }

    /// Prints the events of a stream until it ends.
    async fn print(&mut self, stream: &mut ServerEvents) -> anyhow::Result<Ended> {
        loop {
            match stream.next().await {
                Ok(StreamMessage::Event(event)) => self.show(&[event])?,
                Ok(StreamMessage::Reset(_)) => match self.catch_up().await {
                    Ok(()) => {}
                    Err(CatchUpError::Request(error)) if error.is_retryable() => return Ok(Ended::Failed(error)),
                    Err(CatchUpError::Request(error)) => return Err(error.into()),
                    Err(CatchUpError::Output(error)) => return Err(error),
                },
                Ok(StreamMessage::End(StreamEnd { reason: StreamEndReason::Replaced })) => {
                    bail!("the server ended the stream: this user opened further ones")
                }
                Ok(StreamMessage::End(_)) => return Ok(Ended::AccessChanged),
                Ok(StreamMessage::Site(_) | StreamMessage::Host(_)) => {}
                Err(error) if error.is_retryable() => return Ok(Ended::Failed(error)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Opens the stream again as soon as that is possible.
    async fn reconnect(&mut self, ended: &Ended, last_id: Option<&str>) -> anyhow::Result<ServerEvents> {
        let is_noted = match ended {
            Ended::Failed(error) => {
                self.note_failure(error);
                true
            }
            Ended::AccessChanged => false,
        };
        // Whatever ended the stream, it does not end again and again without a pause.
        sleep(retry_delay(0)).await;
        let mut failures = 0;
        loop {
            // Without an id, the server answers that it cannot continue.
            match self.open(Some(last_id.unwrap_or("none"))).await {
                Ok(stream) => {
                    if is_noted || failures != 0 {
                        self.context.out.note("reconnected to the server");
                    }
                    return Ok(stream);
                }
                Err(error) if error.is_retryable() => {
                    if failures == 0 && !is_noted {
                        self.note_failure(&error);
                    }
                    sleep(retry_delay(failures)).await;
                    failures += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note_failure(&self, error: &ClientError) {
        let chain = linecamp_transport::error_chain(error);
        self.context.out.note(&format!("connection to the server failed, retrying: {chain}"));
    }

    /// Prints the events after the last one that was printed. If the server was restored from a backup, in which case
    /// event numbers are lower than before, it prints all.
    async fn catch_up(&mut self) -> Result<(), CatchUpError> {
        let last = self.newest(1).await?;
        if last.items.last().is_some_and(|event| event.seq < self.shown) {
            let note = "the server was restored from a backup and reuses event numbers; showing all its events";
            self.context.out.note(note);
            self.shown = 0;
        }
        loop {
            let query = EventQuery { after: Some(self.shown), ..self.query.clone() };
            let events = self.client.send(ApiRequest::<ListEvents>::new().query(&query)).await?;
            self.show(&events.items).map_err(CatchUpError::Output)?;
            if events.items.len() < EVENTS_PER_ANSWER_MAX {
                return Ok(());
            }
        }
    }

    async fn newest(&mut self, limit: usize) -> Result<List<Event>, ClientError> {
        let query = EventQuery { limit: Some(limit), ..self.query.clone() };
        self.client.send(ApiRequest::<ListEvents>::new().query(&query)).await
    }

    /// Prints the events that were not printed yet.
    fn show(&mut self, events: &[Event]) -> anyhow::Result<()> {
        for event in events.iter().filter(|event| self.shown < event.seq) {
            self.context.out.show_line(event, || line(event))?;
        }
        self.shown = events.last().map_or(self.shown, |event| self.shown.max(event.seq));
        Ok(())
    }
}

enum CatchUpError {
    Request(ClientError),
    Output(anyhow::Error),
}

impl From<ClientError> for CatchUpError {
    fn from(error: ClientError) -> Self {
        Self::Request(error)
    }
}

fn retry_delay(failures: usize) -> Duration {
    let last = RETRY_SECONDS.len() - 1;
    Duration::from_secs(RETRY_SECONDS[failures.min(last)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delays_are_bounded() {
        let delays: Vec<_> = (0..7).map(|failures| retry_delay(failures).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 15, 15, 15]);
    }
}
