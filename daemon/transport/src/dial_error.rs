//! Why a connection to a server failed, in messages for the person who has to fix it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::{Pin, WallTime};

use crate::error::{Cause, TransportError};
use crate::trust::Refusal;

/// Why connecting to a server failed. `server` is the address that was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name could not be resolved.
    #[error("failed to find the address of {server}; check the name and this machine's DNS")]
    Resolve {
        /// The name.
        server: String,
        /// The cause.
        source: io::Error,
    },
    /// The server did not respond.
    #[error(
        "{server} did not answer within {seconds} s; check the address, and that {transport} gets through",
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
        "{server} shows {shown}, not the pinned {expected}; either this is another server, or the pin is of another \
         one: take a new token from the right server",
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
        "{server} has a certificate of an authority that is not trusted here; either this is another server, or its \
         authority was made anew and sites must join again"
    )]
    ForeignAuthority {
        /// The address that was tried.
        server: String,
    },
    /// The server's certificate has expired.
    #[error("the certificate of {server} ended at {not_after}, and the clock here shows {now}; check both clocks")]
    Expired {
        /// The address that was tried.
        server: String,
        /// The end of its validity.
        not_after: WallTime,
        /// The time of the local clock.
        now: WallTime,
    },
    /// The server's certificate is for another name or purpose.
    #[error(
        "{server} has a certificate that is not for the server `{expected}`; something else answers at this address"
    )]
    WrongName {
        /// The address that was tried.
        server: String,
        /// The expected name.
        expected: String,
    },
    /// The server responded, but the handshake failed for another reason.
    #[error("failed to shake hands with {server}")]
    Handshake {
        /// The address that was tried.
        server: String,
        /// The cause.
        source: Cause,
    },
    /// A file of trusted certificates cannot be used.
    #[error("failed to read trusted certificates from {path}", path = path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Cause,
    },
    /// A local error; no connection was attempted.
    #[error("failed to begin dialing {server}")]
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

    pub(crate) fn of_refusal(server: String, refusal: Refusal) -> Self {
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
