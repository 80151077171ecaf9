//! One zone of a provider: its desired records, its observed records, and the progress of the round.
//!
//! A record's state follows from the last observation and the current desired values. A record whose desired values
//! changed is not in sync until an observation confirms it; a record that was not observed is unknown, not absent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{
    Claim, DomainName, Instant, Now, Observed, OwnedRecord, RecordChange, RecordKey, RecordSet, RecordState,
    RecordStatus, RecordType, Text, Ttl, WallTime,
};

use super::{CONFLICT_RETRY_FIRST, QUARANTINE};
use crate::dns::{Plan, Refusal, Wanted, note_undone};

/// The state of a record set when it was last observed.
#[derive(Clone, Debug)]
struct Standing {
    state: RecordState,
    detail: Text,
    /// The desired values at that time; the TTL of an observation from an earlier run is unknown.
    desired: Option<(BTreeSet<Box<str>>, Option<Ttl>)>,
}

impl Standing {
    fn is_of(&self, desired: Option<&RecordSet>) -> bool {
        match (&self.desired, desired) {
            (None, None) => true,
            (Some((values, ttl)), Some(set)) => *values == set.values && ttl.is_none_or(|ttl| ttl == set.ttl),
            (_, _) => false,
        }
    }
}

/// A quarantined record set.
#[derive(Clone, Debug)]
struct Aside {
    refusal: Refusal,
    until: Instant,
    delay: Duration,
    /// Whether the quarantine has expired and a retry is due. The record set is shown as quarantined until a retry
    /// succeeds.
    is_tried: bool,
}

/// The state of a zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Zone {
    pub(super) wanted: Wanted,
    /// Record sets that the provider rejected, or that conflicted when changed in a call of their own.
    asides: BTreeMap<RecordKey, Aside>,
    /// Whether changes use one call per record set for the rest of the round.
    pub(super) one_change_per_call: bool,
    /// Record sets that were deleted since they were last desired.
    pub(super) undone: BTreeSet<RecordKey>,
    /// Record sets that the planned steps delete without having observed them.
    blind: BTreeSet<RecordKey>,
    observed: BTreeMap<RecordKey, Observed>,
    standing: BTreeMap<RecordKey, Standing>,
    /// Whether the last observation left nothing to do.
    is_at_rest: bool,
    /// Whether the provider is leaving and cannot delete some of its records.
    is_held_up: bool,
    /// Consecutive failures: zones that failed come last.
    pub(super) failures: u32,
    /// Whether the zone was observed once and, if possible, searched for leftover records.
    pub(super) is_swept: bool,
    /// Whether to search it although it has ownership notes: the last search failed.
    pub(super) is_sweep_due: bool,
    /// Why it could not be searched, and when.
    unsearched: Option<(Text, Instant)>,
    /// Record sets that were observed but cannot be parsed: they are neither written nor deleted.
    unreadable: BTreeMap<RecordKey, Text>,
    /// The number of passes over the zone in this round.
    pub(super) passes: u32,
    /// The number of record sets deleted in this round.
    pub(super) deleted: usize,
}

impl Zone {
    /// Sets the desired records. Returns whether they changed.
    pub(super) fn want(&mut self, wanted: Wanted) -> bool {
        if self.wanted == wanted {
            return false;
        }
        self.asides.retain(|key, _| self.wanted.sets.get(key) == wanted.sets.get(key));
        self.wanted = wanted;
        self.is_at_rest = false;
        true
    }

    pub(super) fn unsettle(&mut self) {
        self.is_at_rest = false;
        self.failures = 0;
        self.asides.clear();
    }

    /// Starts a round: expired quarantines are retried. A plan-only round clears all quarantines, so that the operator
    /// sees everything.
    pub(super) fn begin(&mut self, now: Instant, is_look: bool) {
        self.passes = 0;
        self.deleted = 0;
        self.one_change_per_call = false;
        if is_look {
            self.asides.clear();
        }
        self.asides.values_mut().for_each(|aside| aside.is_tried |= aside.until <= now);
        if self.unsearched.as_ref().is_some_and(|(_, at)| QUARANTINE <= now.saturating_since(*at)) {
            (self.is_swept, self.is_sweep_due) = (false, true);
        }
    }

    /// Ends an observation and stores the result of the search, if there was one.
    pub(super) fn searched(&mut self, searched: Option<Result<(), Text>>, now: Instant) {
        self.is_swept = true;
        if let Some(searched) = searched {
            self.is_sweep_due = false;
            self.unsearched = searched.err().map(|why| (why, now));
        }
    }

    /// Returns why the zone could not be searched for leftover records.
    pub(super) fn why_unsearched(&self) -> Option<&Text> {
        self.unsearched.as_ref().map(|(why, _)| why)
    }

