//! What a member's status and events change: the rules of the receiving side, without a session.

use linecamp_model::{
    Event, EventBatch, Generation, Incarnation, MemberId, Refusal, RefusalCode, ReplicationCursor, RunId, StatusDelta,
};

use super::members::{Member, MemberChange, Members};
use crate::document_sync::{Changed, Verdict, judge};

/// The effect of a status delta.
#[derive(Debug)]
pub(super) enum StatusStep {
    /// Nothing to store: acknowledge what is held.
    Acknowledge(Generation),
    /// Store these changes, then acknowledge this generation.
    Adopt(Vec<MemberChange>, Generation),
}

/// Returns the replication cursor for an incarnation of a member; an empty one if the member had another incarnation.
pub(super) fn cursor_under(cursor: ReplicationCursor, incarnation: Incarnation) -> ReplicationCursor {
    match cursor.status_incarnation == incarnation {
        true => cursor,
        false => ReplicationCursor {
            status_incarnation: incarnation,
            status_run: None,
            events_held: 0,
            events_dropped: 0,
            ..cursor
        },
    }
}

/// Returns what is held from a daemon run: the status generation and the last event number. The status of another run
/// does not count: it may come from a cloned or restored disk and reuse the same generations.
pub(super) fn held_by(member: Option<Member<'_>>, (incarnation, run): (Incarnation, RunId)) -> (Generation, u64) {
    let cursor = cursor_under(member.map(|member| member.cursor).unwrap_or_default(), incarnation);
    let head = member.map(|member| member.status.head()).unwrap_or_default();
    (if cursor.status_run == Some(run) { head } else { Generation::ZERO }, cursor.events_held)
}

/// Decides a complete status delta of a daemon run.
///
/// # Errors
/// The status would exceed a limit.
pub(super) fn receive_status(
    (id, member): (MemberId, Member<'_>),
    writer: (Incarnation, RunId),
    delta: StatusDelta,
    members: &dyn Members,
) -> Result<StatusStep, Refusal> {
    let (held, _) = held_by(Some(member), writer);
    let is_snapshot = delta.snapshot;
    // Documents written by another run are no valid base.
    let verdict = match is_snapshot || held == member.status.head() {
        true => judge(member.status, delta),
        false => Verdict::Acknowledge,
    };
    let Verdict::Adopt(documents) = verdict else { return Ok(StatusStep::Acknowledge(held)) };
    let after = Changed::new(member.status, &documents);
    after.check()?;
    members.check_status(id, &after)?;
    let head = after.head();
    let mut changes: Vec<_> =
        documents.into_iter().map(|(key, document)| MemberChange::Status(key, document)).collect();
    if is_snapshot {
        let (incarnation, run) = writer;
        let cursor = ReplicationCursor { status_run: Some(run), ..cursor_under(member.cursor, incarnation) };
        changes.extend((cursor != member.cursor).then_some(MemberChange::Cursor(cursor)));
    }
    Ok(StatusStep::Adopt(changes, head))
}

/// The effect of an event batch.
#[derive(Debug)]
pub(super) struct EventsStep {
    /// The events that are new.
    pub(super) fresh: Vec<Event>,
    /// The cursor, if it changes.
    pub(super) changes: Vec<MemberChange>,
    /// The number of the last event held then.
    pub(super) held: u64,
}

/// Decides a valid event batch whose last event has the number `last`.
pub(super) fn receive_events(
    before: ReplicationCursor,
    incarnation: Incarnation,
    batch: EventBatch,
    last: u64,
) -> EventsStep {
    let cursor = cursor_under(before, incarnation);
    let fresh = (batch.first..=last).zip(batch.events).filter(|(seq, _)| cursor.events_held < *seq);
    let fresh = fresh.map(|(_, event)| event).collect();
    let held = cursor.events_held.max(last);
    let after = ReplicationCursor { events_held: held, events_dropped: batch.dropped, ..cursor };
    debug_assert!(cursor.events_held <= after.events_held, "the number of events held only rises");
    EventsStep { fresh, changes: (after != before).then_some(MemberChange::Cursor(after)).into_iter().collect(), held }
}

/// Checks an event batch and returns the number of its last event.
///
/// # Errors
/// The batch contains an event that only the server records, or its numbers are out of range.
pub(super) fn check_events(batch: &EventBatch) -> Result<u64, Refusal> {
    if let Some(event) = batch.events.iter().find(|event| !event.kind.is_a_members()) {
        let text = format!("an event {}, which no member may record", event.kind);
        return Err(Refusal::new(RefusalCode::Protocol, &text));
    }
    let text = format!("event number {} is out of range", batch.first);
    batch.last().ok_or_else(|| Refusal::new(RefusalCode::Protocol, &text))
}

#[cfg(test)]
mod tests {
    use linecamp_model::{EventKind, Text, WallTime};

    use super::*;

    const BEFORE: ReplicationCursor = ReplicationCursor {
        status_incarnation: Incarnation(1),
        status_run: None,
        events_held: 5,
        events_dropped: 0,
        spec_incarnation: None,
        spec_floor: Generation::ZERO,
    };

    fn batch(first: u64, count: usize) -> EventBatch {
        let event = Event {
            at: WallTime::EPOCH,
            kind: EventKind::DaemonStarted,
            site: None,
            host: None,
            text: Text::default(),
        };
        EventBatch { first, dropped: 0, events: vec![event; count] }
    }

    #[test]
    fn events_that_are_held_are_not_stored_again() {
        let step = receive_events(BEFORE, Incarnation(1), batch(4, 4), 7);
        assert_eq!((step.fresh.len(), step.held), (2, 7));
        let step = receive_events(BEFORE, Incarnation(1), batch(2, 2), 3);
        assert_eq!((step.fresh.len(), step.held, step.changes), (0, 5, Vec::new()));
    }

    #[test]
    fn events_of_another_incarnation_count_from_the_start() {
        let step = receive_events(BEFORE, Incarnation(2), batch(1, 2), 2);
        assert_eq!((step.fresh.len(), step.held), (2, 2));
    }

    #[test]
    fn events_are_numbered_from_one() {
        assert_eq!(check_events(&batch(1, 2)), Ok(2));
        assert_eq!(check_events(&batch(0, 1)).map_err(|refusal| refusal.code), Err(RefusalCode::Protocol));
    }
}
