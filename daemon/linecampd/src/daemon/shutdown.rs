//! Ending a run of the state machine.

use std::time::Duration;

use linecamp_model::Refusal;

use super::Daemon;
use super::handoff::{Closed, ProcessState};
use crate::error::DaemonError;
use crate::forget::forget_locked;

/// How long shutdown may wait for others: the disk, the server, hosts, local clients. Together with closing the
/// database it stays below the promised 2 s.
const STOP_LIMIT: Duration = Duration::from_millis(1500);

impl Daemon {
    /// Closes the link, flushes all pending writes, and closes the database.
    pub(crate) async fn stop(self) {
        let _closed = self.close().await;
    }

    pub(super) async fn close(mut self) -> Closed {
        // A reload that is requested meanwhile is for the next run.
        let reload = self.reload.take();
        self.site.handle_stop(self.clock.now());
        let drained = async {
            loop {
                self.perform_outputs();
                if self.store.is_idle() && self.pending.is_empty() {
                    break;
                }
                let event = self.next_event().await;
                self.handle_event(event);
            }
            if let Some(local) = &mut self.local {
                local.finish().await;
            }
            let link_closed = async {
                // A dial that did not connect has no session to close.
                if self.link_log.is_up {
                    self.link.wait_idle().await;
                }
            };
            tokio::join!(link_closed, self.lan.close());
        };
        if tokio::time::timeout(STOP_LIMIT, drained).await.is_err() {
            // Over a satellite link the close alone takes longer; the server then detects the loss by timeout.
            match self.store.is_idle() {
                true => tracing::debug!("shutdown did not wait for the server, a host or a local client to close"),
                false => tracing::warn!("shutdown did not wait for the disk: unconfirmed changes may be lost"),
            }
        }
        let commits = std::mem::take(&mut self.store.commits);
        self.store.close();
        let process = ProcessState { manager: self.manager, counters: self.counters, commits };
        Closed { guard: self.guard, reload, process }
    }

    /// Deletes the data of this machine after it was removed. The hosts of a site that was removed have been told.
    pub(crate) async fn forget(mut self, refusal: Refusal) -> DaemonError {
        tracing::warn!(%refusal, "this machine was removed; deleting its data");
        if tokio::time::timeout(STOP_LIMIT, self.lan.close()).await.is_err() {
            tracing::debug!("did not wait for a host to close");
        }
        self.store.close();
        match forget_locked(&self.guard.directory) {
            Ok(()) => DaemonError::Removed(refusal),
            Err(error) => error,
        }
    }
}
