//! Error responses.

use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use linecamp_core::{FleetCommandError, StoreFault};
use linecamp_model::LabelError;
use linecamp_proto::api::{Error, ErrorBody, ErrorCode};

use super::ask::CHANGE_RATE;
use crate::config::ServerUrl;

/// The message for a panic.
pub(super) const DEFECT: &str = "the server failed to answer this; its log says why, and that is a defect to report";

/// An error response: a code for programs and a message for people.
#[derive(Debug)]
pub(super) struct Refused {
    error: Error,
    /// After how many seconds a retry can succeed.
    retry_after: Option<u64>,
}

impl Refused {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { error: Error::new(code, message), retry_after: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    pub(super) fn unauthorized(problem: &str, server: &ServerUrl) -> Self {
        let way = format!(
            "log in with `linecamp login {server} --pin PIN --key-file FILE`; `linecamp-server init` printed pin and key, \
             `linecamp-server key create` makes another"
        );
        Self::new(ErrorCode::Unauthorized, format!("{problem}; {way}"))
    }

    pub(super) fn stopping() -> Self {
        Self::new(ErrorCode::Busy, "the server is stopping; try again in a moment")
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// The key exceeds its rate limit for changes and may retry after `wait`.
    pub(super) fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let per_second = Duration::from_secs(1).as_millis() / CHANGE_RATE.interval.as_millis();
        let text = format!(
            "this API key makes more changes than the server takes, {} at once and then {per_second} a second; nothing \
             was changed, try again in {seconds} s",
            CHANGE_RATE.burst
        );
        Self { retry_after: Some(seconds), ..Self::new(ErrorCode::TooManyRequests, text) }
    }

    pub(super) fn no_such_path() -> Self {
        Self::not_found("there is nothing at this path; a client of another version?")
    }

    pub(super) fn no_such_method() -> Self {
        Self::bad_request("this path does not take this method")
    }

    pub(super) fn labels(error: &LabelError) -> Self {
        let code = match error {
            LabelError::TooMany { .. } => ErrorCode::Limit,
            _ => ErrorCode::BadRequest,
        };
        Self::new(code, format!("labels: {error}"))
    }
}

impl From<FleetCommandError> for Refused {
    fn from(error: FleetCommandError) -> Self {
        match error {
            FleetCommandError::NotFound(text) => Self::not_found(text),
            FleetCommandError::Ambiguous(text) => Self::new(ErrorCode::Ambiguous, text),
            FleetCommandError::NameTaken(text) => Self::new(ErrorCode::NameTaken, text),
            FleetCommandError::NotPossible(text) => Self::new(ErrorCode::NotPossible, text),
            FleetCommandError::Limit(text) => Self::new(ErrorCode::Limit, text),
            FleetCommandError::Invalid(text) => Self::bad_request(text),
            FleetCommandError::Labels(error) => Self::labels(&error),
            FleetCommandError::Store(StoreFault::DiskFull) => Self::new(
                ErrorCode::StoreFailed,
                "the server's disk is full; nothing was changed. Make room there, then try again",
            ),
            FleetCommandError::Store(StoreFault::ReadOnly) => Self::new(
                ErrorCode::StoreFailed,
                "the server's data directory cannot be written; nothing was changed. See its mount and permissions",
            ),
            FleetCommandError::Store(StoreFault::Failed) => Self::new(
                ErrorCode::StoreFailed,
                "the server could not write to its store; nothing was changed. Its log says why",
            ),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = self.error.code;
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(ErrorBody { error: self.error })).into_response();
        if code == ErrorCode::Unauthorized {
            let challenge = HeaderValue::from_static("Bearer realm=\"linecamp\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
