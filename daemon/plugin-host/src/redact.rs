//! Redacts secrets in plugin output and service responses.
//!
//! Each secret is matched literally and in the usual encodings of the whole secret: base64, hexadecimal,
//! percent-encoding, JSON escapes. User information in quoted URLs is removed as well.
//!
//! A plugin never sees a secret, but a service may echo it, and the echo could end up in a log line or an error text. A
//! malicious plugin can still re-encode an echoed secret; what it can obtain is limited to what services echo, and
//! where it can send that is limited by its grant.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use linecamp_model::SecretName;
use zeroize::Zeroizing;

/// The shortest secret that is redacted in text for users. Redacting a shorter one would make text unreadable, and a
/// value that short is no secret.
const WORDS_BYTES_MIN: usize = 4;

/// The shortest secret that is redacted in responses before a plugin sees them. A shorter one may well be a word that
/// belongs to the response (`secret`, `testing`); randomly generated secrets are longer.
const ANSWER_BYTES_MIN: usize = 16;

/// The secrets that a call has used so far, in every form in which they were sent.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Arc<Mutex<Vec<Form>>>);

/// One form of a secret, and its replacement.
struct Form {
    bytes: Zeroizing<Vec<u8>>,
    instead: String,
}

impl Redactor {
    /// Adds a form of the secret `name`, and its usual encodings.
    pub(crate) fn add_secret(&self, name: &SecretName, form: &[u8]) {
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if forms.iter().any(|known| *known.bytes == form) {
            return;
        }
        // An encoding of a value too short to be a secret is no secret either.
        let encodings = if WORDS_BYTES_MIN <= form.len() { encodings(form) } else { Vec::new() };
        for bytes in [Zeroizing::new(form.to_vec())].into_iter().chain(encodings) {
            if forms.iter().all(|known| known.bytes != bytes) {
                forms.push(Form { bytes, instead: format!("[secret {name}]") });
            }
        }
        // A secret may be contained in another form, so the longest forms are replaced first.
        forms.sort_by_key(|form| std::cmp::Reverse(form.bytes.len()));
    }

    /// Returns a text with secrets redacted.
    pub(crate) fn redact_text(&self, text: &str) -> String {
        let words = self.without(text.as_bytes(), WORDS_BYTES_MIN);
        without_user_info(&String::from_utf8_lossy(&words))
    }

    /// Returns the bytes of a response with secrets redacted.
    pub(crate) fn redact_response(&self, bytes: &[u8]) -> Vec<u8> {
        self.without(bytes, ANSWER_BYTES_MIN)
    }

    /// Returns how many bytes at the end of `text` may be the beginning of a secret that was truncated there. A match
    /// shorter than a redactable secret does not count.
    pub(crate) fn head_at_end(&self, text: &str) -> usize {
        let forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let head = |form: &Form| {
            let heads = (WORDS_BYTES_MIN..form.bytes.len()).rev();
            heads.map(|bytes| &form.bytes[..bytes]).find(|head| text.as_bytes().ends_with(head)).map_or(0, <[u8]>::len)
        };
        forms.iter().map(head).max().unwrap_or(0)
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

fn encodings(secret: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let texts = [
        BASE64_NOPAD.encode(secret),
        BASE64URL_NOPAD.encode(secret),
        HEXLOWER.encode(secret),
        HEXUPPER.encode(secret),
        percent_encoded(secret, &HEXUPPER, is_unreserved),
        percent_encoded(secret, &HEXLOWER, is_unreserved),
        percent_encoded(secret, &HEXUPPER, |_| false),
        percent_encoded(secret, &HEXLOWER, |_| false),
    ];
    let texts = texts.into_iter().map(String::into_bytes).chain([json_escaped(secret)]);
    texts.map(Zeroizing::new).collect()
}

/// Percent-encodes, as in a URL, all bytes for which `stays` is false.
fn percent_encoded(secret: &[u8], hex: &data_encoding::Encoding, stays: fn(u8) -> bool) -> String {
    let one = |byte: &u8| match *byte {
        byte if stays(byte) => char::from(byte).to_string(),
        byte => format!("%{}", hex.encode(&[byte])),
    };
    secret.iter().map(one).collect()
}

/// Whether a byte needs no encoding in a URL (RFC 3986, 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Escapes the characters that JSON requires to be escaped (RFC 8259, 7).
fn json_escaped(secret: &[u8]) -> Vec<u8> {
    let one = |byte: &u8| match byte {
        b'"' | b'\\' => vec![b'\\', *byte],
        b'\n' => b"\\n".to_vec(),
        b'\r' => b"\\r".to_vec(),
        b'\t' => b"\\t".to_vec(),
        0..0x20 => format!("\\u{byte:04x}").into_bytes(),
        byte => vec![*byte],
    };
    secret.iter().flat_map(one).collect()
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

/// Returns the position of the first occurrence of `what`; `None` if `what` is empty.
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
    fn a_secret_is_redacted_everywhere() {
        let redactor = Redactor::default();
        let name = SecretName::parse("key").unwrap();
        redactor.add_secret(&name, b"s3cret");
        redactor.add_secret(&name, b"xs3cretx");
        let check = |text: &str, expected: &str| assert_eq!(redactor.redact_text(text), expected);
        check("", "");
        check("nothing", "nothing");
        check("s3cret", "[secret key]");
        check("a s3cret, ss3crets3cre", "a [secret key], s[secret key]s3cre");
        check("xs3cretx", "[secret key]");
        assert_eq!(redactor.redact_response(b"s3cret"), b"s3cret", "it may be a word");
        redactor.add_secret(&name, b"0123456789abcdef");
        assert_eq!(redactor.redact_response(b"\xff0123456789abcdef"), b"\xff[secret key]");
    }

    #[test]
    fn the_usual_encodings_of_a_secret_are_redacted() {
        let redactor = Redactor::default();
        redactor.add_secret(&SecretName::parse("key").unwrap(), br#"Zx9/Qw+e=r%T y&u\i"o'p{as}d?>~"#);
        let gone =
            |text: &str| assert_eq!(redactor.redact_text(&format!("it is {text}.")), "it is [secret key].", "{text}");
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
    fn a_url_is_quoted_without_user_information() {
        let check = |text: &str, expected: &str| assert_eq!(Redactor::default().redact_text(text), expected);
        check("GET http://u:PASSWORD@host/x: refused", "GET http://…@host/x: refused");
        check("`https://u@a.example` and https://b:c@d@e", "`https://…@a.example` and https://…@e");
        check("https://a.example/x@y, ftp:// and a@b", "https://a.example/x@y, ftp:// and a@b");
    }

    #[test]
    fn a_value_too_short_for_a_secret_is_not_redacted() {
        let redactor = Redactor::default();
        redactor.add_secret(&SecretName::parse("key").unwrap(), b"a");
        assert_eq!(redactor.redact_text("a banana"), "a banana");
    }
}
