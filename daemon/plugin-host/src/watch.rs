//! Watches the plugin directory: reports that something has changed, not what.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::error::PluginHostError;

/// How long the directory must be quiet before it is scanned: a component and its signature arrive one after the other.
const SETTLE: Duration = Duration::from_millis(200);

/// The longest time to wait for the directory to become quiet.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// A directory watch, active for as long as this value lives.
pub(crate) struct Watch {
    changed: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Starts watching.
    pub(crate) fn start(directory: &Path) -> Result<Self, PluginHostError> {
        let changed = Arc::new(Notify::new());
        let waker = Arc::clone(&changed);
        let tell = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if !matters(event.kind) => {}
            // After an error, changes may have been missed.
            Ok(_) | Err(_) => waker.notify_one(),
        };
        let error =
            |source: notify::Error| PluginHostError::Watch { path: directory.to_owned(), source: source.into() };
        let mut watcher = notify::recommended_watcher(tell).map_err(error)?;
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(error)?;
        Ok(Self { changed, _watcher: watcher })
    }

    /// Returns a handle that is notified of changes.
    pub(crate) fn changes(&self) -> Changes {
        Changes(Arc::clone(&self.changed))
    }
}

/// Waits for changes.
#[derive(Clone)]
pub(crate) struct Changes(Arc<Notify>);

impl Changes {
    /// Waits for the next change. Cancel-safe.
    pub(crate) async fn next(&self) {
        self.0.notified().await;
    }

    /// Waits until there have been no changes for `SETTLE`, but at most `SETTLE_MAX`.
    pub(crate) async fn settle(&self) {
        let begun = Instant::now();
        while begun.elapsed() < SETTLE_MAX && timeout(SETTLE, self.next()).await.is_ok() {}
    }
}

/// Whether a file is complete, deleted or renamed. A file that is being written is reported when it is closed.
const fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_)
        | EventKind::Any
        | EventKind::Other => true,
        EventKind::Access(_) | EventKind::Create(_) | EventKind::Modify(_) => false,
    }
}
