//! Error responses.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use linecamp_core::{FleetCommandError, InvalidSettings, STREAMS_MAX, StoreFault};
use linecamp_model::{LabelError, shell_quoted};
use linecamp_proto::api::operation::PROBLEM_MEDIA;
use linecamp_proto::api::{ErrorCode, FieldProblem, Problem};
use linecamp_transport::error_chain;

use super::limits::{BODY_BYTES_MAX, CHANGE_RATE};
use crate::fleet_client::RequestError;
use crate::passwords::HashError;
use crate::plugin_folder::UploadError;
use crate::plugin_registry::RegistryError;
use crate::server_url::ServerUrl;

/// When a client retries that found all places of event streams taken: one is free as soon as a page is closed.
const STREAM_RETRY_SECONDS: u64 = 10;

/// An error response: a code for programs and a message for people.
#[derive(Debug)]
pub(super) struct ApiError {
    problem: Box<Problem>,
    /// After how many seconds a retry can succeed.
    retry_after: Option<u64>,
}

impl ApiError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(code, message)), retry_after: None }
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> ErrorCode {
        self.problem.code
    }

    /// Returns the message for people.
    pub(super) fn detail(&self) -> &str {
        &self.problem.detail
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// A part of the request is invalid: a parameter or a field, and the column in it.
    pub(super) fn invalid(field: &str, error: &impl std::fmt::Display, column: Option<usize>) -> Self {
        Self::bad_request(format!("{field}: {error}")).in_field(field, column)
    }

    /// Names the part of the request that is wrong.
    pub(super) fn in_field(self, field: &str, column: Option<usize>) -> Self {
        Self { problem: Box::new(self.problem.in_field(field, column)), ..self }
    }

    pub(super) fn body_too_large() -> Self {
        let kib = BODY_BYTES_MAX / 1024;
        Self::new(ErrorCode::TooLarge, format!("request body too large (maximum {kib} KiB)"))
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// Too many logins from the same address failed.
    pub(super) fn too_many_logins(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let text = format!("too many failed logins from this address; retry in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(ErrorCode::TooManyRequests, text) }
    }

    pub(super) fn unauthorized(problem: &str, server: &ServerUrl) -> Self {
        let remedy = format!(
            "Log in: linecamp login {} --pin PIN --user NAME, or --key-file FILE. `linecamp-server init` printed \
             the pin, the first key and a one-time password; `linecamp-server user reset-password` prints another one",
            shell_quoted(server.to_string())
        );
        Self::new(ErrorCode::Unauthorized, format!("{problem}. {remedy}"))
    }

    pub(super) fn stopping() -> Self {
        Self::new(ErrorCode::Busy, "the server is stopping; try again in a moment")
    }

    /// A bug: a panic, which was logged, or a broken invariant.
    pub(super) fn internal() -> Self {
        Self::new(ErrorCode::Internal, "internal error; see the server's log, and report it as a bug")
    }

    /// The key exceeds its rate limit for changes and may retry after `wait`.
    pub(super) fn too_many_requests(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let per_second = Duration::from_secs(1).as_millis() / CHANGE_RATE.interval.as_millis();
        let text = format!(
            "too many changes with this API key (limit: {} at once, then {per_second} per second); nothing was \
             changed. Retry in {seconds} s",
            CHANGE_RATE.burst
        );
        Self { retry_after: Some(seconds), ..Self::new(ErrorCode::TooManyRequests, text) }
    }

    /// All places of event streams are taken, by users who have no more of them than the caller.
    pub(super) fn too_many_streams() -> Self {
        let text = format!("too many event streams are open (maximum {STREAMS_MAX}); retry later");
        Self { retry_after: Some(STREAM_RETRY_SECONDS), ..Self::new(ErrorCode::Busy, text) }
    }

    /// A request that was sent again took effect the first time, and its answer is gone: it was too large, or its
    /// object was not visible.
    pub(super) fn answer_not_kept() -> Self {
        let text = "the request took effect when it was sent first, and its answer was not kept; read the object";
        Self::new(ErrorCode::NotPossible, text)
    }

    pub(super) fn no_such_path() -> Self {
        Self::not_found("no such path; the client may have a different version than the server")
    }

    pub(super) fn no_such_method() -> Self {
        Self::new(ErrorCode::MethodNotAllowed, "method not allowed for this path; `Allow` lists those it has")
    }

    /// All problems of a provider's settings, in the message for people and as fields for programs.
    fn invalid_settings(invalid: &InvalidSettings) -> Self {
        let InvalidSettings { provider, plugin, problems } = invalid;
        let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        let text = format!("the settings of provider {provider} do not fit plugin {plugin}:{lines}");
        let problems = FieldProblem::of_settings(problems);
        let problem = Problem { problems, ..Problem::new(ErrorCode::BadRequest, text) };
        Self { problem: Box::new(problem), retry_after: None }
    }

    pub(super) fn labels(error: &LabelError) -> Self {
        let code = match error {
            LabelError::TooMany { .. } => ErrorCode::Limit,
            _ => ErrorCode::BadRequest,
        };
        Self::new(code, format!("labels: {error}")).in_field("labels", None)
    }
}

impl From<FleetCommandError> for ApiError {
    fn from(error: FleetCommandError) -> Self {
        match error {
            FleetCommandError::NotFound(text) => Self::not_found(text),
            FleetCommandError::Ambiguous(text) => Self::new(ErrorCode::Ambiguous, text),
            FleetCommandError::NameTaken(text) => Self::new(ErrorCode::NameTaken, text),
            FleetCommandError::Forbidden(text) => Self::new(ErrorCode::Forbidden, text),
            FleetCommandError::SetupRequired(text) => Self::new(ErrorCode::SetupRequired, text),
            FleetCommandError::KeyReused(text) => {
                Self::new(ErrorCode::KeyReused, text).in_field("Idempotency-Key", None)
            }
            FleetCommandError::Stale(text) => Self::new(ErrorCode::Stale, text),
            FleetCommandError::NotPossible(text) => Self::new(ErrorCode::NotPossible, text),
            FleetCommandError::Limit(text) => Self::new(ErrorCode::Limit, text),
            FleetCommandError::Invalid(text) => Self::bad_request(text),
            FleetCommandError::Settings(invalid) => Self::invalid_settings(&invalid),
            FleetCommandError::Labels(error) => Self::labels(&error),
            FleetCommandError::Store(StoreFault::DiskFull) => Self::new(
                ErrorCode::StoreFailed,
                "the server's disk is full; nothing was changed. Free disk space on the server, then retry",
            ),
            FleetCommandError::Store(StoreFault::ReadOnly) => Self::new(
                ErrorCode::StoreFailed,
                "the server's data directory cannot be written; nothing was changed. Check its mount and permissions",
            ),
            FleetCommandError::Store(StoreFault::Failed) => Self::new(
                ErrorCode::StoreFailed,
                "the server cannot write its database; nothing was changed. See the server's log",
            ),
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Stopping => Self::stopping(),
            RequestError::Panicked => Self::internal(),
            RequestError::Rejected(error) => error.into(),
        }
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self {
                retry_after: Some(1),
                ..Self::new(ErrorCode::Busy, "too many logins at the same time; retry in a moment")
            },
            HashError::Failed => {
                tracing::error!("failed to hash a password");
                Self::internal()
            }
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::NotComponent { .. } => Self::bad_request(error.to_string()),
            UploadError::TooLong => Self::new(ErrorCode::TooLarge, error.to_string()),
            UploadError::Disk(cause) => RegistryError::Disk(cause).into(),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Request(error) => error.into(),
            RegistryError::Internal => Self::internal(),
            RegistryError::Disk(cause) => {
                let error = error_chain(&cause);
                tracing::warn!(error, "failed to store an uploaded plugin");
                Self::new(ErrorCode::StoreFailed, "the server cannot write the plugin to disk; see the server's log")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.problem.code;
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).expect("a problem is a struct with text keys");
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_MEDIA)], body).into_response();
        response.extensions_mut().insert(code);
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
