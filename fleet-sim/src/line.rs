//! The kinds of lines that sites are on.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// The kind of line a site is on. Figures are of the order that field reports name; a scenario is about what
/// follows from them, not about the third digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// In the server's own town.
    Datacenter,
    /// A telephone line.
    Dsl,
    /// A mobile network.
    Lte,
    /// By way of a geostationary satellite.
    Satellite,
    /// A mobile network where every byte is paid for: keep-alive each 60 s.
    Metered,
    /// A satellite, and dark for weeks.
    Ship,
}

impl Profile {
    /// Returns the kind as one word.
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

    /// Returns what the line does to packets.
    pub(crate) const fn line(self) -> Line {
        let millis = Duration::from_millis;
        match self {
            Self::Datacenter => Line { latency: millis(1), jitter: millis(1), loss_per_mille: 0 },
            Self::Dsl => Line { latency: millis(15), jitter: millis(5), loss_per_mille: 2 },
            Self::Lte | Self::Metered => Line { latency: millis(45), jitter: millis(40), loss_per_mille: 10 },
            Self::Satellite | Self::Ship => Line { latency: millis(300), jitter: millis(30), loss_per_mille: 10 },
        }
    }

    /// Whether every byte is paid for.
    pub(crate) const fn is_metered(self) -> bool {
        matches!(self, Self::Metered | Self::Ship)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a line does to packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// One way.
    pub(crate) latency: Duration,
    /// At most so much is added, evenly.
    pub(crate) jitter: Duration,
    /// Packets lost, of a thousand.
    pub(crate) loss_per_mille: u32,
}
