//! Line profiles of sites.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// The kind of line a site is on. The figures match the order of magnitude of field reports; scenarios depend on their
/// consequences, not on their third digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// In the same city as the server.
    Datacenter,
    /// A DSL line.
    Dsl,
    /// A mobile network.
    Lte,
    /// A geostationary satellite link.
    Satellite,
    /// A mobile network billed by the byte: keep-alive every 60 s.
    Metered,
    /// A satellite link, offline for weeks.
    Ship,
}

impl Profile {
    /// Returns the profile's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Datacenter => "datacenter",
            Self::Dsl => "dsl",
            Self::Lte => "lte",
            Self::Satellite => "satellite",
            Self::Metered => "metered",
            Self::Ship => "ship",
        }
    }

    /// Returns the line's packet characteristics.
    pub(crate) const fn line(self) -> Line {
        let millis = Duration::from_millis;
        match self {
            Self::Datacenter => Line { latency: millis(1), jitter: millis(1), loss_per_mille: 0 },
            Self::Dsl => Line { latency: millis(15), jitter: millis(5), loss_per_mille: 2 },
            Self::Lte | Self::Metered => Line { latency: millis(45), jitter: millis(40), loss_per_mille: 10 },
            Self::Satellite | Self::Ship => Line { latency: millis(300), jitter: millis(30), loss_per_mille: 10 },
        }
    }

    /// Returns whether traffic is billed by the byte.
    pub(crate) const fn is_metered(self) -> bool {
        matches!(self, Self::Metered | Self::Ship)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Packet characteristics of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// One-way latency.
    pub(crate) latency: Duration,
    /// Maximum additional delay, uniformly distributed.
    pub(crate) jitter: Duration,
    /// Packets lost, per thousand.
    pub(crate) loss_per_mille: u32,
}
