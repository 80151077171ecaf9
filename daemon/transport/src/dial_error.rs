//! Why a server was not reached, in sentences for whoever has to do something about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::{Pin, WallTime};

use crate::error::{Cause, TransportError};
use crate::trust::Refusal;

/// Why dialing a server failed. `server` is the address that was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name has no address.
    #[error("failed to find the address of {server}; check the name and this machine's DNS")]
    Resolve {
        /// What was looked up.
        server: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Nothing answered.
    #[error(
        "{server} did not answer within {seconds} s; check the address, and that {transport} gets through",
        seconds = limit.as_secs()
    )]
    Silent {
        /// What was tried.
        server: String,
        /// How long.
        limit: Duration,
        /// What a firewall would have to let through.
        transport: &'static str,
    },
    /// The authority is another than the token or the configuration names.
    #[error(
        "{server} shows {shown}, not the pinned {expected}; either this is another server, or the pin is of another \
         one: take a new token from the right server",
        shown = Shown(found)
    )]
    WrongPin {
        /// What was tried.
        server: String,
        /// The pin we hold.
        expected: Pin,
        /// What it showed instead.
        found: Vec<Pin>,
    },
    /// No authority we trust vouches for it.
    #[error(
        "{server} has a certificate of an authority that is not trusted here; either this is another server, or its \
         authority was made anew and sites must join again"
    )]
    ForeignAuthority {
        /// What was tried.
        server: String,
    },
    /// Its certificate is past its end.
    #[error("the certificate of {server} ended at {not_after}, and the clock here shows {now}; check both clocks")]
    Expired {
        /// What was tried.
        server: String,
        /// When it ended.
        not_after: WallTime,
        /// What our clock shows.
        now: WallTime,
    },
    /// Its certificate is for another name or purpose.
    #[error(
        "{server} has a certificate that is not for the server `{expected}`; something else answers at this address"
    )]
    WrongName {
        /// What was tried.
        server: String,
        /// The name that was looked for.
        expected: String,
    },
    /// It answered, and then something else went wrong.
    #[error("failed to shake hands with {server}")]
    Handshake {
        /// What was tried.
        server: String,
        /// Why.
        source: Cause,
    },
    /// A file of trusted certificates cannot be used.
    #[error("failed to read trusted certificates from {path}", path = path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Cause,
    },
    /// Nothing was tried: something here is wrong.
    #[error("failed to begin dialing {server}")]
    Local {
        /// What was to be tried.
        server: String,
        /// Why.
        source: Cause,
    },
}

impl DialError {
    /// Says whether trying again will not help until somebody does something.
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

struct Shown<'a>(&'a [Pin]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str("no authority"),
            [first, ..] => write!(f, "the authority {first}"),
        }
    }
}
