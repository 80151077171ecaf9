//! Selectors: which sites or hosts are meant, said in terms of their labels. One grammar everywhere.
//!
//! ```text
//! selector = [ term { "," term } ]            all terms hold; no term at all selects everything
//! term     = key                              the label is there
//!          | "!" key                          it is not
//!          | key ("=" | "==" | "!=") value    its text is, or is not, exactly this
//!          | key ("<" | "<=" | ">" | ">=") value
//!          | key ("in" | "notin") "(" value { "," value } ")"
//! value    = word | '"' text '"'              in quotes, \" and \\ stand for " and \
//! ```
//!
//! Spaces between the parts are free. A word has no spaces, no control characters, none of
//! `, ( ) " ' \ = ! < > & | *`, and no `~` at its beginning: what might be meant as syntax is refused, not
//! compared. The empty value is written `""`, so that an unset shell variable is an error.
//!
//! A missing key makes `!key`, `!=` and `notin` true and everything else false.
//!
//! Ordering is by version. A value is split at `. - + _ ~` and between digits and other characters; a `v`
//! before the first digit is dropped. Parts are compared from the left: two numbers as numbers of any length,
//! two words by their bytes, and a word is below every number. A part that is missing is zero. So
//! `24` and `24.0` are level, and `5.9 < 5.10-rc1 < 5.10 < 6.18.5-amd64 < 6.18.5`: any word after a release
//! puts it just below that release, because no list of words tells pre-releases from flavours for good.
//!
//! A selector does not know whose labels it reads, nor whether a key it names exists anywhere.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use crate::label::{EffectiveLabels, LabelError, LabelKey, LabelValue};
use crate::limits::{SELECTOR_BYTES_MAX, SELECTOR_TERMS_MAX};

const KEY: &str = "a key of letters, digits and . _ / : -, with a letter or digit at both ends";
const OPERATOR: &str = "one of = == != < <= > >= in notin, or `,`, or the end";
const AFTER_TERM: &str = "`,` or the end (other characters of a value need double quotes around it)";
const IN_LIST: &str = "`,` or `)` (other characters of a value need double quotes around it)";

/// Which sites or hosts are meant: terms over their labels that must all hold. The default selects all.
///
/// Its text is canonical: `in` and `notin` of one value become `=` and `!=`, lists are sorted, and quotes
/// stay only where they are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
}

impl Selector {
    /// Parses at most [`SELECTOR_TERMS_MAX`] terms in at most [`SELECTOR_BYTES_MAX`] bytes, both as written
    /// and in the canonical form, so that what is stored can be read again.
    ///
    /// # Errors
    /// [`SelectorError`] says what was expected, what was found, and where.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        check_length(text)?;
        let mut cursor = Cursor { text, at: 0 };
        let mut selector = Self::default();
        cursor.skip_spaces();
        if cursor.rest().is_empty() {
            return Ok(selector);
        }
        loop {
            cursor.skip_spaces();
            if selector.terms.len() == SELECTOR_TERMS_MAX {
                return Err(cursor.error_at(cursor.at, SelectorProblem::TooManyTerms));
            }
            selector.terms.push(cursor.term()?);
            cursor.skip_spaces();
            if cursor.rest().is_empty() {
                break;
            }
            cursor.expect(',', AFTER_TERM)?;
        }
        check_length(&selector.to_string())?;
        Ok(selector)
    }

    /// Whether every term holds for `labels`.
    pub fn matches(&self, labels: &EffectiveLabels) -> bool {
        self.terms
            .iter()
            .all(|term| term.rule.holds(labels.get(&term.key).map(|label| &label.value)))
    }

    /// Whether there is no term, so that everything is selected.
    pub fn is_all(&self) -> bool {
        self.terms.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, self.terms.iter(), ", ")
    }
}

/// Why a text is not a [`Selector`], and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("selector, column {column}: {problem}")]
pub struct SelectorError {
    /// The place in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: SelectorProblem,
}

