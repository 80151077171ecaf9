//! HTTP through the host, which checks the grant, enforces the limits and inserts the secrets.

mod client;
mod date;
mod request;
mod response;

use std::fmt;

pub use self::client::Page;
pub use self::request::RequestBuilder;
pub use self::response::Response;

/// An HTTP method.
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
    /// Returns the method as it is written in a request.
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

    /// Whether the method is safe, that is, read-only (RFC 9110, 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A request as the host receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// `https://` or, where the operator granted it, `http://`. No credentials.
    pub url: String,
    /// In the order in which they were added.
    pub headers: Vec<(String, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
    /// The secret to insert, and where.
    pub auth: Option<Auth>,
    /// `None`: limited by the call's own deadline.
    pub timeout_millis: Option<u32>,
}

/// The secret to insert, and where. Secrets are referred to by name; only the host knows their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer SECRET`.
    Bearer {
        /// The secret's name.
        secret: String,
    },
    /// `Authorization: Basic`, of a user and a secret.
    Basic {
        /// The user, in plain text.
        user: String,
        /// The secret's name.
        secret: String,
    },
    /// A custom header, whose value is `prefix` followed by the secret.
    Header {
        /// Such as `X-API-Key`.
        header: String,
        /// The text before the secret; usually empty.
        prefix: String,
        /// The secret's name.
        secret: String,
    },
    /// AWS Signature Version 4.
    Sigv4(Sigv4),
}

/// The parameters of AWS Signature Version 4: the names of two or three secrets, and the signing scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sigv4 {
    /// The name of the secret that holds the access key ID.
    pub access_key_id_secret: String,
    /// The name of the secret that holds the secret access key.
    pub secret_access_key_secret: String,
    /// The name of the secret that holds the session token of a temporary key.
    pub session_token_secret: Option<String>,
    /// Such as `us-east-1`.
    pub region: String,
    /// Such as `route53`.
    pub service: String,
}

/// A response as it comes from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The complete body.
    pub body: Vec<u8>,
}

/// Why a request got no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// No grant for the request, or no such secret; the text says which.
    Denied(String),
    /// Name resolution or connection failed, or the certificate is invalid.
    Unreachable(String),
    /// The request timed out.
    Timeout,
    /// The response is larger than this many bytes.
    TooLarge(u64),
    /// The call has exceeded its limit on requests or bytes.
    LimitExceeded(String),
    /// The response is not HTTP.
    Protocol(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied by the sandbox: {why}"),
            Self::Unreachable(why) => write!(f, "cannot reach the service: {why}"),
            Self::Timeout => f.write_str("the service did not respond in time"),
            Self::TooLarge(bytes) => write!(f, "the response is larger than {bytes} bytes"),
            Self::LimitExceeded(why) => write!(f, "limit of the call exceeded: {why}"),
            Self::Protocol(why) => write!(f, "the response is not valid HTTP: {why}"),
        }
    }
}

impl std::error::Error for HttpError {}
