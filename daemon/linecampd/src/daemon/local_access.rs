//! The local socket and its queue of requests, which outlive a restart of the state machine.

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::error::DaemonError;
use crate::local_api::{LocalCall, LocalServer};

/// Local requests queued for the loop. Further requests wait at their connections, whose number is bounded.
const CALLS_MAX: usize = 8;

/// The local socket, once it is open, and the requests from it. A local client sees a restart of the state machine
/// only as a short delay.
pub(super) struct LocalAccess {
    server: Option<LocalServer>,
    sender: mpsc::Sender<LocalCall>,
    calls: mpsc::Receiver<LocalCall>,
}

impl LocalAccess {
    pub(super) fn new() -> Self {
        let (sender, calls) = mpsc::channel(CALLS_MAX);
        Self { server: None, sender, calls }
    }

    /// Whether the socket is open.
    pub(super) const fn is_open(&self) -> bool {
        self.server.is_some()
    }

    /// Opens the socket at `path`.
    pub(super) fn open(&mut self, path: PathBuf) -> Result<(), DaemonError> {
        self.server = Some(LocalServer::open(path, self.sender.clone())?);
        Ok(())
    }

    /// Returns the next request. Cancel-safe.
    pub(super) async fn next_call(&mut self) -> LocalCall {
        match self.calls.recv().await {
            Some(call) => call,
            // Cannot happen: `self` holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Stops accepting connections and waits until the open ones have ended.
    pub(super) async fn finish(&mut self) {
        if let Some(server) = &mut self.server {
            server.finish().await;
        }
    }
}
