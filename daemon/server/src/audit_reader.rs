//! Reads the audit log from the database, as it is on disk: what is shown, exported and verified is durable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use linecamp_model::{AuditBlock, AuditEntry, AuditExtent, AuditHead, FleetChange};
use linecamp_proto::record::{AUDIT_BLOCKS, audit_entry_key, fleet_record};
use linecamp_store::{Document, LogReader, ReadFrom, StoreError};

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
    /// [`StoreError`] if the database cannot be read.
    pub(crate) fn read(&self, range: AuditRange, count_max: usize) -> Result<AuditRead, StoreError> {
        let mut kept = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match kept.take() {
            Some(reader) => reader,
            None => LogReader::open(&self.database)?,
        };
        // A connection that failed is not used again.
        let read = reader.at_one_revision(|reader| read(reader, range, count_max))?;
        *kept = Some(reader);
        Ok(read)
    }
}

fn read(reader: &LogReader, range: AuditRange, count_max: usize) -> Result<AuditRead, StoreError> {
    let [first, end] = AUDIT_BLOCKS;
    let blocks = reader.read(first..end, ReadFrom::Start, usize::MAX)?;
    let (low, high, from) = match range {
        AuditRange::After(number) => (number.saturating_add(1), u64::MAX, ReadFrom::Start),
        AuditRange::Before(number) => (0, number, ReadFrom::End),
    };
    let entries = reader.read(&*audit_entry_key(low)..&*audit_entry_key(high), from, count_max)?;
    Ok(decode(&blocks, &entries))
}

/// Decodes what was read. A record that cannot be decoded is left out, so that it costs no other one: a verification
/// finds that it is missing.
fn decode(blocks: &[Document], entries: &[Document]) -> AuditRead {
    let mut read = AuditRead::default();
    let mut found = BTreeMap::new();
    let mut unreadable = 0_usize;
    for (key, body) in blocks.iter().chain(entries) {
        match fleet_record(key, body) {
            Ok(FleetChange::AuditBlock(index, Some(block))) => drop(found.insert(index, block)),
            Ok(FleetChange::AuditEntry(number, Some(entry))) => read.entries.push((number, *entry)),
            Ok(_) => {}
            Err(_) => unreadable += 1,
        }
    }
    if unreadable != 0 {
        tracing::warn!(count = unreadable, "records of the audit log are corrupt; see `linecamp audit verify`");
    }
    if let Some(((first, oldest), (last, newest))) = found.first_key_value().zip(found.last_key_value()) {
        read.extent = AuditExtent {
            start: AuditHead { number: AuditBlock::first(*first) - 1, hash: oldest.before },
            head: AuditHead { number: AuditBlock::first(*last) - 1 + newest.count, hash: newest.head },
            bytes: found.values().map(|block| block.bytes).sum(),
        };
    }
    read
}

#[cfg(test)]
mod tests {
    use linecamp_core::console_changes;
    use linecamp_model::WallTime;
    use linecamp_proto::record::fleet_change;

    use super::*;

    #[test]
    fn a_corrupt_record_costs_no_other_one() {
        let changes = console_changes(&linecamp_core::SavedFleet::default(), "test.entry", &[], WallTime::EPOCH);
        let documents: Vec<Document> =
            changes.iter().map(fleet_change).filter_map(|(key, body)| Some((key, body?))).collect();
        let [entry, block] = &documents[..] else { panic!("an entry and its block: {changes:?}") };
        let corrupt = (audit_entry_key(2), vec![0xff]);
        let read = decode(std::slice::from_ref(block), &[entry.clone(), corrupt]);
        assert_eq!((read.entries.len(), read.extent.head.number), (1, 1));
        let read = decode(&[(block.0.clone(), vec![0xff])], std::slice::from_ref(entry));
        assert_eq!((read.entries.len(), read.extent), (1, AuditExtent::default()));
    }
}
