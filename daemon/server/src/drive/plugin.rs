//! Pieces of plugins, read beside the loop and sent on the session that asked.

use std::sync::Arc;

use linecamp_model::{FromServer, PluginPiece, PluginWant, SessionId};
use tokio::sync::Semaphore;

use super::session::SessionHandle;
use crate::error::{ServerError, describe};
use crate::plugins::PluginFolder;

/// Pieces that are read at one time. The others wait, each as a task of a few hundred bytes, of which a session has no
/// more than it may ask for at once. All but the first find a piece in the page cache, so more would not be faster.
const READS_MAX: usize = 4;

/// Carries out the machine's wishes for pieces.
#[derive(Debug)]
pub(crate) struct PluginDriver {
    folder: Arc<PluginFolder>,
    slots: Arc<Semaphore>,
}

impl PluginDriver {
    /// Makes a driver that reads from `folder`.
    pub(crate) fn new(folder: Arc<PluginFolder>) -> Self {
        Self { folder, slots: Arc::new(Semaphore::new(READS_MAX)) }
    }

    /// Reads a piece and sends it. A peer that asks for more at once than it may is closed as busy.
    pub(crate) fn read(&self, session: SessionId, handle: SessionHandle, want: PluginWant) {
        let Some(wish) = handle.wish() else { return };
        let (folder, slots) = (Arc::clone(&self.folder), Arc::clone(&self.slots));
        tokio::spawn(async move {
            // It is never closed.
            let Ok(_slot) = slots.acquire_owned().await else { return };
            let read = tokio::task::spawn_blocking(move || folder.read(want)).await;
            let piece = match read {
                Ok(Ok(piece)) => piece,
                Ok(Err(error)) => nothing(session, want, &error),
                // A panic, which has been reported where it happened; or the runtime ends.
                Err(_) => return,
            };
            handle.send(&FromServer::Plugin(piece));
            drop(wish);
        });
    }
}

/// Says that there is nothing to be had: the site asks again later.
fn nothing(session: SessionId, want: PluginWant, error: &ServerError) -> PluginPiece {
    let (digest, error) = (want.digest, describe(error));
    tracing::warn!(%session, %digest, error, "failed to read a plugin for a site; push it again");
    PluginPiece { digest, offset: want.offset, total: 0, bytes: Vec::new() }
}
