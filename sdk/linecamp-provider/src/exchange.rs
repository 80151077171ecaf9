//! The exchange of one DNS message and its response.

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
pub enum ExchangeError {
    /// No grant for the request, or no such secret; the text says which.
    Denied(String),
    /// Name resolution or connection failed.
    Unreachable(String),
    /// The exchange timed out.
    Timeout,
    /// The call has exhausted its limit on requests or bytes.
    Budget(String),
    /// Not a DNS message, or not a response to the message sent.
    Protocol(String),
    /// The server or the host rejects the signature: `BADKEY`, `BADSIG`, `BADTIME`, or it is missing.
    Tsig(String),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "the host does not allow it: {why}"),
            Self::Unreachable(why) => write!(f, "the name server cannot be reached: {why}"),
            Self::Timeout => f.write_str("the name server did not answer in time"),
            Self::Budget(why) => write!(f, "the call has used up what it was given: {why}"),
            Self::Protocol(why) => write!(f, "the name server's answer is none: {why}"),
            Self::Tsig(why) => write!(f, "the signature is not accepted: {why}"),
        }
    }
}

impl std::error::Error for ExchangeError {}
