//! Reads plugin pieces outside the loop and sends them on the session that requested them.

use std::sync::Arc;

use linecamp_downlink::SessionHandle;
use linecamp_model::{FromParent, PluginPiece, PluginWant, SessionId};
use linecamp_transport::error_chain;
use tokio::sync::Semaphore;

use crate::error::ServerError;
use crate::plugin_folder::PluginFolder;

/// Maximum number of concurrent reads. The other requests wait, each as a task of a few hundred bytes, and the number
/// per session is limited. All reads but the first find the piece in the page cache, so more concurrency would not be
/// faster.
const READS_MAX: usize = 4;

/// Performs the state machine's `ReadPlugin` outputs.
#[derive(Debug)]
pub(crate) struct PluginDriver {
    folder: Arc<PluginFolder>,
    slots: Arc<Semaphore>,
}

impl PluginDriver {
    /// Creates a driver that reads from `folder`.
    pub(crate) fn new(folder: Arc<PluginFolder>) -> Self {
        Self { folder, slots: Arc::new(Semaphore::new(READS_MAX)) }
    }

    /// Reads a piece and sends it. Closes the session as busy if it has too many requests outstanding.
    pub(crate) fn read(&self, session: SessionId, handle: SessionHandle, want: PluginWant) {
        let Some(permit) = handle.plugin_read_permit() else { return };
        let (folder, slots) = (Arc::clone(&self.folder), Arc::clone(&self.slots));
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_slot) = slots.acquire_owned().await else { return };
            let read = tokio::task::spawn_blocking(move || folder.read(want)).await;
            let piece = match read {
                Ok(Ok(piece)) => piece,
                Ok(Err(error)) => empty_piece(session, want, &error),
                // The read panicked, which was reported where it happened, or the runtime is shutting down.
                Err(_) => return,
            };
            handle.send(&FromParent::Plugin(piece));
            drop(permit);
        });
    }
}

/// Returns an empty piece, after which the site retries later.
fn empty_piece(session: SessionId, want: PluginWant, error: &ServerError) -> PluginPiece {
    let (digest, error) = (want.digest, error_chain(error));
    tracing::warn!(%session, %digest, error, "failed to read a plugin for a site; push the plugin again");
    PluginPiece { digest, offset: want.offset, total: 0, bytes: Vec::new() }
}
