//! Ctrl-C and other termination signals, as a flag to poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The polling interval.
const POLL: Duration = Duration::from_millis(20);

/// Whether the user asked us to stop.
#[derive(Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Installs the handlers: from here on SIGINT, SIGTERM and SIGHUP only set the flag.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let is_requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&is_requested)).context("failed to listen for signals")?;
        }
        Ok(Self(is_requested))
    }

    /// Waits for `wait`, or until asked to stop; returns whether that happened.
    pub(crate) fn is_requested_within(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        while !self.0.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::sleep(left.min(POLL));
        }
        true
    }
}
