//! What a simulator replaces: the wall clock, the socket, randomness.
//!
//! Monotonic time and timers are tokio's, and pause with its clock. With seeded randomness, two runs send the same
//! bytes at the same times.

use std::sync::Arc;

use crate::clock::{SystemClock, WallClock};
use crate::random::RandomSource;

/// The trait that an in-memory network implements in place of a UDP socket.
pub use quinn::{AsyncUdpSocket, UdpPoller, udp};

/// The environment of an endpoint. The default is the real one.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The wall clock.
    pub clock: Arc<dyn WallClock>,
    /// Replaces the UDP socket.
    pub socket: Option<Arc<dyn AsyncUdpSocket>>,
    /// The source of randomness.
    pub random: RandomSource,
}

impl Default for Platform {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), socket: None, random: RandomSource::System }
    }
}
