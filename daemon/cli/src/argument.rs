//! Arguments, parsed before anything is dialed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::limits::{LABELS_PER_OWNER_MAX, TOKEN_TTL_MAX};
use linecamp_model::{
    DomainName, DomainNameError, JoinToken, Label, LabelError, LabelInput, LabelKey, LabelPatch, LabelValue, Name,
    NameError, Selector,
};
use linecamp_model::{SelectorError, Text, TextError, TokenId};
use linecamp_proto::api::SettingError;

use crate::output::Output;

/// The shortest `--timeout`: below it no distant server could answer. Shorter ones are refused.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// The longest `--timeout`: an hour is as good as for ever for who sits in front of it. Longer ones are refused.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The longest time a removed site is kept: ten years is "never" for a fleet. Longer ones are refused.
const REMOVED_KEEP_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Why arguments cannot be meant, where clap cannot say it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// Neither a token's id nor a token. It is not repeated: it may hold a secret.
    #[error("a token's id is 16 hexadecimal digits, as `linecamp token ls` shows it; the token itself does too")]
    NoTokenId,
    /// Not a name.
    #[error("`{word}` is not a name")]
    Name { word: String, source: NameError },
    /// Not a label, nor the removal of one.
    #[error("argument `{word}`")]
    Label { word: String, source: LabelError },
    /// Neither form.
    #[error("argument `{word}` is neither KEY=VALUE, which sets a label, nor KEY-, which takes it away")]
    NoLabel { word: String },
    /// No label at all.
    #[error("nothing to change: give KEY=VALUE to set a label, KEY- to take it away")]
    NoLabels,
    /// More than one owner may have.
    #[error("one owner has at most {LABELS_PER_OWNER_MAX} labels; {count} were given")]
    TooManyLabels { count: usize },
    /// Not a setting of a plugin.
    #[error("argument `{word}` is neither KEY=TEXT nor KEY:=JSON")]
    NoSetting { word: String },
    /// Not the name of a secret.
    #[error("argument `{word}` is not NAME=SECRET: what the plugin calls it, and the name it has at the site")]
    NoSecret { word: String },
    /// A file that cannot be read, or is not what it should be.
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    /// A provider that does not read.
    #[error("the provider's settings do not read")]
    Provider(#[source] SettingError),
    /// Two names for one provider.
    #[error("the file is about provider {in_file}, not {given}")]
    OtherName { in_file: String, given: String },
    /// Neither a plugin's digest nor the beginning of one.
    #[error("`{word}` is not a plugin's digest: `sha256:` and 64 hexadecimal digits, as `linecamp plugin ls` shows it")]
    NoDigest { word: String },
    /// A provider without its SDK.
    #[error("where is the SDK? Give --sdk DIR, the directory sdk of a checkout of Linecamp, or set LINECAMP=CHECKOUT")]
    NoSdk,
    /// A selector without a term, where something is to be changed.
    #[error("an empty selector means every site, which is refused where something is changed; is a variable unset?")]
    SelectsAll,
}

/// Parses a name.
pub(crate) fn name(text: &str) -> Result<Name, NameError> {
    Name::parse(text)
}

/// Parses the name of a plugin that is to be a package of cargo's too, which begins with a letter.
pub(crate) fn crate_name(text: &str) -> Result<Name, String> {
    let name = Name::parse(text).map_err(|error| error.to_string())?;
    match text.starts_with(|first: char| first.is_ascii_digit()) {
        true => Err("cargo takes no name that begins with a digit".to_owned()),
        false => Ok(name),
    }
}

/// Parses a zone.
pub(crate) fn zone(text: &str) -> Result<DomainName, DomainNameError> {
    DomainName::parse(text)
}

/// Parses a selector.
pub(crate) fn selector(text: &str) -> Result<Selector, SelectorError> {
    Selector::parse(text)
}

/// Parses a description.
pub(crate) fn text(text: &str) -> Result<Text, TextError> {
    Text::parse(text)
}

/// Parses a token's id, or takes it from a whole token. Not while the command line is parsed: what does not parse there
/// is repeated, and a token holds a secret.
pub(crate) fn token_id(text: &str) -> Result<TokenId, ArgumentError> {
    let of_token = || JoinToken::parse(text.split('@').next()?).ok().map(|token| token.id);
    TokenId::parse(text).or_else(of_token).ok_or(ArgumentError::NoTokenId)
}

/// Parses `on` or `off`.
pub(crate) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("write `on` or `off`"),
    }
}

/// Parses how long to wait for an answer.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    duration(text, TIMEOUT_MIN, TIMEOUT_MAX)
}

/// Parses how long a token works.
pub(crate) fn ttl(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), TOKEN_TTL_MAX)
}

/// Parses how long a removed site is kept.
pub(crate) fn removed_keep(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO, REMOVED_KEEP_MAX)
}

fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let found = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a duration such as 90s, 15m, 24h or 7days"))?;
    if found < min || max < found {
        let shown = humantime::format_duration;
        return Err(format!("{} is not between {} and {}", shown(found), shown(min), shown(max)));
    }
    Ok(found)
}

