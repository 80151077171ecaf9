//! The labels a site sets itself: three layers with one writer.
//!
//! The layers are the environment, drop-in files, and labels set by hand (at the join or later). For each key the later
//! layer wins, because it is the more deliberate one. Merged, they are the site's `local` labels.

use std::collections::BTreeMap;

use linecamp_model::{LabelError, LabelKey, LabelSet, LabelValue, Level, Text};

/// Labels of one layer, by level.
pub type LabelLayer = BTreeMap<Level, BTreeMap<LabelKey, LabelValue>>;

/// The contents of the drop-in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropIns {
    /// The labels; an invalid file keeps its last valid contents.
    pub labels: LabelLayer,
    /// Which file is invalid, and why.
    pub invalid: Option<Text>,
    /// Which label is set more than once, and where.
    pub repeated: Option<Text>,
    /// Whether a file has been invalid since the daemon started, so that its earlier contents are unknown: the labels
    /// the site had at startup are kept.
    pub is_partial: bool,
}

/// Returns the labels of `level` merged over all layers; later layers override earlier ones.
///
/// # Errors
/// [`LabelError::TooMany`] if they exceed the limit per owner.
pub(crate) fn merged(
    level: Level,
    layers: [&LabelLayer; 3],
    by_hand: Option<&LabelSet>,
) -> Result<BTreeMap<LabelKey, LabelValue>, LabelError> {
    let mut labels = BTreeMap::new();
    for layer in layers {
        labels.extend(layer.get(&level).cloned().unwrap_or_default());
    }
    let by_hand = by_hand.into_iter().flat_map(LabelSet::iter);
    labels.extend(by_hand.map(|(key, held)| (key.clone(), held.value.clone())));
    match labels.len() {
        count if linecamp_model::limits::LABELS_PER_OWNER_MAX < count => Err(LabelError::TooMany { count }),
        _ => Ok(labels),
    }
}
