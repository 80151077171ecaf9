//! Version comparison, in the order people expect.
//!
//! A text is split at `. - + _ ~` and between digits and other characters; a `v` before a leading digit is dropped.
//! Parts are compared from the left: two numbers as numbers of any length, two words by their bytes, and a word is less
//! than any number. A missing part is zero, so `24` equals `24.0`.
//!
//! Only [pre-release](PRE_RELEASES) words are compared: `5.10-rc1` is less than `5.10`. Any other word starts a vendor
//! suffix (`6.18.5-amd64`, `20.10.7+dfsg1`) and ends the comparison: such a version equals the release it is based on.
//! A text that starts with a word (`unknown`) is less than any number.

use std::cmp::Ordering;
use std::iter;

/// Words that mark a pre-release.
const PRE_RELEASES: [&str; 7] = ["a", "alpha", "b", "beta", "dev", "pre", "rc"];

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
    iter::from_fn(move || {
        let is_first = rest.len() == whole.len();
        rest = rest.trim_start_matches(is_gap);
        let is_number = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| is_gap(c) || c.is_ascii_digit() != is_number);
        let (run, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail;
        if is_number {
            let digits = run.trim_start_matches('0');
            return Some(VersionPart::Number(digits.len(), digits));
        }
        if is_first || PRE_RELEASES.contains(&run) {
            return Some(VersionPart::Word(run));
        }
        rest = "";
        None
    })
    .fuse()
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
