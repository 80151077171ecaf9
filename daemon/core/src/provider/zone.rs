//! One zone of a provider: what it should hold, what was observed, and how far it is.
//!
//! How a record stands is said by the last observation and what is desired now. A record whose desired values changed
//! since is not as it should be before an observation has shown it; one that was not observed is unknown, not absent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::{
    Claim, DomainName, Instant, Now, Observed, OwnedRecord, RecordChange, RecordKey, RecordSet, RecordState,
    RecordStatus, RecordType, Text, Ttl, WallTime,
};

use super::{CONFLICT_RETRY_FIRST, QUARANTINE};
use crate::records::{Plan, Refusal, Wanted, note_undone};

/// How a record set stood when it was last observed.
#[derive(Clone, Debug)]
struct Standing {
    state: RecordState,
    detail: Text,
    /// What was desired then; the time to live is not known of what an earlier run observed.
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

/// A record set that nothing is done about for a while.
#[derive(Clone, Debug)]
struct Aside {
    refusal: Refusal,
    until: Instant,
    delay: Duration,
    /// Whether its time is over, and it is tried again. It is shown as set aside until that has worked.
    is_tried: bool,
}

/// What is known of a zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Zone {
    pub(super) wanted: Wanted,
    /// What the provider refused, or what was in conflict when it was tried by itself.
    asides: BTreeMap<RecordKey, Aside>,
    /// Whether its changes are tried one record set a call, for the rest of the round.
    pub(super) one_change_per_call: bool,
    /// What was deleted since it was last desired.
    pub(super) undone: BTreeSet<RecordKey>,
    /// What the steps under way delete without having observed it.
    blind: BTreeSet<RecordKey>,
    observed: BTreeMap<RecordKey, Observed>,
    standing: BTreeMap<RecordKey, Standing>,
    /// Whether the last observation gave nothing to do.
    is_at_rest: bool,
    /// Whether it leaves, and something of it is there that cannot be deleted.
    is_held_up: bool,
    /// How often in a row it failed: what failed before comes after the others.
    pub(super) failures: u32,
    /// Whether the zone was looked at once, and if that can be, searched for what was left over.
    pub(super) is_swept: bool,
    /// Whether it is to be searched though there are notes of it: the search before failed.
    pub(super) is_sweep_due: bool,
    /// Why it could not be searched, and when.
    unsearched: Option<(Text, Instant)>,
    /// What was observed and cannot be read: nothing is written there, and nothing deleted.
    unreadable: BTreeMap<RecordKey, Text>,
    /// How often it was looked at in this round.
    pub(super) laps: u32,
    /// How many record sets were taken away in this round.
    pub(super) deleted: usize,
}

impl Zone {
    /// Takes what is wanted. Returns whether that is something else than before.
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

    /// A round begins: what was set aside long enough ago is tried again. A person who asks to look wants to see all.
    pub(super) fn begin(&mut self, now: Instant, is_look: bool) {
        self.laps = 0;
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

    /// A look is over: takes whether the zone could be searched, if that was tried.
    pub(super) fn searched(&mut self, searched: Option<Result<(), Text>>, now: Instant) {
        self.is_swept = true;
        if let Some(searched) = searched {
            self.is_sweep_due = false;
            self.unsearched = searched.err().map(|why| (why, now));
        }
    }

    /// Says why the zone could not be searched for what was left over.
    pub(super) fn why_unsearched(&self) -> Option<&Text> {
        self.unsearched.as_ref().map(|(why, _)| why)
    }

    /// Takes which record sets cannot be read, or have a claim that cannot.
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

    /// Sets a record set aside that cannot be written, or whose earlier writing cannot be undone.
    pub(super) fn refuse(&mut self, key: RecordKey, reason: &Text, now: Now) {
        let is_hidden = self.is_hidden(&key);
        self.set_aside(key, QUARANTINE, Refusal { reason: reason.clone(), is_hidden, is_stuck: true }, now);
    }

    /// Sets a record set aside whose change met something else than was observed. A look may have been late, so it is
    /// tried again soon, and then ever more seldom. Returns whether that was the first time.
    pub(super) fn refuse_for_conflict(&mut self, key: RecordKey, reason: &Text, now: Now) -> bool {
        let before = self.asides.get(&key).map(|aside| aside.delay);
        let delay = before.map_or(CONFLICT_RETRY_FIRST, |delay| QUARANTINE.min(2 * delay));
        self.set_aside(key, delay, Refusal { reason: reason.clone(), is_hidden: false, is_stuck: true }, now);
        before.is_none()
    }

    /// Sets a record set aside that cannot be observed.
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

    /// Returns what of `keys` is deleted without having been observed.
    pub(super) fn blind_among(&self, keys: &[RecordKey]) -> Vec<RecordKey> {
        keys.iter().filter(|key| self.blind.contains(*key)).cloned().collect()
    }

    /// Takes changes that were done.
    pub(super) fn done(&mut self, step: &[RecordChange]) {
        note_undone(&mut self.undone, step);
    }

    /// Takes how things stand, and what was observed at `at`. A zone that is only looked at is settled by the look.
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

    /// Keeps what is tried again shown as set aside, so that a try that fails is no news; forgets what has come right.
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

    /// Whether there is nothing to do, as it was last observed; a leaving provider has then nothing left, either.
    pub(super) fn settle(&mut self, is_at_rest: bool, is_leaving: bool) {
        self.is_at_rest = is_at_rest;
        self.is_held_up = is_leaving && self.standing.values().any(|standing| standing.state.is_ours());
    }

    /// Nothing is wanted here, and nothing is ours.
    pub(super) fn settle_empty(&mut self) {
        self.standing.clear();
        self.observed.clear();
        self.is_held_up = false;
        self.is_at_rest = true;
    }

    /// Counts what nobody has looked at since it was begun as there, and to be taken away.
    pub(super) fn restore_pending(&mut self, key: &RecordKey) {
        let is_open = |standing: &Standing| matches!(standing.state, RecordState::Create | RecordState::Unknown);
        if self.standing.get(key).is_none_or(is_open) {
            let detail = Text::lossy("it was begun, and not looked at since");
            self.standing.insert(key.clone(), Standing { state: RecordState::Delete, detail, desired: None });
        }
    }

    /// Takes what an earlier run of the daemon said of a record set.
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

    /// Returns how each record set stands; what is not desired is to be deleted, if `deletes` are enabled.
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
        // What is desired changed since it was observed.
        let was_in = |state| standing.is_some_and(|standing| standing.state == state);
        let observed = self.observed.get(key);
        match (desired, observed) {
            (Some(_), _) if was_in(State::Foreign) => Some((State::Foreign, standing?.detail.clone())),
            (Some(_), None) => Some((State::Unknown, Text::default())),
            (Some(_), Some(observed)) if observed.values.is_empty() => Some((State::Create, Text::default())),
            (Some(_), Some(_)) => Some((State::Update, Text::default())),
            (None, _) if !standing?.state.is_ours() => None,
            (None, _) if deletes => Some((State::Delete, Text::default())),
            (None, _) => Some((State::Held, Text::lossy("deletes are not enabled for this provider"))),
        }
    }
}
