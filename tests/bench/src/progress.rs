//! What has happened to each site of a benchmark, and when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use linecamp_model::Generation;

/// How often a waiting measurement polls the progress. Recorded times do not depend on it.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The state of one site.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// How often it was welcomed.
    pub(crate) welcomes: u32,
    /// When it was last welcomed.
    pub(crate) welcomed_at: Instant,
    /// The spec generation on its disk.
    pub(crate) durable: Generation,
    /// When that became durable.
    pub(crate) durable_at: Instant,
    /// The spec generation it has acknowledged.
    pub(crate) acked: Generation,
    /// When it acknowledged that.
    pub(crate) acked_at: Instant,
    /// Why its last session ended or its last dial failed.
    pub(crate) last_loss: Option<String>,
    /// When that happened.
    pub(crate) lost_at: Instant,
}

/// The state of all sites.
#[derive(Debug)]
pub(crate) struct SiteProgress(Mutex<Vec<Record>>);

impl SiteProgress {
    /// Creates the state of this many sites that have not connected yet.
    pub(crate) fn new(sites: usize) -> Self {
        let now = Instant::now();
        let record = Record {
            welcomes: 0,
            welcomed_at: now,
            durable: Generation::default(),
            durable_at: now,
            acked: Generation::default(),
            acked_at: now,
            last_loss: None,
            lost_at: now,
        };
        Self(Mutex::new(vec![record; sites]))
    }

    /// Updates the state of one site.
    pub(crate) fn update(&self, site: usize, change: impl FnOnce(&mut Record)) {
        change(&mut self.lock()[site]);
    }

    /// Returns the state of all sites.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// Returns the state of one site.
    pub(crate) fn record(&self, site: usize) -> Record {
        self.lock()[site].clone()
    }

    /// Waits until `holds` is true for every site.
    pub(crate) async fn wait(
        &self,
        what: &str,
        limit: Duration,
        holds: impl Fn(usize, &Record) -> bool,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        loop {
            let (missing, example) = {
                let records = self.lock();
                let mut missing = records.iter().enumerate().filter(|(site, record)| !holds(*site, record));
                let example = missing.next().map(|(_, record)| record.last_loss.clone());
                (missing.count() + usize::from(example.is_some()), example.flatten())
            };
            match missing {
                0 => return Ok(()),
                _ if until < Instant::now() => {
                    bail!("{missing} sites not {what} within {} s; last error of one: {example:?}", limit.as_secs())
                }
                _ => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
