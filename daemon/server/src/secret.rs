//! Secrets, generated from the operating system's random bytes.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use linecamp_model::SecretHash;
use linecamp_transport::{TransportError, random_bytes};

const PREFIX: &str = "lck_";
const KEY_BYTES: usize = 32;

/// An API key, which authenticates an operator. The server stores only its hash. `Debug` redacts it.
///
/// Its text is `lck_` and 43 characters of base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyText([u8; KEY_BYTES]);

impl ApiKeyText {
    /// Generates a new key.
    ///
    /// # Errors
    /// [`TransportError`] if the operating system has no random bytes.
    pub(crate) fn generate() -> Result<Self, TransportError> {
        random_bytes().map(Self)
    }

    /// Parses `lck_…`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.strip_prefix(PREFIX)?.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Returns the key in plain text, which grants access to anyone who reads it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&self.0))
    }

    /// Returns the hash that the server stores.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formatted_key_parses_to_itself_and_is_omitted_from_logs() {
        let key = ApiKeyText::generate().unwrap();
        assert_ne!(key, ApiKeyText::generate().unwrap());
        assert_eq!(ApiKeyText::parse(&key.reveal()), Some(key.clone()));
        assert!(!format!("{key:?}").contains(&key.reveal()[4..]));
        for bad in ["", "lck_", "lct_", &key.reveal()[1..], &format!("{}A", key.reveal())] {
            assert_eq!(ApiKeyText::parse(bad), None, "{bad}");
        }
    }
}
