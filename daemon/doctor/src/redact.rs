//! Redaction of everything that leaves the machine.
//!
//! Three filters, one after the other:
//!
//! - *Known* secrets, which the caller has read from where they are stored, are redacted wherever they occur, also
//!   inside other words and in the usual encodings.
//! - *Names* (`sensitive`): the value of a key that sounds like a secret is redacted, whatever it is.
//! - *Shapes* (`secret_patterns`): join tokens, API keys, private keys in PEM, the user information and the query of
//!   a URL, what follows `Bearer` or `Basic`, and what follows a sensitive name and `=` or `:`.
//!
//! Redacting too much costs a question; a leaked secret cannot be taken back.

use data_encoding::BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::secret_patterns::{shapes, without_pem};
use crate::sensitive::{REDACTED, is_sensitive_name};

/// The shortest known secret that is redacted. A shorter one would match in ordinary sentences; names and shapes still
/// catch it where it is labeled.
const SECRET_BYTES_MIN: usize = 6;

/// The most known secrets. A site has a dozen files of them; more are ignored.
const SECRETS_MAX: usize = 512;

/// The characters that are percent-encoded: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Redacts secrets in texts.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a secret containing another one is redacted as a whole.
    secrets: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish()
    }
}

impl Redactor {
    /// Adds a secret, as its file contains it: each of its lines, and the whole without its last line feed.
    pub fn add_secret(&mut self, secret: &[u8]) {
        let text = String::from_utf8_lossy(secret);
        let whole = text.trim();
        for part in std::iter::once(whole).chain(whole.lines().map(str::trim)) {
            let is_marker = part.starts_with("-----");
            if SECRET_BYTES_MIN <= part.len() && !is_marker && self.secrets.len() < SECRETS_MAX {
                let forms = [part.to_owned(), base64(part.as_bytes()), percent(part), escaped(part)];
                self.secrets.extend(forms);
            }
        }
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.secrets.dedup();
    }

    /// Redacts a text of several lines.
    pub fn text(&self, text: &str) -> String {
        let mut out = self.replace_known(text);
        out = without_pem(&out);
        let lines: Vec<_> = out.split('\n').map(shapes).collect();
        lines.join("\n")
    }

    /// Redacts a JSON document: by the names of its fields, and in every text in it.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(fields) => {
                // A label is a pair of fields: its name is the value of `key`.
                let is_sensitive_pair = fields.get("key").and_then(Value::as_str).is_some_and(is_sensitive_name);
                let out = fields.into_iter().map(|(name, value)| {
                    let is_secret = is_sensitive_name(&name) || (is_sensitive_pair && name == "value");
                    let value = if is_secret { redact_all(value) } else { self.value(value) };
                    (self.replace_known(&name), value)
                });
                Value::Object(out.collect())
            }
            other => other,
        }
    }

    fn replace_known(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.secrets {
            if out.contains(secret) {
                out = out.replace(secret, REDACTED);
            }
        }
        out
    }
}

/// Removes a value, but keeps whether there is one, and how many.
fn redact_all(value: Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        Value::Array(items) => Value::Array(items.into_iter().map(redact_all).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, redact_all(value))).collect())
        }
        Value::String(_) | Value::Number(_) => Value::String(REDACTED.to_owned()),
    }
}

/// The last incomplete group depends on the bytes that follow it, so it is left out; the ones before it are enough.
fn base64(bytes: &[u8]) -> String {
    BASE64.encode(&bytes[..bytes.len() / 3 * 3])
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
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
    fn known_secrets_are_redacted_wherever_they_occur() {
        let mut redactor = Redactor::default();
        redactor.add_secret(b"correct horse/battery\n");
        redactor.add_secret(b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----\n");
        redactor.add_secret(b"abc");
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
    fn values_of_sensitive_names_are_redacted_and_others_are_not() {
        let redactor = Redactor::default();
        let given = json!({
            "config": {"api": "http://u:p@h/", "dns-key": "x", "depth": 3, "password": null, "tsig": {"name": "n"}},
            "labels": [{"key": "db-password", "value": "x"}, {"key": "rack", "value": "r7"}],
            "secrets": {"api-key": "pdns"},
        });
        let expected = json!({
            "config": {
                "api": "http://[redacted]@h/", "dns-key": REDACTED, "depth": 3, "password": null, "tsig": {"name": REDACTED},
            },
            "labels": [{"key": "db-password", "value": REDACTED}, {"key": "rack", "value": "r7"}],
            "secrets": {"api-key": REDACTED},
        });
        assert_eq!(redactor.value(given), expected);
    }
}