/// What `label` is asked to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelWords {
    /// The change.
    pub(crate) patch: LabelPatch,
    /// Keys that were named more than once: the last one won.
    repeated: BTreeSet<LabelKey>,
}

impl LabelWords {
    /// Reads `KEY=VALUE` and `KEY-`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, ArgumentError> {
        let mut last: BTreeMap<LabelKey, Option<LabelValue>> = BTreeMap::new();
        let mut repeated = BTreeSet::new();
        for word in words {
            let (key, value) = label_word(word)?;
            if last.insert(key.clone(), value).is_some() {
                repeated.insert(key);
            }
        }
        if last.is_empty() {
            return Err(ArgumentError::NoLabels);
        }
        if LABELS_PER_OWNER_MAX < last.len() {
            return Err(ArgumentError::TooManyLabels { count: last.len() });
        }
        let mut patch = LabelPatch::default();
        for (key, value) in last {
            match value {
                Some(value) => _ = patch.set.insert(key, value),
                None => _ = patch.remove.insert(key),
            }
        }
        Ok(Self { patch, repeated })
    }

    /// Warns of keys that came more than once.
    pub(crate) fn warn(&self, out: &Output) {
        warn_of_repeated(&self.repeated, out);
    }
}

fn label_word(word: &str) -> Result<(LabelKey, Option<LabelValue>), ArgumentError> {
    let bad = |source| ArgumentError::Label { word: word.into(), source };
    if word.contains('=') {
        let label = Label::parse(word).map_err(bad)?;
        return Ok((label.key, Some(label.value)));
    }
    match word.strip_suffix('-') {
        Some(key) => Ok((LabelKey::parse(key).map_err(bad)?, None)),
        None => Err(ArgumentError::NoLabel { word: word.into() }),
    }
}

/// Splits `NAME KEY=VALUE…` into its halves.
pub(crate) fn name_and_rest(words: &[String]) -> Result<(Name, &[String]), ArgumentError> {
    let (word, rest) = words.split_first().ok_or(ArgumentError::NoLabels)?;
    let name = Name::parse(word).map_err(|source| ArgumentError::Name { word: word.clone(), source })?;
    Ok((name, rest))
}

/// Reads a repeated `--label KEY=VALUE`, and warns of keys that came more than once.
pub(crate) fn label_options(labels: Vec<Label>, out: &Output) -> Result<BTreeMap<String, String>, ArgumentError> {
    let mut input = LabelInput::default();
    for label in labels {
        input.add(label);
    }
    let count = input.labels.len();
    if LABELS_PER_OWNER_MAX < count {
        return Err(ArgumentError::TooManyLabels { count });
    }
    warn_of_repeated(&input.repeated, out);
    let texts = input.labels.into_iter();
    Ok(texts.map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

fn warn_of_repeated(repeated: &BTreeSet<LabelKey>, out: &Output) {
    for key in repeated {
        out.note(&format!("warning: label `{key}` was given more than once; the last one holds"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn label_words_set_and_take_away() {
        let parsed = LabelWords::parse(&words("rack=r7 tier- note=a=b empty=")).expect("valid");
        let set: Vec<_> = parsed.patch.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(set, ["empty=", "note=a=b", "rack=r7"]);
        assert_eq!(parsed.patch.remove.iter().map(LabelKey::as_str).collect::<Vec<_>>(), ["tier"]);
        assert!(parsed.repeated.is_empty());
    }

    #[test]
    fn of_a_key_named_twice_the_last_word_holds() {
        let check = |text: &str, set: usize, removed: usize| {
            let parsed = LabelWords::parse(&words(text)).expect("valid");
            let found = (parsed.patch.set.len(), parsed.patch.remove.len());
            assert_eq!(found, (set, removed), "{text}");
            assert_eq!(parsed.repeated.iter().map(LabelKey::as_str).collect::<Vec<_>>(), ["a"]);
        };
        check("a=1 a=2", 1, 0);
        check("a=1 a-", 0, 1);
        check("a- a=1", 1, 0);
    }

    #[test]
    fn a_bad_label_word_is_named_with_its_column() {
        let check = |text: &str, expected: &str| {
            let error = LabelWords::parse(&words(text)).map_err(anyhow::Error::from).expect_err(text);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        };
        check("ok=1 ra+ck=r7", "argument `ra+ck=r7`: label key `ra+ck`: column 3 is `+`");
        check("rack", "`rack` is neither KEY=VALUE, which sets a label, nor KEY-");
        check("rack--", "column 5 is `-`");
        check("=x", "a label's key cannot be empty");
        check("", "nothing to change");
    }

    #[test]
    fn a_duration_outside_its_range_names_the_range() {
        assert_eq!(ttl("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(timeout("0s"), Err("0s is not between 100ms and 1h".into()));
        assert!(ttl("soon").expect_err("no duration").contains("write a duration such as"));
    }
}
