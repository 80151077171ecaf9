//! The polling loop of `event tail`.

use std::time::Duration;

use linecamp_proto::api::operation::ListEvents;
use linecamp_proto::api::query::EventQuery;
use linecamp_proto::api::{Event, List};
use tokio::time::{Instant, sleep};

use super::{TAIL_DEFAULT, line};
use crate::client::{ApiRequest, Client, ClientError};
use crate::context::Context;

/// Long-poll duration: below the 30 seconds after which many proxies close an idle connection.
const POLL_WAIT: Duration = Duration::from_secs(25);

/// Minimum time between two empty responses: prevents a busy loop if the server does not wait.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Retry delays in seconds; the last one repeats. They have no jitter, because few operators run this at a time.
const RETRY_SECONDS: [u64; 5] = [1, 2, 4, 8, 15];

/// Prints events until an error that a retry cannot fix.
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
                    context.out.note("reconnected to the server");
                }
                failures = 0;
                shown = show(&events, shown, context)?;
                if events.items.is_empty() && requested_at.elapsed() < EMPTY_POLL_INTERVAL {
                    sleep(EMPTY_POLL_INTERVAL).await;
                }
            }
            Err(error) if error.is_retryable() => {
                if failures == 0 {
                    let error = anyhow::Error::from(error);
                    context.out.note(&format!("connection to the server failed, retrying: {error:#}"));
                }
                sleep(retry_delay(failures)).await;
                failures += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Requests events after `shown`. After a failure it does not long-poll, so that the reconnect is reported at once, and
/// it checks whether the server was restored from a backup, in which case event numbers are lower than before.
async fn next(
    query: &EventQuery,
    shown: &mut u64,
    failures: usize,
    context: &Context<'_>,
    client: &mut Client,
) -> Result<List<Event>, ClientError> {
    if failures == 0 {
        return events_after(query, *shown, POLL_WAIT, client).await;
    }
    let last = newest(query, 1, client).await?;
    if last.items.last().is_some_and(|event| event.seq < *shown) {
        context.out.note("the server was restored from a backup and reuses event numbers; showing all its events");
        *shown = 0;
    }
    events_after(query, *shown, Duration::ZERO, client).await
}

async fn newest(query: &EventQuery, limit: usize, client: &mut Client) -> Result<List<Event>, ClientError> {
    let query = EventQuery { limit: Some(limit), ..query.clone() };
    client.send(ApiRequest::<ListEvents>::new().query(&query)).await
}

async fn events_after(
    query: &EventQuery,
    after: u64,
    wait: Duration,
    client: &mut Client,
) -> Result<List<Event>, ClientError> {
    let query = EventQuery { after: Some(after), wait: Some(wait.as_secs()), ..query.clone() };
    client.send(ApiRequest::<ListEvents>::new().query(&query).waiting(wait)).await
}

/// Prints events. Returns the number of the last one.
fn show(events: &List<Event>, shown: u64, context: &Context<'_>) -> anyhow::Result<u64> {
    for event in &events.items {
        context.out.show_line(event, || line(event))?;
    }
    Ok(events.items.last().map_or(shown, |event| event.seq))
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
