//! Who and what: one newtype for each kind of id.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::digest::KeyFingerprint;
use crate::name::Name;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Takes the id's bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Returns the id's bytes.
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
            /// Returns the id after this one.
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
    /// A site, for ever: the first 16 bytes of its key's fingerprint, so that the same key is the same
    /// site however often it joins.
    SiteId, 16
}

random_id! {
    /// A host. A site's gateway has the id of its site.
    HostId, 16
}

random_id! {
    /// A provider of a site: the first 16 bytes of the SHA-256 of its name.
    ProviderId, 16
}

random_id! {
    /// A join token, without its secret.
    TokenId, 8
}

random_id! {
    /// One run of one daemon process: tells a site that dials again from a second machine with its identity.
    RunId, 8
}

counter_id! {
    /// An established connection of a link, numbered by the server since it started. Its order is the
    /// session epoch: what an older session says about itself cannot touch a newer one.
    SessionId
}

counter_id! {
    /// An attempt of a site to reach a server, numbered by the site since it started.
    DialId
}

counter_id! {
    /// A set of changes handed to the store, numbered since the process started.
    WriteId
}

counter_id! {
    /// A request of an operator that waits for its reply, numbered since the process started.
    CommandId
}

counter_id! {
    /// A call of a provider that waits for its reply, numbered since the process started.
    CallId
}

impl ProviderId {
    /// Returns the id of the provider with this name.
    pub fn of(name: &Name) -> Self {
        let digest = Sha256::digest(name.as_str().as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }
}

impl SiteId {
    /// Returns the id of the site that holds the key with this fingerprint.
    pub fn of_key(fingerprint: &KeyFingerprint) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&fingerprint.as_bytes()[..16]);
        Self(bytes)
    }

    /// Returns the id of the machine that the site's daemon runs on.
    pub const fn gateway(&self) -> HostId {
        HostId(self.0)
    }
}
