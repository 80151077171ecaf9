//! Where a site of the bench stores its data: nowhere, or in a real store.

use std::path::Path;
use std::time::Instant;

use linecamp_model::{SiteChange, WriteId};
use linecamp_proto::record::site_change;
use linecamp_store::{Change, Kind, OnCorruption, QUEUE_WRITES_MAX, Store};
use tokio::sync::mpsc;

/// A durable write, and when it became durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Durable {
    pub(crate) write: WriteId,
    pub(crate) at: Instant,
}

/// The disk of one site.
#[derive(Debug)]
pub(crate) enum SiteDisk {
    /// Every write is durable immediately.
    Absent,
    /// A separate database.
    Real { store: Store, answers: mpsc::Receiver<Durable> },
}

impl SiteDisk {
    /// Opens a new database in `folder`.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (sender, answers) = mpsc::channel(QUEUE_WRITES_MAX);
        let opened = Store::open(&folder.join("site.db"), Kind::Site, OnCorruption::Refuse, move |answer| {
            let at = Instant::now();
            answer.result.as_ref().expect("the bench's disk has room");
            let durable = Durable { write: WriteId(answer.write), at };
            // The receiver is gone when the site has ended.
            let _ = sender.blocking_send(durable);
        })?;
        Ok(Self::Real { store: opened.store, answers })
    }

    /// Commits. Returns the answer if it is known immediately.
    pub(crate) fn commit(&self, write: WriteId, changes: &[SiteChange]) -> Option<Durable> {
        match self {
            Self::Absent => Some(Durable { write, at: Instant::now() }),
            Self::Real { store, .. } => {
                let rows = changes.iter().map(|change| {
                    let (key, body) = site_change(change);
                    Change { key, body }
                });
                store.submit(write.0, rows.collect()).expect("one site does not fill its queue");
                None
            }
        }
    }

    /// Waits for the next answer. Cancel-safe.
    pub(crate) async fn answer(&mut self) -> Durable {
        if let Self::Real { answers, .. } = self
            && let Some(durable) = answers.recv().await
        {
            return durable;
        }
        std::future::pending().await
    }
}
