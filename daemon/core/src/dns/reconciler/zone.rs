//! One zone of a provider: its desired records, its observed records, and the progress of the round.
//!
//! A record's state follows from the last observation and the current desired values. A record whose desired values
//! changed is not in sync until an observation confirms it; a record that was not observed is unknown, not absent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{
    Claim, DnsCapabilities, DomainName, Instant, Now, Observed, OwnedRecord, RecordChange, RecordKey, RecordSet,
    RecordState, RecordStatus, RecordType, Text, Ttl, WallTime,
};

use super::{CONFLICT_RETRY_FIRST, QUARANTINE};
use crate::dns::{DesiredRecords, Plan, Rejection, track_deleted};

/// The state of a record set when it was last observed.
#[derive(Clone, Debug)]
struct LastState {
    state: RecordState,
    detail: Text,
    /// The desired values at that time; the TTL of an observation from an earlier run is unknown.
    desired: Option<(BTreeSet<Box<str>>, Option<Ttl>)>,
    /// The TTL to write, if an earlier run reported it.
    ttl: Option<Ttl>,
}

impl LastState {
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
struct Quarantine {
    rejection: Rejection,
    until: Instant,
    delay: Duration,
    /// Whether the quarantine has expired and a retry is due. The record set is shown as quarantined until a retry
    /// succeeds.
    is_retried: bool,
}

/// The state of a zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Zone {
    pub(super) desired: DesiredRecords,
    /// Record sets that the provider rejected, or that conflicted when changed in a call of their own.
    quarantined: BTreeMap<RecordKey, Quarantine>,
    /// Whether changes use one call per record set for the rest of the round.
    pub(super) one_change_per_call: bool,
    /// Record sets that were deleted since they were last desired.
    pub(super) deleted_since_desired: BTreeSet<RecordKey>,
    /// Record sets that the planned steps delete without having observed them.
    unobserved: BTreeSet<RecordKey>,
    observed: BTreeMap<RecordKey, Observed>,
    states: BTreeMap<RecordKey, LastState>,
    /// Whether the last observation left nothing to do.
    is_at_rest: bool,
    /// Whether the provider withdraws its records and cannot delete some of its records.
    is_withdraw_blocked: bool,
    /// Consecutive failures: zones that failed come last.
    pub(super) failures: u32,
    /// Whether the zone was observed once and, if possible, searched for leftover records.
    pub(super) is_searched: bool,
    /// Whether to search it although it has ownership notes: the last search failed.
    pub(super) is_search_due: bool,
    /// Why it could not be searched, and when.
    unsearched: Option<(Text, Instant)>,
    /// Record sets that were observed but cannot be parsed: they are neither written nor deleted.
    unreadable: BTreeMap<RecordKey, Text>,
    /// The number of passes over the zone in this round.
    pub(super) passes: u32,
    /// The number of record sets deleted in this round.
    pub(super) deletes_done: usize,
}

impl Zone {
    /// Sets the desired records. Returns whether they changed.
    pub(super) fn set_desired(&mut self, desired: DesiredRecords) -> bool {
        if self.desired == desired {
            return false;
        }
        self.quarantined.retain(|key, _| self.desired.sets.get(key) == desired.sets.get(key));
        self.desired = desired;
        self.is_at_rest = false;
        true
    }

    pub(super) fn unsettle(&mut self) {
        self.is_at_rest = false;
        self.failures = 0;
        self.quarantined.clear();
    }

    /// Starts a round: expired quarantines are retried. A preview clears all quarantines, so that the operator
    /// sees everything.
    pub(super) fn begin_round(&mut self, now: Instant, is_preview: bool) {
        self.passes = 0;
        self.deletes_done = 0;
        self.one_change_per_call = false;
        if is_preview {
            self.quarantined.clear();
        }
        self.quarantined.values_mut().for_each(|entry| entry.is_retried |= entry.until <= now);
        if self.unsearched.as_ref().is_some_and(|(_, at)| QUARANTINE <= now.saturating_since(*at)) {
            (self.is_searched, self.is_search_due) = (false, true);
        }
    }

    /// Ends an observation and stores the result of the search, if there was one. `now`: from when on the time until
    /// the next search counts, if it failed.
    pub(super) fn handle_searched(&mut self, searched: Option<Result<(), Text>>, now: Instant) {
        self.is_searched = true;
        if let Some(searched) = searched {
            self.is_search_due = false;
            self.unsearched = searched.err().map(|why| (why, now));
        }
    }

    /// Returns why the zone could not be searched for leftover records.
    pub(super) fn why_unsearched(&self) -> Option<&Text> {
        self.unsearched.as_ref().map(|(why, _)| why)
    }

