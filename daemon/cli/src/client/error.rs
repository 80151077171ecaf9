//! Why the server did not do what it was asked.

use std::error::Error;
use std::time::Duration;

use hyper::StatusCode;
use linecamp_proto::api::ErrorCode;
use linecamp_transport::DialError;

/// Why the server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// It was not reached, or not believed. The text is the transport's own: it names the server.
    #[error(transparent)]
    Dial { source: DialError },
    #[error("{server} did not answer within {}", humantime::format_duration(*limit))]
    Late { server: String, limit: Duration },
    #[error("lost the connection to {server}")]
    Lost { server: String, source: hyper::Error },
    #[error("the answer of {server} was cut short")]
    CutShort { server: String, source: Box<dyn Error + Send + Sync> },
    #[error("the answer of {server} is larger than 16 MiB; ask for less with --selector, --environment or --limit")]
    TooLarge { server: String },
    #[error("{server} answers, but not as a linecamp-server does (HTTP {status})")]
    Foreign { server: String, status: StatusCode },
    #[error("the answer of {server} does not read; its version may be far from ours, {}", env!("CARGO_PKG_VERSION"))]
    Unreadable { server: String, source: serde_json::Error },
    #[error("{message}")]
    Refused { server: String, code: ErrorCode, message: String },
    #[error("failed to write the request")]
    Request { source: hyper::http::Error },
}

impl ClientError {
    /// Whether asking again can help without somebody doing something: the server may only be restarting.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Dial { source } => !source.needs_operator(),
            Self::Late { .. } | Self::Lost { .. } | Self::CutShort { .. } => true,
            Self::Foreign { status, .. } => status.is_server_error(),
            Self::Refused { code, .. } => matches!(code, ErrorCode::Busy | ErrorCode::TooManyRequests),
            Self::TooLarge { .. } | Self::Unreadable { .. } | Self::Request { .. } => false,
        }
    }

    /// Whether somebody with more rights, or another key, has to do something first.
    pub(crate) fn needs_operator(&self) -> bool {
        match self {
            Self::Dial { source } => source.needs_operator(),
            Self::Refused { code, .. } => matches!(code, ErrorCode::Unauthorized | ErrorCode::Forbidden),
            _ => false,
        }
    }

    /// Whether the server could not read what it was asked.
    pub(crate) const fn blames_request(&self) -> bool {
        matches!(self, Self::Refused { code: ErrorCode::BadRequest | ErrorCode::TooLarge, .. })
    }

    /// Returns what to do about it, where the error does not say.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Dial { source } if source.needs_operator() => None,
            Self::Dial { .. } => Some("is linecamp-server running there, and does a firewall let TCP through?".into()),
            Self::Late { .. } => Some("is the server busy? give it longer with --timeout".into()),
            Self::Lost { .. } | Self::CutShort { .. } => Some(
                "the server may be restarting; whether it did what was asked is not known: look, then repeat".into(),
            ),
            Self::Foreign { .. } => Some("is this the URL of linecamp-server, or of something in front of it?".into()),
            Self::Refused { server, code, .. } => match code {
                ErrorCode::Unauthorized => Some(format!(
                    "log in with a key that the server knows: linecamp login {server} --pin … --key-file FILE"
                )),
                ErrorCode::Ambiguous => Some("say which one with --environment NAME".into()),
                ErrorCode::Busy | ErrorCode::TooManyRequests => Some("try again in a moment".into()),
                _ => None,
            },
            Self::TooLarge { .. } | Self::Unreadable { .. } | Self::Request { .. } => None,
        }
    }
}
