//! Recognizing secrets by their shape, in a text of unknown structure.

use crate::sensitive::{REDACTED, is_sensitive_name};

/// Prefixes of our own secrets.
const TOKEN_PREFIXES: [&str; 2] = ["lct_", "lck_"];

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// Quotes that may enclose a name or a value.
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// Redacts private keys in PEM, marker to marker; one without an end marker redacts the rest.
pub(crate) fn without_pem(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let (before, from) = rest.split_at(begin);
        out += before;
        let label = from.lines().next().unwrap_or_default();
        if label.contains("PRIVATE") || label.contains("SECRET") {
            out += REDACTED;
            let end = from.find(END).map(|end| end + from[end..].find('\n').unwrap_or(from.len() - end));
            rest = &from[end.unwrap_or(from.len())..];
        } else {
            // A public PEM block may lack its end marker, and be followed by a private one.
            let (marker, after) = from.split_at(BEGIN.len());
            out += marker;
            rest = after;
        }
    }
    out + rest
}

/// What to expect of the next word of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// An ordinary word.
    Any,
    /// The value of a sensitive name, if it is an equals sign or a colon; otherwise an ordinary word.
    MaybeValue,
    /// A secret.
    Secret,
    /// The rest of a secret, up to the closing quote.
    Until(char),
}

/// Redacts what has the shape of a secret in one line.
pub(crate) fn shapes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut next = Next::Any;
    for piece in line.split_inclusive(is_gap) {
        let word = piece.trim_end_matches(is_gap);
        let gap = &piece[word.len()..];
        if let Next::Until(quote) = next {
            if word.contains(quote) {
                next = Next::Any;
                out += gap;
            }
            continue;
        }
        if !word.is_empty() {
            let (shown, after) = shape(word, next);
            out += &shown;
            next = after;
        }
        // Gaps inside redacted text are removed with it.
        if !matches!(next, Next::Until(_)) {
            out += gap;
        }
    }
    out
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}')
}

fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "digest"].iter().any(|scheme| word.trim_matches(QUOTES).eq_ignore_ascii_case(scheme))
}

/// Returns the redacted form of a word, and what to expect of the next one.
fn shape(word: &str, expected: Next) -> (String, Next) {
    match (expected, word) {
        (Next::MaybeValue, "=" | ":" | "=>" | ":=") => return (word.to_owned(), Next::Secret),
        // `Authorization: Bearer x`: the scheme is not secret, what follows it is.
        (Next::Secret, _) if is_scheme(word) => return (word.to_owned(), Next::Secret),
        (Next::Secret, _) => return (REDACTED.to_owned(), after(word)),
        _ if is_scheme(word) => return (word.to_owned(), Next::Secret),
        _ => {}
    }
    if let Some((name, value)) = word.split_once('=').or_else(|| word.split_once(':'))
        && is_name(name)
        && is_sensitive_name(name.trim_matches(QUOTES).trim_matches('-'))
    {
        return match value.trim_matches(QUOTES) {
            "" => (word.to_owned(), Next::Secret),
            _ => (format!("{}={REDACTED}", name.trim_matches(QUOTES)), after(value)),
        };
    }
    let shown = if word.contains("://") { url(word) } else { word.to_owned() };
    let shown =
        if TOKEN_PREFIXES.iter().any(|start| shown.contains(start)) { redact_own_tokens(&shown) } else { shown };
    let bare = word.trim_matches(QUOTES);
    let is_sensitive = is_name(bare) && is_sensitive_name(bare);
    (shown, if is_sensitive { Next::MaybeValue } else { Next::Any })
}

/// Whether a redacted value continues after the gap.
fn after(value: &str) -> Next {
    let mut letters = value.chars();
    match letters.next().filter(|letter| QUOTES.contains(letter)) {
        Some(quote) if !letters.any(|letter| letter == quote) => Next::Until(quote),
        Some(_) | None => Next::Any,
    }
}

