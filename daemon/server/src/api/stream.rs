//! The event stream: server-sent events.
//!
//! A task of each stream waits for messages and gives them to the body of the response, one piece at a time: while the
//! client does not read, the task waits, and the backlog goes on without it. What the client may see is checked when a
//! message is read. When an account, an API key or a session changed, or a credential ends by itself, the task asks the
//! fleet again before anything else, and ends the stream if the answer is another one.
//!
//! A stream keeps the session of a bearer in use; a browser's ends without other requests, as if the page was closed.

mod body;
mod follower;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use linecamp_core::{ResetReason, StreamFilter};
use linecamp_proto::api::operation::{Body as _, EventStream, FollowEvents};
use linecamp_proto::api::query::{StreamQuery, StreamTopic};
use linecamp_proto::api::{
    EventSource, STREAM_ID_CHARS_MAX, STREAM_RETRY_MILLISECONDS, StreamMessage, StreamReset, StreamResetReason,
};
use linecamp_service::panics;
use tokio::sync::mpsc;

use self::body::StreamBody;
use self::follower::Follower;
use super::call::Call;
use super::error::ApiError;
use super::events::site_of;
use super::parse::optional_name;
use crate::drivers::request_permit::RequestPermit;
use crate::event_streams::{EventStreams, frame};
use crate::fleet_access::FleetAccess;

/// The header with the id of the last message.
const LAST_EVENT_ID: &str = "last-event-id";

/// The header that tells nginx not to hold messages back.
const X_ACCEL_BUFFERING: &str = "x-accel-buffering";

pub(super) async fn follow(call: Call<FollowEvents>) -> Result<Response, ApiError> {
    let presented = call.presented.ok_or_else(ApiError::internal)?;
    let Call { fleet, api, query, head, .. } = call;
    let filter = filter(&fleet, &query).await?;
    if query.last_event_id.as_ref().is_some_and(|id| STREAM_ID_CHARS_MAX < id.chars().count()) {
        let problem = format!("has at most {STREAM_ID_CHARS_MAX} characters");
        return Err(ApiError::invalid("last_event_id", &problem, None));
    }
    let streams = api.event_streams().clone();
    let owner = fleet.authorization().caller.identity.account();
    let seat = streams.open(owner).ok_or_else(ApiError::too_many_streams)?;
    let header = head.headers.get(LAST_EVENT_ID).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (position, first) = begin(&streams, header.or(query.last_event_id).as_deref());
    let follower = Follower::new(api, fleet, presented, (seat, filter, position));
    // One piece is written while the next one is waited for.
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(panic) = panics::caught(follower.run(first, sender)).await {
            tracing::error!(name: "peer: panic of a stream", panic, "an event stream panicked");
        }
    });
    let body = Body::new(StreamBody::new(pieces, head.extensions.get::<RequestPermit>().cloned()));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(EventStream::MEDIA.unwrap_or_default())),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, [(X_ACCEL_BUFFERING, "no")], body).into_response())
}

async fn filter(fleet: &FleetAccess, query: &StreamQuery) -> Result<StreamFilter, ApiError> {
    let (site, environment) = match &query.site {
        Some(site) => (Some(site_of(fleet, site, query.environment.as_deref()).await?), None),
        None => (None, optional_name("environment", query.environment.as_deref())?),
    };
    Ok(StreamFilter {
        environment,
        site,
        is_reported: query.source.map(|source| source == EventSource::Site),
        has_states: query.topic != Some(StreamTopic::Events),
        has_events: query.topic != Some(StreamTopic::States),
    })
}

/// Returns the number after which a stream begins, and what it is told first.
fn begin(streams: &EventStreams, last_id: Option<&str>) -> (u64, String) {
    let (number, reset) = match last_id.map(|id| streams.resume(id)) {
        None => (streams.last(), None),
        Some(Ok(number)) => (number, None),
        Some(Err(reason)) => (streams.last(), Some(reason)),
    };
    let position = streams.position(number);
    let reset = reset.map(|reason| reset_message(streams, number, reason)).unwrap_or_default();
    // A message without data is not shown to the client, but its id counts.
    (number, format!("retry: {STREAM_RETRY_MILLISECONDS}\nid: {position}\n\n{reset}"))
}

/// Returns the message that the client must list everything again, and continue after this number.
fn reset_message(streams: &EventStreams, number: u64, reason: ResetReason) -> String {
    let reason = match reason {
        ResetReason::Restarted => StreamResetReason::Restarted,
        ResetReason::FellBehind => StreamResetReason::FellBehind,
    };
    let message = StreamMessage::Reset(StreamReset { reason });
    frame(message.name(), streams.position(number), &message.data())
}
