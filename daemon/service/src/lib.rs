//! Infrastructure that the daemon and the server share as services of a machine.
//!
//! | item | purpose |
//! |---|---|
//! | [`Clock`] | the monotonic clock and the wall clock |
//! | [`ServiceManager`] | notifications to systemd |
//! | [`StoreDriver`], [`Commits`] | a store as a loop uses it, and counters of its writes |
//! | [`Journal`], [`LogLine`] | the systemd journal, over its native protocol, and an event as one line or entry |
//! | [`admits_line`], [`LineLimit`] | the limit on log lines that a peer without a credential can cause |
//! | [`ConnectionLimiter`] | fair shares of the connections of a port or a socket |
//! | [`TokenBuckets`] | rate limits per source |
//! | [`panics`] | contains a panic in the task that it happened in |
//! | [`SPAN_TARGET`] | the spans that are exported to a collector |
//! | [`Metrics`] | metrics in the Prometheus text format |
//! | [`LayeredConfig`] | the configuration, read from one file and its drop-ins |
//! | [`ConfigChanges`] | what a reloaded configuration changes, and when that takes effect |
//!
//! Nothing here depends on what the daemon or the server does, or on the meaning of their configuration keys.

#![forbid(unsafe_code)]

mod clock;
mod config_changes;
mod config_layers;
mod connection_shares;
mod connections;
mod journal;
mod log_limit;
mod log_line;
mod metrics;
pub mod panics;
mod rate_limits;
mod spans;
mod store_driver;
mod systemd;
mod write_metrics;

pub use clock::Clock;
pub use config_changes::{Apply, ConfigChanges, report_rejected_config};
pub use config_layers::{DROP_INS_MAX, FILE_BYTES_MAX, LayeredConfig, LayersError, Place, line_of, read_text};
pub use connection_shares::{Admission, Class, ConnectionId, ConnectionShares, ShareLimits};
pub use connections::{ConnectionCounts, ConnectionLimiter, ConnectionPermit, Network};
pub use journal::Journal;
pub use log_limit::{LineLimit, PEER, PEER_LINE_BYTES_MAX, PEER_TEXT_BYTES_MAX, admits_line, report_unlogged};
pub use log_line::LogLine;
pub use metrics::{Family, Kind, METRICS_CONTENT_TYPE, Metrics};
pub use rate_limits::{RateLimit, TokenBucket, TokenBuckets};
pub use spans::SPAN_TARGET;
pub use store_driver::{OpenedStore, StoreDriver, WriteResult};
pub use systemd::ServiceManager;
pub use write_metrics::Commits;