    /// Stores which record sets, or their ownership TXT records, cannot be parsed.
    pub(super) fn note_unreadable(&mut self, owned: &BTreeMap<RecordKey, OwnedRecord>, observed: &[RecordSet]) {
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
        let keys = self.desired.sets.keys().chain(owned.keys());
        self.unreadable = keys.filter_map(|key| Some((key.clone(), reason(key)?))).collect();
    }

    /// Quarantines a record set that cannot be written, or whose earlier write cannot be undone.
    pub(super) fn reject(&mut self, key: RecordKey, reason: &Text, now: Now) {
        let is_unobservable = self.is_unobservable(&key);
        self.quarantine(key, QUARANTINE, Rejection { reason: reason.clone(), is_unobservable, is_blocked: true }, now);
    }

    /// Quarantines a record set whose change met a conflict. The observation may have been stale, so the first retry is
    /// soon and later ones are less frequent. Returns whether this was the first conflict.
    pub(super) fn quarantine_for_conflict(&mut self, key: RecordKey, reason: &Text, now: Now) -> bool {
        let before = self.quarantined.get(&key).map(|entry| entry.delay);
        let delay = before.map_or(CONFLICT_RETRY_FIRST, |delay| QUARANTINE.min(2 * delay));
        self.quarantine(
            key,
            delay,
            Rejection { reason: reason.clone(), is_unobservable: false, is_blocked: true },
            now,
        );
        before.is_none()
    }

    /// Quarantines a record set that cannot be observed.
    pub(super) fn set_unobservable(&mut self, key: RecordKey, reason: &Text, now: Now) {
        self.quarantine(
            key,
            QUARANTINE,
            Rejection { reason: reason.clone(), is_unobservable: true, is_blocked: false },
            now,
        );
    }

    fn quarantine(&mut self, key: RecordKey, delay: Duration, rejection: Rejection, now: Now) {
        let reason = Text::lossy(&format!("{} (next attempt after {})", rejection.reason, now.wall + delay));
        let rejection = Rejection { reason, ..rejection };
        self.quarantined.insert(key, Quarantine { rejection, until: now.instant + delay, delay, is_retried: false });
    }

    pub(super) fn is_unobservable(&self, key: &RecordKey) -> bool {
        self.quarantined.get(key).is_some_and(|entry| entry.rejection.is_unobservable && !entry.is_retried)
    }

    pub(super) fn quarantined(&self) -> BTreeMap<RecordKey, Rejection> {
        let unreadable = self.unreadable.iter().map(|(key, reason)| {
            let reason = reason.clone();
            (key.clone(), Rejection { reason, is_unobservable: false, is_blocked: true })
        });
        let quarantined = self.quarantined.iter().filter(|(_, entry)| !entry.is_retried);
        unreadable.chain(quarantined.map(|(key, entry)| (key.clone(), entry.rejection.clone()))).collect()
    }

    /// Returns those of `keys` that are deleted without having been observed.
    pub(super) fn unobserved_among(&self, keys: &[RecordKey]) -> Vec<RecordKey> {
        keys.iter().filter(|key| self.unobserved.contains(*key)).cloned().collect()
    }

    /// Handles applied changes: tracks what they deleted.
    pub(super) fn handle_applied(&mut self, step: &[RecordChange]) {
        track_deleted(&mut self.deleted_since_desired, step);
    }

    /// Stores the states of a plan and the record sets observed at `at`.
    pub(super) fn set_plan(&mut self, plan: &Plan, observed: &[RecordSet], at: WallTime) {
        let last = |(key, (state, detail)): (&RecordKey, &(RecordState, Text))| {
            let desired = self.desired.sets.get(key).map(|set| (set.values.clone(), Some(set.ttl)));
            (key.clone(), LastState { state: *state, detail: detail.clone(), desired, ttl: None })
        };
        self.states = plan.states.iter().map(last).collect();
        self.keep_retried();
        let observed: BTreeMap<_, _> = observed.iter().map(|set| (&set.key, set)).collect();
        self.observed.retain(|key, _| plan.states.contains_key(key));
        for key in plan.states.keys().filter(|key| !self.is_unobservable(key)).cloned().collect::<Vec<_>>() {
            let observed = Observed::new(at, observed.get(&key).copied());
            self.observed.insert(key, observed);
        }
        self.unobserved.clone_from(&plan.unobserved);
    }

    /// Shows retried record sets as quarantined still, so that a failed retry changes no status; drops quarantines that
    /// are over.
    fn keep_retried(&mut self) {
        let states = &mut self.states;
        self.quarantined.retain(|key, entry| {
            let Some(last) = states.get_mut(key).filter(|_| entry.is_retried) else {
                return !entry.is_retried;
            };
            match last.state {
                RecordState::Create | RecordState::Update => {
                    (last.state, last.detail) = (RecordState::Quarantined, entry.rejection.reason.clone());
                    true
                }
                state => state == RecordState::Delete,
            }
        });
    }

