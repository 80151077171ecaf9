//! The REST API, with the paths and schemas of `linecamp_proto::api`.
//!
//! A handler parses its request completely, sends it to the loop and returns the answer. A change is answered when it
//! is durable. Everything except the health check and the installation files for new machines requires an API key
//! (`auth`).

mod auth;
mod environments;
mod error;
mod events;
mod extract;
mod hosts;
mod install;
mod limits;
mod metrics;
mod overview;
mod plugins;
mod providers;
mod records;
mod sites;
mod state;
mod tokens;
mod uploads;

#[cfg(test)]
pub(crate) use limits::CHANGE_RATE;
pub(crate) use state::{Addresses, Api, ServerInfo};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use linecamp_proto::api::path;

use self::error::ApiError;
use self::limits::BODY_BYTES_MAX;

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
        .fallback(async || ApiError::no_such_path())
        .method_not_allowed_fallback(async || ApiError::no_such_method())
        .layer(from_fn_with_state(api.clone(), auth::require_key))
        .merge(install::router())
        .route(path::HEALTH, get(overview::health))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    guarded(routes, &api).with_state(api)
}

/// Counts and logs the requests of `routes`, and contains the panics of their handlers.
pub(crate) fn guarded(routes: Router<Api>, api: &Api) -> Router<Api> {
    routes.layer(from_fn(auth::catch_panics)).layer(from_fn_with_state(api.clone(), auth::log))
}
