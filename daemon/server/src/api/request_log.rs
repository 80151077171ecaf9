//! The log of requests, and the containment of panics.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use linecamp_core::RequestOrigin;
use linecamp_model::{RequestId, excerpt};
use linecamp_service::{PEER_TEXT_BYTES_MAX, panics};
use linecamp_transport::random_bytes;

use super::Api;
use super::authenticate::AuthenticatedCaller;
use super::error::ApiError;

/// The header that names a request in its response. The log has the same name.
const REQUEST_ID: &str = "x-request-id";

/// Counts, names and logs each request. Requests with credentials that may change something are logged at info level,
/// every one of them, for every operator to see. Other requests change nothing: they are logged at debug level, and
/// those without credentials only up to the limit for peers. Neither the query nor the headers are logged, because they
/// may contain private data.
pub(super) async fn log(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // Without random bytes there are more urgent problems than requests of one name.
    let id = RequestId::from_bytes(random_bytes().unwrap_or_default());
    request.extensions_mut().insert(id);
    let client = request.extensions().get::<RequestOrigin>().map(|origin| origin.client.to_string());
    let client = client.unwrap_or_default();
    let began = Instant::now();
    let mut response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    api.responses().note(status);
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let call = excerpt(&format!("{method} {path}"), PEER_TEXT_BYTES_MAX);
    match response.extensions().get::<AuthenticatedCaller>().and_then(AuthenticatedCaller::identity) {
        Some(caller) if method.is_safe() => {
            tracing::debug!(call, status, ?took, caller, client, request = %id, "request");
        }
        Some(caller) => tracing::info!(call, status, ?took, caller, client, request = %id, "request"),
        None => tracing::debug!(name: "peer: request", call, status, ?took, client, request = %id, "request"),
    }
    response
}

/// Answers a request whose handler panicked with an internal error. Other requests are not affected.
pub(super) async fn catch_panics(request: Request, next: Next) -> Response {
    let call = excerpt(&format!("{} {}", request.method(), request.uri().path()), PEER_TEXT_BYTES_MAX);
    panics::caught(next.run(request)).await.unwrap_or_else(|panic| {
        tracing::error!(name: "peer: panic of a request", call, panic, "API request failed: its handler panicked");
        ApiError::internal().into_response()
    })
}
