//! The errors of the API, with their codes.

use serde::{Deserialize, Serialize};

use super::FieldProblem;

/// The body of every error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: Error,
}

/// An error: a code for programs and a message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The message, for people: what was attempted, and what to do.
    pub message: String,
    /// The fields that are wrong, if the request is well-formed and several may be: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
}

impl Error {
    /// Makes an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), problems: Vec::new() }
    }
}

/// Why a request failed: the closed list of codes that programs may act on. On the wire `bad-request` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request is malformed, or has an invalid value.
    BadRequest,
    /// No API key, or an unknown one.
    Unauthorized,
    /// The API key is valid, but does not permit this.
    Forbidden,
    /// No object has this name.
    NotFound,
    /// Several objects have the name; specify the environment, and the site of a host.
    Ambiguous,
    /// The name is in use.
    NameTaken,
    /// The object's current state does not allow this.
    NotPossible,
    /// A limit would be exceeded.
    Limit,
    /// The request is larger than the server accepts.
    TooLarge,
    /// The API key exceeds its rate of changes; nothing was changed, and `Retry-After` says when to retry.
    TooManyRequests,
    /// The server is overloaded or stopping; retry later.
    Busy,
    /// The server could not write to its store; nothing was changed.
    StoreFailed,
    /// An internal error of the server.
    Internal,
    /// A code this build does not know. Never sent.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// All codes that are sent.
    pub const ALL: &[Self] = &[
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Ambiguous,
        Self::NameTaken,
        Self::NotPossible,
        Self::Limit,
        Self::TooLarge,
        Self::TooManyRequests,
        Self::Busy,
        Self::StoreFailed,
        Self::Internal,
    ];

    /// Returns its HTTP status.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Ambiguous | Self::NameTaken | Self::NotPossible | Self::Limit => 409,
            Self::TooLarge => 413,
            Self::TooManyRequests => 429,
            Self::Busy | Self::StoreFailed => 503,
            Self::Internal | Self::Unknown => 500,
        }
    }
}
