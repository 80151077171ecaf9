//! Secrets, generated from the operating system's random bytes.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use linecamp_core::ApiCredential;
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

const SESSION_PREFIX: &str = "lcs_";

/// The secret of a session of a user. The server stores only its hash. `Debug` redacts it.
///
/// Its text is `lcs_` and 43 characters of base64url.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionText([u8; KEY_BYTES]);

impl SessionText {
    /// Generates a new secret.
    ///
    /// # Errors
    /// [`TransportError`] if the operating system has no random bytes.
    pub(crate) fn generate() -> Result<Self, TransportError> {
        random_bytes().map(Self)
    }

    /// Returns the secret in plain text, which grants access to anyone who reads it.
    pub(crate) fn reveal(&self) -> String {
        format!("{SESSION_PREFIX}{}", BASE64URL_NOPAD.encode(&self.0))
    }

    /// Returns the hash that the server stores.
    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Debug for SessionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Parses the text of an API key or of a session's secret; `None` for anything else.
pub(crate) fn parse_credential(text: &str) -> Option<ApiCredential> {
    match text.strip_prefix(SESSION_PREFIX) {
        Some(rest) => {
            let bytes: [u8; KEY_BYTES] = BASE64URL_NOPAD.decode(rest.as_bytes()).ok()?.try_into().ok()?;
            Some(ApiCredential::Session(SecretHash::of(&bytes)))
        }
        None => ApiKeyText::parse(text).map(|key| ApiCredential::Key(key.hash())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_a_session_is_no_key() {
        let session = SessionText::generate().unwrap();
        assert_eq!(parse_credential(&session.reveal()), Some(ApiCredential::Session(session.hash())));
        assert_eq!(ApiKeyText::parse(&session.reveal()), None);
        assert_eq!(format!("{session:?}"), "(hidden)");
        let key = ApiKeyText::generate().unwrap();
        assert_eq!(parse_credential(&key.reveal()), Some(ApiCredential::Key(key.hash())));
        assert_eq!(parse_credential("lcs_"), None);
    }

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
