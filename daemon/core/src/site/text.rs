//! Texts of conditions and events.

use std::time::Duration;

use linecamp_model::Text;
use linecamp_model::limits::TEXT_BYTES_MAX;

/// How many records, facts or plugins a condition names; the rest is counted.
const NAMED_MAX: usize = 3;

/// Bytes of the count of those that are not named.
const COUNT_BYTES_MAX: usize = 24;

/// Joins the first few of `texts`, as far as they fit whole, and counts the rest; `None` if there are none.
pub(super) fn named(texts: &[String]) -> Option<Text> {
    let mut bytes = 0;
    let fits = |(index, text): &(usize, &String)| {
        bytes += text.len() + "; ".len();
        *index == 0 || bytes + COUNT_BYTES_MAX <= TEXT_BYTES_MAX
    };
    let named = texts.iter().take(NAMED_MAX).enumerate().take_while(fits).map(|(_, text)| text.as_str());
    let named: Vec<_> = named.collect();
    let (words, more) = (named.join("; "), texts.len() - named.len());
    let more = if 0 < more { format!("; and {more} more") } else { String::new() };
    (!texts.is_empty()).then(|| Text::lossy(&format!("{words}{more}")))
}

/// Formats a duration in its largest unit, so that the text stays stable between two observations.
pub(crate) fn coarse(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds} seconds"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_a_few_and_counts_the_rest() {
        let texts: Vec<_> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(named(&texts), Some(Text::lossy("a; b; c; and 2 more")));
        assert_eq!(named(&texts[..1]), Some(Text::lossy("a")));
        assert_eq!(named(&[]), None);
    }

    #[test]
    fn a_condition_names_only_what_fits_whole() {
        let texts = ["a".repeat(300), "b".repeat(150), format!("{}: set label x", "c".repeat(150))];
        let expected = format!("{}; {}; and 1 more", texts[0], texts[1]);
        assert_eq!(named(&texts).unwrap().as_str(), expected);
        let long = [format!("{}: set label x", "a".repeat(600)), "b".to_owned()];
        assert!(named(&long).unwrap().as_str().ends_with(": set label x; and 1 more"));
    }

    #[test]
    fn a_duration_is_shown_in_its_largest_unit() {
        let shown = [119, 120, 7_200, 172_800].map(|seconds| coarse(Duration::from_secs(seconds)));
        assert_eq!(shown, ["119 seconds", "2 minutes", "2 hours", "2 days"]);
    }
}
