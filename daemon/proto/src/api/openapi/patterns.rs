//! What a text of the API may be, as regular expressions (ECMA-262 with the flag `u`), from the rules of the model.
//!
//! A rule that counts bytes of UTF-8 cannot be written so. Such a text is described as ASCII of that length or as a
//! quarter of so many characters, and the server accepts what is between. The tests compare each with the parser.

use linecamp_model::is_invisible;
use linecamp_model::limits::{
    IDEMPOTENCY_KEY_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MIN, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, NAME_BYTES_MAX,
    TEXT_BYTES_MAX,
};

/// The most bytes of a character in UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;

/// Symbols that may be shown as text or as an emoji, with the selector of either.
const SYMBOL_WITH_FORM: &str = concat!(
    "[\u{a9}\u{ae}\u{203c}-\u{205f}\u{2070}-\u{27ff}\u{2801}-\u{2b55}\u{3030}\u{303d}\u{3297}\u{3299}",
    "\u{1f000}-\u{1faff}][\u{fe0e}\u{fe0f}]",
);

/// `a-z 0-9 -`, with a letter or digit at both ends.
pub(super) fn name() -> String {
    format!("^[a-z0-9]([a-z0-9-]{{0,{}}}[a-z0-9])?$", NAME_BYTES_MAX - 2)
}

/// The key of a label.
pub(super) fn label_key() -> String {
    format!("^{}$", key())
}

fn key() -> String {
    format!("[A-Za-z0-9](?:[A-Za-z0-9._/:-]{{0,{}}}[A-Za-z0-9])?", LABEL_KEY_BYTES_MAX - 2)
}

/// Hexadecimal digits in lower case.
pub(super) fn hex(digits: usize) -> String {
    format!("^[0-9a-f]{{{digits}}}$")
}

/// 32 bytes in base64url: the two lowest bits of the last character are zero.
pub(super) fn base64url_32() -> String {
    "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$".to_owned()
}

/// A path of the server, which no browser reads as one of another host.
pub(super) fn own_path() -> String {
    r"^/(?:[!-.0-\[\]-~][!-\[\]-~]*)?$".to_owned()
}

/// A time in UTC with whole seconds.
pub(super) fn time() -> String {
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$".to_owned()
}

/// Text without invisible characters.
pub(super) fn text() -> String {
    format!("^{}$", visible(TEXT_BYTES_MAX))
}

/// A label's value: text without invisible characters.
pub(super) fn label_value() -> String {
    format!("^{}$", visible(LABEL_VALUE_BYTES_MAX))
}

/// Visible characters: ASCII up to so many, or fewer others.
fn visible(bytes_max: usize) -> String {
    let class = format!("[^{}\u{fe0e}\u{fe0f}]", invisible());
    let others = bytes_max / CHARACTER_BYTES_MAX / 2;
    format!("(?:[ -~]{{0,{bytes_max}}}|(?:{SYMBOL_WITH_FORM}|{class}){{0,{others}}})")
}

/// The invisible characters, as ranges of a class.
fn invisible() -> String {
    let mut ranges = String::new();
    let mut begin = None;
    let mut last = '\0';
    for found in '\0'..=char::MAX {
        match (is_invisible(found), begin) {
            (true, None) => begin = Some(found),
            (false, Some(from)) => {
                range(&mut ranges, from, last);
                begin = None;
            }
            (_, _) => {}
        }
        last = found;
    }
    if let Some(from) = begin {
        range(&mut ranges, from, last);
    }
    ranges
}

fn range(ranges: &mut String, from: char, to: char) {
    ranges.push(from);
    if from != to {
        ranges.push('-');
        ranges.push(to);
    }
}

