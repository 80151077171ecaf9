//! Authentication and request logging.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use linecamp_model::SecretHash;

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
    next.run(request).await
}

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

/// Counts and logs each request; requests that may change something are logged at info level, for every operator to
/// see. Neither the query nor the headers are logged, because they may contain private data.
pub(super) async fn log(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    api.responses().note(status);
    let call = format!("{method} {path}");
    // A request that was rejected here changed nothing, and logging it at info level would flood the log.
    let is_rejected = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS].contains(&response.status());
    match method.is_safe() || is_rejected {
        true => tracing::debug!(call, status, ?took, "request"),
        false => tracing::info!(call, status, ?took, "request"),
    }
    response
}

/// Answers a request whose handler panicked with an internal error. Other requests are not affected.
pub(super) async fn catch_panics(request: Request, next: Next) -> Response {
    let call = format!("{} {}", request.method(), request.uri().path());
    panics::caught(next.run(request)).await.unwrap_or_else(|panic| {
        tracing::error!(call, panic, "API request failed: its handler panicked");
        ApiError::internal().into_response()
    })
}
