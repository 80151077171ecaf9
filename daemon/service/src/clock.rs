//! The clocks of a process.

use std::time::Duration;

use linecamp_model::{Instant, Now};
use linecamp_transport::{SystemClock, WallClock as _};
use rustix::time::{ClockId, clock_gettime};

/// The longest sleep: waking early only rechecks the deadline, and no clock overflows.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 3600);

/// A monotonic clock that starts with the process, and the wall clock.
///
/// The monotonic clock also counts the time that the machine is suspended, like the wall clock: so a suspended machine
/// does not look like one whose clock was set.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Duration,
}

impl Clock {
    /// Starts the monotonic clock.
    pub fn start() -> Self {
        Self { started: since_boot() }
    }

    /// Reads both clocks.
    pub fn now(self) -> Now {
        let elapsed = since_boot().saturating_sub(self.started);
        Now { instant: Instant::after_origin(elapsed), wall: SystemClock.now() }
    }

    /// Sleeps until `deadline`, but at most a day; forever without a deadline. While the machine is suspended the sleep
    /// pauses, so it may end late.
    pub async fn wait_until(self, deadline: Option<Instant>) {
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

/// Returns the time since the machine was started.
fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}
