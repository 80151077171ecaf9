//! Reads the audit log from the database, as it is on disk: what is shown, exported and verified is durable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use linecamp_model::{AuditBlock, AuditEntry, AuditExtent, AuditHead, FleetChange};
use linecamp_proto::record::{AUDIT_BLOCKS, audit_entry_key, fleet_record};
use linecamp_store::{LogReader, ReadFrom, StoreError};

/// Which entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditRange {
    /// The first ones above a number.
    After(u64),
    /// The last ones below a number.
    Before(u64),
}

/// Entries with their numbers, oldest first, and the extent of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditRead {
    pub(crate) entries: Vec<(u64, AuditEntry)>,
    pub(crate) extent: AuditExtent,
}

/// Why the log was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditReadError {
    /// The database cannot be read.
    #[error("cannot read the audit log")]
    Store(#[from] StoreError),
    /// A record of it is corrupt.
    #[error("a record of the audit log is corrupt")]
    Corrupt(#[from] linecamp_proto::ProtoError),
}

/// Reads the log. It has one connection to the database, which is opened with the first use.
#[derive(Debug)]
pub(crate) struct AuditReader {
    database: PathBuf,
    reader: Mutex<Option<LogReader>>,
}

impl AuditReader {
    pub(crate) const fn new(database: PathBuf) -> Self {
        Self { database, reader: Mutex::new(None) }
    }

    /// Returns at most `count_max` entries. Blocks.
    ///
    /// # Errors
    /// [`AuditReadError`].
    pub(crate) fn read(&self, range: AuditRange, count_max: usize) -> Result<AuditRead, AuditReadError> {
        let mut kept = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match kept.take() {
            Some(reader) => reader,
            None => LogReader::open(&self.database)?,
        };
        // A connection that failed is not used again.
        let read = reader.at_one_revision(|reader| read(reader, range, count_max))?;
        *kept = Some(reader);
        read
    }
}

fn read(
    reader: &LogReader,
    range: AuditRange,
    count_max: usize,
) -> Result<Result<AuditRead, AuditReadError>, StoreError> {
    let [first, end] = AUDIT_BLOCKS;
    let blocks = reader.read(first..end, ReadFrom::Start, usize::MAX)?;
    let (low, high, from) = match range {
        AuditRange::After(number) => (number.saturating_add(1), u64::MAX, ReadFrom::Start),
        AuditRange::Before(number) => (0, number, ReadFrom::End),
    };
    let entries = reader.read(&*audit_entry_key(low)..&*audit_entry_key(high), from, count_max)?;
    Ok(decode(&blocks, &entries))
}

fn decode(
    blocks: &[linecamp_store::Document],
    entries: &[linecamp_store::Document],
) -> Result<AuditRead, AuditReadError> {
    let mut read = AuditRead::default();
    let mut found = BTreeMap::new();
    for (key, body) in blocks {
        if let FleetChange::AuditBlock(index, Some(block)) = fleet_record(key, body)? {
            found.insert(index, block);
        }
    }
    if let Some(((first, oldest), (last, newest))) = found.first_key_value().zip(found.last_key_value()) {
        read.extent = AuditExtent {
            start: AuditHead { number: AuditBlock::first(*first) - 1, hash: oldest.before },
            head: AuditHead { number: AuditBlock::first(*last) - 1 + newest.count, hash: newest.head },
            bytes: found.values().map(|block| block.bytes).sum(),
        };
    }
    for (key, body) in entries {
        if let FleetChange::AuditEntry(number, Some(entry)) = fleet_record(key, body)? {
            read.entries.push((number, *entry));
        }
    }
    Ok(read)
}
