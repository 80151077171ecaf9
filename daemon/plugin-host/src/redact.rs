//! Redacts secrets in plugin output and service responses.
//!
//! Two filters, because a response is data that must not be changed without need:
//!
//! - In *texts* that leave the sandbox, every secret that the provider may use is redacted, in parts and in the usual
//!   encodings ([`SecretFinder`]), whether or not the call has used it: a service may have it from an earlier call.
//!   User information in quoted URLs is removed as well.
//! - In *responses* to the plugin, which are data, each secret that the call has sent is redacted as a whole, literally
//!   and in its encodings.
//!
//! A plugin never sees a secret, but a service may echo it, and the echo could end up in a log line or an error text. A
//! malicious plugin can still re-encode an echoed secret; what it can obtain is limited to what services echo, and
//! where it can send that is limited by its grant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use linecamp_model::{Name, SecretFinder, SecretName};
use zeroize::Zeroizing;

use crate::secret::Secrets;

mod forms;

use self::forms::Forms;

/// The shortest secret that is redacted in text for users. Redacting a shorter one would make text unreadable, and a
/// value that short is no secret.
const WORDS_BYTES_MIN: usize = 4;

/// Bytes of a text that are read. The rest is dropped, so that a text of megabytes costs nothing.
const READ_BYTES_MAX: usize = 4 * 1024;

/// The secrets of a call.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Arc<Mutex<Known>>);

/// The known secrets, and where the others are.
#[derive(Default)]
struct Known {
    assigned: Option<AssignedSecrets>,
    finder: SecretFinder<Zeroizing<Vec<u8>>>,
    /// The name of each secret in `finder`.
    names: Vec<SecretName>,
    sent: Forms,
    /// Why the host did not use a secret. A plugin passes it on, and it says what to change, so it is not cut.
    refusal: Option<String>,
}

/// The secrets that a provider may use. They are read when the first text is redacted.
pub(crate) struct AssignedSecrets {
    pub(crate) provider: Name,
    pub(crate) is_local: bool,
    /// The plugin's handles, mapped to the names of the site's secrets.
    pub(crate) handles: BTreeMap<SecretName, SecretName>,
    pub(crate) secrets: Arc<dyn Secrets>,
}

impl Redactor {
    /// Redacts all secrets that a provider may use. One that it may not use is left alone: it can never have got it,
    /// and a redaction would confirm a guess.
    pub(crate) fn new(assigned: AssignedSecrets) -> Self {
        Self(Arc::new(Mutex::new(Known { assigned: Some(assigned), ..Known::default() })))
    }

    /// Adds the secret `name`, which is about to be sent.
    pub(crate) fn add_secret(&self, name: &SecretName, secret: &[u8]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.sent.add_secret(name, secret);
        known.add(name, secret);
    }

    /// Adds another form in which the secret `name` is about to be sent, such as the base64 of a user and a password.
    pub(crate) fn add_form(&self, name: &SecretName, form: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sent.add_secret(name, form);
    }

    /// Sets the words with which the host refuses a secret.
    pub(crate) fn set_refusal(&self, refusal: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refusal = Some(refusal.to_owned());
    }

