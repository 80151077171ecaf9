//! Why a connection to a server failed, in messages for the person who has to fix it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::{Pin, WallTime};

use crate::error::{Cause, TransportError};
use crate::server_verifier::Refusal;

/// Why connecting to a server failed. `server` is the address that was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name could not be resolved.
    #[error("cannot resolve {server}; check the name and this machine's DNS settings")]
    Resolve {
        /// The name.
        server: String,
        /// The cause.
        source: io::Error,
    },
    /// The server did not respond.
    #[error(
        "{server} did not answer within {seconds} s; check the address, and that firewalls allow {transport}",
        seconds = limit.as_secs()
    )]
    Silent {
        /// The address that was tried.
        server: String,
        /// The time limit.
        limit: Duration,
        /// The protocol that a firewall has to allow.
        transport: &'static str,
    },
    /// The authority is not the one that the token or the configuration names.
    #[error(
        "{server} presented {shown}, not the pinned {expected}; this is another server, or the pin is that of another \
         server: create a new token at the right server",
        shown = PresentedAuthority(found)
    )]
    WrongPin {
        /// The address that was tried.
        server: String,
        /// The expected pin.
        expected: Pin,
        /// The pins that the server presented.
        found: Vec<Pin>,
    },
    /// The server's certificate is not signed by a trusted authority.
    #[error(
        "the certificate of {server} is from an untrusted authority; this is another server, or the server was \
         initialized again and its sites must join again"
    )]
    ForeignAuthority {
        /// The address that was tried.
        server: String,
    },
    /// The server's certificate has expired, by the local clock and by the time that the server last certified.
    #[error("the certificate of {server} expired at {not_after} (local time: {now}); check the server's clock")]
    Expired {
        /// The address that was tried.
        server: String,
        /// The end of its validity.
        not_after: WallTime,
        /// The time of the local clock.
        now: WallTime,
    },
    /// The server's certificate is for another name or purpose.
    #[error("the certificate of {server} is not for `{expected}`; another service answers at this address")]
    WrongName {
        /// The address that was tried.
        server: String,
        /// The expected name.
        expected: String,
    },
    /// The server responded, but the handshake failed for another reason.
    #[error("handshake with {server} failed")]
    Handshake {
        /// The address that was tried.
        server: String,
        /// The cause.
        source: Cause,
    },
    /// A file of trusted certificates cannot be used.
    #[error("cannot read CA certificates from {path}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Cause,
    },
    /// A local error; no connection was attempted.
    #[error("cannot start a connection to {server}")]
    Local {
        /// The intended address.
        server: String,
        /// The cause.
        source: Cause,
    },
}

impl DialError {
    /// Returns whether a retry is pointless until an operator intervenes.
    pub const fn needs_operator(&self) -> bool {
        match self {
            Self::WrongPin { .. } | Self::ForeignAuthority { .. } | Self::WrongName { .. } | Self::CaFile { .. } => {
                true
            }
            Self::Resolve { .. }
            | Self::Silent { .. }
            | Self::Expired { .. }
            | Self::Handshake { .. }
            | Self::Local { .. } => false,
        }
    }

    pub(crate) fn from_refusal(server: String, refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongPin { expected, found } => Self::WrongPin { server, expected, found },
            Refusal::ForeignAuthority => Self::ForeignAuthority { server },
            Refusal::Expired { not_after, now } => Self::Expired { server, not_after, now },
            Refusal::WrongName { expected } => Self::WrongName { server, expected },
            Refusal::Unusable(problem) => Self::Handshake { server, source: problem.into() },
        }
    }

    pub(crate) fn local(server: SocketAddr, source: TransportError) -> Self {
        Self::Local { server: server.to_string(), source: source.into() }
    }
}

struct PresentedAuthority<'a>(&'a [Pin]);

impl std::fmt::Display for PresentedAuthority<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str("no authority"),
            [first, ..] => write!(f, "the authority {first}"),
        }
    }
}
