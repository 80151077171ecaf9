//! Blots secrets out of what plugins say.
//!
//! A plugin never sees a secret, but a service may echo it, and then it would go on into a log line or an error text. A
//! plugin that means harm can still write it differently; what it gets is bounded by what services echo, and where it
//! can take it by its grant.

use std::sync::{Arc, Mutex, PoisonError};

use linecamp_model::SecretName;
use zeroize::Zeroizing;

/// The shortest secret that is blotted out of words for people. A shorter one would tear holes into every sentence, and
/// is no secret.
const WORDS_BYTES_MIN: usize = 4;

/// The shortest secret that is blotted out of answers before a plugin sees them. A shorter one is likely to be a word
/// that the answer means (`secret`, `testing`); what is drawn at random is longer.
const ANSWER_BYTES_MIN: usize = 16;

/// The secrets of one call so far, in every form in which they went out.
#[derive(Clone, Default)]
pub(crate) struct Blotter(Arc<Mutex<Vec<Form>>>);

/// A secret as it may appear, and what stands in its place.
struct Form {
    bytes: Zeroizing<Vec<u8>>,
    instead: String,
}

impl Blotter {
    /// Adds a form of the secret `name`.
    pub(crate) fn blot(&self, name: &SecretName, form: &[u8]) {
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if forms.iter().all(|known| *known.bytes != form) {
            forms.push(Form { bytes: Zeroizing::new(form.to_vec()), instead: format!("[secret {name}]") });
            // A secret may be a part of another form.
            forms.sort_by_key(|form| std::cmp::Reverse(form.bytes.len()));
        }
    }

    /// Returns words without secrets.
    pub(crate) fn words(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.without(text.as_bytes(), WORDS_BYTES_MIN)).into_owned()
    }

    /// Returns bytes of an answer without secrets.
    pub(crate) fn answer(&self, bytes: &[u8]) -> Vec<u8> {
        self.without(bytes, ANSWER_BYTES_MIN)
    }

    /// Returns how many bytes the longest form has.
    pub(crate) fn longest(&self) -> usize {
        let forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forms.first().map_or(0, |form| form.bytes.len())
    }

    fn without(&self, bytes: &[u8], bytes_min: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for form in forms.iter().filter(|form| bytes_min <= form.bytes.len()) {
            bytes = replaced(bytes, &form.bytes, form.instead.as_bytes());
        }
        bytes
    }
}

fn replaced(bytes: Vec<u8>, what: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some(at) = position(rest, what) {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(instead);
        rest = &rest[at + what.len()..];
    }
    if kept.is_empty() && rest.len() == bytes.len() {
        return bytes;
    }
    kept.extend_from_slice(rest);
    kept
}

/// Returns where `what`, which is not empty, first stands.
fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let (first, last_start) = (*what.first()?, bytes.len().checked_sub(what.len())?);
    let mut from = 0;
    while let Some(at) = bytes.get(from..=last_start)?.iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_blotted_out_wherever_it_stands() {
        let blotter = Blotter::default();
        let name = SecretName::parse("key").unwrap();
        blotter.blot(&name, b"s3cret");
        blotter.blot(&name, b"xs3cretx");
        let check = |text: &str, expected: &str| assert_eq!(blotter.words(text), expected);
        check("", "");
        check("nothing", "nothing");
        check("s3cret", "[secret key]");
        check("a s3cret, ss3crets3cre", "a [secret key], s[secret key]s3cre");
        check("xs3cretx", "[secret key]");
        assert_eq!(blotter.answer(b"s3cret"), b"s3cret", "it may be a word");
        blotter.blot(&name, b"0123456789abcdef");
        assert_eq!(blotter.answer(b"\xff0123456789abcdef"), b"\xff[secret key]");
    }

    #[test]
    fn a_word_that_is_hardly_a_secret_stays() {
        let blotter = Blotter::default();
        blotter.blot(&SecretName::parse("key").unwrap(), b"a");
        assert_eq!(blotter.words("a banana"), "a banana");
    }
}
