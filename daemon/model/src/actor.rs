//! Who gives a command.

use std::fmt;

/// The origin of a command. Every command carries one, so that a rule or an event can depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// An operator of the fleet: a client of the server's API.
    Operator,
    /// A user of the site's own machine: a client of the daemon's local socket, or `linecampd join`.
    LocalSocket,
}

impl Actor {
    /// Returns the machine-readable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::LocalSocket => "local-socket",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
