//! What a program needs to be a service of its machine, whichever of ours it is.
//!
//! | part | is |
//! |---|---|
//! | [`ServiceManager`] | what systemd hears of us |
//! | [`Commits`] | what becomes of writes to a store, counted |
//! | [`Journal`] | its journal, spoken to in its own protocol |
//! | [`ConnectionLimiter`] | fair shares of the connections of a port or a socket |
//! | [`TokenBuckets`] | how often each source may do something |
//! | [`Metrics`] | our numbers, as Prometheus reads them |
//! | [`LayeredConfig`] | the configuration, as somebody wrote it into one file and the drop-ins beside it |
//!
//! Nothing in here knows what the daemon or the server do, or what a key of their configuration means.

#![forbid(unsafe_code)]

mod commits;
mod config_layers;
mod connections;
mod journal;
mod metrics;
mod rates;
mod shares;
mod supervisor;

pub use commits::Commits;
pub use config_layers::{DROP_INS_MAX, FILE_BYTES_MAX, LayeredConfig, LayersError, Place, line_of, read_text};
pub use connections::{ConnectionCounts, ConnectionLimiter, ConnectionPermit, Network};
pub use journal::{Entry, Journal, Priority};
pub use metrics::{Family, Kind, METRICS_CONTENT_TYPE, Metrics};
pub use rates::{RateLimit, TokenBucket, TokenBuckets};
pub use shares::{Admission, Class, ConnectionId, ConnectionShares, ShareLimits};
pub use supervisor::ServiceManager;
