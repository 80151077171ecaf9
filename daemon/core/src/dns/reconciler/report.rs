//! The record statuses a site reports: as many as fit in a status, including those of a provider that was removed.

use std::collections::BTreeSet;

use linecamp_model::limits::RECORDS_PER_PROVIDER_MAX;
use linecamp_model::{DnsStatus, Generation, OwnedRecordKey, ProviderStatus, RecordState, RecordStatus, Text};

/// Returns the status of a provider that is no longer configured: `last` is its last reported status, `notes` list the
/// records it has left.
pub(crate) fn status_of_removed<'a>(
    last: &ProviderStatus,
    notes: impl Iterator<Item = &'a OwnedRecordKey>,
    bytes_max: usize,
) -> ProviderStatus {
    let why = Text::lossy("its provider is no longer configured: add it again with `withdraw = true`");
    let records = notes.map(|key| {
        let is_meant = |record: &&RecordStatus| record.zone == key.zone && record.key == key.record;
        let observed = last.records().iter().find(is_meant).and_then(|record| record.observed.clone());
        let (zone, key, detail) = (key.zone.clone(), key.record.clone(), why.clone());
        RecordStatus { zone, key, values: BTreeSet::new(), ttl: None, observed, state: RecordState::Retained, detail }
    });
    ProviderStatus {
        is_local: true,
        failure: Some(Text::lossy("it is no longer configured")),
        converged: Generation::ZERO,
        kind: DnsStatus { records: within(bytes_max, records) }.into(),
        ..last.clone()
    }
}

/// Returns as many records as fit in `bytes_max`. A record that does not fit is skipped.
pub(super) fn within(bytes_max: usize, records: impl Iterator<Item = RecordStatus>) -> Vec<RecordStatus> {
    let mut bytes_left = bytes_max;
    let records = records.filter(move |record| match bytes_left.checked_sub(record.encoded_size_max()) {
        Some(left) => {
            bytes_left = left;
            true
        }
        None => false,
    });
    records.take(RECORDS_PER_PROVIDER_MAX).collect()
}
