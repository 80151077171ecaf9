//! The labels a site sets by itself: three layers, one writer.
//!
//! From the environment, from drop-in files, and set by hand (at the join or later): for one key the later
//! layer wins, because it is the more deliberate one. Together they are the site's `local` labels.

use std::collections::BTreeMap;

use linecamp_model::{LabelError, LabelKey, LabelSet, LabelValue, Level, Text};

/// Labels of one layer, by level.
pub type LabelLayer = BTreeMap<Level, BTreeMap<LabelKey, LabelValue>>;

/// What the drop-in files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropIns {
    /// Their labels; a file that could not be used keeps what it said last.
    pub labels: LabelLayer,
    /// Which file could not be used, and why.
    pub invalid: Option<Text>,
    /// Which label came twice, and where.
    pub repeated: Option<Text>,
    /// Whether a file could not be used since the daemon started, so that what it said before is not known: labels
    /// that the site held at its start stay.
    pub is_partial: bool,
}

/// Returns the labels of `level` over all layers, the later ones on top.
///
/// # Errors
/// [`LabelError::TooMany`] if they are more than one owner may have.
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
