//! The description of the API.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use linecamp_proto::api::openapi::{DOCUMENT, DOCUMENT_MEDIA};
use linecamp_proto::api::operation::ShowOpenApi;

use super::call::Call;
use super::error::ApiError;

/// Shows the document as it is in the source.
pub(super) async fn show(_: Call<ShowOpenApi>) -> Result<Response, ApiError> {
    Ok(([(CONTENT_TYPE, DOCUMENT_MEDIA)], DOCUMENT).into_response())
}
