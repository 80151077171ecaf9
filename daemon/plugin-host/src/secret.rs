//! Secrets of the site: named in the provider's spec, read on each call, wiped after it.

use std::fmt;

use linecamp_model::SecretName;
use zeroize::Zeroizing;

use crate::secret_binding::SecretScope;

/// The site's secrets.
pub trait Secrets: Send + Sync {
    /// Returns the current value of a secret, and who may use it. The host keeps it for one call at most.
    fn find(&self, name: &SecretName) -> SiteSecret;
}

/// A secret as the site's configuration defines it. Both fields come from the same version of the configuration.
#[derive(Clone, Debug)]
pub struct SiteSecret {
    /// Who may use it.
    pub scope: SecretScope,
    /// The secret, or why it cannot be read. A provider outside of `scope` does not learn the reason.
    pub content: Result<Secret, SecretError>,
}

impl SiteSecret {
    /// The entry for a name that is not in the site's configuration; `place` names where to define it.
    pub fn missing(name: &SecretName, place: impl Into<String>) -> Self {
        let content = Err(SecretError::Missing { name: name.clone(), place: place.into() });
        Self { scope: SecretScope::LocalProviders, content }
    }
}

/// The bytes of a secret: wiped on drop, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Wraps the content of a secret file. Trailing whitespace, including the line end, is not part of the secret.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = Zeroizing::new(bytes);
        let kept = bytes.trim_ascii_end().len();
        bytes.truncate(kept);
        Self(bytes)
    }

    /// Returns the bytes, to be put on the wire.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No secret of this name is defined.
    #[error("the site has no secret `{name}`; add it to {place}")]
    Missing {
        /// The name.
        name: SecretName,
        /// Where to define it.
        place: String,
    },
    /// The secret is defined but cannot be read.
    #[error("cannot read the site's secret `{name}`: {problem}")]
    Unreadable {
        /// The name.
        name: SecretName,
        /// The reason, without any of the secret's content.
        problem: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_before_the_line_does() {
        assert_eq!(Secret::new(b" s3cret\r\n".to_vec()).expose(), b" s3cret");
        assert_eq!(format!("{:?}", Secret::new(b"s3cret".to_vec())), "Secret");
    }
}
