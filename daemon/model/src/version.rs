//! Version comparison, in the order people expect.
//!
//! A text is split at `. - + _ ~` and between digits and other characters; a `v` before a leading digit is dropped.
//! Parts are compared from the left: two numbers as numbers of any length, two words by their bytes, and a word is less
//! than any number. A missing part is zero, so `24` equals `24.0`.
//!
//! Only [pre-release](PRE_RELEASES) words are compared, in either case: `5.10-rc1` and `5.10-RC1` are less than `5.10`.
//! A milestone needs its number (`M2`). Any other word starts a vendor suffix (`6.18.5-amd64`, `20.10.7+dfsg1`,
//! `6.1.0-21-amd64`), which is not compared: such a version equals the release it is based on. Within the suffix only a
//! pre-release of at least two letters with a number counts: `18.03.0-ce-rc1` is less than `18.03.0-ce`. A text that
//! starts with a word (`unknown`) is less than any number.

use std::cmp::Ordering;
use std::iter;

/// Words that mark a pre-release.
const PRE_RELEASES: [&str; 9] = ["a", "alpha", "b", "beta", "dev", MILESTONE, "pre", "preview", "rc"];

/// The word of a milestone, such as `M2`. Without a number it is a vendor's.
const MILESTONE: &str = "m";

/// A part of a version. The derived order implements the comparison: a word is less than a number, and of two numbers
/// without leading zeros the one with more digits is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum VersionPart<'a> {
    Word(&'a str),
    Number(usize, &'a str),
}

/// Compares two versions.
pub(crate) fn compare_versions(left: &str, right: &str) -> Ordering {
    const ZERO: VersionPart<'_> = VersionPart::Number(0, "");
    let (mut left, mut right) = (parts(left), parts(right));
    loop {
        let pair = (left.next(), right.next());
        let ordering = pair.0.unwrap_or(ZERO).cmp(&pair.1.unwrap_or(ZERO));
        if ordering.is_ne() || pair == (None, None) {
            return ordering;
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = VersionPart<'_>> {
    let is_gap = |c: char| matches!(c, '.' | '-' | '+' | '_' | '~');
    let starts_with_digit = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
    let whole = text.strip_prefix(['v', 'V']).filter(starts_with_digit).unwrap_or(text);
    let mut rest = whole;
    let mut is_suffix = false;
    iter::from_fn(move || {
        loop {
            let is_first = rest.len() == whole.len();
            rest = rest.trim_start_matches(is_gap);
            let is_number = rest.chars().next()?.is_ascii_digit();
            let end = rest.find(|c: char| is_gap(c) || c.is_ascii_digit() != is_number);
            let (run, tail) = rest.split_at(end.unwrap_or(rest.len()));
            rest = tail;
            if is_number && !is_suffix {
                let digits = run.trim_start_matches('0');
                return Some(VersionPart::Number(digits.len(), digits));
            }
            if is_first {
                return Some(VersionPart::Word(run));
            }
            if let Some(word) = pre_release(run, starts_with_digit(&tail.trim_start_matches('.')), is_suffix) {
                is_suffix = false;
                return Some(VersionPart::Word(word));
            }
            is_suffix = true;
        }
    })
    .fuse()
}

/// Returns the pre-release word that `word` is, in lower case, if it is one.
fn pre_release(word: &str, has_number: bool, is_suffix: bool) -> Option<&'static str> {
    let found = PRE_RELEASES.into_iter().find(|known| known.eq_ignore_ascii_case(word))?;
    let counts = match is_suffix {
        true => has_number && 1 < found.len(),
        false => has_number || found != MILESTONE,
    };
    counts.then_some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        let check = |chain: &str| {
            let words: Vec<_> = chain.split(' ').collect();
            for triple in words.windows(3).step_by(2) {
                let found = match compare_versions(triple[0], triple[2]) {
                    Ordering::Less => "<",
                    Ordering::Equal => "=",
                    Ordering::Greater => ">",
                };
                assert_eq!(found, triple[1], "{triple:?}");
            }
        };
        check("5.9 < 5.10-rc1 = v5.10~rc01 < 5.10-rc10 < 5.10 = 5.10.0 < 5.10.0-28-amd64 < 5.15.0-91-generic");
        check("6.18.5-rc2-amd64 < 6.18.5-amd64 = 6.18.5 = 6.18.05 < V6_18+5.0.1 = 6.18.5.0.1");
        check("20.10.6 < 20.10.7+dfsg1 = 20.10.7 < 20.10.24");
        check(
            "6.0.0-Alpha1 < 6.0.0-BETA.2 < 6.0.0-M3 < 6.0.0-preview1 < 6.0.0-RC1 = 6.0.0-rc1 < 6.0.0 = 6.0.0-m = 6.0",
        );
        check("18.03.0-ce-rc1 = 18.03.0-rc1 < 18.03.0-ce-rc2 < 18.03.0-ce = 18.03.0 < 18.03.1-ce-rc1-0~ubuntu");
        check("6.1.0 < 6.1.0-20-amd64 < 6.1.0-21-amd64 = 6.1.0-21-cloud-amd64 = 6.1.0-21-rt-dev = 6.1.0-21-rt-a1");
        check("unknown = unknown.0 < 0 = 0.0 < 1.0-alpha < 1.0-beta < 1 < 24 = 24.0 = v24");
        check(&format!("{0} < 1{0} = 001{0}.0 < 2{0}", "0".repeat(200)));
    }

    proptest! {
        #[test]
        fn versions_are_totally_ordered(mut texts in prop::collection::vec("[v019a.~x-]{0,6}", 3)) {
            texts.sort_by(|left, right| compare_versions(left, right));
            prop_assert!(compare_versions(&texts[0], &texts[2]).is_le());
            prop_assert!(compare_versions(&texts[2], &texts[0]).is_ge());
        }
    }
}
