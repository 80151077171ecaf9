//! Opens the fleet database, and converts records and faults between the state machine and the store.

use std::path::Path;
use std::sync::mpsc::sync_channel;

use linecamp_core::{SavedFleet, StoreFault, UnreadableRecord, console_changes};
use linecamp_model::{FleetChange, Text};
use linecamp_proto::record::{fleet_change, fleet_record, salvage_fleet_record};
use linecamp_service::{OpenedStore, StoreDriver};
use linecamp_store::{Change, Document, FaultKind, Kind, OnCorruption, Store, StoreError};
use linecamp_transport::{SystemClock, WallClock as _};

use crate::error::ServerError;

/// An opened database and its contents.
#[derive(Debug)]
pub(crate) struct OpenedDatabase {
    pub(crate) store: StoreDriver,
    pub(crate) saved: SavedFleet,
    /// Why the database is read-only, if it is.
    pub(crate) unwritable: Option<StoreError>,
}

/// Opens the database at `path`, which must exist. A corrupt database is an error, because there is no other copy of
/// its contents.
pub(crate) fn open(path: &Path) -> Result<OpenedDatabase, ServerError> {
    if !path.exists() {
        return Err(ServerError::DatabaseMissing { path: path.to_owned() });
    }
    let OpenedStore { driver, documents, unwritable, .. } = StoreDriver::open(path, Kind::Fleet, OnCorruption::Refuse)?;
    Ok(OpenedDatabase { store: driver, saved: read(&documents), unwritable })
}

/// Makes `changes` durable in the database at `path`, without a running loop. Creates the database if it does not
/// exist.
pub(crate) fn write_once(path: &Path, changes: &[FleetChange]) -> Result<(), ServerError> {
    let (sender, answers) = sync_channel(1);
    let opened = Store::open(path, Kind::Fleet, OnCorruption::Refuse, move |answer| drop(sender.try_send(answer)))?;
    let rows = changes.iter().map(fleet_change).map(|(key, body)| Change { key, body });
    opened.store.submit(1, rows.collect()).map_err(ServerError::Write)?;
    opened.store.close();
    match answers.try_recv() {
        Ok(answer) => answer.result.map_err(ServerError::Write),
        Err(_) => Err(ServerError::LoopEnded),
    }
}

/// Makes `changes` durable like [`write_once`], with their entry in the audit log: `operation`, done at the console.
/// `saved` is what the database has.
pub(crate) fn write_audited(
    path: &Path,
    saved: &SavedFleet,
    operation: &'static str,
    mut changes: Vec<FleetChange>,
) -> Result<(), ServerError> {
    changes.extend(console_changes(saved, operation, &changes, SystemClock.now()));
    write_once(path, &changes)
}

/// Maximum number of unreadable records that are logged individually; the rest are only counted.
const UNREADABLE_LOGGED_MAX: usize = 100;

/// Reads the records. An unreadable record affects at most one site, never the fleet.
pub(crate) fn read(documents: &[Document]) -> SavedFleet {
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

/// Converts a fault to what the state machine needs to know.
pub(crate) const fn fault_of(kind: FaultKind) -> StoreFault {
    match kind {
        FaultKind::DiskFull => StoreFault::DiskFull,
        FaultKind::ReadOnly => StoreFault::ReadOnly,
        FaultKind::DiskFailing | FaultKind::Overloaded | FaultKind::Other => StoreFault::Failed,
    }
}
