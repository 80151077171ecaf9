//! Errors before a session exists: files, keys, certificates, sockets, handshakes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::{MemberKind, WallTime};

/// A cause from a library that is not part of this crate's API.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an identity, a listener or a peer's handshake failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// A file or directory could not be read.
    #[error("failed to read {path}", path = path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or directory could not be written, flushed or removed.
    #[error("failed to write {path}", path = path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A required file is missing.
    #[error("{path} is missing; {remedy}", path = path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// What the operator has to do.
        remedy: String,
    },
    /// A file has invalid content.
    #[error("{path} is corrupt: {problem}; {remedy}", path = path.display())]
    Corrupt {
        /// The path.
        path: PathBuf,
        /// The problem.
        problem: String,
        /// What the operator has to do.
        remedy: String,
    },
    /// A certificate authority already exists there.
    #[error(
        "{dir} already contains files; a new certificate authority there would lock out every {members}",
        dir = dir.display()
    )]
    AuthorityExists {
        /// The directory.
        dir: PathBuf,
        /// Who trusts the authority.
        members: MemberKind,
    },
    /// The names in a gateway's certificate are fixed.
    #[error("cannot add the name `{name}` to the certificate of a gateway: it has only the names of its site")]
    FixedNames {
        /// The name.
        name: String,
    },
    /// A server name that a certificate cannot contain.
    #[error("invalid server name `{name}`: neither a DNS name nor an IP address")]
    BadName {
        /// The name.
        name: String,
    },
    /// A key that is not Ed25519.
    #[error("{whose} is not an Ed25519 key")]
    BadPublicKey {
        /// The owner of the key.
        whose: &'static str,
    },
    /// A certificate that cannot be decoded or belongs to another key.
    #[error("{whose} is invalid: {problem}")]
    BadCertificate {
        /// The owner of the certificate.
        whose: &'static str,
        /// The problem.
        problem: String,
    },
    /// A key or certificate could not be generated.
    #[error("failed to create {what}")]
    Make {
        /// What was being generated.
        what: &'static str,
        /// The cause.
        source: Cause,
    },
    /// The clock of this machine is before the start of the authority's validity.
    #[error(
        "this machine's clock ({now}) is before the authority's validity starts ({not_before}), so certificates issued \
         now would be invalid; set the clock"
    )]
    ClockBeforeAuthority {
        /// The time of the clock.
        now: WallTime,
        /// The start of the authority's validity.
        not_before: WallTime,
    },
    /// A socket could not be opened.
    #[error("failed to listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// rustls rejected the configuration.
    #[error("failed to configure TLS for {what}")]
    Tls {
        /// What it was for.
        what: &'static str,
        /// The cause.
        source: Cause,
    },
    /// A peer's handshake failed.
    #[error("handshake with {remote} failed")]
    Handshake {
        /// The peer's address.
        remote: SocketAddr,
        /// The cause.
        source: Cause,
    },
    /// A peer did not complete the handshake and send its first bytes in time.
    #[error(
        "{remote} did not complete the handshake and send its first bytes within {seconds} s",
        seconds = limit.as_secs()
    )]
    HandshakeLate {
        /// The peer's address.
        remote: SocketAddr,
        /// The time limit.
        limit: Duration,
    },
}
