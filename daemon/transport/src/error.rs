//! What goes wrong before there is a session: files, keys, certificates, sockets, handshakes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::WallTime;

/// A cause from a library that this crate hides.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an identity, a listener or a handshake of a peer did not come to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// A file or folder could not be read.
    #[error("failed to read {path}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder could not be written, flushed or removed.
    #[error("failed to write {path}", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that must be there is not.
    #[error("{path} is missing; {remedy}", path = path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// What an operator does about it.
        remedy: &'static str,
    },
    /// A file holds something else than what belongs there.
    #[error("{path} is damaged: {problem}; {remedy}", path = path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What an operator does about it.
        remedy: &'static str,
    },
    /// A certificate authority lives there already.
    #[error(
        "{dir} exists already; an authority is made once, and overwriting it would lock out every site",
        dir = dir.display()
    )]
    AuthorityExists {
        /// The folder.
        dir: PathBuf,
    },
    /// A name for the server's certificate that no certificate can carry.
    #[error("`{name}` is neither a DNS name nor an IP address, so it cannot be a name of the server")]
    BadName {
        /// As it was given.
        name: String,
    },
    /// A key that is not Ed25519.
    #[error("{whose} is not an Ed25519 public key, the only kind Linecamp uses")]
    BadPublicKey {
        /// Whose key.
        whose: &'static str,
    },
    /// A certificate that does not decode, or belongs to another key.
    #[error("{whose} cannot be used: {problem}")]
    BadCertificate {
        /// Whose certificate.
        whose: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A key or certificate could not be made.
    #[error("failed to make {what}")]
    Make {
        /// What.
        what: &'static str,
        /// Why.
        source: Cause,
    },
    /// The clock of this machine shows a time before the authority was made.
    #[error(
        "the clock shows {now}, before the authority was made ({not_before}), so certificates issued by it would be \
         wrong; set the clock"
    )]
    ClockBeforeAuthority {
        /// What the clock shows.
        now: WallTime,
        /// When the authority was made.
        not_before: WallTime,
    },
    /// A socket could not be opened.
    #[error("failed to listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS refused its own configuration.
    #[error("failed to configure TLS for {what}")]
    Tls {
        /// What for.
        what: &'static str,
        /// Why.
        source: Cause,
    },
    /// A peer's handshake failed.
    #[error("failed to shake hands with {remote}")]
    Handshake {
        /// Who tried.
        remote: SocketAddr,
        /// Why.
        source: Cause,
    },
    /// A peer took too long to shake hands, or to send its first bytes.
    #[error("{remote} did not shake hands and speak within {seconds} s", seconds = limit.as_secs())]
    HandshakeLate {
        /// Who tried.
        remote: SocketAddr,
        /// What it was given.
        limit: Duration,
    },
}

/// Renders an error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
