//! Strict request parsing, with errors that state what is wrong and where.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use linecamp_model::Name;
use linecamp_proto::api::ErrorCode;
use serde::de::DeserializeOwned;

use super::ask::parse_name;
use super::refused::Refused;

/// Timeout for reading a request's body. After that the request is rejected, so that a slow client does not hold a
/// connection.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// A request's JSON body, regardless of its content type.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let reading = tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, state));
        let Ok(read) = reading.await else {
            return Err(Refused::bad_request("the request's body took too long to arrive"));
        };
        let bytes = read.map_err(|rejection| unread(&rejection))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refused::bad_request(format!("the request's body: {error}")))
    }
}

fn unread(rejection: &BytesRejection) -> Refused {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let kib = super::BODY_BYTES_MAX / 1024;
            Refused::new(ErrorCode::TooLarge, format!("a request's body has at most {kib} KiB"))
        }
        _ => Refused::bad_request(format!("the request's body: {}", rejection.body_text())),
    }
}

/// A request's query.
#[derive(Debug)]
pub(super) struct StrictQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Refused::bad_request(format!("the request's query: {}", rejection.body_text()))),
        }
    }
}

/// The name in a request's path.
#[derive(Debug)]
pub(super) struct Named(pub(super) Name);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let text = word(parts, state).await?;
        parse_name("the name in the path", &text).map(Self)
    }
}

/// Returns the only parameter in a request's path.
pub(super) async fn word<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Refused> {
    match Path::<String>::from_request_parts(parts, state).await {
        Ok(Path(text)) => Ok(text),
        Err(rejection) => Err(Refused::bad_request(format!("the request's path: {}", rejection.body_text()))),
    }
}
