//! The wall clock of certificates, and its adapter for the libraries.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linecamp_model::WallTime;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The clock used to check and issue certificates. It may jump.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// Returns the current time.
    fn now(&self) -> WallTime;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> WallTime {
        WallTime::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// Adapts a [`WallClock`] to rustls and quinn.
#[derive(Clone, Debug)]
pub(crate) struct TlsClock(pub(crate) Arc<dyn WallClock>);

impl TimeProvider for TlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

impl quinn::TimeSource for TlsClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.now().unix_millis())
    }
}

/// Converts a time to the whole seconds that certificates use.
pub(crate) const fn unix_time(time: WallTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(time.unix_millis()))
}
