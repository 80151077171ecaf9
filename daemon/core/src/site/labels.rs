//! The labels a site sets itself: three layers with one writer.
//!
//! The layers are the environment, drop-in files, and labels set by hand (at the join or later). For each key the later
//! layer wins, because it is the more deliberate one. Merged, they are the site's `local` labels.
//!
//! Only labels set by hand are stored as such. The other layers are what their source has now: a label that is gone
//! from the environment is gone from the site with the next start. The labels last read from files are stored too, but
//! apply only while a file cannot be read at a start. One rule holds for both sources: an invalid entry is skipped, and
//! a condition names it; the other entries apply.

use std::collections::BTreeMap;

use linecamp_model::{
    CommandId, ConditionKind, EventKind, LabelError, LabelKey, LabelPatch, LabelSet, LabelValue, Level, Now,
    SiteChange, Text, WallTime,
};

use super::command::SiteCommandError;
use super::documents::SiteDocuments;
use super::effects::{Effects, Release, new_event};
use super::state::SiteState;

/// Labels of one layer, by level.
pub type LabelLayer = BTreeMap<Level, BTreeMap<LabelKey, LabelValue>>;

/// The labels of the environment: read once, when the program starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentLabels {
    /// The labels; invalid entries are skipped.
    pub labels: LabelLayer,
    /// Which entry is invalid, and why.
    pub invalid: Option<Text>,
    /// Which label is set more than once, and where.
    pub repeated: Option<Text>,
}

/// The contents of the drop-in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropIns {
    /// The labels; invalid entries are skipped, and a file that cannot be parsed keeps its last contents.
    pub labels: LabelLayer,
    /// Which file or entry is invalid, and why.
    pub invalid: Option<Text>,
    /// Which label is set more than once, and where.
    pub repeated: Option<Text>,
    /// Whether a file has been invalid since the daemon started, so that its earlier contents are unknown: the labels
    /// that the site last read from files are kept.
    pub is_partial: bool,
}

/// The layers below the labels set by hand.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    /// Labels from drop-in files of an earlier run, kept while one of these files cannot be read.
    kept: LabelLayer,
    environment: EnvironmentLabels,
    drop_ins: DropIns,
}

impl Labels {
    /// Starts with the labels from the environment.
    pub(super) fn new(environment: EnvironmentLabels) -> Self {
        Self { kept: LabelLayer::new(), environment, drop_ins: DropIns::default() }
    }

    /// Takes the contents of the drop-in files at the start of the daemon. If a file cannot be read, its last contents
    /// are unknown, and the labels last read from files are kept: not those of the environment, which is always known.
    pub(super) fn start(&mut self, drop_ins: DropIns, now: Now, effects: &mut Effects) {
        if drop_ins.is_partial {
            self.kept = effects.state().file_labels.iter().map(|(level, labels)| (*level, values(labels))).collect();
        }
        self.handle_drop_ins(drop_ins, now, effects);
    }

    /// Returns the changes that store the labels of the drop-in files, if they are not stored yet.
    pub(super) fn file_label_changes(&self, state: &SiteState, now: WallTime) -> Vec<SiteChange> {
        let change = |level: Level| {
            let mut labels = self.kept.get(&level).cloned().unwrap_or_default();
            labels.extend(self.drop_ins.labels.get(&level).cloned().unwrap_or_default());
            let stored = state.file_labels.get(&level);
            if stored.map(values).unwrap_or_default() == labels {
                return None;
            }
            // Too many labels are a condition of the site; those stored before are kept.
            let labels = stored.cloned().unwrap_or_default().replaced(&labels, now).ok()?;
            Some(SiteChange::FileLabels(level, Some(labels).filter(|labels| labels.iter().next().is_some())))
        };
        [Level::Site, Level::Host].into_iter().filter_map(change).collect()
    }

