//! Facts observed about the host, and how those that could not be observed are reported.
//!
//! Each collection round yields one of three results per fact ([`Fact`]). An observed fact is reported; a fact observed
//! to be absent is not; a fact that could not be observed keeps the value reported last. That value is in the status
//! document, so it also survives a restart. While a value is kept this way, the condition `facts-stale` names the fact,
//! since when it could not be observed, and why. A fact missing from a round is no longer collected and is not
//! reported.

use std::collections::BTreeMap;

use linecamp_model::limits::LABELS_PER_OWNER_MAX;
use linecamp_model::{
    ConditionKind, DocumentKey, EventKind, LabelKey, LabelSet, LabelValue, Now, StatusBody, Text, WallTime,
};

use super::providers::named;
use super::{REDIAL_SPREAD_DEFAULT, Site, Timer};
use crate::mutants::{Mutant, planted};

/// The result of one round for one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was observed, with this value.
    Observed(LabelValue),
    /// The host was observed not to have it.
    Absent,
    /// It could not be observed, for this reason; its value is unknown. The same cause must give the same reason text,
    /// so that a lasting cause causes no further writes.
    NotObserved(Text),
}

/// The results of one round for all facts.
pub type Facts = BTreeMap<LabelKey, Fact>;

/// The last round, and since when each unobserved fact could not be observed.
#[derive(Clone, Debug, Default)]
pub(super) struct Observation {
    /// `None` before the first round.
    round: Option<Facts>,
    not_observed_since: BTreeMap<LabelKey, WallTime>,
    /// Whether the first dial waits for the first round.
    pub(super) holds_up_dial: bool,
}

impl Observation {
    /// Stores a round. `since` is the start time for a fact that just became unobservable. Returns whether the round
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

    /// Returns the facts to report, given `held` as last reported; `None` before the first round.
    pub(super) fn reported(&self, held: &LabelSet) -> Option<BTreeMap<LabelKey, LabelValue>> {
        let value = |(key, fact): (&LabelKey, &Fact)| match fact {
            Fact::Observed(value) => Some((key.clone(), value.clone())),
            Fact::Absent => None,
            Fact::NotObserved(_) => value_in(held, key).map(|value| (key.clone(), value)),
        };
        Some(self.round.as_ref()?.iter().filter_map(value).collect())
    }

    /// Describes the facts that were not observed, since when and why, for the keys that `is_told` accepts.
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
    /// Handles a round of facts. Facts beyond the limit of labels per owner are dropped, the last keys first.
    pub fn handle_facts(&mut self, facts: Facts, now: Now) {
        let facts: Facts = facts.into_iter().take(LABELS_PER_OWNER_MAX).collect();
        if planted(Mutant::RestlessOutbox) {
            self.record(EventKind::DaemonStarted, "restless", now);
        }
        if std::mem::take(&mut self.facts.holds_up_dial) {
            let delay = self.rng.delay_up_to(REDIAL_SPREAD_DEFAULT / 4);
            self.timers.set(Timer::Redial, now.instant + delay);
        }
        // A fact that the previous run could not observe either keeps that run's start time.
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

    /// Returns the facts reported last.
    pub(super) fn held_reported(&self) -> LabelSet {
        let gateway = self.identity.map(|identity| DocumentKey::Host(identity.site.gateway()));
        match gateway.and_then(|gateway| self.ledger.state().status.body(gateway)) {
            Some(StatusBody::Host(host)) => host.reported.clone(),
            Some(StatusBody::Site(_) | StatusBody::Provider(_)) | None => LabelSet::default(),
        }
    }

    /// Restores `facts-stale` from the previous run; it holds until facts are collected.
    pub(super) fn restore_stale_facts(&mut self) {
        let Some(StatusBody::Site(site)) = self.ledger.state().status.body(DocumentKey::Site) else { return };
        let stale = site.conditions.iter().find(|condition| condition.kind == ConditionKind::FactsStale).cloned();
        if let Some(stale) = stale {
            self.conditions.raise(stale.kind, stale.detail, stale.since);
        }
    }

    /// Describes how many facts are known and which were not observed.
    pub(super) fn describe_facts(&self) -> String {
        let known = self.facts.reported(&self.held_reported()).map_or(0, |reported| reported.len());
        let parts: Vec<_> = [format!("{known} known")].into_iter().chain(self.facts.not_observed(|_| true)).collect();
        parts.join("; ")
    }
}
