//! The site daemon: everything around the machine that decides.
//!
//! [`Site`](linecamp_core::Site) decides; this crate listens and carries out. There is one loop over one closed
//! `Event` enum on a runtime of one thread. An event becomes one input of the machine, the
//! machine's outputs go to the drivers, and what a driver has to answer comes back as an event. Nothing else has
//! state that matters, and no two things happen at once.
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
//! What lies in a data directory:
//!
//! | name | holds |
//! |---|---|
//! | `identity/` | the key that is the site, and what joining brought |
//! | `site.db` | spec, status, labels set on the spot, events that wait |
//! | `labels.d/*.toml` | labels as files, by whoever runs the machine |
//! | `linecampd.sock` | the local socket; who may open it may do everything it offers |
//! | `lock` | held by the one process that works on all this |
//!
//! Everything between a driver and the loop is a bounded channel. A link that cannot keep up is lost and dialled
//! again; a local client that cannot keep up is cut off; the store refuses, and the machine says so.

#![forbid(unsafe_code)]

pub mod client;
pub mod config;
pub mod daemon;
pub mod doctor;
pub mod facts;
pub mod forget;
pub mod join;
pub mod labels_d;
pub mod log;
pub mod plugin;
pub mod support;

mod clock;
mod directory;
mod drive;
mod error;
mod link_log;
mod local;
mod metrics;
mod reload;
mod table;

pub use directory::{DATA_DEFAULT, DataDirectory};
pub use error::{DaemonError, chain};

/// The link's driver without the daemon around it: a simulator runs hundreds of them in one process, on a network
/// and with papers that live in memory.
pub mod for_simulator {
    pub use crate::drive::identity::Credentials;
    pub use crate::drive::link::{LinkDriver, LinkReport};
}
