//! Why a connection to a server or gateway failed, in messages for the person who has to fix it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::{GapCause, Parent, Pin, WallTime};
use quinn::ConnectionError;

use crate::error::{Cause, TransportError};
use crate::error_chain::error_chain;
use crate::server_verifier::Refusal;

/// Addresses that an error lists per cause.
const LISTED_MAX: usize = 8;

/// Different causes that an error lists.
const CAUSES_MAX: usize = 4;

/// Why connecting to a server or gateway failed. `server` is the address that was tried, `parent` what should answer
/// there.
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
        "{server} presented {shown}, not the pinned {expected}; this is another {parent}, or the pin is that of \
         another {parent}: create a new token at the right {parent}",
        shown = PresentedAuthority(found)
    )]
    WrongPin {
        /// The address that was tried.
        server: String,
        /// What should answer there.
        parent: Parent,
        /// The expected pin.
        expected: Pin,
        /// The pins that the server presented.
        found: Vec<Pin>,
    },
    /// The pinned authority was replaced.
    #[error(
        "the certificate authority of {server} was replaced: it presented {shown}, not the pinned {expected}; \
         {advice}",
        shown = PresentedAuthority(found),
        advice = advice_if_replaced(*parent)
    )]
    Replaced {
        /// The address that was tried.
        server: String,
        /// What should answer there.
        parent: Parent,
        /// The expected pin.
        expected: Pin,
        /// The pins that the server presented.
        found: Vec<Pin>,
    },
    /// The certificate is not signed by a trusted authority.
    #[error(
        "the certificate of {server} is from an untrusted authority; this is another {parent}, or {advice}",
        advice = advice_if_foreign(*parent)
    )]
    ForeignAuthority {
        /// The address that was tried.
        server: String,
        /// What should answer there.
        parent: Parent,
    },
    /// The certificate has expired, by the local clock and by the time that the server or gateway last certified.
    #[error("the certificate of {server} expired at {not_after} (local time: {now}); check the {parent}'s clock")]
    Expired {
        /// The address that was tried.
        server: String,
        /// What should answer there.
        parent: Parent,
        /// The end of its validity.
        not_after: WallTime,
        /// The time of the local clock.
        now: WallTime,
    },
    /// The certificate is for another name or purpose.
    #[error(
        "the certificate of {server} is not for `{expected}`; {other} answers at this address",
        other = other_than(*parent)
    )]
    WrongName {
        /// The address that was tried.
        server: String,
        /// What should answer there.
        parent: Parent,
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
    /// Connecting failed at each address of the server, for different reasons.
    #[error("{text}")]
    Addresses {
        /// The reasons, each with its addresses.
        text: String,
        /// Whether another server answered at every address.
        is_wrong_server: bool,
        /// What the attempt that came closest to a session stands for.
        cause: GapCause,
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
            Self::WrongPin { .. }
            | Self::Replaced { .. }
            | Self::ForeignAuthority { .. }
            | Self::WrongName { .. }
            | Self::CaFile { .. } => true,
            Self::Addresses { is_wrong_server, .. } => *is_wrong_server,
            Self::Resolve { .. }
            | Self::Silent { .. }
            | Self::Expired { .. }
            | Self::Handshake { .. }
            | Self::Local { .. } => false,
        }
    }

    /// Returns what this error stands for in the history of a link.
    pub fn gap_cause(&self) -> GapCause {
        match self {
            Self::Resolve { .. } => GapCause::NameResolution,
            Self::Silent { .. } => GapCause::NoAnswer,
            Self::WrongPin { .. }
            | Self::Replaced { .. }
            | Self::ForeignAuthority { .. }
            | Self::Expired { .. }
            | Self::WrongName { .. } => GapCause::Tls,
            Self::Handshake { source, .. } if is_of_tls(source) => GapCause::Tls,
            Self::Local { source, .. } if is_without_route(source) => GapCause::NoRoute,
            Self::Addresses { cause, .. } => *cause,
            Self::Handshake { .. } | Self::Local { .. } | Self::CaFile { .. } => GapCause::Unknown,
        }
    }

    /// Returns why connecting to the server failed, given why it failed at each address that was tried. Each address is
    /// named once, with its cause; addresses with the same cause are listed together, eight at most.
    pub fn of_addresses(host: &str, port: u16, mut failures: Vec<(SocketAddr, Self)>) -> Self {
        let server = server_text(host, port);
        failures.sort_by_key(|(address, _)| *address);
        let is_wrong_server = failures.iter().all(|(_, error)| error.needs_operator());
        let cause = closest_cause(failures.iter().map(|(_, error)| error.gap_cause()));
        let mut groups: Vec<(Self, Vec<IpAddr>)> = Vec::new();
        for (address, mut error) in failures {
            error.set_server(String::new());
            let text = error_chain(&error);
            match groups.iter_mut().find(|(known, _)| error_chain(known) == text) {
                Some((_, addresses)) => addresses.push(address.ip()),
                None => groups.push((error, vec![address.ip()])),
            }
        }
        if groups.len() == 1 {
            let (mut error, addresses) = groups.remove(0);
            let is_literal = host.parse::<IpAddr>().is_ok();
            error.set_server(if is_literal { server } else { format!("{server} ({})", listed(&addresses)) });
            return error;
        }
        if groups.is_empty() {
            return Self::Resolve { server, source: io::ErrorKind::NotFound.into() };
        }
        let omitted: usize = groups.iter().skip(CAUSES_MAX).map(|(_, addresses)| addresses.len()).sum();
        let mut causes: Vec<_> = groups
            .iter_mut()
            .take(CAUSES_MAX)
            .map(|(error, addresses)| {
                error.set_server(listed(addresses));
                error_chain(error)
            })
            .collect();
        if 0 < omitted {
            causes.push(format!("{omitted} more addresses failed for other reasons"));
        }
        Self::Addresses { text: format!("{server}: {}", causes.join("; ")), is_wrong_server, cause }
    }

    /// Replaces the address that was tried.
    fn set_server(&mut self, name: String) {
        match self {
            Self::Resolve { server, .. }
            | Self::Silent { server, .. }
            | Self::WrongPin { server, .. }
            | Self::Replaced { server, .. }
            | Self::ForeignAuthority { server, .. }
            | Self::Expired { server, .. }
            | Self::WrongName { server, .. }
            | Self::Handshake { server, .. }
            | Self::Local { server, .. } => *server = name,
            Self::CaFile { .. } | Self::Addresses { .. } => {}
        }
    }

    pub(crate) fn from_refusal(server: String, parent: Parent, refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongPin { expected, found } => Self::WrongPin { server, parent, expected, found },
            Refusal::Replaced { expected, found } => Self::Replaced { server, parent, expected, found },
            Refusal::ForeignAuthority => Self::ForeignAuthority { server, parent },
            Refusal::Expired { not_after, now } => Self::Expired { server, parent, not_after, now },
            Refusal::WrongName { expected } => Self::WrongName { server, parent, expected },
            Refusal::Unusable(problem) => Self::Handshake { server, source: problem.into() },
        }
    }

    pub(crate) fn local(server: SocketAddr, source: TransportError) -> Self {
        Self::Local { server: server.to_string(), source: source.into() }
    }
}

