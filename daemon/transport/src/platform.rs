//! What a simulator replaces: the wall clock, the socket, chance.
//!
//! Steady time and timers are tokio's, and pause with its clock. With seeded chance, two runs send the same
//! bytes at the same times.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linecamp_model::WallTime;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use crate::chance::Chance;

/// What an in-memory network implements to stand in for the socket.
pub use quinn::{AsyncUdpSocket, UdpPoller, udp};

/// A clock that certificates are checked and issued by. It may jump.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// Returns what the clock shows.
    fn now(&self) -> WallTime;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> WallTime {
        WallTime::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// The outside world of an endpoint. The default is the real one.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Tells the time to TLS.
    pub clock: Arc<dyn WallClock>,
    /// Carries the packets instead of a UDP socket of our own.
    pub socket: Option<Arc<dyn AsyncUdpSocket>>,
    /// Decides everything that is random.
    pub chance: Chance,
}

impl Default for Platform {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), socket: None, chance: Chance::System }
    }
}

/// Our clock, as rustls and quinn want to read it.
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

/// Converts to the whole seconds that certificates count in.
pub(crate) const fn unix_time(time: WallTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(time.unix_millis()))
}
