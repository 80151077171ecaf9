//! The effective value of one label, without computing all of them: a selector over a large list needs a few.

use super::{LabelKey, LabelSet, LabelValue, OwnedLabels};

impl<'a> OwnedLabels<'a> {
    /// Returns the value of the owner with the highest precedence.
    fn value(self, key: &LabelKey) -> Option<&'a LabelValue> {
        let of = |labels: Option<&'a LabelSet>| labels.and_then(|labels| labels.get(key));
        of(self.assigned).or_else(|| of(self.local)).or_else(|| of(self.reported))
    }
}

/// Returns the value that [`effective`](super::effective) has for `key`.
pub fn effective_value<'a>(site: OwnedLabels<'a>, host: OwnedLabels<'a>, key: &LabelKey) -> Option<&'a LabelValue> {
    host.value(key).or_else(|| site.value(key))
}

/// Returns the value that [`effective_of_site`](super::effective_of_site) has for `key`.
pub fn effective_value_of_site<'a>(
    site: OwnedLabels<'a>,
    gateway: OwnedLabels<'a>,
    key: &LabelKey,
) -> Option<&'a LabelValue> {
    site.value(key).or_else(|| gateway.reported.and_then(|reported| reported.get(key)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::label::{LabelInput, effective, effective_of_site};
    use crate::time::WallTime;

    fn some_labels() -> impl Strategy<Value = LabelSet> {
        prop::collection::btree_map("[a-d]", "[x-z]", 0..4).prop_map(|labels| {
            let input = LabelInput::parse_list(labels.iter().map(|(key, value)| format!("{key}={value}")));
            LabelSet::default().replaced(&input.expect("valid").labels, WallTime::EPOCH).expect("few")
        })
    }

    proptest! {
        #[test]
        fn one_value_is_that_of_all_effective_labels(sets in prop::collection::vec(some_labels(), 6)) {
            let owned = |at: usize| OwnedLabels {
                reported: Some(&sets[at]), local: Some(&sets[at + 1]), assigned: Some(&sets[at + 2]),
            };
            let (site, host) = (owned(0), owned(3));
            let (of_host, of_site) = (effective(site, host), effective_of_site(site, host));
            for key in ["a", "b", "c", "d"].map(|key| LabelKey::parse(key).expect("valid")) {
                prop_assert_eq!(effective_value(site, host, &key), of_host.get(&key).map(|label| &label.value));
                prop_assert_eq!(effective_value_of_site(site, host, &key), of_site.get(&key).map(|label| &label.value));
            }
        }
    }
}
