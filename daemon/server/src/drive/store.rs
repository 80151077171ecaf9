//! The store driver: reads all records at startup, submits writes and returns the store's answers.
//!
//! A write that the store rejects on submission is a failed write like any other. It is kept here until all outputs
//! that the state machine produced before it could know of the failure have been performed.

use std::collections::VecDeque;
use std::path::Path;

use linecamp_core::{SavedFleet, StoreFault, UnreadableRecord};
use linecamp_model::{FleetChange, Text, WriteId};
use linecamp_proto::record::{fleet_change, fleet_record, salvage_fleet_record};
use linecamp_service::Commits;
use linecamp_store::{Answer, Change, FaultKind, Kind, OnDamage, Store, StoreError};
use tokio::sync::mpsc;

use crate::error::ServerError;

/// Answers of the store to the loop. Their number is limited by the writes that the store accepts.
pub(crate) type Answers = mpsc::Receiver<Answer>;

/// An open store and its contents.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) saved: SavedFleet,
    pub(crate) answers: Answers,
    /// Why the database is read-only, if it is.
    pub(crate) unwritable: Option<StoreError>,
}

/// Opens the database at `path`, which must exist. A corrupt database is an error, because there is no other copy of
/// its contents.
pub(crate) fn open(path: &Path) -> Result<Opened, ServerError> {
    if !path.exists() {
        return Err(ServerError::DatabaseMissing { path: path.to_owned() });
    }
    open_or_create(path)
}

/// Makes `changes` durable in the database at `path`, without a running loop. Creates the database if it does not
/// exist.
pub(crate) fn write_once(path: &Path, changes: &[FleetChange]) -> Result<(), ServerError> {
    let mut opened = open_or_create(path)?;
    opened.store.submit(1, rows(changes)).map_err(ServerError::Write)?;
    opened.store.close();
    match opened.answers.try_recv() {
        Ok(answer) => answer.result.map_err(ServerError::Write),
        Err(_) => Err(ServerError::LoopEnded),
    }
}

/// Maximum number of answers queued for the loop. At this limit the writer waits for the loop, its queue fills, and
/// further writes are rejected. Twice the queue, so that closing never waits.
const ANSWERS_MAX: usize = 2 * linecamp_store::QUEUE_WRITES_MAX;

fn open_or_create(path: &Path) -> Result<Opened, ServerError> {
    let (sender, answers) = mpsc::channel(ANSWERS_MAX);
    let opened = Store::open(path, Kind::Fleet, OnDamage::Refuse, move |answer| {
        // The loop, which receives the answers, may have ended.
        drop(sender.blocking_send(answer));
    })?;
    Ok(Opened { store: opened.store, saved: read(&opened.documents), answers, unwritable: opened.unwritable })
}

/// Maximum number of unreadable records that are logged individually; the rest are only counted.
const UNREADABLE_LOGGED_MAX: usize = 100;

/// Reads the records. An unreadable record affects at most one site, never the fleet.
fn read(documents: &[linecamp_store::Document]) -> SavedFleet {
    let mut saved = SavedFleet::default();
    for (key, body) in documents {
        match fleet_record(key, body) {
            Ok(record) => saved.records.push(record),
            Err(error) => {
                let (key, salvage) = (Text::lossy(&String::from_utf8_lossy(key)), salvage_fleet_record(key));
                if saved.unreadable.len() < UNREADABLE_LOGGED_MAX {
                    tracing::error!(%key, problem = %error, ?salvage, "cannot read a record of the fleet database");
                }
                saved.unreadable.push(UnreadableRecord { key, problem: Text::lossy(&error.to_string()), salvage });
            }
        }
    }
    if UNREADABLE_LOGGED_MAX < saved.unreadable.len() {
        tracing::error!(records = saved.unreadable.len(), "cannot read records of the fleet database");
    }
    saved
}

fn rows(changes: &[FleetChange]) -> Vec<Change> {
    let row = |change| {
        let (key, body) = fleet_change(change);
        Change { key, body }
    };
    changes.iter().map(row).collect()
}