/// What is wrong with a selector's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorProblem {
    /// The text is too long. The column is 1.
    #[error("a selector has at most {SELECTOR_BYTES_MAX} bytes, not {bytes}")]
    TooLong {
        /// The length found.
        bytes: usize,
    },
    /// Another term after [`SELECTOR_TERMS_MAX`] of them.
    #[error("a selector has at most {SELECTOR_TERMS_MAX} terms")]
    TooManyTerms,
    /// Something else should stand there.
    #[error("expected {expected}, found {}", shown(found.as_deref()))]
    Unexpected {
        /// What may stand there.
        expected: &'static str,
        /// What does, cut at [`FOUND_CHARS_MAX`]; `None` is the end of the text.
        found: Option<Box<str>>,
    },
    /// A key or value that no label can have.
    #[error(transparent)]
    Label(LabelError),
}

/// Characters of what was found that an error repeats: enough to recognise it. The rest is cut.
const FOUND_CHARS_MAX: usize = 24;

fn shown(found: Option<&str>) -> String {
    found.map_or_else(|| "the end".into(), |found| format!("`{}`", found.escape_debug()))
}

fn check_length(text: &str) -> Result<(), SelectorError> {
    match text.len() {
        0..=SELECTOR_BYTES_MAX => Ok(()),
        bytes => Err(SelectorError { column: 1, problem: SelectorProblem::TooLong { bytes } }),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    key: LabelKey,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Present,
    Absent,
    In(BTreeSet<LabelValue>),
    NotIn(BTreeSet<LabelValue>),
    Ordered(Order, LabelValue),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Rule {
    fn holds(&self, found: Option<&LabelValue>) -> bool {
        match (self, found) {
            (Self::Present, found) => found.is_some(),
            (Self::Absent, found) => found.is_none(),
            (Self::In(values), Some(found)) => values.contains(found),
            (Self::NotIn(values), Some(found)) => !values.contains(found),
            (Self::Ordered(order, bound), Some(found)) => {
                let ordering = compare_versions(found.as_str(), bound.as_str());
                match order {
                    Order::Below => ordering.is_lt(),
                    Order::AtMost => ordering.is_le(),
                    Order::Above => ordering.is_gt(),
                    Order::AtLeast => ordering.is_ge(),
                }
            }
            (Self::NotIn(_), None) => true,
            (Self::In(_) | Self::Ordered(..), None) => false,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (values, one, many) = match &self.rule {
            Rule::Present => return write!(f, "{}", self.key),
            Rule::Absent => return write!(f, "!{}", self.key),
            Rule::Ordered(order, bound) => return write!(f, "{}{order}{}", self.key, Written(bound)),
            Rule::In(values) => (values, "=", "in"),
            Rule::NotIn(values) => (values, "!=", "notin"),
        };
        let is_one = values.len() == 1;
        let (open, close) = if is_one { ("", "") } else { (" (", ")") };
        write!(f, "{}{}{}{open}", self.key, if is_one { "" } else { " " }, if is_one { one } else { many })?;
        write_list(f, values.iter().map(Written), ",")?;
        f.write_str(close)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        })
    }
}

/// A value as the grammar wants it: bare if it is a word, else in quotes.
struct Written<'a>(&'a LabelValue);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_str();
        if !text.is_empty() && text.chars().all(is_word) && !text.starts_with('~') {
            return f.write_str(text);
        }
        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn write_list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>, gap: &str) -> fmt::Result {
    for (index, item) in items.enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { gap })?;
    }
    Ok(())
}

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !",()\"'\\=!<>&|*".contains(c)
}