    /// Takes new contents of the drop-in files.
    pub(super) fn handle_drop_ins(&mut self, drop_ins: DropIns, now: Now, effects: &mut Effects) {
        let invalid = both(self.environment.invalid.as_ref(), drop_ins.invalid.as_ref());
        let repeated = both(self.environment.repeated.as_ref(), drop_ins.repeated.as_ref());
        effects.set_condition(ConditionKind::LabelsInvalid, invalid, now);
        effects.set_condition(ConditionKind::LabelsRepeated, repeated, now);
        if !drop_ins.is_partial {
            self.kept.clear();
        }
        self.drop_ins = drop_ins;
        effects.touch_status();
    }

    /// Changes the labels set by hand, and replies to the command when the change is durable.
    pub(super) fn handle_patch(
        &self,
        command: CommandId,
        (level, patch): (Level, &LabelPatch),
        now: Now,
        effects: &mut Effects,
    ) {
        match self.patched(effects.state().local.get(&level), (level, patch), now.wall) {
            Ok(labels) => {
                // One write: if the change is not persisted, neither is its event.
                let text = format!("{level} labels set locally: {}", describe_patch(patch));
                let mut changes = vec![SiteChange::LocalLabels(level, Some(labels))];
                changes.extend(effects.event_changes(new_event(EventKind::LabelsSetLocally, &text, now)));
                effects.stage(&changes, vec![Release::Reply(command)]);
            }
            Err(error) => effects.reply(command, Err(SiteCommandError::Labels(error))),
        }
    }

    /// Returns the labels set by hand as they would be after `patch`.
    ///
    /// # Errors
    /// [`LabelError::TooMany`] if these, or all local labels of the level, would exceed the limit per owner.
    fn patched(
        &self,
        by_hand: Option<&LabelSet>,
        (level, patch): (Level, &LabelPatch),
        now: WallTime,
    ) -> Result<LabelSet, LabelError> {
        let by_hand = by_hand.cloned().unwrap_or_default().patched(patch, now)?;
        self.merged(level, Some(&by_hand))?;
        Ok(by_hand)
    }

    /// Returns the local labels of `level`, given those in the last status.
    ///
    /// # Errors
    /// [`LabelError::TooMany`] if they exceed the limit per owner.
    pub(super) fn local(
        &self,
        level: Level,
        documents: &SiteDocuments<'_>,
        now: WallTime,
    ) -> Result<LabelSet, LabelError> {
        let labels = self.merged(level, documents.labels_by_hand(level))?;
        documents.local_labels(level).replaced(&labels, now)
    }

    fn merged(&self, level: Level, by_hand: Option<&LabelSet>) -> Result<BTreeMap<LabelKey, LabelValue>, LabelError> {
        let mut labels = BTreeMap::new();
        for layer in [&self.kept, &self.environment.labels, &self.drop_ins.labels] {
            labels.extend(layer.get(&level).cloned().unwrap_or_default());
        }
        let by_hand = by_hand.into_iter().flat_map(LabelSet::iter);
        labels.extend(by_hand.map(|(key, held)| (key.clone(), held.value.clone())));
        match labels.len() {
            count if linecamp_model::limits::LABELS_PER_OWNER_MAX < count => Err(LabelError::TooMany { count }),
            _ => Ok(labels),
        }
    }
}

fn values(labels: &LabelSet) -> BTreeMap<LabelKey, LabelValue> {
    labels.iter().map(|(key, label)| (key.clone(), label.value.clone())).collect()
}

/// Joins what two sources report.
fn both(environment: Option<&Text>, drop_ins: Option<&Text>) -> Option<Text> {
    match (environment, drop_ins) {
        (Some(environment), Some(drop_ins)) => Some(Text::lossy(&format!("{environment}; {drop_ins}"))),
        (one, other) => one.or(other).cloned(),
    }
}