/// Pins and IPv6 addresses contain colons, but are not names.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.\"'`".contains(c))
}

/// Keeps the prefix of our secret, and what surrounds it.
fn redact_own_tokens(word: &str) -> String {
    let at = TOKEN_PREFIXES.iter().filter_map(|start| word.find(start)).min().unwrap_or_default();
    let (before, from) = word.split_at(at);
    let is_body = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | '.');
    let end = from.find(|c| !is_body(c)).unwrap_or(from.len());
    let rest = &from[end..];
    let rest =
        if TOKEN_PREFIXES.iter().any(|start| rest.contains(start)) { redact_own_tokens(rest) } else { rest.to_owned() };
    format!("{before}{}{REDACTED}{rest}", &from[.."lct_".len()])
}

/// Keeps scheme, host and path.
fn url(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let cut = rest.find(['?', '#']);
    let (place, has_query) = cut.map_or((rest, false), |at| (&rest[..at], true));
    let (authority, path) = place.find('/').map_or((place, ""), |at| place.split_at(at));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{REDACTED}@{host}"),
        None => authority.to_owned(),
    };
    // A password with a slash in it makes the host look like a path.
    let path = match path.rsplit_once('@') {
        Some((_, path)) => format!("/{REDACTED}@{path}"),
        None => path.to_owned(),
    };
    let query = if has_query { format!("?{REDACTED}") } else { String::new() };
    format!("{scheme}://{host}{path}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_after_a_sensitive_name_is_redacted() {
        let check = |line: &str, expected: &str| assert_eq!(shapes(line), expected, "{line}");
        check("join lct_0123abcd@camp:8443 now", "join lct_[redacted]@camp:8443 now");
        check("key lck_abc-def_g.", "key lck_[redacted]");
        check("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]");
        check("password=hunter2 user=bob", "password=[redacted] user=bob");
        check("the password:  hunter2", "the password:  [redacted]");
        check("password = hunter2", "password = [redacted]");
        check("password = 'two words' user = 'b'", "password = [redacted] user = 'b'");
        check("password=\"two words\", user", "password=[redacted], user");
        check("{\"api-key\":\"s\",\"zone\":\"z\"}", "{api-key=[redacted],\"zone\":\"z\"}");
        check("{\"api-key\": \"s\", \"zone\": \"z\"}", "{\"api-key\": [redacted], \"zone\": \"z\"}");
        for harmless in ["pin sha256:07ff", "[2001:db8::1]:8443", "keyboard: us", "10:21:04 ok", "join TOKEN@HOST:PORT"]
        {
            check(harmless, harmless);
        }
    }

    #[test]
    fn a_url_keeps_scheme_host_and_path() {
        let check = |line: &str, expected: &str| assert_eq!(shapes(line), expected, "{line}");
        check("GET https://u:p@h:1/a?token=x done", "GET https://[redacted]@h:1/a?[redacted] done");
        check("https://u:p/w@h/x", "https://u:p/[redacted]@h/x");
        check("https://u:p@h/lct_abc/d", "https://[redacted]@h/lct_[redacted]");
    }

    #[test]
    fn private_keys_are_redacted_from_marker_to_marker() {
        let check = |text: &str, expected: &str| assert_eq!(without_pem(text), expected, "{text}");
        check("a\n-----BEGIN PRIVATE KEY-----\nAAA\n-----END PRIVATE KEY-----\nb", "a\n[redacted]\nb");
        check("-----BEGIN EC PRIVATE KEY-----\nAAA", "[redacted]");
        let public = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n";
        check(public, public);
        let cut = "-----BEGIN CERTIFICATE-----\nA\n";
        let private = "-----BEGIN PRIVATE KEY-----\nB\n-----END PRIVATE KEY-----\n";
        check(&format!("{cut}{private}"), &format!("{cut}[redacted]\n"));
    }
}
