//! The facts that a machine observed about itself, and what holds of those that it could not observe.
//!
//! Each round says of each fact one of three things ([`Fact`]). What was observed is reported; what was observed to be
//! absent is not; what could not be observed keeps the value that was reported last. That value is in the status
//! document, so it also survives a restart. While a value is kept this way, the condition `facts-stale` names the
//! fact, since when it was not observed, and why. A fact that a round does not mention is not looked for any more, and
//! is not reported.

use std::collections::BTreeMap;

use linecamp_model::limits::LABELS_PER_OWNER_MAX;
use linecamp_model::{
    ConditionKind, DocumentKey, EventKind, LabelKey, LabelSet, LabelValue, Now, StatusBody, Text, WallTime,
};

use super::providers::named;
use super::{REDIAL_SPREAD_DEFAULT, Site, Timer};
use crate::mutants::{Mutant, planted};

/// What a round says of one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was observed, with this value.
    Observed(LabelValue),
    /// It was observed that the machine has no such thing.
    Absent,
    /// It could not be observed, for this reason: nothing is known about it. The same cause gives the same reason, so
    /// that a cause that lasts writes nothing.
    NotObserved(Text),
}

/// What one round says of all facts.
pub type Facts = BTreeMap<LabelKey, Fact>;

/// The last round, and since when each fact was not observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Observation {
    /// `None` before the first round.
    round: Option<Facts>,
    not_observed_since: BTreeMap<LabelKey, WallTime>,
    /// Whether the first dial waits for the first round.
    pub(super) holds_up_dial: bool,
}

impl Observation {
    /// Takes a round. `since` is the time for a fact that has just begun to be not observed. Returns whether the round
    /// differs from the last.
    fn take(&mut self, round: Facts, since: WallTime) -> bool {
        if self.round.as_ref() == Some(&round) {
            return false;
        }
        let failed = round.iter().filter(|(_, fact)| matches!(fact, Fact::NotObserved(_))).map(|(key, _)| key);
        let before = &self.not_observed_since;
        let since = failed.map(|key| (key.clone(), before.get(key).copied().unwrap_or(since))).collect();
        self.not_observed_since = since;
        self.round = Some(round);
        true
    }

    /// Returns what to report where `held` was reported last; `None` before the first round.
    pub(super) fn reported(&self, held: &LabelSet) -> Option<BTreeMap<LabelKey, LabelValue>> {
        let value = |(key, fact): (&LabelKey, &Fact)| match fact {
            Fact::Observed(value) => Some((key.clone(), value.clone())),
            Fact::Absent => None,
            Fact::NotObserved(_) => value_in(held, key).map(|value| (key.clone(), value)),
        };
        Some(self.round.as_ref()?.iter().filter_map(value).collect())
    }

    /// Says which facts were not observed, since when and why, as far as `is_told` wants to know of them.
    fn not_observed(&self, is_told: impl Fn(&LabelKey) -> bool) -> Vec<String> {
        let words = |(key, fact): (&LabelKey, &Fact)| match fact {
            Fact::NotObserved(reason) if is_told(key) => {
                let since = self.not_observed_since.get(key)?;
                Some(format!("{key} not observed since {since}: {reason}"))
            }
            Fact::NotObserved(_) | Fact::Observed(_) | Fact::Absent => None,
        };
        self.round.iter().flatten().filter_map(words).collect()
    }
}

fn value_in(labels: &LabelSet, key: &LabelKey) -> Option<LabelValue> {
    labels.iter().find(|(held, _)| *held == key).map(|(_, label)| label.value.clone())
}

impl Site {
    /// Takes what the machine observed about itself. More facts than an owner may have labels are left out, the last
    /// first.
    pub fn handle_facts(&mut self, facts: Facts, now: Now) {
        let facts: Facts = facts.into_iter().take(LABELS_PER_OWNER_MAX).collect();
        if planted(Mutant::RestlessOutbox) {
            self.record(EventKind::DaemonStarted, "restless", now);
        }
        if std::mem::take(&mut self.facts.holds_up_dial) {
            let delay = self.rng.delay_up_to(REDIAL_SPREAD_DEFAULT / 4);
            self.timers.set(Timer::Redial, now.instant + delay);
        }
        // What an earlier run of the daemon could not observe either is as old as that run said.
        let since = match self.facts.round {
            None => self.conditions.since(ConditionKind::FactsStale).unwrap_or(now.wall),
            Some(_) => now.wall,
        };
        if self.facts.take(facts, since) {
            let held = self.held_reported();
            let stale = self.facts.not_observed(|key| value_in(&held, key).is_some());
            let detail = named(&stale).map(|facts| Text::lossy(&format!("{facts}. The last values are kept")));
            self.level(ConditionKind::FactsStale, detail, now);
            self.is_status_stale = true;
            self.settle_down(now);
        }
    }

    /// Returns what was reported last.
    pub(super) fn held_reported(&self) -> LabelSet {
        let gateway = self.identity.map(|identity| DocumentKey::Host(identity.site.gateway()));
        match gateway.and_then(|gateway| self.ledger.state().status.body(gateway)) {
            Some(StatusBody::Host(host)) => host.reported.clone(),
            Some(StatusBody::Site(_) | StatusBody::Provider(_)) | None => LabelSet::default(),
        }
    }

    /// Takes over `facts-stale` from the last run: until facts are collected, nothing more is known.
    pub(super) fn restore_stale_facts(&mut self) {
        let Some(StatusBody::Site(site)) = self.ledger.state().status.body(DocumentKey::Site) else { return };
        let stale = site.conditions.iter().find(|condition| condition.kind == ConditionKind::FactsStale).cloned();
        if let Some(stale) = stale {
            self.conditions.raise(stale.kind, stale.detail, stale.since);
        }
    }

    /// Says how many facts are known, and which were not observed.
    pub(super) fn describe_facts(&self) -> String {
        let known = self.facts.reported(&self.held_reported()).map_or(0, |reported| reported.len());
        let parts: Vec<_> = [format!("{known} known")].into_iter().chain(self.facts.not_observed(|_| true)).collect();
        parts.join("; ")
    }
}