/// Formats a patch: `rack=r7, gpu-`.
pub(crate) fn describe_patch(patch: &LabelPatch) -> String {
    let set = patch.set.iter().map(|(key, value)| format!("{key}={value}"));
    let removed = patch.remove.iter().map(|key| format!("{key}-"));
    set.chain(removed).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use linecamp_model::limits::LABELS_PER_OWNER_MAX;

    use super::*;
    use crate::site::testing::{NOW, effects};

    fn layer(labels: &[(&str, &str)]) -> LabelLayer {
        let parsed = |(key, value): &(&str, &str)| (LabelKey::parse(key).unwrap(), LabelValue::parse(value).unwrap());
        LabelLayer::from([(Level::Site, labels.iter().map(parsed).collect())])
    }

    fn environment(labels: &[(&str, &str)]) -> EnvironmentLabels {
        EnvironmentLabels { labels: layer(labels), ..EnvironmentLabels::default() }
    }

    fn patch(key: &str, value: &str) -> LabelPatch {
        let set = layer(&[(key, value)]).remove(&Level::Site).unwrap();
        LabelPatch { set, ..LabelPatch::default() }
    }

    #[test]
    fn labels_set_by_hand_override_files_and_files_the_environment() {
        let (mut labels, mut effects) =
            (Labels::new(environment(&[("a", "env"), ("b", "env"), ("c", "env")])), effects());
        let drop_ins = DropIns { labels: layer(&[("b", "file"), ("c", "file")]), ..DropIns::default() };
        labels.handle_drop_ins(drop_ins, NOW, &mut effects);
        let by_hand = labels.patched(None, (Level::Site, &patch("c", "hand")), NOW.wall).unwrap();
        let merged = labels.merged(Level::Site, Some(&by_hand)).unwrap();
        assert_eq!(merged.values().map(LabelValue::as_str).collect::<Vec<_>>(), ["env", "file", "hand"]);
    }

    #[test]
    fn a_patch_that_exceeds_the_limit_with_the_other_layers_is_rejected() {
        let keys: Vec<_> = (0..LABELS_PER_OWNER_MAX).map(|number| format!("k{number}")).collect();
        let labels = Labels::new(environment(&keys.iter().map(|key| (key.as_str(), "v")).collect::<Vec<_>>()));
        assert!(labels.patched(None, (Level::Site, &patch("k0", "w")), NOW.wall).is_ok());
        assert!(labels.patched(None, (Level::Site, &patch("one-more", "w")), NOW.wall).is_err());
    }

    #[test]
    fn an_invalid_file_raises_a_condition_until_it_is_valid() {
        let (mut labels, mut effects) = (Labels::new(EnvironmentLabels::default()), effects());
        let invalid = DropIns { invalid: Some(Text::lossy("line 3")), ..DropIns::default() };
        labels.handle_drop_ins(invalid, NOW, &mut effects);
        assert!(effects.conditions().has(ConditionKind::LabelsInvalid));
        labels.handle_drop_ins(DropIns::default(), NOW, &mut effects);
        assert!(!effects.conditions().has(ConditionKind::LabelsInvalid));
    }

    #[test]
    fn an_invalid_label_in_the_environment_is_a_condition_like_one_in_a_file() {
        let text = |text: &str| Some(Text::lossy(text));
        let environment = EnvironmentLabels { invalid: text("variable"), repeated: text("twice"), ..environment(&[]) };
        let (mut labels, mut effects) = (Labels::new(environment), effects());
        let detail = |effects: &Effects, kind| {
            let conditions = effects.conditions().of_status();
            conditions.iter().find(|condition| condition.kind == kind).map(|condition| condition.detail.to_string())
        };
        labels.start(DropIns { invalid: text("file"), ..DropIns::default() }, NOW, &mut effects);
        assert_eq!(detail(&effects, ConditionKind::LabelsInvalid).as_deref(), Some("variable; file"));
        labels.handle_drop_ins(DropIns::default(), NOW, &mut effects);
        assert_eq!(detail(&effects, ConditionKind::LabelsInvalid).as_deref(), Some("variable"));
        assert_eq!(detail(&effects, ConditionKind::LabelsRepeated).as_deref(), Some("twice"));
    }
}
