//! The bytes: of the link between a site and its server, and of the records in their databases.
//!
//! # The link
//!
//! A site dials its server with QUIC and opens one stream in both directions. The stream carries frames
//! ([`mod@frame`]), and each frame one message: [`FromSite`](linecamp_model::FromSite) one way,
//! [`FromServer`](linecamp_model::FromServer) the other, as `link.proto` writes them down.
//!
//! **The site speaks first**, and its first frame is small (`FIRST_FRAME_BYTES_MAX`), because nobody has vouched for
//! it yet:
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
//! A site that joined or recovered comes back at once, with its certificate, and says hello. Acknowledgements name
//! what the receiver holds durably. There are no answers but these: who cannot go on closes the connection with a
//! [`Refusal`](linecamp_model::Refusal), whose code is the number of the close frame and whose words are its reason
//! ([`encode_refusal`]). Which version of all this is spoken, the first two messages agree on ([`VERSIONS`]).
//!
//! # The records
//!
//! [`mod@record`] writes a typed change as a key and a body and reads it back. Keys are paths, bodies protobuf.
//!
//! # The texts
//!
//! [`mod@api`] is the JSON that the server and its operators exchange, [`mod@local`] the JSON of the daemon's local
//! socket.
//!
//! # Invariants of the bytes
//!
//! - What decodes is valid: every name, label, count, length and number was checked (`convert`), and a value that was
//!   decoded survives its own bytes. Nobody behind this crate checks again.
//! - No bytes make it panic. What is refused costs one error that names the field, and a bounded amount of memory:
//!   about 32 times the frame (`wire`).
//! - Bytes that a release has written stay readable: `golden/` holds some of each kind, for ever. Older forms are
//!   converted here, and nobody else knows of them.
//!
//! It does not know what a message is for, or whether it comes at the right moment; `core` does. It does not know
//! which site a peer is: what a site says of another one decodes well, and whoever knows the session refuses it.

#![forbid(unsafe_code)]

pub mod api;
pub mod frame;
pub mod local;
pub mod record;

mod convert;
mod error;
mod limits;
mod message;
mod refusal;
#[cfg(test)]
mod tests;
mod version;
mod wire;

pub use error::ProtoError;
pub use limits::{
    AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, COUNTER_MAX, DOCUMENTS_MAX, EXTRA_VALUES_MAX, RECORD_TYPE_BYTES_MAX,
};
pub use message::{decode_from_server, decode_from_site, encode_from_server, encode_from_site};
pub use refusal::{decode_refusal, encode_refusal, refusal_code_number};
pub use version::VERSIONS;
