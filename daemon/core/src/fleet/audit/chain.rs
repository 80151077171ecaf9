//! The chain of entries, in blocks: the next entry, and what retention removes.

use std::collections::BTreeMap;

use linecamp_model::{AuditBlock, AuditEntry, AuditExtent, AuditHead, AuditRetention, FleetChange, WallTime};

use crate::fleet::state::FleetState;

/// Blocks that one write removes at most, so that it stays small. More are removed by the writes that follow.
const CUT_BLOCKS_MAX: usize = 4;

/// Returns the changes that append an entry. The entry that begins a block also removes what is too much.
pub(super) fn append(
    state: &FleetState,
    entry: AuditEntry,
    retention: AuditRetention,
    now: WallTime,
) -> Vec<FleetChange> {
    let (index, block) = match state.audit.last_key_value() {
        None => (0, AuditBlock::default()),
        Some((index, last)) if last.is_full() => {
            (index + 1, AuditBlock { before: last.head, head: last.head, ..AuditBlock::default() })
        }
        Some((index, last)) => (*index, last.clone()),
    };
    let number = AuditBlock::first(index) + block.count;
    let entry = AuditEntry { previous: block.head, ..entry };
    let mut changes = if block.count == 0 { cut(state, retention, now) } else { Vec::new() };
    let after = AuditBlock {
        before: block.before,
        head: entry.hash(number),
        count: block.count + 1,
        bytes: block.bytes + entry.bytes(),
        last_at: entry.at,
    };
    changes.push(FleetChange::AuditEntry(number, Some(Box::new(entry))));
    changes.push(FleetChange::AuditBlock(index, Some(after)));
    changes
}

/// Returns the changes that remove the oldest blocks, as far as they are too old or the log is too large. The last
/// block stays: it has the head.
pub(super) fn cut(state: &FleetState, retention: AuditRetention, now: WallTime) -> Vec<FleetChange> {
    let mut bytes = total(&state.audit);
    let old = state.audit.iter().take(state.audit.len().saturating_sub(1)).take_while(|(_, block)| {
        let is_surplus = retention.bytes < bytes || block.last_at + retention.age <= now;
        bytes -= block.bytes;
        is_surplus
    });
    let removed = old.take(CUT_BLOCKS_MAX).flat_map(|(index, block)| {
        let first = AuditBlock::first(*index);
        let entries = (first..first + block.count).map(|number| FleetChange::AuditEntry(number, None));
        entries.chain([FleetChange::AuditBlock(*index, None)])
    });
    removed.collect()
}

/// Returns the extent of the log.
pub(super) fn extent(state: &FleetState) -> AuditExtent {
    let Some(((first, oldest), (last, newest))) = state.audit.first_key_value().zip(state.audit.last_key_value())
    else {
        return AuditExtent::default();
    };
    AuditExtent {
        start: AuditHead { number: AuditBlock::first(*first) - 1, hash: oldest.before },
        head: AuditHead { number: AuditBlock::first(*last) - 1 + newest.count, hash: newest.head },
        bytes: total(&state.audit),
    }
}

