//! The server's overview and health check.

use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use linecamp_core::StoreFault;
use linecamp_proto::api::{self, ErrorCode, path};
use serde::Serialize;

use super::Api;
use super::error::ApiError;

/// How long the loop may take to answer before the server counts as unhealthy.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

/// The server's health and version; the `doctor` of a site compares the version.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// `ok`, or why changes are rejected: `disk-full`, `read-only` or `failed`. A fault is no reason to restart the
    /// server: its sites stay linked.
    store: &'static str,
    version: &'static str,
}

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::SERVER, get(show))
}

/// Reports whether the loop answers and whether its store commits. Requires no key, and reveals nothing else but the
/// version.
pub(super) async fn health(State(api): State<Api>) -> Result<Json<Health>, ApiError> {
    match tokio::time::timeout(HEALTH_LIMIT, api.query(|fleet, _| fleet.store_fault())).await {
        Ok(answered) => answered.map(|fault| {
            let store = fault.map_or("ok", StoreFault::as_str);
            Json(Health { status: "ok", store, version: env!("CARGO_PKG_VERSION") })
        }),
        Err(_) => Err(ApiError::new(ErrorCode::Busy, "the server did not answer in time")),
    }
}

async fn show(State(api): State<Api>) -> Result<Json<api::Server>, ApiError> {
    let counts = api.query(|fleet, _| fleet.view().link_counts()).await?;
    let info = api.info();
    Ok(Json(api::Server {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pin: info.pin.to_string(),
        uptime_seconds: info.started.now().instant.since_origin().as_secs(),
        connected: counts.connected as u64,
        reconnecting: counts.reconnecting as u64,
        disconnected: counts.disconnected as u64,
    }))
}
