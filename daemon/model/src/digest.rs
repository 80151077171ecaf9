//! SHA-256 digests, one type per purpose: a pin, a key fingerprint, a secret hash, a plugin digest.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Computes the digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// Creates the digest from bytes computed elsewhere.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

digest! {
    /// The SHA-256 of an idempotency key, under which the answer is kept.
    IdempotencyKeyHash
}

digest! {
    /// The SHA-256 of an idempotency key and everything that the request asks for. The key makes it worthless for
    /// guessing a password in the request.
    RequestDigest
}

digest! {
    /// The SHA-256 of a certificate authority's `SubjectPublicKeyInfo` (DER): what to trust on first contact.
    Pin
}

digest! {
    /// The SHA-256 of a site's `SubjectPublicKeyInfo` (DER): the key that a peer proved to hold.
    KeyFingerprint
}

digest! {
    /// The SHA-256 of a join token's secret or of an API key. Both have 128 random bits or more, so reversing the plain
    /// hash is as hard as guessing the secret.
    SecretHash
}

digest! {
    /// The SHA-256 of a plugin's component file: identifies its exact content.
    PluginDigest
}

impl Pin {
    /// Parses `sha256:` followed by 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`PinError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, PinError> {
        let hex = text.trim().strip_prefix("sha256:").ok_or(PinError)?;
        let bytes = HEXLOWER.decode(hex.to_ascii_lowercase().as_bytes()).map_err(|_| PinError)?;
        bytes.try_into().map(Self).map_err(|_| PinError)
    }
}

/// A text that is not a valid pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pin is `sha256:` and 64 hexadecimal digits, as `linecamp-server init` prints it")]
pub struct PinError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formatted_pin_parses_to_itself() {
        let pin = Pin::of(b"key");
        assert_eq!(Pin::parse(&pin.to_string()), Ok(pin));
        assert_eq!(Pin::parse("sha256:00"), Err(PinError));
        assert_eq!(Pin::parse(&pin.to_string()[7..]), Err(PinError));
    }
}
