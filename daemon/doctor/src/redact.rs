//! Redaction of everything that leaves the machine.
//!
//! Three filters, one after the other:
//!
//! - *Known* secrets, which the caller has read from where they are stored, are redacted wherever they occur, also
//!   inside other words, in parts, over several lines, and in the usual encodings ([`SecretFinder`]).
//! - *Names* (`sensitive`): the value of a key that sounds like a secret is redacted, whatever it is.
//! - *Shapes* (`secret_patterns`): join tokens, API keys, private keys in PEM, the user information and the query of
//!   a URL, what follows `Bearer` or `Basic`, and what follows a sensitive name and `=` or `:`.
//!
//! Redacting too much costs a question; a leaked secret cannot be taken back.

use linecamp_model::SecretFinder;
use serde_json::Value;

use crate::secret_patterns::{shapes, without_pem};
use crate::sensitive::{REDACTED, is_sensitive_name};

/// The shortest known secret that is redacted. A shorter one would match in ordinary sentences; names and shapes still
/// catch it where it is labeled.
const SECRET_BYTES_MIN: usize = 6;

/// The most known secrets. A site has a dozen files of them; more are ignored.
const SECRETS_MAX: usize = 512;

/// What a join token starts with, and what separates it from the addresses of its servers, which are not secret.
const TOKEN: (&str, char) = ("lct_", '@');

/// Redacts secrets in texts.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    secrets: SecretFinder<String>,
    count: usize,
}

impl Redactor {
    /// Adds a secret, as its file contains it: each of its lines, which are also found in parts.
    pub fn add_secret(&mut self, secret: &[u8]) {
        let text = String::from_utf8_lossy(secret);
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with("-----")) {
            let line = if line.starts_with(TOKEN.0) { line.split(TOKEN.1).next().unwrap_or(line) } else { line };
            self.add(line, SecretFinder::add);
        }
    }

    /// Adds a value that may be a secret or contain one, such as a path: it is found only as a whole.
    pub fn add_value(&mut self, value: &[u8]) {
        for line in String::from_utf8_lossy(value).lines().map(str::trim) {
            self.add(line, SecretFinder::add_whole);
        }
    }

    fn add(&mut self, secret: &str, add: fn(&mut SecretFinder<String>, String) -> usize) {
        if SECRET_BYTES_MIN <= secret.len() && self.count < SECRETS_MAX && !self.secrets.contains(secret.as_bytes()) {
            self.count += 1;
            add(&mut self.secrets, secret.to_owned());
        }
    }

    /// Redacts a text of several lines.
    pub fn text(&self, text: &str) -> String {
        self.text_start(text, text.len())
    }

    /// Redacts the first `bytes_max` bytes of a text. If there are more, the word that is cut is dropped: what it is
    /// could not be recognized.
    pub fn text_start(&self, text: &str, bytes_max: usize) -> String {
        let read = &text[..text.floor_char_boundary(bytes_max)];
        let words = match read.len() == text.len() {
            true => read,
            false => &read[..read.rfind(char::is_whitespace).unwrap_or(read.len())],
        };
        // The finder reads the text to its cut, to recognize that a secret may begin there.
        let known = self.secrets.redact_start(text, words.len(), |_| REDACTED.to_owned());
        let lines: Vec<_> = without_pem(&known).split('\n').map(shapes).collect();
        lines.join("\n")
    }

    /// Redacts a JSON document: by the names of its fields, and in every text in it.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) if self.is_known_bytes(&items) => Value::String(REDACTED.to_owned()),
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

    /// Whether a list is the bytes of a known secret, or has them in it.
    fn is_known_bytes(&self, items: &[Value]) -> bool {
        let numbers: Vec<_> = items.iter().filter_map(Value::as_u64).map(|number| number.to_string()).collect();
        let text = numbers.join(" ");
        numbers.len() == items.len() && self.replace_known(&text) != text
    }

    fn replace_known(&self, text: &str) -> String {
        self.secrets.redact(text, |_| REDACTED.to_owned())
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
        check("<Y29ycmVjdCBob3JzZS9iYXR0ZXJ5>", "<[redacted]>");
        assert!(!format!("{redactor:?}").contains("horse"));
    }

    #[test]
    fn parts_and_encodings_of_secrets_are_redacted() {
        let mut redactor = Redactor::default();
        redactor.add_secret(b"correct horse/battery\n");
        let gone = |text: &str| assert_eq!(redactor.text(text), "[redacted]", "{text}");
        gone("horse/battery");
        gone("636f727265637420686f727365");
        gone("correct%20horse/batt%65ry");
        gone("99, 111, 114, 114, 101, 99, 116, 32, 104");
        assert_eq!(redactor.text("dXNlcjpjb3JyZWN0IGhvcnNlL2JhdHRlcnk="), "dXNlcj[redacted]=");
    }

    /// A text is cut before it is redacted, which bounds the memory, and no beginning of a secret remains at its end.
    #[test]
    fn a_text_is_cut_before_it_is_redacted() {
        let mut redactor = Redactor::default();
        redactor.add_secret(b"correct-horse-battery-staple");
        for secret in ["correct-horse-battery-staple", " https://user:unknown@host/"] {
            for bytes in 1..secret.len() {
                let text = format!("{}{secret}{}", "x".repeat(1_000), "y".repeat(1_000));
                let kept = redactor.text_start(&text, 1_000 + bytes);
                assert!(kept.bytes().all(|byte| byte == b'x') && 800 < kept.len(), "{bytes}: {kept}");
            }
        }
        assert_eq!(redactor.text_start("a b", 3), "a b");
        assert_eq!(redactor.text_start("", 3), "");
    }

    /// JSON and `{:#?}` write bytes one a line.
    #[test]
    fn a_list_of_bytes_over_several_lines_is_redacted() {
        let mut redactor = Redactor::default();
        let secret = b"correct horse/battery";
        redactor.add_secret(secret);
        assert_eq!(redactor.text(&format!("key: {secret:#?}\nend")), "key: [\n    [redacted],\n]\nend");
        let document = json!({"bytes": secret.to_vec(), "ports": [8443, 7443]});
        assert_eq!(redactor.value(document), json!({"bytes": REDACTED, "ports": [8443, 7443]}));
    }

    #[test]
    fn a_value_and_the_servers_of_a_token_are_not_redacted_in_parts() {
        let mut redactor = Redactor::default();
        redactor.add_value(b"/etc/linecamp/secrets/none");
        redactor.add_secret(b"lct_0123456789abcdefghij@camp.example:8443\n");
        let kept = "/etc/linecamp/secrets/other of camp.example:8443";
        assert_eq!(redactor.text(kept), kept);
        assert_eq!(redactor.text("/etc/linecamp/secrets/none: 456789abcde"), "[redacted]: [redacted]");
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