fn total(blocks: &BTreeMap<u64, AuditBlock>) -> u64 {
    blocks.values().map(|block| block.bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linecamp_model::{AUDIT_BLOCK_ENTRIES, AuditChanges, AuditVerifier, Text};

    use super::*;
    use crate::fleet::audit_note::entry;
    use crate::fleet::testing::NOW;
    use crate::staging::Replay as _;

    const KEEP: AuditRetention = AuditRetention { age: Duration::from_secs(86_400), bytes: u64::MAX };

    fn sample(number: u64, at: WallTime) -> AuditEntry {
        let target = Text::lossy(&format!("object {number}"));
        entry(linecamp_model::AuditActor::Server, "test.entry", target, AuditChanges::default(), at)
    }

    /// A log as it is stored.
    #[derive(Default)]
    struct Log {
        state: FleetState,
        entries: BTreeMap<u64, AuditEntry>,
    }

    impl Log {
        fn apply(&mut self, changes: Vec<FleetChange>) {
            for change in changes {
                match &change {
                    FleetChange::AuditEntry(number, Some(entry)) => {
                        assert!(self.entries.insert(*number, (**entry).clone()).is_none(), "{number} comes twice");
                    }
                    FleetChange::AuditEntry(number, None) => drop(self.entries.remove(number)),
                    _ => {}
                }
                self.state.apply(change);
            }
        }

        fn append(&mut self, count: u64, retention: AuditRetention, at: WallTime) {
            for number in 0..count {
                self.apply(append(&self.state, sample(number, at), retention, at));
            }
        }

        /// Verifies what is stored, and returns its extent.
        fn verified(&self, known: &[AuditHead]) -> (AuditExtent, bool) {
            let extent = extent(&self.state);
            let mut verifier = AuditVerifier::new(extent.start, known.to_vec()).unwrap();
            for (number, entry) in &self.entries {
                let fields = entry.fields(*number);
                let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
                verifier.check((*number, entry.previous, entry.hash(*number)), fields).unwrap();
            }
            let (head, is_confirmed) = verifier.finish().unwrap();
            assert_eq!(head, extent.head);
            (extent, is_confirmed)
        }
    }

    #[test]
    fn entries_are_chained_across_blocks() {
        let mut log = Log::default();
        log.append(2 * AUDIT_BLOCK_ENTRIES + 3, KEEP, NOW.wall);
        let (extent, _) = log.verified(&[]);
        assert_eq!((extent.start, extent.head.number), (AuditHead::default(), 2 * AUDIT_BLOCK_ENTRIES + 3));
        assert_eq!(log.state.audit.len(), 3);
    }

    #[test]
    fn a_log_whose_oldest_entries_were_removed_is_verified() {
        let mut log = Log::default();
        log.append(AUDIT_BLOCK_ENTRIES, KEEP, NOW.wall);
        let (before, _) = log.verified(&[]);
        let later = NOW.wall + Duration::from_secs(3600);
        log.append(AUDIT_BLOCK_ENTRIES, KEEP, later);
        let (middle, _) = log.verified(&[]);
        log.append(1, KEEP, NOW.wall + KEEP.age);
        let (after, is_confirmed) = log.verified(&[middle.head]);
        assert_eq!((after.start, is_confirmed), (before.head, true));
        // Later, the sweep removes the next block, and the last one stays.
        log.apply(cut(&log.state, KEEP, later + KEEP.age));
        assert_eq!(log.verified(&[after.head]).0.start, middle.head);
        log.apply(cut(&log.state, KEEP, later + 10 * KEEP.age));
        assert_eq!((log.verified(&[after.head]).1, log.entries.len()), (true, 1));
    }

    #[test]
    fn the_log_is_bounded_by_its_size() {
        let mut log = Log::default();
        let bytes = sample(1, NOW.wall).bytes() * AUDIT_BLOCK_ENTRIES * 4;
        let retention = AuditRetention { bytes, ..KEEP };
        log.append(AUDIT_BLOCK_ENTRIES * 40 + 7, retention, NOW.wall);
        let (extent, _) = log.verified(&[]);
        assert!(extent.bytes <= bytes + bytes / 4, "{extent:?}");
        assert!(AUDIT_BLOCK_ENTRIES * 3 <= log.entries.len() as u64, "{}", log.entries.len());
    }

    #[test]
    fn a_block_whose_record_is_lost_is_never_written_again() {
        let mut log = Log::default();
        log.append(7, KEEP, NOW.wall);
        log.state.apply(FleetChange::AuditBlock(0, Some(AuditBlock::lost())));
        log.append(1, KEEP, NOW.wall);
        assert_eq!(log.entries.keys().next_back(), Some(&(AUDIT_BLOCK_ENTRIES + 1)));
    }
}
