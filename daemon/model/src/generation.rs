//! The number of a document, which only rises, and the history that it counts in.

use std::fmt;

use crate::limits::COUNTER_MAX;

/// The number of a spec or status document. Within one site and one direction no two changes share a
/// generation, so "everything above g" is always exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// Before the first change.
    pub const ZERO: Self = Self(0);

    /// Returns the generation of the next change. It never leaves what can be read again: [`COUNTER_MAX`] is its own
    /// successor, and no honest history gets there.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 < COUNTER_MAX { Self(self.0 + 1) } else { Self(COUNTER_MAX) }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one history of generations: drawn at random when a database is made. Generations of different
/// histories cannot be compared, so a peer that meets an unknown one asks for everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation(pub u64);
