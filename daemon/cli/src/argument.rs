//! Argument parsing and validation, before any network access.

use std::path::PathBuf;
use std::time::Duration;

use linecamp_model::limits::{
    API_KEY_LIFE_MAX, BULK_ACTION_KEEP, LABELS_PER_OWNER_MAX, ROTATION_GRACE_MAX, TOKEN_TTL_MAX,
};
use linecamp_model::{
    DomainName, DomainNameError, JoinToken, LabelError, Name, NameError, Selector, SelectorError, Text, TextError,
    TokenId,
};
use linecamp_proto::api::SettingError;

/// The shortest `--timeout`; no remote server could respond in less. Shorter values are rejected.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// The longest `--timeout`. Longer values are rejected.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// The longest time to wait for sites: the server keeps a bulk action no longer. Longer values are rejected.
const WAIT_MAX: Duration = BULK_ACTION_KEEP;

/// The longest retention of a removed site, ten years. Longer values are rejected.
const REMOVED_KEEP_MAX: Duration = Duration::from_secs(10 * 366 * SECONDS_PER_DAY);

const SECONDS_PER_DAY: u64 = 24 * 3600;

/// An invalid argument that clap cannot report.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// Neither a token id nor a token. The value is not printed: it may be a secret.
    #[error("invalid token id: give the 16 hexadecimal digits shown by `linecamp token ls`, or the whole token")]
    InvalidTokenId,
    /// Not a valid name.
    #[error("`{argument}` is not a valid name")]
    Name { argument: String, source: NameError },
    /// An invalid label key or value.
    #[error("invalid label `{argument}`")]
    Label { argument: String, source: LabelError },
    /// Neither `KEY=VALUE` nor `KEY-`.
    #[error("invalid label argument `{argument}`: use KEY=VALUE to set a label or KEY- to remove it")]
    InvalidLabelArgument { argument: String },
    /// No roles.
    #[error("no roles given: use --role ROLE or --environment-role NAME=ROLE")]
    MissingRoles,
    /// No labels.
    #[error("no labels given: use KEY=VALUE to set a label or KEY- to remove it")]
    MissingLabels,
    /// More labels than one owner may set.
    #[error("too many labels: {count} given; an owner has at most {LABELS_PER_OWNER_MAX} labels")]
    TooManyLabels { count: usize },
    /// An invalid `--set`.
    #[error("invalid setting `{argument}`: use KEY=TEXT or KEY:=JSON")]
    InvalidSetting { argument: String },
    /// An invalid `--secret`.
    #[error("invalid secret `{argument}`: use NAME=SECRET, its name in the plugin and its name at the site")]
    InvalidSecret { argument: String },
    /// A file that is unreadable or invalid.
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    /// Invalid provider settings.
    #[error("invalid provider settings")]
    Provider(#[source] SettingError),
    /// The name argument differs from the name in the file.
    #[error("the file defines provider {in_file}, but the argument is {given}")]
    NameMismatch { in_file: String, given: String },
    /// Not a plugin digest.
    #[error(
        "invalid plugin digest `{argument}`: give `sha256:` and 64 hexadecimal digits, as shown by `linecamp plugin ls`"
    )]
    InvalidDigest { argument: String },
    /// Something that is not held since a restore.
    #[error("{what} is not held; `linecamp restore ls` lists what is")]
    NotHeld { what: String },
    /// Several held API keys have the name.
    #[error("several held API keys have the name {name}; give the ID of one, as `linecamp restore ls` shows it")]
    AmbiguousHeldKey { name: String },
    /// Several held sites have the name.
    #[error("several held sites have the name {name}; add --environment")]
    AmbiguousHeldSite { name: String },
    /// The SDK was not found.
    #[error("SDK not found: give --sdk DIR, the sdk directory of a Linecamp checkout, or set LINECAMP=CHECKOUT")]
    SdkNotFound,
    /// An empty selector in a command that changes something.
    #[error("empty selector rejected: it would match every site. Check for an unset shell variable")]
    EmptySelector,
}

/// Parses a name.
pub(crate) fn name(text: &str) -> Result<Name, NameError> {
    Name::parse(text)
}

/// Parses a plugin name that is also a cargo package name, which cannot start with a digit.
pub(crate) fn crate_name(text: &str) -> Result<Name, String> {
    let name = Name::parse(text).map_err(|error| error.to_string())?;
    match text.starts_with(|first: char| first.is_ascii_digit()) {
        true => Err("a cargo package name cannot start with a digit".to_owned()),
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

/// Parses a token id, or extracts it from a token. Not a clap value parser: clap prints invalid values, and a token is
/// a secret.
pub(crate) fn token_id(text: &str) -> Result<TokenId, ArgumentError> {
    let of_token = || JoinToken::parse(text.split('@').next()?).ok().map(|token| token.id);
    TokenId::parse(text).or_else(of_token).ok_or(ArgumentError::InvalidTokenId)
}

/// Parses `on` or `off`.
pub(crate) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected `on` or `off`"),
    }
}

/// Parses a request timeout.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    duration(text, TIMEOUT_MIN, TIMEOUT_MAX)
}

/// Parses the lifetime of a join token.
pub(crate) fn ttl(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), TOKEN_TTL_MAX)
}

/// Parses the lifetime of an API key.
pub(crate) fn key_ttl(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), API_KEY_LIFE_MAX)
}

/// Parses how long the old secret of an API key stays valid.
pub(crate) fn key_grace(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO, ROTATION_GRACE_MAX)
}

/// Parses how long to wait for sites.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_secs(1), WAIT_MAX)
}

/// Parses the retention of removed sites.
pub(crate) fn removed_keep(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO, REMOVED_KEEP_MAX)
}

fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; expected a duration such as 90s, 15m, 24h or 7days"))?;
    if duration < min || max < duration {
        return Err(format!("out of range: expected {} to {}", duration_text(min), duration_text(max)));
    }
    Ok(duration)
}

/// Formats a duration so that it can be given as an argument: whole days as days, not as months and years.
pub(crate) fn duration_text(duration: Duration) -> String {
    let days = duration.as_secs() / SECONDS_PER_DAY;
    match days {
        0 => humantime::format_duration(duration).to_string(),
        _ if duration == Duration::from_secs(days * SECONDS_PER_DAY) => format!("{days}days"),
        _ => humantime::format_duration(duration).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_out_of_range_is_reported_with_the_range() {
        assert_eq!(ttl("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(timeout("0s"), Err("out of range: expected 100ms to 1h".into()));
        assert_eq!(ttl("500days"), Err("out of range: expected 1s to 366days".into()));
        assert!(ttl("soon").expect_err("no duration").contains("expected a duration such as"));
    }
}
