//! The two kinds of databases.

use std::fmt;

/// The kind of a database. Each kind has its own application ID, so that one is never opened as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A site's database.
    Site,
    /// The server's database.
    Fleet,
}

impl Kind {
    /// SQLite's `application_id`: `LCst` and `LCfl` in ASCII, so that `file` and `hexdump` can tell them apart.
    pub(crate) const fn application_id(self) -> u32 {
        match self {
            Self::Site => u32::from_be_bytes(*b"LCst"),
            Self::Fleet => u32::from_be_bytes(*b"LCfl"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Site => "site",
            Self::Fleet => "fleet",
        })
    }
}