/// Returns the cause of the attempt that came closest to a session.
fn closest_cause(causes: impl Iterator<Item = GapCause>) -> GapCause {
    let closeness = |cause: &GapCause| match cause {
        GapCause::Tls => 3,
        GapCause::NoAnswer => 2,
        GapCause::NoRoute => 1,
        _ => 0,
    };
    causes.max_by_key(closeness).unwrap_or(GapCause::Unknown)
}

/// Whether a handshake failed in TLS rather than in QUIC. The code of a TLS alert is one of 256 (RFC 9001, 4.8).
fn is_of_tls(source: &Cause) -> bool {
    let code = match source.downcast_ref::<ConnectionError>() {
        Some(ConnectionError::TransportError(error)) => error.code,
        Some(ConnectionError::ConnectionClosed(close)) => close.error_code,
        Some(_) => return false,
        // The verifier cannot use what the server presented.
        None => return true,
    };
    (0x100..0x200).contains(&u64::from(code))
}

/// Whether this machine has no route to the server.
fn is_without_route(source: &Cause) -> bool {
    let kind = source.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(
            io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::AddrNotAvailable
        )
    )
}

/// Returns the host and port as in a URL.
pub(crate) fn server_text(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(address) => SocketAddr::new(address, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Lists [`LISTED_MAX`] addresses and counts the rest.
fn listed(addresses: &[IpAddr]) -> String {
    let names: Vec<_> = addresses.iter().take(LISTED_MAX).map(IpAddr::to_string).collect();
    match addresses.len().saturating_sub(LISTED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Returns what to do after the pinned authority was replaced.
const fn advice_if_replaced(parent: Parent) -> &'static str {
    match parent {
        Parent::Server => {
            "get the new pin on the server with `linecamp-server doctor`, then log in with it or create a new join \
             token"
        }
        Parent::Gateway => "create a new join token at the gateway",
    }
}

/// Returns the other reason for an untrusted authority, and what to do.
const fn advice_if_foreign(parent: Parent) -> &'static str {
    match parent {
        Parent::Server => "the server was initialized again and its sites must join again",
        Parent::Gateway => "the gateway was replaced and has no certificate from the server yet",
    }
}

/// Returns what has a certificate for another name or purpose.
const fn other_than(parent: Parent) -> &'static str {
    match parent {
        Parent::Server => "another service",
        Parent::Gateway => "the gateway of another site or another service",
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

#[cfg(test)]
mod tests;
