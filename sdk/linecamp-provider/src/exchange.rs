//! One DNS message and its answer.

use std::fmt;

/// A TSIG key that the host signs a message with, and whose signature it asks of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tsig {
    /// What the server calls the key.
    pub key_name: String,
    /// Such as `hmac-sha256`.
    pub algorithm: String,
    /// Which secret holds it.
    pub secret: String,
}

/// Why a DNS message got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeError {
    /// No grant for it, or no such secret. Says which.
    Denied(String),
    /// No name, no route, nobody there.
    Unreachable(String),
    /// It took too long.
    Timeout,
    /// This call has used up its requests or bytes.
    Budget(String),
    /// Not a DNS message, or not the answer to what was asked.
    Protocol(String),
    /// The server or the host does not accept the signature: `BADKEY`, `BADSIG`, `BADTIME`, or that it is missing.
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
