//! Events and long polling for them.

use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use linecamp_core::EventFilter;
use linecamp_model::{EventView, SiteId};
use linecamp_proto::api::path::{self, EventQuery};
use linecamp_proto::api::{EVENT_WAIT_SECONDS_MAX, EVENTS_PER_ANSWER_MAX, Event, EventSource, List};
use tokio::time::{Instant, timeout_at};

use super::Api;
use super::error::ApiError;
use super::extract::{StrictQuery, parse_name, site_ref};

/// How long to wait for events that are being written to disk. After that they are left out: the disk is slow, or the
/// write failed.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::EVENTS, get(list))
}

async fn list(
    State(api): State<Api>,
    StrictQuery(query): StrictQuery<EventQuery>,
) -> Result<Json<List<Event>>, ApiError> {
    if query.wait.is_some() && query.after.is_none() {
        return Err(ApiError::bad_request("wait: requires `after`, the number of the last event received"));
    }
    if query.environment.is_some() && query.site.is_none() {
        return Err(ApiError::bad_request("environment: requires `site`"));
    }
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(EVENT_WAIT_SECONDS_MAX));
    let limit = query.limit.unwrap_or(EVENTS_PER_ANSWER_MAX).clamp(1, EVENTS_PER_ANSWER_MAX);
    let site = match &query.site {
        Some(text) => Some(site_of(&api, text, query.environment.as_deref()).await?),
        None => None,
    };
    let filter = EventFilter { site, is_reported: query.source.map(|source| source == EventSource::Site) };
    settle(&api).await?;
    let events = match query.after {
        Some(after) => await_events(&api, After { after, filter, limit }, wait).await?,
        None => newest(&api, filter, limit).await?,
    };
    Ok(Json(events.iter().map(Event::from).collect()))
}

/// Waits until the events of all changes so far are durable. The state machine writes a change first and its event
/// next, so without this a client that was just told of a completed change might not find its event.
async fn settle(api: &Api) -> Result<(), ApiError> {
    let last = api.query(|fleet, _| fleet.view().last_event()).await?;
    let mut newest = api.newest_event();
    drop(tokio::time::timeout(SETTLE_LIMIT, newest.wait_for(|seq| last <= *seq)).await);
    Ok(())
}

async fn site_of(api: &Api, name: &str, environment: Option<&str>) -> Result<SiteId, ApiError> {
    let site = site_ref(parse_name("site", name)?, environment)?;
    Ok(api.query(move |fleet, now| fleet.view().site(&site, now)).await??.id)
}

#[derive(Clone, Copy, Debug)]
struct After {
    after: u64,
    filter: EventFilter,
    limit: usize,
}

/// Returns the events after `after`, or waits for one. Each durable event wakes all waiting requests.
async fn await_events(api: &Api, what: After, wait: Duration) -> Result<Vec<EventView>, ApiError> {
    let deadline = Instant::now() + wait;
    let mut newest = api.newest_event();
    loop {
        let durable = *newest.borrow_and_update();
        let mut events = api.query(move |fleet, _| fleet.view().events(what.after, what.filter, what.limit)).await?;
        events.retain(|event| event.seq <= durable);
        if !events.is_empty() || wait.is_zero() {
            return Ok(events);
        }
        match timeout_at(deadline, newest.changed()).await {
            Ok(Ok(())) => {}
            // The wait timed out or the server is stopping: there are no events yet.
            Ok(Err(_)) | Err(_) => return Ok(events),
        }
    }
}

async fn newest(api: &Api, filter: EventFilter, limit: usize) -> Result<Vec<EventView>, ApiError> {
    let durable = *api.newest_event().borrow();
    api.query(move |fleet, _| fleet.view().newest_events(durable, filter, limit)).await
}
