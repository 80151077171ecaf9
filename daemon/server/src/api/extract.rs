//! Strict request parsing, with errors that state what is wrong and where.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use linecamp_core::{HostRef, SiteRef};
use linecamp_model::Name;
use linecamp_proto::api::ErrorCode;
use linecamp_proto::api::path::HostNameQuery;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::limits::{BODY_BYTES_MAX, BODY_LIMIT};

/// A request's JSON body, regardless of its content type.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let reading = tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, state));
        let Ok(read) = reading.await else {
            return Err(ApiError::bad_request(format!("request body not received within {} s", BODY_LIMIT.as_secs())));
        };
        let bytes = read.map_err(|rejection| body_error(&rejection))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format!("invalid request body: {error}")))
    }
}

fn body_error(rejection: &BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let kib = BODY_BYTES_MAX / 1024;
            ApiError::new(ErrorCode::TooLarge, format!("request body too large (maximum {kib} KiB)"))
        }
        _ => ApiError::bad_request(format!("cannot read the request body: {}", rejection.body_text())),
    }
}

/// A request's query.
#[derive(Debug)]
pub(super) struct StrictQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::bad_request(format!("invalid query: {}", rejection.body_text()))),
        }
    }
}

/// The name in a request's path.
#[derive(Debug)]
pub(super) struct Named(pub(super) Name);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = path_param(parts, state).await?;
        parse_name("name in the path", &text).map(Self)
    }
}

/// Returns the only parameter in a request's path.
pub(super) async fn path_param<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, ApiError> {
    match Path::<String>::from_request_parts(parts, state).await {
        Ok(Path(text)) => Ok(text),
        Err(rejection) => Err(ApiError::bad_request(format!("invalid path: {}", rejection.body_text()))),
    }
}

/// Builds a reference to a site from the name in the path and the environment in the query.
pub(super) fn site_ref(name: Name, environment: Option<&str>) -> Result<SiteRef, ApiError> {
    Ok(SiteRef { environment: parse_optional("environment", environment)?, name })
}

/// Builds a reference to a host from the name in the path, and the environment and the site in the query.
pub(super) fn host_ref(name: Name, query: &HostNameQuery) -> Result<HostRef, ApiError> {
    let environment = parse_optional("environment", query.environment.as_deref())?;
    Ok(HostRef { environment, site: parse_optional("site", query.site.as_deref())?, name })
}

fn parse_optional(field: &str, text: Option<&str>) -> Result<Option<Name>, ApiError> {
    text.map(|text| parse_name(field, text)).transpose()
}

/// Parses a name in the request.
pub(super) fn parse_name(field: &str, text: &str) -> Result<Name, ApiError> {
    Name::parse(text).map_err(|error| ApiError::bad_request(format!("{field}: {error}")))
}