    /// Returns the beginning of a text with secrets redacted: at most `bytes_max` bytes of it, besides the host's
    /// refusal of a secret.
    pub(crate) fn redact_text(&self, text: &str, bytes_max: usize) -> String {
        let mut redacted = without_user_info(&self.redact_start(text));
        if READ_BYTES_MAX < text.len() {
            redacted.push('…');
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.refusal.as_deref().and_then(|refusal| Some((redacted.split_once(refusal)?, refusal))) {
            Some(((before, after), refusal)) => {
                let before = cut(before, bytes_max);
                format!("{before}{refusal}{}", cut(after, bytes_max - before.len()))
            }
            None => cut(&redacted, bytes_max),
        }
    }

    /// Returns the bytes of a response with secrets redacted.
    pub(crate) fn redact_response(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sent.redact(bytes)
    }

    fn redact_start(&self, text: &str) -> String {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if text.is_empty() {
            return String::new();
        }
        if let Some(assigned) = known.assigned.take() {
            for (handle, of_site) in &assigned.handles {
                let found = assigned.secrets.find(of_site);
                if let Ok(secret) = &found.content
                    && found.scope.includes(&assigned.provider, assigned.is_local)
                {
                    known.add(handle, secret.expose());
                }
            }
        }
        known.finder.redact_start(text, READ_BYTES_MAX, |secret| format!("[secret {}]", known.names[secret]))
    }
}

impl Known {
    fn add(&mut self, name: &SecretName, secret: &[u8]) {
        if WORDS_BYTES_MIN <= secret.len() && !self.finder.contains(secret) {
            self.names.push(name.clone());
            self.finder.add(Zeroizing::new(secret.to_vec()));
        }
    }
}

/// Returns the beginning of a text, in at most `bytes_max` bytes.
fn cut(text: &str, bytes_max: usize) -> String {
    match bytes_max.checked_sub("…".len()) {
        _ if text.len() <= bytes_max => text.to_owned(),
        Some(bytes) => format!("{}…", &text[..text.floor_char_boundary(bytes)]),
        None => String::new(),
    }
}

/// Returns a text with the user information removed from all URLs.
pub(crate) fn without_user_info(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, authority) = rest.split_at(at + 3);
        let ends = |letter: char| letter.is_whitespace() || "/?#`\"<>".contains(letter);
        let end = authority.find(ends).unwrap_or(authority.len());
        kept.push_str(before);
        rest = match authority[..end].rfind('@') {
            Some(host) => {
                kept.push('…');
                &authority[host..]
            }
            None => authority,
        };
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Secret, SiteSecret};
    use crate::secret_binding::SecretScope;

    #[test]
    fn a_secret_is_redacted_everywhere() {
        let redactor = Redactor::default();
        let name = SecretName::parse("key").unwrap();
        redactor.add_secret(&name, b"s3cret");
        redactor.add_secret(&name, b"xs3cretx");
        let check = |text: &str, expected: &str| assert_eq!(redactor.redact_text(text, 999), expected);
        check("", "");
        check("nothing", "nothing");
        check("s3cret", "[secret key]");
        check("a s3cret, ss3crets3cre", "a [secret key], s[secret key]s3cre");
        check("xs3cretx", "[secret key]");
        redactor.add_secret(&name, b"0123456789abcdef");
        assert_eq!(redactor.redact_response(b"\xff0123456789abcdef"), b"\xff[secret key]");
    }

    #[test]
    fn the_usual_encodings_of_a_secret_are_redacted() {
        let redactor = Redactor::default();
        redactor.add_secret(&SecretName::parse("key").unwrap(), br#"Zx9/Qw+e=r%T y&u\i"o'p{as}d?>~"#);
        let gone = |text: &str| {
            assert_eq!(redactor.redact_text(&format!("it is {text}."), 999), "it is [secret key].", "{text}")
        };
        gone("Wng5L1F3K2U9ciVUIHkmdVxpIm8ncHthc31kPz5+");
        gone("Wng5L1F3K2U9ciVUIHkmdVxpIm8ncHthc31kPz5-");
        gone("5a78392f51772b653d722554207926755c69226f27707b61737d643f3e7e");
        gone("5A78392F51772B653D722554207926755C69226F27707B61737D643F3E7E");
        gone("Zx9%2FQw%2Be%3Dr%25T%20y%26u%5Ci%22o%27p%7Bas%7Dd%3F%3E~");
        gone("Zx9%2fQw%2be%3dr%25T%20y%26u%5ci%22o%27p%7bas%7dd%3f%3e~");
        gone("%5A%78%39%2F%51%77%2B%65%3D%72%25%54%20%79%26%75%5C%69%22%6F%27%70%7B%61%73%7D%64%3F%3E%7E");
        gone("%5a%78%39%2f%51%77%2b%65%3d%72%25%54%20%79%26%75%5c%69%22%6f%27%70%7b%61%73%7d%64%3f%3e%7e");
        gone(r#"Zx9/Qw+e=r%T y&u\\i\"o'p{as}d?>~"#);
    }

    #[test]
    fn a_part_of_a_secret_and_an_encoding_at_any_offset_are_redacted() {
        let redactor = Redactor::default();
        redactor.add_secret(&SecretName::parse("key").unwrap(), b"an-api-key-drawn-at-random");
        let gone = |text: &str| assert_eq!(redactor.redact_text(text, 999), "[secret key]", "{text}");
        gone("api-key-d");
        gone("YW4tYXBpLWtleS1kcmF3bi1hdC1yYW5kb20");
        gone(r"\u0061n-api\u002dkey-drawn-at-random");
        gone("an-api%2Dkey%2ddrawn-at-random");
        let text = redactor.redact_text("dXNlcjphbi1hcGkta2V5LWRyYXduLWF0LXJhbmRvbQ==", 999);
        assert_eq!(text, "dXNlcj[secret key]==");
        assert_eq!(redactor.redact_text("61:6e:2d:61:70:69:2d:6b:65:79:2d:64", 999), "[secret key]");
    }

    #[test]
    fn a_url_is_quoted_without_user_information() {
        let check = |text: &str, expected: &str| assert_eq!(Redactor::default().redact_text(text, 999), expected);
        check("GET http://u:PASSWORD@host/x: refused", "GET http://…@host/x: refused");
        check("`https://u@a.example` and https://b:c@d@e", "`https://…@a.example` and https://…@e");
        check("https://a.example/x@y, ftp:// and a@b", "https://a.example/x@y, ftp:// and a@b");
    }

    #[test]
    fn a_value_too_short_for_a_secret_is_not_redacted() {
        let redactor = Redactor::default();
        redactor.add_secret(&SecretName::parse("key").unwrap(), b"a");
        assert_eq!(redactor.redact_text("a banana", 999), "a banana");
    }

    /// A text is redacted before it is cut, and what is read of a long one has no beginning of a secret at its end.
    #[test]
    fn a_cut_text_shows_no_beginning_of_a_secret() {
        let redactor = Redactor::default();
        let secret = "0123456789abcdef".repeat(8);
        redactor.add_secret(&SecretName::parse("key").unwrap(), secret.as_bytes());
        let before = "x".repeat(250);
        for text in [secret.clone(), data_encoding::BASE64.encode(secret.as_bytes())] {
            assert_eq!(redactor.redact_text(&format!("{before}{text}{before}"), 256), format!("{before}[se…"));
        }
        let long = redactor.redact_text(&secret.repeat(99), 256);
        assert_eq!(long, "[secret key]…");
        assert_eq!(redactor.redact_text(&"é".repeat(1_000_000), 20), format!("{}…", "é".repeat(8)));
    }

    #[test]
    fn the_hosts_refusal_of_a_secret_is_not_cut() {
        let redactor = Redactor::default();
        let refusal = format!("provider main-dns may not use it; {}", "what to do ".repeat(15));
        redactor.set_refusal(&refusal);
        let said = |before: &str, after: &str| redactor.redact_text(&format!("{before}{refusal}{after}"), 40);
        assert_eq!(said("GET http://pdns/: ", "."), format!("GET http://pdns/: {refusal}."));
        let long = "x".repeat(99);
        assert_eq!(said(&long, &long), format!("{}…{refusal}", "x".repeat(37)));
        assert_eq!(said("", &long), format!("{refusal}{}…", "x".repeat(37)));
    }

    #[test]
    fn the_secrets_that_a_provider_may_use_are_redacted_before_they_are_used() {
        let name = |text: &str| SecretName::parse(text).unwrap();
        let redactor = |is_local| {
            Redactor::new(AssignedSecrets {
                provider: Name::parse("main-dns").unwrap(),
                is_local,
                handles: [(name("key"), name("pdns-key"))].into(),
                secrets: Arc::new(One),
            })
        };
        assert_eq!(redactor(true).redact_text("it is s3cret", 99), "it is [secret key]");
        assert_eq!(
            redactor(false).redact_text("it is s3cret", 99),
            "it is s3cret",
            "a redaction would confirm a guess"
        );
    }

    /// One secret without a binding.
    struct One;

    impl Secrets for One {
        fn find(&self, _name: &SecretName) -> SiteSecret {
            SiteSecret { scope: SecretScope::LocalProviders, content: Ok(Secret::new(b"s3cret".to_vec())) }
        }
    }
}
