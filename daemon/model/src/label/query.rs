//! The format of `LINECAMP_HOST_LABELS`: `foo=bar&hello=world`, percent-encoded.

use std::fmt;

use super::{Label, LabelError, LabelKey, LabelValue};

/// An entry of a query that is not a valid label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLabel {
    /// The key as written, truncated to 80 characters.
    pub key: String,
    /// The reason.
    pub error: LabelError,
}

impl InvalidLabel {
    pub(super) fn of(entry: &str, error: LabelError) -> Self {
        let key = entry.split('=').next().unwrap_or_default();
        Self { key: key.trim().chars().take(INVALID_KEY_CHARS_MAX).collect(), error }
    }
}

impl fmt::Display for InvalidLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            LabelError::ValueTooLong { .. } | LabelError::InvisibleCharacter { .. } => {
                write!(f, "`{}`: {}", self.key, self.error)
            }
            // These name the key or the position.
            error => error.fmt(f),
        }
    }
}

/// Characters shown of an invalid entry's key: enough to find it.
const INVALID_KEY_CHARS_MAX: usize = 80;

/// Parses one entry of a query that begins at `column`.
pub(super) fn query_label(entry: &str, column: usize) -> Result<Label, LabelError> {
    let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
    let value_column = column + key.chars().count() + 1;
    let key = percent_decode(key, column)?;
    let value = percent_decode(value, value_column)?;
    Ok(Label { key: LabelKey::parse(key.trim())?, value: LabelValue::parse(&value)? })
}

fn percent_decode(text: &str, column: usize) -> Result<String, LabelError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter().copied().enumerate();
    while let Some((index, byte)) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || rest.next().and_then(|(_, byte)| char::from(byte).to_digit(16));
                let decoded = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                bytes.push(decoded.ok_or(LabelError::BadEscape { column: column + index })?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| LabelError::NotText { column })
}
