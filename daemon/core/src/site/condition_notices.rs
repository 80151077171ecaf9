//! Notices of conditions, for the log of the machine: one when a condition begins and one when it ends.
//!
//! While a condition lasts, a changed detail is told at most once per [`NOTICE_INTERVAL`]: a service that fails in a
//! new way at each try does not fill a log. The failure of each provider is told separately, because the conditions
//! `plugin-failed` and `provider-failed` are those of all providers together. A provider that fails with the other of
//! the two ends one condition and begins the other; retries are rare enough for a log.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::{ConditionKind, Name, Text, WallTime};

use super::output::SiteOutput;

/// How often a changed detail of an active condition is told.
const NOTICE_INTERVAL: Duration = Duration::from_secs(3600);

/// A condition, and the provider that has it; `None`: the site.
type Subject = (ConditionKind, Option<Name>);

/// The active conditions as they were told last.
#[derive(Clone, Debug, Default)]
pub(super) struct ConditionNotices(BTreeMap<Subject, Told>);

#[derive(Clone, Debug)]
struct Told {
    detail: Text,
    at: WallTime,
}

impl ConditionNotices {
    /// Notes that the site has the condition `kind` with this detail, or no longer has it. Returns the notice, if one
    /// is due.
    pub(super) fn set(&mut self, kind: ConditionKind, detail: Option<&Text>, now: WallTime) -> Option<SiteOutput> {
        match kind {
            ConditionKind::PluginFailed | ConditionKind::ProviderFailed => None,
            _ => self.update((kind, None), detail, now),
        }
    }

    /// Notes the providers that fail, each with the condition that it causes and why. Returns the notices that are due.
    pub(super) fn set_failing(
        &mut self,
        failing: &BTreeMap<Name, (ConditionKind, Text)>,
        now: WallTime,
    ) -> Vec<SiteOutput> {
        let is_active = |(kind, provider): &Subject| {
            let Some(provider) = provider else { return true };
            failing.get(provider).is_some_and(|(failing, _)| failing == kind)
        };
        let ended: Vec<_> = self.0.keys().filter(|subject| !is_active(subject)).cloned().collect();
        let failing = failing.iter().map(|(provider, (kind, why))| ((*kind, Some(provider.clone())), Some(why)));
        let all = ended.into_iter().map(|subject| (subject, None)).chain(failing);
        all.filter_map(|(subject, why)| self.update(subject, why, now)).collect()
    }

    fn update(&mut self, subject: Subject, detail: Option<&Text>, now: WallTime) -> Option<SiteOutput> {
        let (kind, provider) = subject.clone();
        let told = self.0.get(&subject);
        let Some(detail) = detail else {
            self.0.remove(&subject)?;
            return Some(SiteOutput::Condition { kind, provider, detail: None });
        };
        if told.is_some_and(|told| told.detail == *detail || now.saturating_since(told.at) < NOTICE_INTERVAL) {
            return None;
        }
        self.0.insert(subject, Told { detail: detail.clone(), at: now });
        Some(SiteOutput::Condition { kind, provider, detail: Some(detail.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: SiteOutput) -> String {
        let SiteOutput::Condition { kind, provider, detail } = output else { panic!("{output:?}") };
        let provider = provider.map(|name| format!(" {name}")).unwrap_or_default();
        format!("{kind}{provider}: {}", detail.map_or_else(|| "cleared".to_owned(), |detail| detail.to_string()))
    }

    #[test]
    fn a_condition_is_told_when_it_begins_hourly_while_it_changes_and_when_it_ends() {
        let (mut notices, start) = (ConditionNotices::default(), WallTime::from_unix_millis(1_700_000_000_000));
        let mut set = |detail: Option<&str>, minutes: u64| {
            let now = start + Duration::from_secs(60 * minutes);
            notices.set(ConditionKind::DiskFull, detail.map(Text::lossy).as_ref(), now).map(shown)
        };
        assert_eq!(set(None, 0), None);
        assert_eq!(set(Some("a"), 0).as_deref(), Some("disk-full: a"));
        assert_eq!(set(Some("b"), 59), None, "a new detail waits");
        assert_eq!(set(Some("b"), 60).as_deref(), Some("disk-full: b"));
        assert_eq!(set(Some("b"), 600), None, "the same detail is not repeated");
        assert_eq!(set(None, 601).as_deref(), Some("disk-full: cleared"));
        assert_eq!(set(Some("b"), 602).as_deref(), Some("disk-full: b"));
    }

    #[test]
    fn each_provider_is_told_separately() {
        let mut notices = ConditionNotices::default();
        let mut set = |failing: &[(&str, ConditionKind)]| {
            let failing = failing.iter();
            let failing = failing.map(|(name, kind)| (Name::parse(name).unwrap(), (*kind, Text::lossy("no answer"))));
            let notices = notices.set_failing(&failing.collect(), WallTime::EPOCH);
            notices.into_iter().map(shown).collect::<Vec<_>>()
        };
        let (provider, plugin) = (ConditionKind::ProviderFailed, ConditionKind::PluginFailed);
        assert_eq!(set(&[("a", provider)]), ["provider-failed a: no answer"]);
        assert_eq!(set(&[("a", provider), ("b", plugin)]), ["plugin-failed b: no answer"]);
        assert_eq!(set(&[("b", plugin)]), ["provider-failed a: cleared"]);
        assert_eq!(set(&[]), ["plugin-failed b: cleared"]);
    }

    #[test]
    fn a_failure_of_another_kind_ends_one_condition_and_begins_the_other() {
        let mut notices = ConditionNotices::default();
        let mut set = |kind: Option<ConditionKind>| {
            let failing = kind.map(|kind| (Name::parse("a").unwrap(), (kind, Text::lossy("no answer"))));
            let notices = notices.set_failing(&failing.into_iter().collect(), WallTime::EPOCH);
            notices.into_iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(set(Some(ConditionKind::PluginFailed)), ["plugin-failed a: no answer"]);
        let changed = ["plugin-failed a: cleared", "provider-failed a: no answer"];
        assert_eq!(set(Some(ConditionKind::ProviderFailed)), changed);
        assert_eq!(set(None), ["provider-failed a: cleared"]);
    }
}
