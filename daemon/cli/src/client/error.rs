//! Errors of API requests.

use std::error::Error;
use std::time::Duration;

use hyper::StatusCode;
use linecamp_proto::api::{ErrorCode, FieldProblem};
use linecamp_transport::DialError;

/// Why an API request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The server was unreachable or not authenticated. The transport error names the server.
    #[error(transparent)]
    Dial { source: DialError },
    #[error("request to {server} timed out after {}", humantime::format_duration(*limit))]
    Timeout { server: String, limit: Duration },
    #[error("connection to {server} lost")]
    ConnectionLost { server: String, source: hyper::Error },
    #[error("incomplete response from {server}")]
    IncompleteResponse { server: String, source: Box<dyn Error + Send + Sync> },
    #[error("response from {server} exceeds 64 MiB: narrow it with --selector, --environment or --limit")]
    ResponseTooLarge { server: String },
    #[error("unexpected response from {server}: HTTP {status}, not sent by linecamp-server")]
    UnexpectedResponse { server: String, status: StatusCode },
    #[error(
        "cannot decode the response from {server}; linecamp {} may be incompatible with it",
        env!("CARGO_PKG_VERSION")
    )]
    InvalidResponse { server: String, source: serde_json::Error },
    #[error("{message}")]
    Rejected { code: ErrorCode, message: String, problems: Vec<FieldProblem> },
    #[error("cannot build the request")]
    Request { source: hyper::http::Error },
}

impl ClientError {
    /// Whether a retry may succeed without operator action, for example while the server restarts.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Dial { source } => !source.needs_operator(),
            Self::Timeout { .. } | Self::ConnectionLost { .. } | Self::IncompleteResponse { .. } => true,
            Self::UnexpectedResponse { status, .. } => status.is_server_error(),
            Self::Rejected { code, .. } => matches!(code, ErrorCode::Busy | ErrorCode::TooManyRequests),
            Self::ResponseTooLarge { .. } | Self::InvalidResponse { .. } | Self::Request { .. } => false,
        }
    }

    /// Whether the connection was lost during the request, which may have been applied.
    pub(crate) const fn is_loss(&self) -> bool {
        matches!(self, Self::ConnectionLost { .. } | Self::IncompleteResponse { .. })
    }

    /// Whether an operator must act first: another API key, more permissions, or the right server.
    pub(crate) fn needs_operator(&self) -> bool {
        match self {
            Self::Dial { source } => source.needs_operator(),
            Self::Rejected { code, .. } => {
                matches!(code, ErrorCode::Unauthorized | ErrorCode::Forbidden | ErrorCode::SetupRequired)
            }
            _ => false,
        }
    }

    /// Whether the server rejected the request as malformed.
    pub(crate) const fn blames_request(&self) -> bool {
        matches!(self, Self::Rejected { code: ErrorCode::BadRequest | ErrorCode::TooLarge, .. })
    }

    /// Returns how to fix the error, unless its message says so.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            // The message says what to check.
            Self::Dial { source: DialError::Resolve { .. } } => None,
            Self::Dial { source } if source.needs_operator() => None,
            Self::Dial { .. } => {
                Some("check that linecamp-server is running there and that firewalls allow TCP to its port".into())
            }
            Self::Timeout { .. } => Some("the server may be busy: retry, or raise --timeout".into()),
            Self::ConnectionLost { .. } | Self::IncompleteResponse { .. } => {
                Some("the server may be restarting. The request may have been applied: check before you retry".into())
            }
            Self::UnexpectedResponse { status: StatusCode::PERMANENT_REDIRECT, .. } => {
                Some("the proxy does not send X-Forwarded-Proto: https, or is not in trusted_proxies; see `linecamp doctor request`".into())
            }
            Self::UnexpectedResponse { .. } => {
                Some("check that the URL is that of linecamp-server, not of a proxy in front of it".into())
            }
            Self::Rejected { code, .. } => match code {
                ErrorCode::Busy | ErrorCode::TooManyRequests => Some("retry in a few seconds".into()),
                _ => None,
            },
            Self::ResponseTooLarge { .. } | Self::InvalidResponse { .. } | Self::Request { .. } => None,
        }
    }
}
