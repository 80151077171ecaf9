//! Watches the plugin directory: says that something is another than before, not what.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::error::PluginHostError;

/// How long the directory must be left alone before it is looked at: a component and its signature come one by one.
const SETTLE: Duration = Duration::from_millis(200);

/// The longest that a change waits for others to settle.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// A directory that is watched for as long as this lives.
pub(crate) struct Watch {
    changed: Arc<Notify>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn start(directory: &Path) -> Result<Self, PluginHostError> {
        let changed = Arc::new(Notify::new());
        let waker = Arc::clone(&changed);
        let tell = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if !matters(event.kind) => {}
            // Of an error it is not known what was missed.
            Ok(_) | Err(_) => waker.notify_one(),
        };
        let error =
            |source: notify::Error| PluginHostError::Watch { path: directory.to_owned(), source: source.into() };
        let mut watcher = notify::recommended_watcher(tell).map_err(error)?;
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(error)?;
        Ok(Self { changed, _watcher: watcher })
    }

    /// Returns what is told of each change.
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

    /// Waits until there are no more changes for a moment.
    pub(crate) async fn settle(&self) {
        let begun = Instant::now();
        while begun.elapsed() < SETTLE_MAX && timeout(SETTLE, self.next()).await.is_ok() {}
    }
}

/// Whether a file is whole, gone, or under another name. One that is being written is told of when it is closed.
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
