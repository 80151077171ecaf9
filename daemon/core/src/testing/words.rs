//! Values of a story, from the words it is told in.

use linecamp_model::{LabelInput, LabelKey, LabelPatch, Name};

use crate::SiteRef;

/// Parses a label key, for stories.
pub fn key(text: &str) -> LabelKey {
    LabelKey::parse(text).expect("a story's key is valid")
}

/// Parses a name, for stories.
pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a story's name is valid")
}

/// Names a site, for stories.
pub fn site_ref(text: &str) -> SiteRef {
    SiteRef { environment: None, name: name(text) }
}

/// Makes a patch of `k=v` and `k-`, for stories.
pub fn patch(changes: &[&str]) -> LabelPatch {
    let (remove, set): (Vec<&str>, Vec<&str>) = changes.iter().partition(|change| change.ends_with('-'));
    let set = LabelInput::parse_list(set).expect("a story's labels are valid").labels;
    LabelPatch { set, remove: remove.iter().map(|change| key(change.trim_end_matches('-'))).collect() }
}
