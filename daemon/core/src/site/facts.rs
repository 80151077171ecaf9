//! Facts observed about the host, and how those that could not be observed are reported.
//!
//! Each collection round yields one of three results per fact ([`Fact`]). An observed fact is reported; a fact observed
//! to be absent is not; a fact that could not be observed keeps the value reported last. That value is in the status
//! document, so it also survives a restart. While a value is kept this way, the condition `facts-stale` names the fact,
//! since when it could not be observed, and why. A fact missing from a round is no longer collected and is not
//! reported.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::limits::LABELS_PER_OWNER_MAX;
use linecamp_model::{ConditionKind, LabelKey, LabelSet, LabelValue, Now, PartState, Text, WallTime};

use super::config::{FACTS_PERIOD, FIRST_FACTS_MAX, REDIAL_SPREAD_DEFAULT};
use super::documents::SiteDocuments;
use super::effects::Effects;
use super::output::{SiteOutput, Timer};
use super::text::named;

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
pub(super) struct FactCollection {
    /// `None` before the first round.
    round: Option<Facts>,
    not_observed_since: BTreeMap<LabelKey, WallTime>,
    /// Whether the first dial waits for the first round.
    holds_up_dial: bool,
}

impl FactCollection {
    /// Plans the first round, and restores `facts-stale` from the status of the previous run: it holds until then.
    pub(super) fn restore(now: Now, effects: &mut Effects) {
        effects.set_timer(Timer::Facts, now, Duration::ZERO);
        let conditions = SiteDocuments::new(effects.state(), None).conditions();
        let stale = conditions.iter().find(|condition| condition.kind == ConditionKind::FactsStale).cloned();
        if let Some(stale) = stale {
            effects.set_condition_silently(stale.kind, Some(stale.detail), stale.since);
        }
    }

    /// Collects facts now, and again after [`FACTS_PERIOD`].
    pub(super) fn collect(now: Now, effects: &mut Effects) {
        effects.output(SiteOutput::CollectFacts);
        effects.set_timer(Timer::Facts, now, FACTS_PERIOD);
    }

    /// Plans the first dial. It has a random delay too: after a power cut a whole region starts at once. A site that
    /// has no facts in its status waits for the first round: the server treats missing facts as removed.
    pub(super) fn plan_first_dial(&mut self, lacks_facts: bool, now: Now, effects: &mut Effects) {
        let delay = effects.rng().delay_up_to(REDIAL_SPREAD_DEFAULT / 4);
        self.holds_up_dial = lacks_facts;
        effects.set_timer(Timer::Redial, now, if lacks_facts { FIRST_FACTS_MAX } else { delay });
    }

    /// Notes that the site dials, with or without facts.
    pub(super) const fn handle_dial(&mut self) {
        self.holds_up_dial = false;
    }

    /// Handles a round of facts, given those reported last. Facts beyond the limit of labels per owner are dropped, the
    /// last keys first. Returns whether the round differs from the last.
    pub(super) fn handle_round(&mut self, facts: Facts, reported: &LabelSet, now: Now, effects: &mut Effects) -> bool {
        let facts: Facts = facts.into_iter().take(LABELS_PER_OWNER_MAX).collect();
        if std::mem::take(&mut self.holds_up_dial) {
            let delay = effects.rng().delay_up_to(REDIAL_SPREAD_DEFAULT / 4);
            effects.set_timer(Timer::Redial, now, delay);
        }
        // A fact that the previous run could not observe either keeps that run's start time.
        let since = match self.round {
            None => effects.conditions().since(ConditionKind::FactsStale).unwrap_or(now.wall),
            Some(_) => now.wall,
        };
        let is_news = self.replace(facts, since);
        if is_news {
            let stale = self.not_observed(|key| value_in(reported, key).is_some());
            let detail = named(&stale).map(|facts| Text::lossy(&format!("{facts}. The last values are kept")));
            effects.set_condition(ConditionKind::FactsStale, detail, now);
            effects.touch_status();
        }
        is_news
    }

    /// Returns the facts to report, given those reported last; `None` before the first round.
    pub(super) fn to_report(&self, reported: &LabelSet) -> Option<BTreeMap<LabelKey, LabelValue>> {
        let value = |(key, fact): (&LabelKey, &Fact)| match fact {
            Fact::Observed(value) => Some((key.clone(), value.clone())),
            Fact::Absent => None,
            Fact::NotObserved(_) => value_in(reported, key).map(|value| (key.clone(), value)),
        };
        Some(self.round.as_ref()?.iter().filter_map(value).collect())
    }

    /// Describes how many facts are known and which were not observed.
    pub(super) fn describe(&self, reported: &LabelSet) -> (PartState, String) {
        let known = self.to_report(reported).map_or(0, |facts| facts.len());
        let not_observed = self.not_observed(|_| true);
        let state = match (&self.round, not_observed.is_empty()) {
            (None, _) => PartState::Waiting,
            (Some(_), true) => PartState::Ok,
            (Some(_), false) => PartState::Failing,
        };
        let parts: Vec<_> = [format!("{known} known")].into_iter().chain(not_observed).collect();
        (state, parts.join("; "))
    }

    /// Stores a round. `since` is the start time for a fact that just became unobservable. Returns whether the round
    /// differs from the last.
    fn replace(&mut self, round: Facts, since: WallTime) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::testing::{NOW, effects};

    fn key(text: &str) -> LabelKey {
        LabelKey::parse(text).unwrap()
    }

    fn observed(text: &str) -> Fact {
        Fact::Observed(LabelValue::parse(text).unwrap())
    }

    fn reported(labels: &[(&str, &str)]) -> LabelSet {
        let labels = labels.iter().map(|(name, value)| (key(name), LabelValue::parse(value).unwrap())).collect();
        LabelSet::default().replaced(&labels, NOW.wall).unwrap()
    }

    #[test]
    fn an_unobserved_fact_keeps_its_value_and_an_absent_one_does_not() {
        let (mut facts, mut effects) = (FactCollection::default(), effects());
        let reported = reported(&[("os", "debian"), ("gpu", "t4")]);
        let failed = Fact::NotObserved(Text::lossy("slow"));
        let round = Facts::from([(key("os"), failed), (key("gpu"), Fact::Absent), (key("cpu"), observed("x"))]);
        assert!(facts.handle_round(round.clone(), &reported, NOW, &mut effects));
        let names: Vec<_> = facts.to_report(&reported).unwrap().into_keys().map(|key| key.to_string()).collect();
        assert_eq!(names, ["cpu", "os"]);
        assert!(effects.conditions().has(ConditionKind::FactsStale));
        assert!(!facts.handle_round(round, &reported, NOW, &mut effects), "the same round is no news");
    }

    #[test]
    fn the_first_collection_of_facts_releases_the_first_dial() {
        let (mut facts, mut effects) = (FactCollection::default(), effects());
        facts.plan_first_dial(true, NOW, &mut effects);
        assert_eq!(effects.deadline(Timer::Redial), Some(NOW.instant + FIRST_FACTS_MAX));
        facts.handle_round(Facts::new(), &LabelSet::default(), NOW, &mut effects);
        assert!(effects.deadline(Timer::Redial) < Some(NOW.instant + FIRST_FACTS_MAX));
    }
}
