//! The server's metrics in the Prometheus format.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use linecamp_proto::api::operation::ShowMetrics;
use linecamp_service::METRICS_CONTENT_TYPE;

use super::call::Call;
use super::error::ApiError;
use crate::metrics::{write_connections, write_event_streams};

pub(super) async fn show(Call { api, .. }: Call<ShowMetrics>) -> Result<Response, ApiError> {
    let mut metrics = api.metrics().await?;
    api.responses().write(&mut metrics);
    let limits = api.connections();
    write_connections(&mut metrics, limits.connections.counts(), limits.streams.counts());
    write_event_streams(&mut metrics, api.event_streams().counts());
    api.info().certificate.write(&mut metrics);
    Ok(([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], metrics.into_text()).into_response())
}
