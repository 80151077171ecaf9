//! Events that never happened, in the server's name and with false times.

use linecamp_model::limits::{EVENTS_PER_MESSAGE_MAX, TEXT_BYTES_MAX};
use linecamp_model::{Event, EventBatch, EventKind, FromMember, SiteId, Text};
use linecamp_proto::COUNTER_MAX;

use super::{MemberState, moment, number};
use crate::sim_rng::SimRng;

/// Prefix of the text of every event that a hostile member sends, so that checkers can recognize it.
pub(crate) const FORGED: &str = "forged: ";

/// Maximum number of extra messages in one flood.
const FLOOD_MESSAGES_MAX: u64 = 150;

/// Returns a few batches with extreme numbers.
pub(super) fn wild(known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    let count = 1 + chance.below(6);
    (0..count)
        .map(|_| {
            let events = match chance.below(4) {
                0 => 0,
                1 => EVENTS_PER_MESSAGE_MAX as u64,
                _ => chance.below(EVENTS_PER_MESSAGE_MAX as u64),
            };
            let (first, dropped) = (number(known.events_held, chance), number(0, chance));
            batch(first, dropped, events, known, chance)
        })
        .collect()
}

/// Returns a flood of events, each batch numbered above the one before.
pub(super) fn flood(known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    let count = 20 + chance.below(FLOOD_MESSAGES_MAX);
    let of_batch = EVENTS_PER_MESSAGE_MAX as u64;
    let first = |index: u64| known.events_held.saturating_add(1 + index * of_batch).min(COUNTER_MAX);
    (0..count).map(|index| batch(first(index), 0, of_batch, known, chance)).collect()
}

fn batch(first: u64, dropped: u64, events: u64, known: &MemberState, chance: &mut SimRng) -> FromMember {
    // The decoder rejects a batch that exceeds the number range, but accepts one that ends exactly at its limit.
    let first = first.clamp(1, COUNTER_MAX - events.saturating_sub(1));
    // One event that is reserved for the server gets the whole batch rejected, so half of the batches have none.
    let is_forged = chance.happens(500);
    let events = (0..events).map(|_| event(known, is_forged, chance)).collect();
    FromMember::Events(EventBatch { first, dropped, events })
}

fn event(known: &MemberState, is_forged: bool, chance: &mut SimRng) -> Event {
    let site = match chance.below(4) {
        0 => None,
        1 => Some(SiteId::from_bytes(chance.bytes())),
        _ => Some(known.site),
    };
    let words = match chance.below(8) {
        0 => "x".repeat(TEXT_BYTES_MAX),
        _ => format!("an operator did {}", chance.below(1_000)),
    };
    let kinds: Vec<_> = EventKind::ALL.iter().copied().filter(|kind| is_forged || kind.is_a_members()).collect();
    let kind = kinds[usize::try_from(chance.below(kinds.len() as u64)).unwrap_or(0)];
    let text = Text::lossy(&format!("{FORGED}{}: {words}", known.site));
    Event { at: moment(known.wall, chance), kind, site, host: None, text }
}
