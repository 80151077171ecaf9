//! Authentication and request logging.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use linecamp_model::{SecretHash, excerpt};
use linecamp_service::PEER_TEXT_BYTES_MAX;

use super::Api;
use super::error::ApiError;
use crate::drivers::https::{ApiConnection, Client};
use crate::panics;
use crate::secret::ApiKeyText;

/// Requires an API key of this server.
///
/// The lookup is by the key's hash, so its timing reveals nothing about existing keys.
pub(super) async fn require_key(State(api): State<Api>, request: Request, next: Next) -> Response {
    let key = match check(&api, request.headers()).await {
        Ok(key) => key,
        Err(error) => return error.into_response(),
    };
    // From here on the connection is charged to the key.
    if let Some(connection) = request.extensions().get::<ApiConnection>() {
        connection.authenticate(Client::Key(key));
    }
    if !request.method().is_safe()
        && let Err(wait) = api.charge_change(key)
    {
        return ApiError::too_many_requests(wait).into_response();
    }
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Authenticated);
    response
}

/// Marks the response to a request with a valid API key.
#[derive(Clone, Copy, Debug)]
struct Authenticated;

async fn check(api: &Api, headers: &HeaderMap) -> Result<SecretHash, ApiError> {
    let unauthorized = |problem| ApiError::unauthorized(problem, &api.info().addresses().server_url);
    let key = bearer(headers).ok_or_else(|| unauthorized("no API key in the request"))?;
    let hash = ApiKeyText::parse(key).map(|key| key.hash());
    let hash = hash.ok_or_else(|| unauthorized("invalid API key: a key is `lck_` followed by 43 characters"))?;
    match api.query(move |fleet, _| fleet.view().knows_api_key(hash)).await? {
        true => Ok(hash),
        false => Err(unauthorized("unknown API key")),
    }
}

/// Returns the credentials after `Bearer`, whose case does not matter (RFC 7235).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Counts and logs each request. Requests with an API key that may change something are logged at info level, every one
/// of them, for every operator to see. Other requests change nothing: they are logged at debug level, and those without
/// a key only up to the limit for peers. Neither the query nor the headers are logged, because they may contain private
/// data.
pub(super) async fn log(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    api.responses().note(status);
    let call = excerpt(&format!("{method} {path}"), PEER_TEXT_BYTES_MAX);
    let has_key = response.extensions().get::<Authenticated>().is_some();
    match has_key {
        true if method.is_safe() => tracing::debug!(call, status, ?took, "request"),
        true => tracing::info!(call, status, ?took, "request"),
        false => tracing::debug!(name: "peer: request", call, status, ?took, "request"),
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
