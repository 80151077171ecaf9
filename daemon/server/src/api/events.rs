//! Events and long polling for them.

use std::time::Duration;

use linecamp_core::EventFilter;
use linecamp_model::{EventView, SiteId};
use linecamp_proto::api::operation::ListEvents;
use linecamp_proto::api::{EVENT_WAIT_SECONDS_MAX, EVENTS_PER_ANSWER_MAX, Event, EventSource, List};
use tokio::time::{Instant, timeout_at};

use super::Api;
use super::call::Call;
use super::error::ApiError;
use super::parse::{limit, parse_name, site_ref};
use crate::fleet_access::FleetAccess;

/// How long to wait for events that are being written to disk. After that they are left out: the disk is slow, or the
/// write failed.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

pub(super) async fn list(call: Call<ListEvents>) -> Result<List<Event>, ApiError> {
    let Call { fleet, api, query, .. } = call;
    if query.wait.is_some() && query.after.is_none() {
        return Err(ApiError::invalid("wait", &"requires `after`, the number of the last event received", None));
    }
    if query.environment.is_some() && query.site.is_none() {
        return Err(ApiError::invalid("environment", &"requires `site`", None));
    }
    let wait = query.wait.unwrap_or(0);
    if EVENT_WAIT_SECONDS_MAX < wait {
        let problem = format!("is a number of seconds from 0 to {EVENT_WAIT_SECONDS_MAX}");
        return Err(ApiError::invalid("wait", &problem, None));
    }
    let limit = limit(query.limit, EVENTS_PER_ANSWER_MAX, EVENTS_PER_ANSWER_MAX)?;
    let site = match &query.site {
        Some(text) => Some(site_of(&fleet, text, query.environment.as_deref()).await?),
        None => None,
    };
    let filter = EventFilter { site, is_reported: query.source.map(|source| source == EventSource::Site) };
    settle(&fleet, &api).await?;
    let events = match query.after {
        Some(after) => await_events(&fleet, &api, After { after, filter, limit }, Duration::from_secs(wait)).await?,
        None => newest(&fleet, &api, filter, limit).await?,
    };
    Ok(List::part(events.iter().map(Event::from).collect()))
}

/// Waits until the events of all changes so far are durable. The state machine writes a change first and its event
/// next, so without this a client that was just told of a completed change might not find its event.
async fn settle(fleet: &FleetAccess, api: &Api) -> Result<(), ApiError> {
    let last = fleet.query(|fleet, _| fleet.last_event()).await?;
    let mut newest = api.newest_event();
    drop(tokio::time::timeout(SETTLE_LIMIT, newest.wait_for(|seq| last <= *seq)).await);
    Ok(())
}

pub(super) async fn site_of(fleet: &FleetAccess, name: &str, environment: Option<&str>) -> Result<SiteId, ApiError> {
    let site = site_ref(parse_name("site", name)?, environment)?;
    Ok(fleet.query(move |fleet, now| fleet.site(&site, now)).await??.id)
}

#[derive(Clone, Copy, Debug)]
struct After {
    after: u64,
    filter: EventFilter,
    limit: usize,
}

/// Returns the events after `after`, or waits for one. Each durable event wakes all waiting requests.
async fn await_events(fleet: &FleetAccess, api: &Api, what: After, wait: Duration) -> Result<Vec<EventView>, ApiError> {
    let deadline = Instant::now() + wait;
    let mut newest = api.newest_event();
    loop {
        let durable = *newest.borrow_and_update();
        let mut events = fleet.query(move |fleet, _| fleet.events(what.after, what.filter, what.limit)).await?;
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

async fn newest(fleet: &FleetAccess, api: &Api, filter: EventFilter, limit: usize) -> Result<Vec<EventView>, ApiError> {
    let durable = *api.newest_event().borrow();
    Ok(fleet.query(move |fleet, _| fleet.newest_events(durable, filter, limit)).await?)
}
