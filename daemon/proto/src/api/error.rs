//! The errors of the API, with their codes.

use serde::{Deserialize, Serialize};

use super::FieldProblem;

/// An error response of the server: a problem document (RFC 9457), with the media type `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    /// A URI that identifies the code: `urn:linecamp:problem:CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words; the same for every error with this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The message, for people: what was attempted, and what to do.
    pub detail: String,
    /// The code, for programs.
    pub code: ErrorCode,
    /// The part of the request that is wrong, if it is one: a parameter of the query, or a field of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The column in the field's value, from 1, if the value is a text with a syntax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The settings that are wrong, if the request is well-formed and several may be: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
}

impl Problem {
    /// Makes a problem document.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:linecamp:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.http_status(),
            detail: detail.into(),
            code,
            field: None,
            column: None,
            problems: Vec::new(),
        }
    }

    /// Names the wrong part of the request.
    #[must_use]
    pub fn in_field(self, field: impl Into<String>, column: Option<usize>) -> Self {
        Self { field: Some(field.into()), column, ..self }
    }
}

/// The body of an error response of a daemon's local socket.
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
}

impl Error {
    /// Makes an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Why a request failed: the closed list of codes that programs may act on. On the wire `bad-request` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request is malformed, or has an invalid value.
    BadRequest,
    /// No credentials, or credentials that are unknown or have expired; a wrong password.
    Unauthorized,
    /// The credentials are valid, but do not permit this.
    Forbidden,
    /// The user must complete the first login before anything else: change the password, or confirm the server's URL.
    SetupRequired,
    /// No object has this name.
    NotFound,
    /// The path has no such method; `Allow` lists those it has.
    MethodNotAllowed,
    /// Several objects have the name; specify the environment, and the site of a host.
    Ambiguous,
    /// The name is in use.
    NameTaken,
    /// The object's current state does not allow this.
    NotPossible,
    /// A limit would be exceeded.
    Limit,
    /// The object changed since the client read it; read it again. See `If-Match`.
    Stale,
    /// The request is larger than the server accepts.
    TooLarge,
    /// The body has a media type that the operation does not take.
    UnsupportedMediaType,
    /// The `Idempotency-Key` was used for another request.
    KeyReused,
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
        Self::SetupRequired,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Ambiguous,
        Self::NameTaken,
        Self::NotPossible,
        Self::Limit,
        Self::Stale,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::KeyReused,
        Self::TooManyRequests,
        Self::Internal,
        Self::Busy,
        Self::StoreFailed,
    ];

    /// Returns its name on the wire.
    pub const fn as_str(self) -> &'static str {
        self.words().0
    }

    /// Returns it in words.
    pub const fn title(self) -> &'static str {
        self.words().1
    }

    /// Returns its HTTP status.
    pub const fn http_status(self) -> u16 {
        self.words().2
    }

    const fn words(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::BadRequest => ("bad-request", "Invalid request", 400),
            Self::Unauthorized => ("unauthorized", "No valid credentials", 401),
            Self::Forbidden => ("forbidden", "Not permitted", 403),
            Self::SetupRequired => ("setup-required", "First login not complete", 403),
            Self::NotFound => ("not-found", "Not found", 404),
            Self::MethodNotAllowed => ("method-not-allowed", "Method not allowed", 405),
            Self::Ambiguous => ("ambiguous", "Ambiguous name", 409),
            Self::NameTaken => ("name-taken", "Name in use", 409),
            Self::NotPossible => ("not-possible", "Not possible in this state", 409),
            Self::Limit => ("limit", "Limit reached", 409),
            Self::Stale => ("stale", "Changed in the meantime", 412),
            Self::TooLarge => ("too-large", "Request too large", 413),
            Self::UnsupportedMediaType => ("unsupported-media-type", "Unsupported media type", 415),
            Self::KeyReused => ("key-reused", "Idempotency key reused", 422),
            Self::TooManyRequests => ("too-many-requests", "Too many requests", 429),
            Self::Internal => ("internal", "Internal error", 500),
            Self::Busy => ("busy", "Busy", 503),
            Self::StoreFailed => ("store-failed", "The store cannot be written", 503),
            Self::Unknown => ("unknown", "Unknown error", 500),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_name_that_it_is_sent_with() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).expect("serializes"), code.as_str());
        }
    }

    #[test]
    fn a_problem_document_has_the_members_of_rfc_9457() {
        let problem = Problem::new(ErrorCode::BadRequest, "selector, column 4: …").in_field("selector", Some(4));
        let json = serde_json::to_value(&problem).expect("serializes");
        let expected = serde_json::json!({
            "type": "urn:linecamp:problem:bad-request", "title": "Invalid request", "status": 400,
            "detail": "selector, column 4: …", "code": "bad-request", "field": "selector", "column": 4,
        });
        assert_eq!(json, expected);
    }
}