/// Submits the state machine's writes to the store.
#[derive(Debug)]
pub(crate) struct StoreDriver {
    store: Store,
    rejected: VecDeque<(WriteId, StoreFault)>,
    in_flight: usize,
    is_failing: bool,
    /// The trial write that checks whether the disk has space again.
    trial: Option<WriteId>,
    pub(crate) commits: Commits,
}

impl StoreDriver {
    pub(crate) fn new(store: Store) -> Self {
        let commits = Commits::default();
        Self { store, rejected: VecDeque::new(), in_flight: 0, is_failing: false, trial: None, commits }
    }

    /// Submits a write.
    pub(crate) fn persist(&mut self, write: WriteId, changes: &[FleetChange]) {
        let rows = rows(changes);
        let bytes = rows.iter().map(|row| row.key.len() + row.body.as_ref().map_or(0, Vec::len)).sum();
        self.commits.submitted(write.0, bytes);
        let taken = self.store.submit(write.0, rows);
        self.submitted(write, taken);
    }

    /// Checks whether the disk has space for the write it rejected. Answered like [`persist`](Self::persist).
    pub(crate) fn try_room(&mut self, write: WriteId) {
        self.commits.submitted(write.0, 0);
        self.trial = Some(write);
        let taken = self.store.submit_trial(write.0);
        self.submitted(write, taken);
    }

    fn submitted(&mut self, write: WriteId, taken: Result<(), linecamp_store::StoreFault>) {
        match taken {
            Ok(()) => self.in_flight += 1,
            Err(fault) => {
                self.commits.completed(write.0, false);
                let fault = self.judge(&fault);
                self.rejected.push_back((write, fault));
            }
        }
    }

    /// Resumes the store after `write` was rolled back.
    pub(crate) fn resume(&self, write: WriteId) {
        self.store.resume(write.0);
    }

    /// Makes the store thread call `alive` after it has processed its queue.
    pub(crate) fn probe(&self, alive: impl FnOnce() + Send + 'static) {
        self.store.probe(alive);
    }

    /// Returns the next write that was rejected on submission. To be called when the state machine has no more outputs.
    pub(crate) fn take_rejected(&mut self) -> Option<(WriteId, StoreFault)> {
        self.rejected.pop_front()
    }

    /// Processes an answer of the store.
    pub(crate) fn settle(&mut self, answer: Answer) -> (WriteId, Result<(), StoreFault>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.commits.completed(answer.write, answer.result.is_ok());
        let result = match answer.result {
            Ok(()) => {
                // Only the trial write proves that there is space: a smaller write may succeed where the failed one
                // would not.
                if self.is_failing && self.trial == Some(WriteId(answer.write)) {
                    self.is_failing = false;
                    tracing::info!("fleet database writable again");
                }
                Ok(())
            }
            Err(fault) => Err(self.judge(&fault)),
        };
        (WriteId(answer.write), result)
    }

    /// Returns whether a write failed and no trial write has succeeded since.
    pub(crate) const fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Returns whether every submitted write was answered.
    pub(crate) const fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Commits queued writes and closes the database. Blocks.
    pub(crate) fn close(self) {
        self.store.close();
    }

    /// Logs a store failure once until it recovers, because one cause fails thousands of writes.
    fn judge(&mut self, fault: &linecamp_store::StoreFault) -> StoreFault {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(fault = %fault, "cannot write the fleet database; changes are rejected until it recovers");
        }
        fault_of(fault.kind)
    }
}

/// Converts a fault to what the state machine needs to know.
pub(crate) const fn fault_of(kind: FaultKind) -> StoreFault {
    match kind {
        FaultKind::DiskFull => StoreFault::DiskFull,
        FaultKind::ReadOnly => StoreFault::ReadOnly,
        FaultKind::DiskFailing | FaultKind::Overloaded | FaultKind::Other => StoreFault::Failed,
    }
}