    /// Stores which record sets, or their ownership TXT records, cannot be parsed.
    pub(super) fn note_unreadable(&mut self, held: &BTreeMap<RecordKey, OwnedRecord>, observed: &[RecordSet]) {
        let why = |set: &RecordSet| {
            let why = set.why_unreadable()?;
            Some(Text::lossy(&format!("{} cannot be read and is left alone: {why}", set.key)))
        };
        let unreadable = observed.iter().filter_map(|set| Some((&set.key, why(set)?)));
        let unreadable: BTreeMap<_, _> = unreadable.collect();
        let reason = |key: &RecordKey| {
            let claim = Claim::name_of(key).ok().map(|name| RecordKey { name, rtype: RecordType::Txt });
            unreadable.get(key).or_else(|| unreadable.get(&claim?)).cloned()
        };
        let keys = self.wanted.sets.keys().chain(held.keys());
        self.unreadable = keys.filter_map(|key| Some((key.clone(), reason(key)?))).collect();
    }

    /// Quarantines a record set that cannot be written, or whose earlier write cannot be undone.
    pub(super) fn refuse(&mut self, key: RecordKey, reason: &Text, now: Now) {
        let is_hidden = self.is_hidden(&key);
        self.set_aside(key, QUARANTINE, Refusal { reason: reason.clone(), is_hidden, is_stuck: true }, now);
    }

    /// Quarantines a record set whose change met a conflict. The observation may have been stale, so the first retry is
    /// soon and later ones are less frequent. Returns whether this was the first conflict.
    pub(super) fn refuse_for_conflict(&mut self, key: RecordKey, reason: &Text, now: Now) -> bool {
        let before = self.asides.get(&key).map(|aside| aside.delay);
        let delay = before.map_or(CONFLICT_RETRY_FIRST, |delay| QUARANTINE.min(2 * delay));
        self.set_aside(key, delay, Refusal { reason: reason.clone(), is_hidden: false, is_stuck: true }, now);
        before.is_none()
    }

    /// Quarantines a record set that cannot be observed.
    pub(super) fn hide(&mut self, key: RecordKey, reason: &Text, now: Now) {
        self.set_aside(key, QUARANTINE, Refusal { reason: reason.clone(), is_hidden: true, is_stuck: false }, now);
    }

    fn set_aside(&mut self, key: RecordKey, delay: Duration, refusal: Refusal, now: Now) {
        let reason = Text::lossy(&format!("{} (next try after {})", refusal.reason, now.wall + delay));
        let refusal = Refusal { reason, ..refusal };
        self.asides.insert(key, Aside { refusal, until: now.instant + delay, delay, is_tried: false });
    }

    pub(super) fn is_hidden(&self, key: &RecordKey) -> bool {
        self.asides.get(key).is_some_and(|aside| aside.refusal.is_hidden && !aside.is_tried)
    }

    pub(super) fn refusals(&self) -> BTreeMap<RecordKey, Refusal> {
        let unreadable = self.unreadable.iter().map(|(key, reason)| {
            let reason = reason.clone();
            (key.clone(), Refusal { reason, is_hidden: false, is_stuck: true })
        });
        let asides = self.asides.iter().filter(|(_, aside)| !aside.is_tried);
        unreadable.chain(asides.map(|(key, aside)| (key.clone(), aside.refusal.clone()))).collect()
    }

    /// Returns those of `keys` that are deleted without having been observed.
    pub(super) fn blind_among(&self, keys: &[RecordKey]) -> Vec<RecordKey> {
        keys.iter().filter(|key| self.blind.contains(*key)).cloned().collect()
    }

    /// Handles applied changes: tracks what they deleted.
    pub(super) fn done(&mut self, step: &[RecordChange]) {
        note_undone(&mut self.undone, step);
    }

    /// Stores the states of a plan and the record sets observed at `at`.
    pub(super) fn learn(&mut self, plan: &Plan, seen: &[RecordSet], at: WallTime) {
        let standing = |(key, (state, detail)): (&RecordKey, &(RecordState, Text))| {
            let desired = self.wanted.sets.get(key).map(|set| (set.values.clone(), Some(set.ttl)));
            (key.clone(), Standing { state: *state, detail: detail.clone(), desired })
        };
        self.standing = plan.standing.iter().map(standing).collect();
        self.keep_asides();
        let seen: BTreeMap<_, _> = seen.iter().map(|set| (&set.key, set)).collect();
        self.observed.retain(|key, _| plan.standing.contains_key(key));
        for key in plan.standing.keys().filter(|key| !self.is_hidden(key)).cloned().collect::<Vec<_>>() {
            let observed = Observed::new(at, seen.get(&key).copied());
            self.observed.insert(key, observed);
        }
        self.blind.clone_from(&plan.blind);
    }

