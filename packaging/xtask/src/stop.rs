//! Ctrl-C and its relatives, as something that can be asked for.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Says whether somebody asked us to stop.
#[derive(Debug)]
pub(crate) struct Stop {
    asked: Receiver<()>,
}

impl Stop {
    /// From here on Ctrl-C, a termination and a closed terminal are requests: nothing dies of them.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("failed to listen for signals")?;
        let entered = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
        let mut hangup = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
        drop(entered);
        let (tx, asked) = sync_channel(1);
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            // Nobody listens any more only when the program ends anyway.
            let _ = tx.send(());
        });
        Ok(Self { asked })
    }

    /// Waits so long, or until asked to stop; returns whether that happened.
    pub(crate) fn is_asked_within(&self, wait: Duration) -> bool {
        match self.asked.recv_timeout(wait) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
        }
    }
}
