//! One zone of a provider: what it should hold, and how far it is.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{DomainName, Instant, RecordKey, RecordState, RecordStatus, Text};

use super::QUARANTINE;
use crate::records::{Plan, Wanted};

/// What is known of a zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Zone {
    pub(super) wanted: Wanted,
    /// What the provider refused, why, and when.
    refused: BTreeMap<RecordKey, (Text, Instant)>,
    standing: BTreeMap<RecordKey, (RecordState, Text)>,
    is_settled: bool,
    /// Whether the whole zone was looked at once.
    pub(super) is_swept: bool,
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
        self.refused.retain(|key, _| self.wanted.sets.get(key) == wanted.sets.get(key));
        self.wanted = wanted;
        self.is_settled = false;
        true
    }

    pub(super) fn unsettle(&mut self) {
        self.is_settled = false;
        self.refused.clear();
    }

    /// A round begins: what was refused long ago is tried again.
    pub(super) fn begin(&mut self, now: Instant) {
        self.laps = 0;
        self.deleted = 0;
        self.refused.retain(|_, (_, at)| now.saturating_since(*at) < QUARANTINE);
    }

    pub(super) fn refuse(&mut self, key: RecordKey, reason: Text, now: Instant) {
        self.refused.insert(key, (reason, now));
    }

    pub(super) fn refused_reasons(&self) -> BTreeMap<RecordKey, Text> {
        self.refused.iter().map(|(key, (reason, _))| (key.clone(), reason.clone())).collect()
    }

    /// Takes how things stand. A zone that is only looked at is settled by the look.
    pub(super) fn learn(&mut self, plan: &Plan, is_dry_run: bool) {
        self.standing.clone_from(&plan.standing);
        self.is_settled = plan.steps.is_empty() || is_dry_run;
    }

    /// Nothing is wanted here, and nothing is ours.
    pub(super) fn settle_empty(&mut self) {
        self.standing = self
            .wanted
            .set_aside
            .iter()
            .map(|(key, reason)| (key.clone(), (RecordState::Quarantined, reason.clone())))
            .collect();
        self.is_settled = true;
    }

    /// Counts what nobody has looked at since it was begun as there, and to be taken away.
    pub(super) fn recall(&mut self, key: &RecordKey) {
        if matches!(self.standing.get(key), None | Some((RecordState::Create, _))) {
            let detail = Text::lossy("it was begun, and not looked at since");
            self.standing.insert(key.clone(), (RecordState::Delete, detail));
        }
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.is_settled
    }

    pub(super) fn nameless(&self) -> impl Iterator<Item = &Text> {
        self.wanted.nameless.iter()
    }

    pub(super) fn statuses(&self, zone: &DomainName) -> impl Iterator<Item = RecordStatus> {
        let zone = zone.clone();
        self.standing.iter().map(move |(key, (state, detail))| RecordStatus {
            zone: zone.clone(),
            key: key.clone(),
            values: self.wanted.sets.get(key).map_or_else(BTreeSet::new, |set| set.values.clone()),
            state: *state,
            detail: detail.clone(),
        })
    }
}
