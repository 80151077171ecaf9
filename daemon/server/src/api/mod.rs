//! The REST API, with the paths and schemas of `linecamp_proto::api`.
//!
//! A handler parses its request completely, sends it to the loop and returns the answer. A change is answered when it
//! is durable. Everything except the health check and the installation files for new machines requires an API key
//! (`auth`).

mod ask;
mod auth;
mod environments;
mod events;
mod extract;
mod hosts;
mod install;
mod metrics;
mod overview;
mod plugins;
mod providers;
mod records;
mod refused;
mod sites;
mod tokens;

#[cfg(test)]
pub(crate) use ask::CHANGE_RATE;
pub(crate) use ask::{About, Addresses, Api};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use linecamp_proto::api::path;

use self::refused::Refused;

/// Maximum size of a request body in bytes. The largest ones, 64 labels and a provider at all its limits, need a fifth
/// of it; a larger body is rejected. Component uploads have their own limit (`plugins`).
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Returns the API's router.
pub(crate) fn router(api: Api) -> Router {
    let routes = Router::new()
        .merge(overview::router())
        .merge(sites::router())
        .merge(hosts::router())
        .merge(tokens::router())
        .merge(events::router())
        .merge(environments::router())
        .merge(providers::router())
        .merge(plugins::router())
        .merge(records::router())
        .merge(metrics::router())
        .fallback(async || Refused::no_such_path())
        .method_not_allowed_fallback(async || Refused::no_such_method())
        .layer(from_fn_with_state(api.clone(), auth::require_key))
        .merge(install::router())
        .route(path::HEALTH, get(overview::health))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    guarded(routes, &api).with_state(api)
}

/// Counts and logs the requests of `routes`, and contains the panics of their handlers.
pub(crate) fn guarded(routes: Router<Api>, api: &Api) -> Router<Api> {
    routes.layer(from_fn(auth::survive)).layer(from_fn_with_state(api.clone(), auth::log))
}
