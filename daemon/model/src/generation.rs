//! Generations, which number documents and only increase, and incarnations, which generations belong to.

use std::fmt;

use crate::limits::COUNTER_MAX;

/// The generation of a spec or status document. Within one site and one direction no two changes share a generation, so
/// "everything above g" is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation before the first change.
    pub const ZERO: Self = Self(0);

    /// Returns the next generation. It never exceeds what can be decoded again: the successor of [`COUNTER_MAX`] is
    /// itself, and no honest incarnation gets there.
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

/// Identifies one sequence of generations: drawn at random when a database is created. Generations of different
/// incarnations cannot be compared, so a peer that sees an unknown incarnation requests a full snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation(pub u64);
