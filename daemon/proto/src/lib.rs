//! Encoding of the messages on the link between a site and its server, of the records in their databases, and of the
//! JSON texts of their APIs.
//!
//! # The link
//!
//! A site dials its server over QUIC and opens one bidirectional stream. The stream carries frames
//! ([`mod@frame`]), and each frame one message: [`FromMember`](linecamp_model::FromMember) one way,
//! [`FromParent`](linecamp_model::FromParent) the other, as `link.proto` defines them.
//!
//! **The site sends first**, and its first frame is small (`FIRST_FRAME_BYTES_MAX`), because the site is not
//! authenticated yet:
//!
//! ```text
//! join     site ── Join ──────────► server     hello    site ── Hello ─────────► server
//!               ◄────── Identity ──                          ◄─────── Welcome ──
//!          site ── close: Done ──► server                    then, in any order:
//!                                                       site ── Status, Events ► server   one of each under way
//! recover  site ── Hello ─────────► server                   ◄─ StatusAck, EventsAck ──
//!               ◄────── Identity ──                          ◄────────── Spec ──          one under way
//!          site ── close: Done ──► server               site ── SpecAck ───────► server
//!                                                       site ── Renew ─────────► server
//!                                                            ◄────── Identity ──
//!                                                            ◄───────── Probe ──
//!                                                       site ── Alive ─────────► server
//!                                                       site ── WantPlugin ────► server
//!                                                            ◄──────── Plugin ──
//!                                                       site ── Storage ───────► server
//! ```
//!
//! A Status or a Spec that does not fit a frame is sent in parts, one after the other, and the last one is answered.
//!
//! A site that joined or recovered reconnects immediately with its certificate and sends Hello. Acknowledgements name
//! what the receiver has stored durably. There are no other replies: a peer that cannot continue closes the connection
//! with a [`Refusal`](linecamp_model::Refusal), whose code is the close frame's error code and whose message is its
//! reason ([`encode_refusal`]). The first two messages negotiate the protocol version ([`VERSIONS`]).
//!
//! # The records
//!
//! [`mod@record`] encodes a typed change as a key and a body, and decodes it. Keys are paths, bodies protobuf.
//!
//! # JSON
//!
//! [`mod@api`] is the JSON that the server and its operators exchange, [`mod@local`] the JSON of the daemon's local
//! socket, [`mod@command`] the JSON that a program prints if a command fails.
//!
//! # Invariants
//!
//! - Decoded values are valid: every name, label, count, length and number was checked (`convert`), and a decoded
//!   value round-trips. No code behind this crate checks again.
//! - No input causes a panic. Rejected input costs one error that names the field, and a bounded amount of memory:
//!   about 32 times the frame (`wire`).
//! - Bytes that a release wrote stay readable: `golden/` keeps samples of each kind, forever. Older forms are converted
//!   here; no other code knows of them.
//!
//! This crate does not know what a message is for, or whether it arrives at the right moment; `core` does. It does not
//! know which site a peer is: a site's message about another site decodes, and the code that knows the session rejects
//! it.

#![forbid(unsafe_code)]

pub mod api;
pub mod command_error;
pub mod frame;
pub mod local;
pub mod record;

mod close_code;
mod convert;
mod error;
mod limits;
mod message;
#[cfg(test)]
mod tests;
mod version;
mod wire;

pub use close_code::{decode_refusal, encode_refusal, refusal_code_number};
pub use error::ProtoError;
pub use limits::{
    AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, COUNTER_MAX, DOCUMENTS_MAX, EXTRA_VALUES_MAX, RECORD_TYPE_BYTES_MAX,
};
pub use message::{decode_from_member, decode_from_parent, encode_from_member, encode_from_parent};
pub use version::VERSIONS;
