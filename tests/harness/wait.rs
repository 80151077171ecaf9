//! The one place that waits by sleeping.

use std::thread;
use std::time::{Duration, Instant};

/// How long a journey waits for something that takes a second on an idle machine: long enough that only what never
/// happens is reported, also while everything else is being compiled.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is asked. A tenth of what a person notices, and cheap.
const POLL: Duration = Duration::from_millis(20);

/// Asks until the answer is there; `None` if it is not within the time.
pub fn wait_until<T>(timeout: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if started.elapsed() > timeout {
            return None;
        }
        thread::sleep(POLL);
    }
}
