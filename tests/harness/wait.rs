//! The only place that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that takes a second on an idle machine: long enough that a timeout means that it
/// never happens, even while other jobs compile.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is polled: a tenth of what a person notices, and cheap.
const POLL: Duration = Duration::from_millis(20);

/// Polls until the condition returns a value; `None` if the time is up first.
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
