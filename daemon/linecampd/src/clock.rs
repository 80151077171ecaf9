//! Time and randomness from the operating system.

use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linecamp_model::{Instant, Now, WallTime};

use crate::error::DaemonError;

/// The longest sleep: waking early only rechecks the deadline, and no clock overflows.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 3600);

const RANDOM_FILE: &str = "/dev/urandom";

/// A monotonic clock that starts with the process, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: std::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: std::time::Instant::now() }
    }

    /// Reads both clocks.
    pub(crate) fn now(&self) -> Now {
        Now {
            instant: Instant::after_origin(self.started.elapsed()),
            wall: WallTime::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Sleeps until `deadline`, but at most a day; forever without a deadline.
    pub(crate) async fn wait_until(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => {
                let delay = deadline.saturating_since(self.now().instant);
                if !delay.is_zero() {
                    tokio::time::sleep(delay.min(SLEEP_MAX)).await;
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// Returns cryptographically secure random bytes.
pub(crate) fn random<const BYTES: usize>() -> Result<[u8; BYTES], DaemonError> {
    let mut bytes = [0; BYTES];
    File::open(RANDOM_FILE)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(DaemonError::file("read", RANDOM_FILE))?;
    Ok(bytes)
}