    /// Shows retried record sets as quarantined still, so that a failed retry changes no status; drops quarantines that
    /// are over.
    fn keep_asides(&mut self) {
        let standing = &mut self.standing;
        self.asides.retain(|key, aside| {
            let Some(standing) = standing.get_mut(key).filter(|_| aside.is_tried) else { return !aside.is_tried };
            match standing.state {
                RecordState::Create | RecordState::Update => {
                    (standing.state, standing.detail) = (RecordState::Quarantined, aside.refusal.reason.clone());
                    true
                }
                state => state == RecordState::Delete,
            }
        });
    }

    /// Stores whether the last observation left nothing to do; a leaving provider must also have no records left.
    pub(super) fn settle(&mut self, is_at_rest: bool, is_withdrawing: bool) {
        self.is_at_rest = is_at_rest;
        self.is_held_up = is_withdrawing && self.standing.values().any(|standing| standing.state.is_ours());
    }

    /// Settles a zone with no desired and no owned records.
    pub(super) fn settle_empty(&mut self) {
        self.standing.clear();
        self.observed.clear();
        self.is_held_up = false;
        self.is_at_rest = true;
    }

    /// Counts a record set that was started but not observed since as existing and to be deleted.
    pub(super) fn restore_pending(&mut self, key: &RecordKey) {
        let is_open = |standing: &Standing| matches!(standing.state, RecordState::Create | RecordState::Unknown);
        if self.standing.get(key).is_none_or(is_open) {
            let detail = Text::lossy("it was begun, and not looked at since");
            self.standing.insert(key.clone(), Standing { state: RecordState::Delete, detail, desired: None });
        }
    }

    /// Restores a record set's status from an earlier daemon run.
    pub(super) fn remember(&mut self, record: &RecordStatus) {
        let Some(observed) = &record.observed else { return };
        self.observed.insert(record.key.clone(), observed.clone());
        let desired = Some((record.values.clone(), None)).filter(|(values, _)| !values.is_empty());
        let standing = Standing { state: record.state, detail: record.detail.clone(), desired };
        self.standing.insert(record.key.clone(), standing);
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.is_at_rest && !self.is_held_up
    }

    pub(super) const fn is_at_rest(&self) -> bool {
        self.is_at_rest
    }

    pub(super) fn nameless(&self) -> impl Iterator<Item = &Text> {
        self.wanted.nameless.iter()
    }

    /// Returns the status of each record set; undesired ones are to be deleted if `allow_deletes` are enabled.
    pub(super) fn statuses(&self, zone: &DomainName, deletes: bool) -> impl Iterator<Item = RecordStatus> {
        let zone = zone.clone();
        let keys = self.wanted.sets.keys().chain(self.wanted.set_aside.keys()).chain(self.standing.keys());
        let keys: BTreeSet<_> = keys.collect();
        keys.into_iter().filter_map(move |key| {
            let (state, detail) = self.state_of(key, deletes)?;
            let values = self.wanted.sets.get(key).map_or_else(BTreeSet::new, |set| set.values.clone());
            let observed = self.observed.get(key).cloned();
            Some(RecordStatus { zone: zone.clone(), key: key.clone(), values, observed, state, detail })
        })
    }

    fn state_of(&self, key: &RecordKey, deletes: bool) -> Option<(RecordState, Text)> {
        use RecordState as State;
        if let Some(reason) = self.wanted.set_aside.get(key) {
            return Some((State::Quarantined, reason.clone()));
        }
        let desired = self.wanted.sets.get(key);
        let standing = self.standing.get(key);
        if let Some(standing) = standing.filter(|standing| standing.is_of(desired)) {
            return Some((standing.state, standing.detail.clone()));
        }
        // The desired values changed since the observation.
        let was_in = |state| standing.is_some_and(|standing| standing.state == state);
        let observed = self.observed.get(key);
        match (desired, observed) {
            (Some(_), _) if was_in(State::Conflict) => Some((State::Conflict, standing?.detail.clone())),
            (Some(_), None) => Some((State::Unknown, Text::default())),
            (Some(_), Some(observed)) if observed.values.is_empty() => Some((State::Create, Text::default())),
            (Some(_), Some(_)) => Some((State::Update, Text::default())),
            (None, _) if !standing?.state.is_ours() => None,
            (None, _) if deletes => Some((State::Delete, Text::default())),
            (None, _) => Some((State::Retained, Text::lossy("deletes are not enabled for this provider"))),
        }
    }
}