/// Reads a text from the left; `at` is the byte that comes next and always a character's first.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn term(&mut self) -> Result<Term, SelectorError> {
        if self.eat('!') {
            self.skip_spaces();
            return Ok(Term { key: self.key()?, rule: Rule::Absent });
        }
        let key = self.key()?;
        self.skip_spaces();
        let start = self.at;
        // `~` has no meaning of its own: taken along, so that `=~` is refused and not read as `=`.
        let symbol = self.take_while(|c| "=!<>~".contains(c));
        let operator = if symbol.is_empty() { self.take_while(is_word) } else { symbol };
        let rule = match operator {
            "" if self.rest().is_empty() || self.rest().starts_with(',') => Rule::Present,
            "=" | "==" => Rule::In([self.value()?].into()),
            "!=" => Rule::NotIn([self.value()?].into()),
            "<" => Rule::Ordered(Order::Below, self.value()?),
            "<=" => Rule::Ordered(Order::AtMost, self.value()?),
            ">" => Rule::Ordered(Order::Above, self.value()?),
            ">=" => Rule::Ordered(Order::AtLeast, self.value()?),
            "in" => Rule::In(self.list()?),
            "notin" => Rule::NotIn(self.list()?),
            other => {
                let found = if other.is_empty() { self.found() } else { Some(other) };
                return Err(self.unexpected(start, OPERATOR, found));
            }
        };
        Ok(Term { key, rule })
    }

    fn key(&mut self) -> Result<LabelKey, SelectorError> {
        let start = self.at;
        let word = self.take_while(is_word);
        if word.is_empty() {
            return Err(self.unexpected(start, KEY, self.found()));
        }
        LabelKey::parse(word).map_err(|error| match error {
            LabelError::BadKeyCharacter { found, column, .. } => {
                let before: usize = word.chars().take(column - 1).map(char::len_utf8).sum();
                self.unexpected(start + before, KEY, Some(found.encode_utf8(&mut [0; 4])))
            }
            other => self.error_at(start, SelectorProblem::Label(other)),
        })
    }

    fn list(&mut self) -> Result<BTreeSet<LabelValue>, SelectorError> {
        self.skip_spaces();
        self.expect('(', "`(` and a list of values")?;
        let mut values = BTreeSet::from([self.value()?]);
        self.skip_spaces();
        while !self.eat(')') {
            self.expect(',', IN_LIST)?;
            values.insert(self.value()?);
            self.skip_spaces();
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<LabelValue, SelectorError> {
        self.skip_spaces();
        let start = self.at;
        let text = if self.eat('"') { self.quoted()? } else { self.take_while(is_word).to_owned() };
        if self.at == start || self.text[start..].starts_with('~') {
            self.at = start;
            return Err(self.unexpected(start, "a value (an empty or unusual one in double quotes)", self.found()));
        }
        LabelValue::parse(&text).map_err(|error| self.error_at(start, SelectorProblem::Label(error)))
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| !c.is_control() && !matches!(c, '"' | '\\')));
            if self.eat('"') {
                return Ok(text);
            }
            self.expect('\\', "a closing `\"` (and no control character before it)")?;
            let escaped = ['"', '\\'].into_iter().find(|c| self.eat(*c));
            text.push(escaped.ok_or_else(|| self.unexpected(self.at, "`\"` or `\\` after `\\`", self.found()))?);
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !fits(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn skip_spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is_there = self.rest().starts_with(wanted);
        self.at += if is_there { wanted.len_utf8() } else { 0 };
        is_there
    }

    fn expect(&mut self, wanted: char, expected: &'static str) -> Result<(), SelectorError> {
        if self.eat(wanted) { Ok(()) } else { Err(self.unexpected(self.at, expected, self.found())) }
    }

    /// The word or character that comes next.
    fn found(&self) -> Option<&'a str> {
        let rest = self.rest();
        let first = rest.chars().next()?.len_utf8();
        Some(&rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(first)])
    }

    fn unexpected(&self, at: usize, expected: &'static str, found: Option<&str>) -> SelectorError {
        let found = found.map(|found| found.chars().take(FOUND_CHARS_MAX).collect());
        self.error_at(at, SelectorProblem::Unexpected { expected, found })
    }

    fn error_at(&self, at: usize, problem: SelectorProblem) -> SelectorError {
        SelectorError { column: self.text[..at].chars().count() + 1, problem }
    }
}

/// A piece of a version. The derived order is the rule: a word is below a number, and of two numbers without
/// leading zeros the longer one is larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Word(&'a str),
    Number { digits: usize, text: &'a str },
}

