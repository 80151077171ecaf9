//! Taking secrets out of what leaves the machine.
//!
//! Three sieves, one behind the other. *Known* secrets, which the caller has read where they lie, are blotted out
//! wherever they stand, also inside other words and in the usual encodings. *Names*: the value of a key that sounds
//! like a secret goes, whatever it is. *Shapes*: join tokens, API keys, private keys in PEM, what stands before the `@` and
//! behind the `?` of a URL, what follows `Bearer` or `Basic`, and what follows a telling name and `=` or `:` in a line.
//! Too much taken out costs a question; too little cannot be taken back.

use serde_json::Value;

/// What stands in the place of what was taken out.
const GONE: &str = "[redacted]";

/// The shortest known secret that is blotted out. A shorter one would tear holes into every sentence; names and shapes
/// still catch it where it is said what it is.
const KNOWN_BYTES_MIN: usize = 6;

/// Known secrets, which are a site's: a dozen files. More are not taken in.
const KNOWN_MAX: usize = 512;

/// Parts of names whose values are secret.
const TELLING: [&str; 14] = [
    "secret",
    "token",
    "passw",
    "passphrase",
    "credential",
    "private",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "tsig",
    "bearer",
    "cookie",
    "signature",
];

/// Last words of names whose values are secret: a `dns-key` is, a `keyboard` is not.
const TELLING_ENDS: [&str; 3] = ["key", "pwd", "pass"];

/// Names that sound like it, and whose values people need.
const HARMLESS: [&str; 6] = ["key", "token_file", "host_key", "public_key", "authority", "reach_private"];

/// How our own secrets begin.
const OURS: [&str; 2] = ["lct_", "lck_"];

/// Takes secrets out of texts.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, so that one which holds another goes whole.
    known: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("known", &self.known.len()).finish()
    }
}

impl Redactor {
    /// Takes in a secret, as its file holds it: each of its lines counts, and the whole without its last line feed.
    pub fn know(&mut self, secret: &[u8]) {
        let text = String::from_utf8_lossy(secret);
        let whole = text.trim();
        for part in std::iter::once(whole).chain(whole.lines().map(str::trim)) {
            let is_marker = part.starts_with("-----");
            if KNOWN_BYTES_MIN <= part.len() && !is_marker && self.known.len() < KNOWN_MAX {
                let forms = [part.to_owned(), base64(part.as_bytes()), percent(part), escaped(part)];
                self.known.extend(forms);
            }
        }
        self.known.sort_by_key(|known| std::cmp::Reverse(known.len()));
        self.known.dedup();
    }

    /// Takes secrets out of a text of many lines.
    pub fn text(&self, text: &str) -> String {
        let mut kept = self.blot(text);
        kept = without_pem(&kept);
        let lines: Vec<_> = kept.split('\n').map(shapes).collect();
        lines.join("\n")
    }

    /// Takes secrets out of a document: by the names of its fields, and out of every text in it.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(fields) => {
                // A label is a pair of fields, and its name is the value of the first.
                let is_telling_pair = fields.get("key").and_then(Value::as_str).is_some_and(sounds_secret);
                let kept = fields.into_iter().map(|(name, value)| {
                    let is_secret = sounds_secret(&name) || (is_telling_pair && name == "value");
                    let value = if is_secret { emptied(value) } else { self.value(value) };
                    (self.blot(&name), value)
                });
                Value::Object(kept.collect())
            }
            other => other,
        }
    }

    fn blot(&self, text: &str) -> String {
        let mut kept = text.to_owned();
        for known in &self.known {
            if kept.contains(known) {
                kept = kept.replace(known, GONE);
            }
        }
        kept
    }
}

/// Keeps whether there is a value, and how many.
fn emptied(value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        Value::Array(items) => Value::Array(items.into_iter().map(emptied).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, emptied(value))).collect())
        }
        Value::String(_) | Value::Number(_) => Value::String(GONE.to_owned()),
    }
}

/// Whether the value of what is called so is taken for a secret.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if HARMLESS.contains(&name.as_str()) {
        return false;
    }
    let last = name.rsplit(['-', '_', '.', '/', ' ']).next().unwrap_or_default();
    TELLING.iter().any(|part| name.contains(part)) || TELLING_ENDS.iter().any(|end| last.ends_with(end))
}

/// Takes private keys out, marker to marker; one without its end takes the rest along.
fn without_pem(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find("-----BEGIN ") {
        let (before, from) = rest.split_at(begin);
        kept += before;
        let label = from.lines().next().unwrap_or_default();
        let end = from.find("-----END ").map(|end| {
            let tail = &from[end..];
            end + tail.find('\n').unwrap_or(tail.len())
        });
        let end = end.unwrap_or(from.len());
        if label.contains("PRIVATE") || label.contains("SECRET") {
            kept += GONE;
        } else {
            kept += &from[..end];
        }
        rest = &from[end..];
    }
    kept + rest
}

/// Takes out of one line what has the shape of a secret.
fn shapes(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut takes_next = false;
    for piece in line.split_inclusive(is_gap) {
        let word = piece.trim_end_matches(is_gap);
        let gap = &piece[word.len()..];
        if takes_next && !word.is_empty() {
            // `Authorization: Bearer x`: the scheme is no secret, what follows it is.
            if is_scheme(word) {
                kept += word;
            } else {
                kept += GONE;
                takes_next = false;
            }
        } else {
            let (shown, next) = shape(word);
            kept += &shown;
            takes_next = next;
        }
        kept += gap;
    }
    kept
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}')
}

fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "digest"].iter().any(|scheme| word.trim_matches(['"', '\'']).eq_ignore_ascii_case(scheme))
}

/// Returns what is shown of a word, and whether the next one is a secret.
fn shape(word: &str) -> (String, bool) {
    if OURS.iter().any(|start| word.contains(start)) {
        return (ours(word), false);
    }
    if word.contains("://") {
        return (url(word), false);
    }
    if is_scheme(word) {
        return (word.to_owned(), true);
    }
    let bare = word.trim_matches(['"', '\'', '`']);
    if let Some((name, value)) = bare.split_once('=').or_else(|| bare.split_once(':'))
        && is_name(name)
        && sounds_secret(name.trim_matches(['"', '\'', '`', '-']))
    {
        // A pin and an address of IPv6 hold colons and are no names.
        return match value.trim_matches(['"', '\'']) {
            "" => (word.to_owned(), true),
            _ => (format!("{}={GONE}", name.trim_matches(['"', '\'', '`'])), false),
        };
    }
    (word.to_owned(), false)
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.\"'`".contains(c))
}

/// Keeps how our secret begins, and what is around it.
fn ours(word: &str) -> String {
    let at = OURS.iter().filter_map(|start| word.find(start)).min().unwrap_or_default();
    let (before, from) = word.split_at(at);
    let is_body = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '=' | '.');
    let end = from.find(|c| !is_body(c)).unwrap_or(from.len());
    let rest = &from[end..];
    let rest = if OURS.iter().any(|start| rest.contains(start)) { ours(rest) } else { rest.to_owned() };
    format!("{before}{}{GONE}{rest}", &from[.."lct_".len()])
}

/// Keeps scheme, host and path.
fn url(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let cut = rest.find(['?', '#']);
    let (place, has_query) = cut.map_or((rest, false), |at| (&rest[..at], true));
    let (authority, path) = place.find('/').map_or((place, ""), |at| place.split_at(at));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{GONE}@{host}"),
        None => authority.to_owned(),
    };
    // A password with a slash in it makes the host look like a path.
    let path = match path.rsplit_once('@') {
        Some((_, path)) => format!("/{GONE}@{path}"),
        None => path.to_owned(),
    };
    let query = if has_query { format!("?{GONE}") } else { String::new() };
    format!("{scheme}://{host}{path}{query}")
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    // What is left of the last group depends on what follows it: it stays out, and what is before it is enough.
    for group in bytes.chunks_exact(3) {
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(LETTERS[(bits >> shift & 63) as usize]));
        }
    }
    text
}

fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

fn escaped(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_goes_wherever_it_stands() {
        let mut redactor = Redactor::default();
        redactor.know(b"correct horse/battery\n");
        redactor.know(b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----\n");
        redactor.know(b"abc");
        let check = |text: &str, expected: &str| assert_eq!(redactor.text(text), expected);
        check("it says correct horse/battery.", "it says [redacted].");
        check("x=correct%20horse%2Fbattery&y", "x=[redacted]&y");
        check("MC4CAQAwBQYDK2VwBCIEI leaked", "[redacted] leaked");
        check("abc", "abc");
        let encoded = base64(b"correct horse/battery");
        assert!(!redactor.text(&format!("<{encoded}>")).contains(&encoded));
        assert!(!format!("{redactor:?}").contains("horse"));
    }

    #[test]
    fn what_has_the_shape_of_a_secret_goes() {
        let redactor = Redactor::default();
        let check = |text: &str, expected: &str| assert_eq!(redactor.text(text), expected, "{text}");
        check("join lct_0123abcd@camp:8443 now", "join lct_[redacted]@camp:8443 now");
        check("key lck_abc-def_g.", "key lck_[redacted]");
        check("GET https://u:p@h:1/a?token=x done", "GET https://[redacted]@h:1/a?[redacted] done");
        check("https://u:p/w@h/x", "https://u:p/[redacted]@h/x");
        check("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]");
        check("password=hunter2 user=bob", "password=[redacted] user=bob");
        check("the password: hunter2", "the password: [redacted]");
        check("{\"api-key\":\"s\",\"zone\":\"z\"}", "{api-key=[redacted],\"zone\":\"z\"}");
        check("-----BEGIN PRIVATE KEY-----\nAAA\n-----END PRIVATE KEY-----\nb", "[redacted]\nb");
        check("-----BEGIN PRIVATE KEY-----\nAAA", "[redacted]");
        check(
            "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
        );
        for harmless in ["pin sha256:07ff", "[2001:db8::1]:8443", "keyboard: us", "10:21:04 ok", "join TOKEN@HOST:PORT"]
        {
            check(harmless, harmless);
        }
    }

    #[test]
    fn what_is_called_a_secret_goes_and_the_rest_stays() {
        let redactor = Redactor::default();
        let given = json!({
            "config": {"api": "http://u:p@h/", "dns-key": "x", "depth": 3, "password": null, "tsig": {"name": "n"}},
            "labels": [{"key": "db-password", "value": "x"}, {"key": "rack", "value": "r7"}],
            "secrets": {"api-key": "pdns"},
        });
        let expected = json!({
            "config": {
                "api": "http://[redacted]@h/", "dns-key": GONE, "depth": 3, "password": null, "tsig": {"name": GONE},
            },
            "labels": [{"key": "db-password", "value": GONE}, {"key": "rack", "value": "r7"}],
            "secrets": {"api-key": GONE},
        });
        assert_eq!(redactor.value(given), expected);
    }
}
