//! Secrets of the site: named by the spec, read at each call, wiped after it.

use std::fmt;

use linecamp_model::SecretName;
use zeroize::Zeroizing;

use crate::binding::SecretScope;

/// The site's secrets.
pub trait Secrets: Send + Sync {
    /// Returns a secret as it is at this moment, and who may use it. The host keeps it no longer than a call.
    fn find(&self, name: &SecretName) -> SiteSecret;
}

/// What there is under the name of a secret. Both parts are of one version of the site's configuration.
#[derive(Clone, Debug)]
pub struct SiteSecret {
    /// Who may use it.
    pub scope: SecretScope,
    /// The secret, or why there is none. Who may not use it does not get to see why.
    pub content: Result<Secret, SecretError>,
}

impl SiteSecret {
    /// What there is under a name that the site's configuration does not have; `place` says where it belongs.
    pub fn missing(name: &SecretName, place: impl Into<String>) -> Self {
        let content = Err(SecretError::Missing { name: name.clone(), place: place.into() });
        Self { scope: SecretScope::LocalProviders, content }
    }
}

/// The bytes of a secret: wiped when dropped, and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes what a file holds; line ends and spaces behind it are not part of the secret.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = Zeroizing::new(bytes);
        let kept = bytes.trim_ascii_end().len();
        bytes.truncate(kept);
        Self(bytes)
    }

    /// Returns the bytes, for whoever puts them on the wire.
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
    /// There is none of this name.
    #[error("the site has no secret `{name}`; put it into {place}")]
    Missing {
        /// Which.
        name: SecretName,
        /// Where it was looked for.
        place: String,
    },
    /// There is one, and it cannot be read.
    #[error("the site's secret `{name}` cannot be read: {problem}")]
    Unreadable {
        /// Which.
        name: SecretName,
        /// Why, without a word of its content.
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
