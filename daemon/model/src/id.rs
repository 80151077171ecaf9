//! IDs: one newtype per kind.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::digest::SecretHash;
use crate::name::Name;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Creates the ID from its bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// Parses the hexadecimal form that `Display` writes; `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

macro_rules! counter_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// Returns the next ID.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

random_id! {
    /// Identifies a site permanently. Drawn at random when the site registers; its keys may change.
    SiteId, 16
}

random_id! {
    /// Identifies a host of a site permanently. Drawn at random when the host registers.
    HostId, 16
}

random_id! {
    /// Identifies a provider of a site: the first 16 bytes of the SHA-256 of its name.
    ProviderId, 16
}

random_id! {
    /// Identifies a join token; contains no secret.
    TokenId, 8
}

random_id! {
    /// Identifies a request to the server's API, in its answer, in the log and in the audit log.
    RequestId, 8
}

random_id! {
    /// Identifies an API key; contains no secret.
    KeyId, 8
}

random_id! {
    /// Identifies a bulk action.
    BulkActionId, 8
}

random_id! {
    /// Identifies a session of a user; contains no secret.
    UserSessionId, 8
}

random_id! {
    /// Identifies one run of a daemon process. It distinguishes a reconnecting site from a second machine that uses its
    /// identity.
    RunId, 8
}

counter_id! {
    /// Identifies an established connection of a link, numbered by the server since it started. IDs are ordered and
    /// serve as the session epoch: statements of an older session about itself cannot affect a newer one.
    SessionId
}

counter_id! {
    /// Identifies a connection attempt of a site, numbered by the site since it started.
    DialId
}

counter_id! {
    /// Identifies a write submitted to the store, numbered since the process started.
    WriteId
}

counter_id! {
    /// Identifies an operator's request that waits for its reply, numbered since the process started.
    CommandId
}

counter_id! {
    /// Identifies a provider call that waits for its reply, numbered since the process started.
    CallId
}

impl KeyId {
    /// Returns the ID of a key that was created without one: the first bytes of the hash of its secret.
    pub fn of_secret(secret: &SecretHash) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *secret.as_bytes();
        Self([a, b, c, d, e, f, g, h])
    }
}

impl ProviderId {
    /// Returns the ID of the provider with this name.
    pub fn of(name: &Name) -> Self {
        let digest = Sha256::digest(name.as_str().as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }
}
