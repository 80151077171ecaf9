//! Conversion of TXT values between the contract's form and the forms of services.
//!
//! On the wire, a TXT value is one or more character-strings of at most 255 bytes; usually only their concatenated
//! content matters. The contract writes that content **without quotes, concatenated, with the backslash and all bytes
//! outside printable ASCII as `\DDD`** (three decimal digits): `v=1 "x"` contains its quotes, and a tab is `\009`.
//!
//! Services use other forms. Most use the zone file form, `"…" "…"`: [`quoted`] and [`unquoted`]. Some use the bare
//! content: [`to_bytes`] and [`from_bytes`]. The wire form is [`to_strings`] and [`from_strings`].

use std::fmt;

/// Maximum length of one character-string of a TXT value in bytes (RFC 1035, 3.3).
const STRING_BYTES_MAX: usize = 255;

/// How a service escapes bytes outside printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Three decimal digits, as in zone files (RFC 1035, 5.1).
    Decimal,
    /// Three octal digits, as in Route 53.
    Octal,
}

/// Why a text is not a TXT value in zone file form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxtError {
    /// A quote is not closed.
    UnclosedQuote,
    /// A backslash that escapes nothing, or whose digits are not a byte.
    InvalidEscape,
}

impl fmt::Display for TxtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnclosedQuote => "unclosed quote in a TXT value",
            Self::InvalidEscape => "invalid escape in a TXT value",
        })
    }
}

impl std::error::Error for TxtError {}

impl From<TxtError> for crate::ProviderError {
    /// The text came from a service: a retry, since the usual cause is a truncated response.
    fn from(error: TxtError) -> Self {
        Self::retry(error.to_string())
    }
}

/// Returns the content as bytes.
pub fn to_bytes(value: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, escaped_byte(tail, 10)) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

/// Returns the contract's form of the content.
pub fn from_bytes(bytes: &[u8]) -> String {
    let mut value = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'\\' => value.push(char::from(*byte)),
            _ => push_escaped(&mut value, *byte, 10),
        }
    }
    value
}

/// Returns the canonical form of a value that is almost in the contract's form: bytes outside printable ASCII, and a
/// backslash that does not start a `\DDD`, become `\DDD`; unnecessary escapes are removed.
pub fn canonical(value: &str) -> String {
    from_bytes(&to_bytes(value))
}

/// Splits the content into character-strings; empty content is one empty character-string.
pub fn to_strings(value: &str) -> Vec<Vec<u8>> {
    let bytes = to_bytes(value);
    match bytes.is_empty() {
        true => vec![bytes],
        false => bytes.chunks(STRING_BYTES_MAX).map(<[u8]>::to_vec).collect(),
    }
}

/// Returns the contract's form of character-strings.
pub fn from_strings(strings: &[impl AsRef<[u8]>]) -> String {
    let joined: Vec<u8> = strings.iter().flat_map(|string| string.as_ref().iter().copied()).collect();
    from_bytes(&joined)
}

/// Returns the zone file form, `"…" "…"`, of a value in the contract's form.
pub fn quoted(value: &str, escape: Escape) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    for (index, string) in to_strings(value).iter().enumerate() {
        text.push_str(if index == 0 { "\"" } else { " \"" });
        for byte in string {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
                b' '..=b'~' => text.push(char::from(*byte)),
                _ => push_escaped(&mut text, *byte, escape.radix()),
            }
        }
        text.push('"');
    }
    text
}

/// Returns the contract's form of a value in zone file form. Unquoted strings end at a blank.
///
/// # Errors
/// [`TxtError`] if a quote or an escape is incomplete.
pub fn unquoted(text: &str, escape: Escape) -> Result<String, TxtError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut is_quoted = false;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'"' => is_quoted = !is_quoted,
            b' ' | b'\t' if !is_quoted => {}
            b'\\' => match (escaped_byte(tail, escape.radix()), tail) {
                (Some(byte), _) => {
                    bytes.push(byte);
                    rest = &tail[3..];
                }
                (None, [letter, after @ ..]) if !letter.is_ascii_digit() => {
                    bytes.push(*letter);
                    rest = after;
                }
                (None, _) => return Err(TxtError::InvalidEscape),
            },
            _ => bytes.push(*first),
        }
    }
    if is_quoted { Err(TxtError::UnclosedQuote) } else { Ok(from_bytes(&bytes)) }
}

impl Escape {
    const fn radix(self) -> u8 {
        match self {
            Self::Decimal => 10,
            Self::Octal => 8,
        }
    }
}

/// Parses three digits as a byte.
fn escaped_byte(text: &[u8], radix: u8) -> Option<u8> {
    let digits = text.get(..3)?;
    let value = digits
        .iter()
        .try_fold(0_u32, |sum, digit| Some(sum * u32::from(radix) + char::from(*digit).to_digit(radix.into())?))?;
    u8::try_from(value).ok()
}

fn push_escaped(text: &mut String, byte: u8, radix: u8) {
    let digit = |value: u8| char::from(b'0' + value % radix);
    text.extend(['\\', digit(byte / radix / radix), digit(byte / radix), digit(byte)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_goes_out_and_comes_back() {
        let content: Vec<u8> = (0..=255).chain([b'\\', b'1', b'"', 255]).collect();
        let value = from_bytes(&content);
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert_eq!(to_bytes(&value), content);
        assert_eq!(canonical(&value), value);
        assert_eq!(from_strings(&to_strings(&value)), value);
        for escape in [Escape::Decimal, Escape::Octal] {
            assert_eq!(unquoted(&quoted(&value, escape), escape), Ok(value.clone()), "{escape:?}");
        }
    }

    #[test]
    fn a_long_value_is_several_strings() {
        let value = "x".repeat(300);
        assert_eq!(to_strings(&value).iter().map(Vec::len).collect::<Vec<_>>(), [255, 45]);
        assert_eq!(quoted(&value, Escape::Decimal), format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
        assert_eq!(to_strings(""), [Vec::<u8>::new()]);
        assert_eq!(quoted("", Escape::Decimal), "\"\"");
    }

    #[test]
    fn a_master_files_form_is_read() {
        let check =
            |text: &str, value: &str| assert_eq!(unquoted(text, Escape::Decimal).as_deref(), Ok(value), "{text}");
        check(r#""v=1 \"q\"""#, "v=1 \"q\"");
        check(r#""a b" "c""#, "a bc");
        check("bare words", "barewords");
        check(r#""\009\\""#, "\\009\\092");
        check("\"é\"", "\\195\\169");
        assert_eq!(quoted("\\195", Escape::Octal), "\"\\303\"");
        assert_eq!(unquoted(r#""\303""#, Escape::Octal).as_deref(), Ok("\\195"));
    }

    #[test]
    fn an_incomplete_text_is_rejected() {
        assert_eq!(unquoted("\"a", Escape::Decimal), Err(TxtError::UnclosedQuote));
        assert_eq!(unquoted("\"a\\", Escape::Decimal), Err(TxtError::InvalidEscape));
        assert_eq!(unquoted("\\25", Escape::Decimal), Err(TxtError::InvalidEscape));
        assert_eq!(unquoted("\\256", Escape::Decimal), Err(TxtError::InvalidEscape));
    }

    #[test]
    fn a_stray_backslash_gets_its_escape() {
        assert_eq!(canonical("a\\b\\999\\065"), "a\\092b\\092999A");
    }
}
