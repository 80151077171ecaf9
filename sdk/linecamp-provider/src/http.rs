//! HTTP through the host, which has checked the grant, keeps the limits and puts the secrets in.

mod date;
mod request;
mod response;

use std::fmt;

pub use self::request::RequestBuilder;
pub use self::response::Response;

/// The verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Method {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it only looks (RFC 9110, 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A request as it goes to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The verb.
    pub method: Method,
    /// `https://` or, where the operator granted it, `http://`. No credentials.
    pub url: String,
    /// In the order they were given.
    pub headers: Vec<(String, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
    /// Which secret goes where.
    pub auth: Option<Auth>,
    /// `None`: as long as the call may take.
    pub timeout_millis: Option<u32>,
}

/// Which secret goes where. Secrets are named; the host knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer SECRET`.
    Bearer {
        /// The secret's name.
        secret: String,
    },
    /// `Authorization: Basic`, of a user and a secret.
    Basic {
        /// The user, in the clear.
        user: String,
        /// The secret's name.
        secret: String,
    },
    /// A header of its own: its value is `prefix` and the secret.
    Header {
        /// Such as `X-API-Key`.
        header: String,
        /// What stands before the secret; mostly empty.
        prefix: String,
        /// The secret's name.
        secret: String,
    },
    /// AWS Signature Version 4.
    Sigv4(Sigv4),
}

/// What AWS Signature Version 4 is made of: the names of two or three secrets, and what is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sigv4 {
    /// The secret that holds the access key's id.
    pub access_key_id: String,
    /// The secret that holds the access key.
    pub secret_access_key: String,
    /// The secret that holds the token of a temporary key.
    pub session_token: Option<String>,
    /// Such as `us-east-1`.
    pub region: String,
    /// Such as `route53`.
    pub service: String,
}

/// An answer as it comes from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// No grant for it, or no such secret. Says which.
    Denied(String),
    /// No name, no route, nobody there, or a certificate that does not hold.
    Unreachable(String),
    /// It took too long.
    Timeout,
    /// The answer has more bytes than this.
    TooLarge(u64),
    /// This call has used up its requests or bytes.
    Budget(String),
    /// Words that are not HTTP.
    Protocol(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "the host does not allow it: {why}"),
            Self::Unreachable(why) => write!(f, "the service cannot be reached: {why}"),
            Self::Timeout => f.write_str("the service did not answer in time"),
            Self::TooLarge(bytes) => write!(f, "the service's answer has more than {bytes} bytes"),
            Self::Budget(why) => write!(f, "the call has used up what it was given: {why}"),
            Self::Protocol(why) => write!(f, "the service's answer is no HTTP: {why}"),
        }
    }
}

impl std::error::Error for HttpError {}
