//! The server's metrics in the Prometheus format.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use linecamp_proto::api::path;
use linecamp_service::METRICS_CONTENT_TYPE;

use super::Api;
use super::error::ApiError;
use crate::metrics::write_connections;

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::METRICS, get(show))
}

async fn show(State(api): State<Api>) -> Result<Response, ApiError> {
    let mut metrics = api.metrics().await?;
    api.responses().write(&mut metrics);
    write_connections(&mut metrics, api.connections().counts());
    Ok(([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.into_text()).into_response())
}