    /// Stores whether the last observation left nothing to do. A provider that withdraws its records must also have
    /// none left.
    pub(super) fn settle(&mut self, is_at_rest: bool, is_withdrawing: bool) {
        self.is_at_rest = is_at_rest;
        self.is_withdraw_blocked = is_withdrawing && self.states.values().any(|last| last.state.is_ours());
    }

    /// Settles a zone with no desired and no owned records.
    pub(super) fn settle_empty(&mut self) {
        self.states.clear();
        self.observed.clear();
        self.is_withdraw_blocked = false;
        self.is_at_rest = true;
    }

    /// Counts a record set that was started but not observed since as existing and to be deleted.
    pub(super) fn restore_pending(&mut self, key: &RecordKey) {
        let is_open = |last: &LastState| matches!(last.state, RecordState::Create | RecordState::Unknown);
        if self.states.get(key).is_none_or(is_open) {
            let detail = Text::lossy("it was started, and not observed since");
            self.states.insert(key.clone(), LastState { state: RecordState::Delete, detail, desired: None, ttl: None });
        }
    }

    /// Restores a record set's status from an earlier daemon run.
    pub(super) fn restore_status(&mut self, record: &RecordStatus) {
        let Some(observed) = &record.observed else { return };
        self.observed.insert(record.key.clone(), observed.clone());
        let desired = Some((record.values.clone(), None)).filter(|(values, _)| !values.is_empty());
        let last = LastState { state: record.state, detail: record.detail.clone(), desired, ttl: record.ttl };
        self.states.insert(record.key.clone(), last);
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.is_at_rest && !self.is_withdraw_blocked
    }

    /// Returns the number of record sets that could not be written or deleted although nothing is left to try.
    pub(super) fn count_out_of_sync(&self) -> usize {
        let rejected = self.desired.rejected.len() + self.desired.nameless.len();
        let states = self.states.iter().filter(|(key, _)| !self.desired.rejected.contains_key(key));
        let is_open = |state| !matches!(state, RecordState::InSync | RecordState::Retained);
        rejected + states.filter(|(_, last)| is_open(last.state)).count()
    }

    /// Returns the number of record sets that are no longer desired, and kept because deletes are not allowed.
    pub(super) fn count_retained(&self) -> usize {
        self.states.values().filter(|last| last.state == RecordState::Retained).count()
    }

    pub(super) const fn is_at_rest(&self) -> bool {
        self.is_at_rest
    }

    pub(super) fn nameless(&self) -> impl Iterator<Item = &Text> {
        self.desired.nameless.iter()
    }

    /// Returns the status of each record set; undesired ones are to be deleted if `deletes` are enabled. `capabilities`
    /// are those of the provider, if they are known.
    pub(super) fn statuses(
        &self,
        zone: &DomainName,
        deletes: bool,
        capabilities: Option<DnsCapabilities>,
    ) -> impl Iterator<Item = RecordStatus> {
        let zone = zone.clone();
        let keys = self.desired.sets.keys().chain(self.desired.rejected.keys()).chain(self.states.keys());
        let keys: BTreeSet<_> = keys.collect();
        keys.into_iter().filter_map(move |key| {
            let (state, detail) = self.state_of(key, deletes)?;
            let values = self.desired.sets.get(key).map_or_else(BTreeSet::new, |set| set.values.clone());
            let observed = self.observed.get(key).cloned();
            let ttl = self.desired.sets.get(key).and_then(|set| match &capabilities {
                Some(capabilities) => Some(capabilities.ttl_within(set.ttl)),
                None => self.states.get(key)?.ttl,
            });
            Some(RecordStatus { zone: zone.clone(), key: key.clone(), values, ttl, observed, state, detail })
        })
    }

    fn state_of(&self, key: &RecordKey, deletes: bool) -> Option<(RecordState, Text)> {
        use RecordState as State;
        if let Some(reason) = self.desired.rejected.get(key) {
            return Some((State::Quarantined, reason.clone()));
        }
        let desired = self.desired.sets.get(key);
        let last = self.states.get(key);
        if let Some(last) = last.filter(|last| last.is_of(desired)) {
            return Some((last.state, last.detail.clone()));
        }
        // The desired values changed since the observation.
        let was_in = |state| last.is_some_and(|last| last.state == state);
        let observed = self.observed.get(key);
        match (desired, observed) {
            (Some(_), _) if was_in(State::Conflict) => Some((State::Conflict, last?.detail.clone())),
            (Some(_), None) => Some((State::Unknown, Text::default())),
            (Some(_), Some(observed)) if observed.values.is_empty() => Some((State::Create, Text::default())),
            (Some(_), Some(_)) => Some((State::Update, Text::default())),
            (None, _) if !last?.state.is_ours() => None,
            (None, _) if deletes => Some((State::Delete, Text::default())),
            (None, _) => Some((State::Retained, Text::lossy("deletes are not enabled for this provider"))),
        }
    }
}
