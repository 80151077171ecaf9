//! The server: everything between the machine that decides ([`Fleet`](linecamp_core::Fleet)) and the world.
//!
//! It is one loop over one closed enum of events (`server`). Whatever happens comes in as an event: a session
//! opened, spoke or ended; the store answered; an operator asked; time passed; somebody said stop. The machine is
//! told, and what it asks for in turn is carried out before the next event. The loop, the sessions and the API
//! share one thread of tokio; the store has its own. Nothing is shared but channels, and every channel is bounded:
//!
//! | from | to | bound | at the bound |
//! |---|---|---|---|
//! | sessions | loop | messages of all sessions | sessions stop reading, and QUIC stops their peers |
//! | loop | one session | frames | the session is closed as `busy` |
//! | API | loop | requests | requests wait; connections are bounded too |
//! | loop | store | the store's queue | the write fails, and the machine undoes it |
//! | loop | reading plugins | pieces that one session waits for | the session is closed as `busy` |
//!
//! The drivers (`drive`) carry out and decide nothing. The API (`api`) parses a request to the end before the loop
//! hears of it, and answers a change once it is durable.
//!
//! Everything the server keeps lies in one directory, made by [`init`]: `ca/` (the authority), `fleet.db` (the
//! fleet), `plugins/` (components that were pushed) and `server.toml` (what an operator writes). One process
//! works on it at a time.

#![forbid(unsafe_code)]

pub mod log;

mod api;
mod commit_notifier;
mod config;
pub mod doctor;
mod drive;
mod error;
mod init;
mod install;
mod keys;
mod layout;
mod metrics;
mod panics;
mod plugins;
mod presence;
mod reload;
mod secret;
mod server;
mod start;

#[cfg(test)]
mod tests;

pub use config::{
    CERTIFICATE_LIFE_MAX, CERTIFICATE_LIFE_MIN, Config, ConfigFile, FILE_DEFAULT, LOG_DEFAULT, Overrides, SAMPLE,
    ServerUrl,
};
pub use error::{ServerError, describe};
pub use init::{Initialised, init};
pub use keys::{KeyView, create_key, keys, remove_key};
pub use layout::Layout;
pub use reload::Changes;
pub use secret::ApiKeyText;
pub use start::Server;

/// The link's drivers without the server around them: a simulator runs them on a network in memory.
///
/// [`accept`] lets sites in and tells what their sessions say, through a channel of [`SESSION_NOTES_MAX`] notes.
/// [`LinkDriver::note`](for_simulator::LinkDriver::note) makes each note what the machine has to hear, and the
/// driver's other methods carry out what the machine asks for.
///
/// [`accept`]: for_simulator::accept
/// [`SESSION_NOTES_MAX`]: for_simulator::SESSION_NOTES_MAX
pub mod for_simulator {
    pub use crate::drive::link::{LinkDriver, accept, close};
    pub use crate::drive::session::{SESSION_NOTES_MAX, SessionHandle, SessionNote, SessionNotes};
}
