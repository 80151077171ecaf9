//! DNS messages: the errors of sending one, and the key that signs it.

use std::fmt;

/// A TSIG key with which the host signs a message and verifies the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tsig {
    /// The key's name at the server.
    pub key_name: String,
    /// Such as `hmac-sha256`.
    pub algorithm: String,
    /// The name of the secret that holds the key.
    pub secret: String,
}

/// Why a DNS message got no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// No grant for the request, or no such secret; the text says which.
    Denied(String),
    /// Name resolution or connection failed.
    Unreachable(String),
    /// The server did not respond in time.
    Timeout,
    /// The call has exceeded its limit on requests or bytes.
    LimitExceeded(String),
    /// Not a DNS message, or not a response to the message sent.
    Protocol(String),
    /// The message could not be signed, or a signature was rejected.
    Tsig {
        /// Why.
        code: TsigCode,
        /// Why, as text for operators.
        reason: String,
    },
}

/// Why a message could not be signed, or a signature was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigCode {
    /// The server does not know the key, or not with this algorithm (`BADKEY`).
    BadKey,
    /// The server has another secret for the key (`BADSIG`).
    BadSignature,
    /// The clocks of the server and the site differ too much (`BADTIME`).
    BadTime,
    /// The response is unsigned, or its signature is invalid.
    Unverified,
    /// The key cannot be used: its name, algorithm or secret is malformed.
    InvalidKey,
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "denied by the sandbox: {why}"),
            Self::Unreachable(why) => write!(f, "cannot reach the name server: {why}"),
            Self::Timeout => f.write_str("the name server did not respond in time"),
            Self::LimitExceeded(why) => write!(f, "limit of the call exceeded: {why}"),
            Self::Protocol(why) => write!(f, "not a valid DNS response: {why}"),
            Self::Tsig { reason, .. } => write!(f, "TSIG: {reason}"),
        }
    }
}

impl std::error::Error for DnsError {}
