//! What a simulator replaces: the wall clock, the socket, randomness.
//!
//! Monotonic time and timers are tokio's, and pause with its clock. With seeded randomness, two runs send the same
//! bytes at the same times.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linecamp_model::WallTime;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use crate::chance::Chance;

/// The trait that an in-memory network implements in place of a UDP socket.
pub use quinn::{AsyncUdpSocket, UdpPoller, udp};

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

/// The environment of an endpoint. The default is the real one.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The wall clock.
    pub clock: Arc<dyn WallClock>,
    /// Replaces the UDP socket.
    pub socket: Option<Arc<dyn AsyncUdpSocket>>,
    /// The source of randomness.
    pub chance: Chance,
}

impl Default for Platform {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), socket: None, chance: Chance::System }
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