fn compare_versions(left: &str, right: &str) -> Ordering {
    const ZERO: Part<'_> = Part::Number { digits: 0, text: "" };
    let (mut left, mut right) = (parts(left), parts(right));
    loop {
        let pair = (left.next(), right.next());
        let ordering = pair.0.unwrap_or(ZERO).cmp(&pair.1.unwrap_or(ZERO));
        if ordering.is_ne() || pair == (None, None) {
            return ordering;
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let is_gap = |c: char| matches!(c, '.' | '-' | '+' | '_' | '~');
    let bare = text.strip_prefix(['v', 'V']).filter(|bare| bare.starts_with(|c: char| c.is_ascii_digit()));
    let mut rest = bare.unwrap_or(text);
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_gap);
        let is_number = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| is_gap(c) || c.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        let digits = run.trim_start_matches('0');
        Some(if is_number { Part::Number { digits: digits.len(), text: digits } } else { Part::Word(run) })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::label::{LabelInput, LabelSet, OwnedLabels, effective};
    use crate::time::WallTime;

    fn parse(text: &str) -> Selector {
        Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn labels(texts: &[&str]) -> EffectiveLabels {
        let input = LabelInput::parse_list(texts).expect("valid");
        let held = LabelSet::default().replaced(&input.labels, WallTime::EPOCH).expect("few");
        effective(OwnedLabels::default(), OwnedLabels { assigned: Some(&held), ..OwnedLabels::default() })
    }

    #[test]
    fn every_term_has_to_hold() {
        let labels = labels(&["region=eu", "ssd=", "zone=a", "note=a, \"b\" (c)", "kernel=6.18.5-amd64", "in=in"]);
        let check = |text, expected| assert_eq!(parse(text).matches(&labels), expected, "{text}");
        for held in ["", "  ", "region=eu", "region == eu", "region!=us", "ssd", "ssd=\"\"", "!gpu", "! gpu"] {
            check(held, true);
        }
        for held in ["zone in (a,b)", "zone in(\"a\")", "zone notin ( b , c )", "kernel>=5.10", "kernel < 6.18.6"] {
            check(held, true);
        }
        for held in ["in in (in)", "note=\"a, \\\"b\\\" (c)\"", "note=\" a, \\\"b\\\" (c) \"", "region=eu,ssd , !gpu"] {
            check(held, true);
        }
        for failed in ["region=EU", "region!=eu", "!ssd", "zone in (b)", "zone notin (a,b)", "kernel<=5.10", "ssd,gpu"] {
            check(failed, false);
        }
        // A missing key.
        for held in ["gpu!=x", "gpu notin (x)", "!gpu"] {
            check(held, true);
        }
        for failed in ["gpu", "gpu=x", "gpu=\"\"", "gpu in (x)", "gpu<1", "gpu<=1", "gpu>1", "gpu>=1"] {
            check(failed, false);
        }
    }

    #[test]
    fn versions_compare_as_people_read_them() {
        let check = |left: &str, expected: Ordering, right: &str| {
            assert_eq!(compare_versions(left, right), expected, "{left} {right}");
            assert_eq!(compare_versions(right, left), expected.reverse(), "{right} {left}");
        };
        check("5.10", Ordering::Greater, "5.9");
        check("6.18.5-amd64", Ordering::Greater, "5.10");
        check("5.15.0-91-generic", Ordering::Greater, "5.15");
        check("v1.29.3", Ordering::Equal, "1.29.3");
        check("24", Ordering::Equal, "24.0");
        check("007", Ordering::Equal, "7");
        check("5.10-rc1", Ordering::Less, "5.10");
        check("5.10.0-rc9", Ordering::Less, "5.10-rc10");
        check("5.10-rc10", Ordering::Greater, "5.10-rc9");
        check("1.0-alpha", Ordering::Less, "1.0-beta");
        check("6.18.5-amd64", Ordering::Less, "6.18.5");
        check("", Ordering::Equal, "0");
        check("unknown", Ordering::Less, "0");
        check(&"9".repeat(200), Ordering::Less, &format!("1{}", "0".repeat(200)));
    }

    #[test]
    fn a_selector_is_written_in_one_form() {
        let check = |text, expected| assert_eq!(parse(text).to_string(), expected, "{text}");
        check(" ", "");
        check("a==b,c , ! d", "a=b, c, !d");
        check("zone in ( b,a,b ),rack notin(r1)", "zone in (a,b), rack!=r1");
        check("a=\"b\",c>=\"1 2\",d!=\"\",e=\"~\\\\\\\"\"", "a=b, c>=\"1 2\", d!=\"\", e=\"~\\\\\\\"\"");
    }

    #[test]
    fn a_syntax_error_is_refused_with_its_column() {
        let check = |text: &str, column, words: &str| {
            let error = Selector::parse(text).expect_err(text);
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.to_string().contains(words), "{text}: {error}");
        };
        check("a,", 3, "expected a key of letters, digits and . _ / : -, with a letter or digit at both ends, found the end");
        check("a,,b", 3, "found `,`");
        check("=b", 1, "expected a key");
        check("a é", 3, "expected one of = == != < <= > >= in notin, or `,`, or the end, found `é`");
        check("é=b", 1, "found `é`");
        check("a=é, b-=c", 7, "found `-`");
        check("a=~b", 2, "found `=~`");
        check("a=>1", 2, "found `=>`");
        check("a= ~b", 4, "found `~b`");
        check("a=", 3, "expected a value (an empty or unusual one in double quotes), found the end");
        check("a=b c", 5, "expected `,` or the end (other characters of a value need double quotes around it), found `c`");
        check("a=b*", 4, "found `*`");
        check("!a=b", 3, "found `=`");
        check("!!a", 2, "found `!`");
        check("a in b", 6, "expected `(` and a list of values, found `b`");
        check("a in ()", 7, "expected a value");
        check("a in (b", 8, "expected `,` or `)` (");
        check("a in (b,)", 9, "expected a value");
        check("a=\"b", 5, "expected a closing `\"` (and no control character before it), found the end");
        check("a=\"b\n\"", 5, "found `\\n`");
        check("a=\"b\\n\"", 6, "expected `\"` or `\\` after `\\`, found `n`");
        check(&format!("a, b={}", "x".repeat(257)), 6, "a label's value has at most 256 bytes, not 257");
        check(&"k".repeat(129), 1, "a label's key has at most 128 characters, not 129");
        check(&["a"; SELECTOR_TERMS_MAX + 1].join(","), 65, "at most 32 terms");
        check(&" ".repeat(SELECTOR_BYTES_MAX + 1), 1, "at most 2048 bytes, not 2049");
        let grows = format!("a in(b,{}),c,d", "c".repeat(200)) + &" ".repeat(8);
        assert!(Selector::parse(&grows).is_ok());
        let values: Vec<_> = (0..7).map(|index| format!("{index}{}", "x".repeat(250))).collect();
        let long = format!("a in({},{}),c", values.join(","), "y".repeat(SELECTOR_BYTES_MAX - 1766 - 37));
        assert!(long.len() <= SELECTOR_BYTES_MAX);
    }

    fn texts() -> impl Strategy<Value = String> {
        let pieces = [
            "a", "b.c", "in", "notin", "v1.10", "-rc1", "é", "~", "=", "!=", "==", "<", ">=", "!", ",", "(", ")", "\"", "\\", " ",
        ];
        let near = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat());
        let valid = prop::collection::vec("[ab](=|!=|<=|>)\"([^\"\\\\\\pC]|\\\\\\\\|\\\\\"){0,9}\"| ?!?[ab] ?|a in ?\\([ab](,~?\"\\PC\")?\\)", 0..5);
        prop_oneof![any::<String>(), near, valid.prop_map(|terms| terms.join(","))]
    }

    proptest! {
        #[test]
        fn no_text_panics_and_the_canonical_form_is_the_same_selector(text in texts()) {
            match Selector::parse(&text) {
                Ok(selector) => prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector)),
                Err(error) => prop_assert!(error.column <= text.chars().count() + 1),
            }
        }

        #[test]
        fn versions_are_totally_ordered(mut texts in prop::collection::vec("[v019a.~-]{0,6}", 3)) {
            texts.sort_by(|left, right| compare_versions(left, right));
            prop_assert!(compare_versions(&texts[0], &texts[2]).is_le());
            prop_assert_eq!(compare_versions(&texts[0], &texts[1]), compare_versions(&texts[1], &texts[0]).reverse());
        }
    }
}
