//! The clocks of a process.

use std::time::Duration;

use linecamp_model::{Instant, Now};
use linecamp_transport::{SystemClock, WallClock as _};

/// The longest sleep: waking early only rechecks the deadline, and no clock overflows.
const SLEEP_MAX: Duration = Duration::from_secs(24 * 3600);

/// A monotonic clock that starts with the process, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: tokio::time::Instant,
}

impl Clock {
    /// Starts the monotonic clock.
    pub fn start() -> Self {
        Self { started: tokio::time::Instant::now() }
    }

    /// Reads both clocks.
    pub fn now(self) -> Now {
        Now { instant: Instant::after_origin(self.started.elapsed()), wall: SystemClock.now() }
    }

    /// Sleeps until `deadline`, but at most a day; forever without a deadline.
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
