//! The server: everything between the state machine that decides ([`Fleet`](linecamp_core::Fleet)) and the outside
//! world.
//!
//! The server is one loop over one closed enum of events (`server`): a session opened, sent a message or closed; the
//! store answered a write; an operator sent a request; a deadline passed; a shutdown was requested. Each event goes to
//! the state machine, and the outputs of the state machine are performed before the next event. The loop, the sessions
//! and the API share one tokio thread; the store has its own thread. They communicate only through channels, and every
//! channel is bounded:
//!
//! | from | to | bound | at the bound |
//! |---|---|---|---|
//! | sessions | loop | messages of all sessions | sessions stop reading, and QUIC flow control stops their peers |
//! | loop | one session | frames | the session is closed as `busy` |
//! | API | loop | requests | requests wait; connections are bounded too |
//! | loop | store | the store's queue | the write fails, and the state machine rolls it back |
//! | loop | plugin reads | pieces requested by one session | the session is closed as `busy` |
//!
//! The drivers (`drivers`, and `linecamp-downlink` for the sessions) perform outputs and decide nothing. The API
//! (`api`) parses a request completely before it reaches the loop, and answers a change once it is durable.
//!
//! All server state is in one directory, created by [`init`]: `ca/` (the authority), `fleet.db` (the fleet), `plugins/`
//! (uploaded components) and `server.toml` (written by the operator). Only one process uses the directory at a time.

#![forbid(unsafe_code)]

pub mod log;

mod api;
mod api_keys;
mod audit_reader;
pub mod backup;
mod certificate_files;
mod commit_notifier;
mod config;
mod data_directory;
pub mod doctor;
mod drivers;
mod error;
mod event_streams;
mod fleet_access;
mod fleet_client;
mod idempotency;
mod init;
mod metrics;
mod oidc;
mod passwords;
mod plugin_folder;
mod plugin_registry;
mod reload;
mod request_audit;
mod secret;
mod server;
mod server_addresses;
mod server_url;
mod session_stats;
mod startup;
mod traces;
mod trusted_proxies;
mod users;

#[cfg(test)]
mod tests;

pub use api_keys::{KeyView, create_key, keys, remove_key};
pub use certificate_files::CertificateFiles;
pub use config::{
    CERTIFICATE_LIFE_MAX, CERTIFICATE_LIFE_MIN, Config, ConfigFile, FILE_DEFAULT, GroupRoleFile, LOG_DEFAULT,
    OidcConfig, Overrides, SAMPLE,
};
pub use data_directory::{DATA_DIR_DEFAULT, Layout};
pub use error::ServerError;
pub use init::{Initialized, init};
pub use secret::ApiKeyText;
pub use server_url::ServerUrl;
pub use startup::Server;
pub use traces::{Collector, Traces, TracesError};
pub use users::{PasswordReset, reset_password};

/// The driver of the link without the rest of the server, for a simulator that runs them on an in-memory network.
///
/// [`accept`] accepts sites and forwards the notes of their sessions through a channel of [`SESSION_NOTES_MAX`] notes.
/// [`MemberDriver::note`](for_simulator::MemberDriver::note) converts each note to an event for the state machine. The
/// other methods of the driver perform the outputs of the state machine.
///
/// [`accept`]: for_simulator::accept
/// [`SESSION_NOTES_MAX`]: for_simulator::SESSION_NOTES_MAX
pub mod for_simulator {
    pub use linecamp_downlink::{
        MemberDriver, SESSION_NOTES_MAX, SessionHandle, SessionNote, SessionNotes, accept, close,
    };
}
