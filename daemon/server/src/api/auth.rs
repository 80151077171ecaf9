//! Who may ask, and what is logged of it.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::refused::Refused;
use crate::secret::ApiKeyText;

/// Lets in who shows an API key of this server.
///
/// The key's hash is looked up, so the time that takes says nothing about keys that exist.
pub(super) async fn require_key(State(api): State<Api>, request: Request, next: Next) -> Response {
    match check(&api, request.headers()).await {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

async fn check(api: &Api, headers: &HeaderMap) -> Result<(), Refused> {
    let refused = |problem| Refused::unauthorized(problem, &api.about().addresses().server_url);
    let key = bearer(headers).ok_or_else(|| refused("this server wants an API key"))?;
    let hash = ApiKeyText::parse(key).map(|key| key.hash());
    let hash = hash.ok_or_else(|| refused("that is not an API key: one begins with `lck_` and has 47 characters"))?;
    match api.query(move |fleet, _| fleet.knows_api_key(hash)).await? {
        true => Ok(()),
        false => Err(refused("the server does not know this API key")),
    }
}

/// Returns what stands after `Bearer`, whose case does not matter (RFC 7235).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Counts and logs each request, one that may change something for every operator to see: neither its query nor its
/// headers, which may hold what is nobody's business.
pub(super) async fn log(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    api.answers().note(status);
    let call = format!("{method} {path}");
    match method.is_safe() {
        true => tracing::debug!(call, status, ?took, "request"),
        false => tracing::info!(call, status, ?took, "request"),
    }
    response
}
