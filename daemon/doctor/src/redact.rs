//! Redaction of everything that leaves the machine.
//!
//! Three filters, one after the other:
//!
//! - *Known* secrets, which the caller has read from where they are stored, are redacted wherever they occur, also
//!   inside other words and in the usual encodings.
//! - *Names*: the value of a key that sounds like a secret is redacted, whatever it is.
//! - *Shapes* (`shape`): join tokens, API keys, private keys in PEM, the user information and the query of a URL, what
//!   follows `Bearer` or `Basic`, and what follows a sensitive name and `=` or `:`.
//!
//! Redacting too much costs a question; a leaked secret cannot be taken back.

use serde_json::Value;

use crate::shape::{shapes, without_pem};

/// The replacement for redacted text.
pub(crate) const GONE: &str = "[redacted]";

/// The shortest known secret that is redacted. A shorter one would match in ordinary sentences; names and shapes still
/// catch it where it is labeled.
const KNOWN_BYTES_MIN: usize = 6;

/// The most known secrets. A site has a dozen files of them; more are ignored.
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

/// Last words of names whose values are secret: `dns-key` is one, `keyboard` is not.
const TELLING_ENDS: [&str; 3] = ["key", "pwd", "pass"];

/// Names that sound sensitive, but whose values people need.
const HARMLESS: [&str; 6] = ["key", "token_file", "host_key", "public_key", "authority", "reach_private"];

/// Redacts secrets in texts.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a secret containing another one is redacted as a whole.
    known: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("known", &self.known.len()).finish()
    }
}

impl Redactor {
    /// Adds a secret, as its file contains it: each of its lines, and the whole without its last line feed.
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

    /// Redacts a text of several lines.
    pub fn text(&self, text: &str) -> String {
        let mut kept = self.blot(text);
        kept = without_pem(&kept);
        let lines: Vec<_> = kept.split('\n').map(shapes).collect();
        lines.join("\n")
    }

    /// Redacts a JSON document: by the names of its fields, and in every text in it.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(fields) => {
                // A label is a pair of fields: its name is the value of `key`.
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

/// Removes a value, but keeps whether there is one, and how many.
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

/// Whether the value of a key with this name is treated as a secret.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if HARMLESS.contains(&name.as_str()) {
        return false;
    }
    let last = name.rsplit(['-', '_', '.', '/', ' ']).next().unwrap_or_default();
    TELLING.iter().any(|part| name.contains(part)) || TELLING_ENDS.iter().any(|end| last.ends_with(end))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    // The last incomplete group depends on the bytes that follow it, so it is left out; the ones before it are enough.
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
