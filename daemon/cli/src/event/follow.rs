//! The loop of `event tail`.

use std::time::Duration;

use linecamp_proto::api::path::{EVENTS, EventQuery};
use linecamp_proto::api::{Event, List};
use tokio::time::{Instant, sleep};

use super::{TAIL_DEFAULT, line};
use crate::client::{ApiRequest, Client, ClientError};
use crate::global::Context;

/// How long one question waits for an event: below the half minute after which many proxies cut a silent
/// connection. Then it is asked again.
const POLL_WAIT: Duration = Duration::from_secs(25);

/// The shortest time between two answers without an event: a server that does not wait is not asked in a loop.
const EMPTY_PACE: Duration = Duration::from_secs(1);

/// The pauses while the server is away, in seconds; the last one repeats. One person asks, not a fleet, so there is
/// no need to spread them.
const RETRY_SECONDS: [u64; 5] = [1, 2, 4, 8, 15];

/// Shows events until something ends it that asking again does not change.
pub(super) async fn follow(query: EventQuery, context: &Context<'_>) -> anyhow::Result<()> {
    let mut client = context.client()?;
    let first = newest(&query, TAIL_DEFAULT, &mut client).await?;
    let mut shown = show(&first, 0, context)?;
    let mut failures = 0;
    loop {
        let requested_at = Instant::now();
        match next(&query, &mut shown, failures, context, &mut client).await {
            Ok(events) => {
                if failures != 0 {
                    context.out.note("the server is back");
                }
                failures = 0;
                shown = show(&events, shown, context)?;
                if events.items.is_empty() && requested_at.elapsed() < EMPTY_PACE {
                    sleep(EMPTY_PACE).await;
                }
            }
            Err(error) if error.is_retryable() => {
                if failures == 0 {
                    let error = anyhow::Error::from(error);
                    context.out.note(&format!("lost the server, trying until it is back: {error:#}"));
                }
                sleep(pause(failures)).await;
                failures += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Asks for what lies above `shown`. After a failure it does not wait, so that the return is seen at once, and it
/// looks whether the server still counts as before: one that was restored from a backup may count from below.
async fn next(
    query: &EventQuery,
    shown: &mut u64,
    failures: usize,
    context: &Context<'_>,
    client: &mut Client,
) -> Result<List<Event>, ClientError> {
    if failures == 0 {
        return above(query, *shown, POLL_WAIT, client).await;
    }
    let last = newest(query, 1, client).await?;
    if last.items.last().is_some_and(|event| event.seq < *shown) {
        context.out.note("the server counts its events from below: it was restored; showing those it has");
        *shown = 0;
    }
    above(query, *shown, Duration::ZERO, client).await
}

async fn newest(query: &EventQuery, limit: usize, client: &mut Client) -> Result<List<Event>, ClientError> {
    let query = EventQuery { limit: Some(limit), ..query.clone() };
    client.send(ApiRequest::get(EVENTS).query(&query)).await
}

async fn above(
    query: &EventQuery,
    after: u64,
    wait: Duration,
    client: &mut Client,
) -> Result<List<Event>, ClientError> {
    let query = EventQuery { after: Some(after), wait: Some(wait.as_secs()), ..query.clone() };
    client.send(ApiRequest::get(EVENTS).query(&query).waiting(wait)).await
}

/// Shows events, and returns the number of the last one shown.
fn show(events: &List<Event>, shown: u64, context: &Context<'_>) -> anyhow::Result<u64> {
    for event in &events.items {
        context.out.show_line(event, || line(event))?;
    }
    Ok(events.items.last().map_or(shown, |event| event.seq))
}

fn pause(failures: usize) -> Duration {
    let last = RETRY_SECONDS.len() - 1;
    Duration::from_secs(RETRY_SECONDS[failures.min(last)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<_> = (0..7).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15, 15]);
    }
}
