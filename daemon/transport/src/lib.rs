//! The link's outside: who is trusted, and how bytes get from one to the other.
//!
//! # The trust story
//!
//! A server is an **authority**: a key pair in its `ca/` folder, made once. A join token carries the
//! *pin* of that key. A site makes a key pair of its own, dials, and believes the server because the pin
//! fits; the server believes that the site holds its key because TLS 1.3 made it sign the handshake. That
//! is all a join needs: the site shows a certificate it made itself, the server issues a better one, and
//! both travel in messages that this crate does not read.
//!
//! From then on the site shows what was issued to it, and believes whoever its authority vouches for. The
//! server's own certificate is a leaf below the authority, made in memory, a new one every day, always
//! under the name `server.linecamp.internal`: sites trust an authority and not an address.
//!
//! Clocks lie, so they decide little. A site takes the first moment of a leaf that its authority signed as
//! proof that the present is not earlier, so a machine that woke up in 1970 links all the same; it still
//! refuses a leaf that is past its end. A server lets an expired site in, marked as [`Credential::Expired`]:
//! the key is the site, and `core` decides what an expired, self-made or foreign paper is good for. A
//! server whose clock is before its own authority refuses to start, because what it issues would be wrong.
//!
//! # Invariants
//!
//! - No session without a proven Ed25519 key on both sides; no resumption, tickets or early data, so the
//!   verifiers run on every connection.
//! - Everything is bounded: handshakes in time, bytes under way, bytes of a frame and its time, silence. How many peers
//!   are let in at a time is the caller's to decide, who knows more of them than an address.
//! - A peer can cost its own session and nothing else.
//! - Files are whole or absent after a power cut, and private.
//! - Time, sockets and chance come from [`Platform`], so that a simulator can run this very code. The feature
//!   `simulation` lets it decide chance; without it, chance is the operating system's and nothing else.
//!
//! This crate reads no message, decides no policy and redials nothing: `core` does.

#![forbid(unsafe_code)]

mod chance;
mod connection_ids;
mod dial_error;
mod dialer;
mod error;
mod https;
mod identity;
mod listener;
mod outbound;
mod peer;
mod platform;
mod probe;
mod session;
mod settings;
mod socket;
mod tls;
mod trust;

#[cfg(test)]
mod tests;

pub use chance::Chance;
#[cfg(feature = "simulation")]
pub use chance::Draws;
pub use dial_error::DialError;
pub use dialer::{Dialer, resolve};
pub use error::{Cause, TransportError};
pub use https::{ClientTlsStream, ServerTlsStream, TlsIncoming, TlsListener, connect};
pub use identity::{Authority, SiteCredentials, SiteIdentity, SiteKey};
pub use linecamp_proto::frame::FrameError;
pub use listener::{Incoming, Listener};
pub use outbound::OutboundTls;
pub use peer::{Credential, Peer};
pub use platform::{AsyncUdpSocket, Platform, SystemClock, UdpPoller, WallClock, udp};
pub use probe::{LinkProbe, Probed, probe_api};
pub use session::{Session, SessionCloser, SessionEnd, SessionReceiver, SessionSender};
pub use settings::{LinkSettings, ListenerSettings};
pub use trust::{ApiTrust, Shown, Trust};
