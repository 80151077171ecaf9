//! Events that did not happen, in the server's name, at other times.

use linecamp_model::limits::{EVENTS_PER_MESSAGE_MAX, TEXT_BYTES_MAX};
use linecamp_model::{Event, EventBatch, EventKind, FromSite, SiteId, Text};
use linecamp_proto::COUNTER_MAX;

use super::{Known, moment, number};
use crate::chance::Chance;

/// What the text of every event begins with that a hostile member sends: the checkers know it by that.
pub(crate) const FORGED: &str = "forged: ";

/// Messages of one flood.
const FLOOD_MESSAGES_MAX: u64 = 150;

/// A few batches under wild numbers.
pub(super) fn wild(known: &Known, chance: &mut Chance) -> Vec<FromSite> {
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

/// More events than anybody could want, each batch above the one before.
pub(super) fn flood(known: &Known, chance: &mut Chance) -> Vec<FromSite> {
    let count = 20 + chance.below(FLOOD_MESSAGES_MAX);
    let of_batch = EVENTS_PER_MESSAGE_MAX as u64;
    let first = |index: u64| known.events_held.saturating_add(1 + index * of_batch).min(COUNTER_MAX);
    (0..count).map(|index| batch(first(index), 0, of_batch, known, chance)).collect()
}

fn batch(first: u64, dropped: u64, events: u64, known: &Known, chance: &mut Chance) -> FromSite {
    let events = (0..events).map(|_| event(known, chance)).collect();
    FromSite::Events(EventBatch { first, dropped, events })
}

fn event(known: &Known, chance: &mut Chance) -> Event {
    let site = match chance.below(4) {
        0 => None,
        1 => Some(SiteId::from_bytes(chance.bytes())),
        _ => Some(known.site),
    };
    let words = match chance.below(8) {
        0 => "x".repeat(TEXT_BYTES_MAX),
        _ => format!("an operator did {}", chance.below(1_000)),
    };
    Event {
        at: moment(known.wall, chance),
        kind: kind(chance),
        site,
        text: Text::lossy(&format!("{FORGED}{}: {words}", known.site)),
    }
}

/// Returns a kind: any, most of them for the server alone to say.
fn kind(chance: &mut Chance) -> EventKind {
    let place = usize::try_from(chance.below(EventKind::ALL.len() as u64)).unwrap_or(0);
    EventKind::ALL[place]
}
