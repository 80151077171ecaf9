//! The forms in which a service may echo a secret that it was sent: the whole secret, literally or encoded.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use linecamp_model::SecretName;
use zeroize::Zeroizing;

/// The shortest form that is redacted in responses before a plugin sees them. A shorter one may well be a word that
/// belongs to the response (`secret`, `testing`); randomly generated secrets are longer.
const FORM_BYTES_MIN: usize = 16;

/// The secrets that were sent, in every form.
#[derive(Default)]
pub(crate) struct Forms(Vec<Form>);

/// One form of a secret, and its replacement.
struct Form {
    bytes: Zeroizing<Vec<u8>>,
    instead: String,
}

impl Forms {
    /// Adds the secret `name` as it was sent, and its usual encodings.
    pub(crate) fn add_secret(&mut self, name: &SecretName, sent: &[u8]) {
        if self.0.iter().any(|known| *known.bytes == sent) {
            return;
        }
        for bytes in [Zeroizing::new(sent.to_vec())].into_iter().chain(encodings(sent)) {
            if FORM_BYTES_MIN <= bytes.len() && self.0.iter().all(|known| known.bytes != bytes) {
                self.0.push(Form { bytes, instead: format!("[secret {name}]") });
            }
        }
        // A secret may be contained in another form, so the longest forms are replaced first.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.bytes.len()));
    }

    /// Returns bytes with every form replaced.
    pub(crate) fn redact(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.iter().fold(bytes.to_vec(), |bytes, form| replaced(bytes, &form.bytes, form.instead.as_bytes()))
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
        form_encoded(secret, &HEXUPPER),
        form_encoded(secret, &HEXLOWER),
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

/// Encodes as an HTML form: like a URL, but a space is a `+`.
fn form_encoded(secret: &[u8], hex: &data_encoding::Encoding) -> String {
    percent_encoded(secret, hex, is_unreserved).replace("%20", "+")
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
    fn a_response_loses_whole_secrets_and_their_encodings() {
        let mut forms = Forms::default();
        forms.add_secret(&SecretName::parse("key").unwrap(), br#"Zx9/Qw+e=r%T y&u\i"o'p{as}d?>~"#);
        let gone = |text: &str| assert_eq!(forms.redact(text.as_bytes()), b"[secret key]", "{text}");
        gone(r#"Zx9/Qw+e=r%T y&u\i"o'p{as}d?>~"#);
        gone("Wng5L1F3K2U9ciVUIHkmdVxpIm8ncHthc31kPz5+");
        gone("Wng5L1F3K2U9ciVUIHkmdVxpIm8ncHthc31kPz5-");
        gone("5a78392f51772b653d722554207926755c69226f27707b61737d643f3e7e");
        gone("Zx9%2FQw%2Be%3Dr%25T%20y%26u%5Ci%22o%27p%7Bas%7Dd%3F%3E~");
        gone("Zx9%2FQw%2Be%3Dr%25T+y%26u%5Ci%22o%27p%7Bas%7Dd%3F%3E~");
        gone("Zx9%2fQw%2be%3dr%25T+y%26u%5ci%22o%27p%7bas%7dd%3f%3e~");
        gone(r#"Zx9/Qw+e=r%T y&u\\i\"o'p{as}d?>~"#);
        forms.add_secret(&SecretName::parse("word").unwrap(), b"s3cret");
        assert_eq!(forms.redact(b"\xffs3cret"), b"\xffs3cret", "it may be a word");
        forms.add_secret(&SecretName::parse("other").unwrap(), b"0123456789abcdef");
        assert_eq!(forms.redact(b"\xff0123456789abcdef"), b"\xff[secret other]");
    }
}