/// A selector. Its values are printable ASCII here; the server accepts all visible characters.
pub(super) fn selector() -> String {
    let (first, word) = (ascii_without(",()\"'\\=!<>&|* ~"), ascii_without(",()\"'\\=!<>&|* "));
    let quoted = ascii_without("\"\\");
    let value = format!(r#"(?:{first}{word}{{0,255}}|"(?:{quoted}|\\["\\]){{0,128}}")"#);
    let key = key();
    let list = format!(r"\( *{value} *(?:, *{value} *){{0,7}}\)");
    let term = format!("(?:! *{key}|{key} *(?:(?:==|!=|<=|>=|=|<|>) *{value})?|{key} +(?:in|notin) *{list})");
    format!("^ *(?:{term} *(?:, *{term} *){{0,7}})?$")
}

/// A class of the printable ASCII characters without these.
fn ascii_without(without: &str) -> String {
    let kept = (' '..='~').filter(|found| !without.contains(*found));
    let escaped = kept.map(|found| match found {
        '\\' | ']' | '[' | '^' | '-' | '&' | '~' => format!("\\{found}"),
        found => found.to_string(),
    });
    format!("[{}]", escaped.collect::<String>())
}

/// A DNS label in lower case, with underscores.
const DNS_LABEL: &str = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";

/// A zone: a DNS name.
pub(super) fn zone() -> String {
    format!("^{DNS_LABEL}(?:[.]{DNS_LABEL}){{0,3}}$")
}

/// The template of a name, with placeholders.
pub(super) fn template() -> String {
    let part = "(?:[a-z0-9]{1,20}|[{](?:host|site|environment)[}])";
    let label = format!("{part}(?:-{part}){{0,1}}");
    format!("^(?:@|{label}(?:[.]{label}){{0,3}})$")
}

/// A host and a port. The last label of a host is no number.
pub(super) fn endpoint() -> String {
    format!("^{}:{}$", host(), port())
}

/// A number of an IPv4 address.
const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

fn host() -> String {
    format!("(?:(?:{DNS_LABEL}[.]){{0,3}}[a-z](?:[a-z0-9-]{{0,30}}[a-z0-9])?|{OCTET}(?:[.]{OCTET}){{3}})")
}

/// An IPv4 address.
pub(super) fn ipv4() -> String {
    format!("^{OCTET}(?:[.]{OCTET}){{3}}$")
}

/// An IPv6 address without abbreviation.
pub(super) fn ipv6() -> String {
    "^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}$".to_owned()
}

/// The value of a TXT record without characters that are written as escapes.
pub(super) fn txt() -> String {
    "^[A-Za-z0-9=:;. -]{1,200}$".to_owned()
}

fn port() -> &'static str {
    "[1-9][0-9]{0,3}"
}

/// The URL of a server.
pub(super) fn server_url() -> String {
    format!("^https://{}(?::{})?/?$", host(), port())
}

/// The owner of DNS records.
pub(super) fn owner() -> String {
    name()
}

/// The name of a secret.
pub(super) fn secret_name() -> String {
    "^[a-z0-9][a-z0-9._-]{0,63}$".to_owned()
}

/// The digest of a plugin's component.
pub(super) fn digest() -> String {
    "^(sha256:)?[0-9A-Fa-f]{64}$".to_owned()
}

/// A password: not one character only.
pub(super) fn password() -> String {
    r"^(?!(.)\1*$)".to_owned()
}

/// An entity tag of the server, or `*`.
pub(super) fn entity_tag() -> String {
    r#"^([*]|"g(0|[1-9][0-9]{0,17})")$"#.to_owned()
}

/// A key of a request that may be sent again: printable ASCII without spaces.
pub(super) fn idempotency_key() -> String {
    format!("^[!-~]{{{IDEMPOTENCY_KEY_LENGTH_MIN},{IDEMPOTENCY_KEY_LENGTH_MAX}}}$")
}

#[cfg(test)]
mod tests {
    use linecamp_model::limits::SELECTOR_BYTES_MAX;
    use linecamp_model::{Endpoint, LabelKey, LabelValue, Name, NameTemplate, SecretName, Selector, Text};
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;

    /// Checks that the parser accepts every text that a pattern describes.
    fn check<E: std::fmt::Debug>(pattern: &str, parse: impl Fn(&str) -> Result<(), E>) {
        let unanchored = pattern.trim_start_matches('^').trim_end_matches('$');
        let texts = string_regex(unanchored).expect("the pattern is a regular expression");
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let result = runner.run(&texts, |text| {
            prop_assert!(parse(&text).is_ok(), "{pattern} describes {text:?}: {:?}", parse(&text));
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn what_a_pattern_describes_is_accepted() {
        check(&name(), |text| Name::parse(text).map(drop));
        check(&label_key(), |text| LabelKey::parse(text).map(drop));
        check(&label_value(), |text| LabelValue::parse(text).map(drop));
        check(&text(), |text| Text::parse(text).map(drop));
        check(&zone(), |text| crate::api::dns::domain_name(text).map(drop));
        check(&template(), |text| NameTemplate::parse(text).map(drop));
        check(&endpoint(), |text| Endpoint::parse(text).map(drop));
        check(&secret_name(), |text| SecretName::parse(text).map(drop));
        check(&digest(), |text| crate::api::plugin_digest(text).map(drop).ok_or(()));
        // The length is a rule of its own.
        let is_long = |text: &str| SELECTOR_BYTES_MAX - 64 < text.len();
        check(&selector(), |text| if is_long(text) { Ok(()) } else { Selector::parse(text).map(drop) });
    }
}
