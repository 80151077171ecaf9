//! The transport of the link and the API: authentication, sessions, and the files that identities are stored in. Also
//! the connection of every small HTTP client of the programs.
//!
//! # Trust model
//!
//! A server is an **authority**: a key pair in its `ca/` directory, generated once. A join token carries the *pin* of
//! that key. A site generates its own key pair, connects, and authenticates the server by the pin. The server knows
//! that the site holds its key because TLS 1.3 makes the site sign the handshake. A join needs nothing more: the site
//! presents a self-signed certificate, the server issues a certificate signed by the authority, and both are exchanged
//! in messages that this crate does not read.
//!
//! After that the site presents the issued certificate and accepts any server certificate signed by its authority. The
//! server's own certificate is a leaf below the authority. It is generated in memory, renewed every day, and always has
//! the name `server.linecamp.internal`: sites trust an authority, not an address.
//!
//! A **gateway**, the daemon of a site, is the same for the hosts on its LAN: it has its own authority. Its leaf has
//! two names. A host that joins knows only the pin, and verifies `gateway.linecamp.internal`. A host that has joined
//! verifies `<site ID>.gateway.linecamp.internal`. It also trusts the authority of the server, which issues to the
//! site's own key a **gateway certificate**: a TLS server certificate for the second name only. A client names the
//! authorities that it trusts in its handshake. If the gateway's own is not among them, because the host joined the
//! machine that this one replaced, the gateway presents the gateway certificate. The caller says which peer it expects
//! ([`Expected`]), so no certificate of a gateway is accepted as that of a server, or of another site's gateway. A
//! stolen gateway can impersonate itself, and can issue nothing that anyone but its own hosts accepts.
//!
//! Clocks may be wrong, so they decide little. A site accepts a leaf whose validity starts in the future, and rejects
//! one as expired only if it ended before the site's own certificate started, and before the site's clock
//! ([`ExpiryFloor`]). So a machine that booted in 1970 connects, and one whose clock is years ahead too. A server
//! accepts a site with an expired certificate and marks it as [`Credential::Expired`]: the key identifies the site, and
//! `core` decides what an expired, self-signed or foreign certificate permits. A server whose clock is before the start
//! of its own authority refuses to start, because the certificates it issues would be wrong.
//!
//! # Invariants
//!
//! - Every session has a proven Ed25519 key on both sides. There is no resumption, no tickets and no early data, so the
//!   verifiers run on every connection.
//! - Everything is bounded: the duration of handshakes, bytes in flight, the size and duration of a frame, and silence.
//!   The caller limits the number of concurrent peers, because it knows more about them than an address.
//! - A peer can affect only its own session.
//! - After a power failure a file is complete or absent. All files are private.
//! - Time, sockets and randomness come from [`Platform`], so that a simulator can run this code unchanged. The feature
//!   `simulation` lets it supply the randomness; without it, randomness always comes from the operating system.
//!
//! This crate reads no messages, decides no policy and does not reconnect: `core` does.

#![forbid(unsafe_code)]

mod address_schedule;
mod client_verifier;
mod clock;
mod connect_first;
mod connection_ids;
mod dial_error;
mod dial_history;
mod dialer;
mod endpoint;
mod error;
mod error_chain;
mod expected;
mod http;
mod https;
mod identity;
mod link_settings;
mod listener;
mod outbound_tls;
mod platform;
mod probe;
mod random;
mod resolve;
mod server_verifier;
mod session;
mod socket;
mod tls;

#[cfg(test)]
mod tests;

pub use address_schedule::{ADDRESSES_MAX, AddressSchedule, Pace, ScheduleStep, dial_order};
pub use client_verifier::{Credential, Peer};
pub use clock::{SystemClock, WallClock};
pub use connect_first::connect_first;
pub use dial_error::DialError;
pub use dial_history::DialHistory;
pub use dialer::Dialer;
pub use error::{Cause, TransportError};
pub use error_chain::error_chain;
pub use expected::Expected;
pub use http::{HttpConnection, http_connection};
pub use https::{ClientTlsStream, ServerTlsStream, TcpAcceptor, TlsIncoming, TlsListener, connect, is_http2};
pub use identity::{
    Authority, GatewayCertificate, HttpsCertificate, HttpsCertificateError, HttpsCertificates, SiteCredentials,
    SiteIdentity, SiteKey,
};
pub use linecamp_proto::frame::FrameError;
pub use link_settings::{LinkSettings, ListenerSettings};
pub use listener::{Incoming, Listener};
pub use outbound_tls::{HandshakeFault, OutboundTls};
pub use platform::{AsyncUdpSocket, Platform, UdpPoller, udp};
pub use probe::{LinkProbe, Probed, probe_api};
#[cfg(feature = "simulation")]
pub use random::SeededSequence;
pub use random::{RandomSource, random_bytes};
pub use resolve::resolve;
pub use server_verifier::{ApiTrust, ExpiryFloor, PresentedChain, Trust};
pub use session::{Session, SessionCloser, SessionEnd, SessionReceiver, SessionSender};
pub use socket::ipv4_instead;
