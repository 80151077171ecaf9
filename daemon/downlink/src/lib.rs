//! Accepts the members of a parent: handshakes, sessions, certificates. It drives core's downlink, and is the same for
//! a server, whose members are sites, and for the gateway of a site, whose members are hosts on its LAN.
//!
//! | item | purpose |
//! |---|---|
//! | [`accept`], [`accept_counted`] | accept connections, with one task for the handshake and the session of each |
//! | [`SessionNotes`] | the channel from all sessions to the loop of the program |
//! | [`MemberDriver`] | converts notes to events for the state machine, and performs its outputs |
//! | [`HandshakeStats`] | counts handshakes, and limits the members that have not sent their first message yet |
//! | [`close`] | closes the listener when the program stops |
//!
//! A session has three phases: the handshake, the first message (small, and within the limit for newcomers), and the
//! rest, once the loop has answered. Its notes arrive in order: [`SessionNote::Opened`] is the first,
//! [`SessionNote::Closed`] the last. A panic of a session's task ends that session only, in a program that unwinds.
//!
//! Every queue is bounded: notes of all sessions ([`SESSION_NOTES_MAX`]), frames of one session, plugin pieces that one
//! session has requested. What happens at a bound is stated there.
//!
//! Nothing here decides who is admitted, or what a member is sent: the state machine does. Nothing here listens: the
//! caller binds the [`Listener`](linecamp_transport::Listener) with the authority of the parent.

#![forbid(unsafe_code)]

mod driver;
mod session;

#[cfg(test)]
mod tests;

pub use driver::{MemberDriver, accept, accept_counted, close};
pub use session::{HandshakeStats, SESSION_NOTES_MAX, SessionHandle, SessionNote, SessionNotes};
