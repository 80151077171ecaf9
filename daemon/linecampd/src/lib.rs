//! The site daemon: the drivers and the event loop around the site's state machine.
//!
//! [`Site`](linecamp_core::Site) makes every decision; this crate delivers its inputs and carries out its outputs. One
//! loop on a single-threaded runtime handles one closed `Event` enum. Each event becomes one input of the state
//! machine, the state machine's outputs go to the drivers, and a driver's result comes back as an event. No other
//! component holds state that affects decisions, and events are handled strictly one at a time.
//!
//! ```text
//!   link   store   local socket   labels.d   facts   clock   signals
//!     └──────┴──────────┴───── Event ┴─────────┴───────┴────────┘
//!                                │
//!                              Site
//!                                │
//!     ┌──────┬──────────┬──── SiteOutput ──┐
//!   link   store     identity   local    facts
//! ```
//!
//! Contents of a data directory:
//!
//! | name | contents |
//! |---|---|
//! | `identity/` | the site's private key, and what the join added: certificate, authorities, servers |
//! | `site.db` | spec, status, labels set locally, queued events |
//! | `labels.d/*.toml` | labels in files, managed by the machine's administrator |
//! | `linecampd.sock` | the local socket; anyone who can open it can use everything it offers |
//! | `lock` | held by the one process that uses the directory |
//!
//! Every queue between a driver and the loop is a bounded channel. A link that cannot keep up is dropped and dialed
//! again; a local client that cannot keep up is disconnected; a full store rejects the write, and the state machine
//! reports it.

#![forbid(unsafe_code)]

pub mod config;
pub mod daemon;
pub mod doctor;
pub mod facts;
pub mod forget;
mod host_tokens;
pub mod join;
pub mod label_files;
pub mod local_client;
pub mod log;
pub mod plugin;
pub mod support_bundle;

mod data_directory;
mod drivers;
mod error;
mod link_log;
mod local_api;
mod metrics;
mod reload;
mod socket_path;
mod table;

pub use data_directory::{DATA_DEFAULT, DataDirectory};
pub use error::DaemonError;
pub use reload::ConfigLoader;

/// The link driver without the daemon around it: a simulator runs hundreds of them in one process, with an in-memory
/// network and in-memory credentials.
pub mod for_simulator {
    pub use crate::drivers::identity::Credentials;
    pub use crate::drivers::link::{LinkDriver, LinkReport};
}
