//! The two levels of the tree: a parent and its members.
//!
//! A server is the parent of its sites, and of hosts that join it directly. The daemon of a site, its *gateway*, is the
//! parent of the hosts on its LAN. Both levels speak one protocol.

use std::fmt;

use crate::id::{HostId, SiteId};

/// What a member is registered with and linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parent {
    /// A server.
    Server,
    /// The gateway of a site.
    Gateway,
}

impl Parent {
    /// Returns the parent as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The kinds of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberKind {
    /// A site. The machine that runs its daemon is its gateway.
    Site,
    /// A host that joined by itself. It belongs to a site.
    Host,
}

impl MemberKind {
    /// Returns the kind as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Identifies a member of a parent permanently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberId {
    /// A site.
    Site(SiteId),
    /// A host that joined by itself.
    Host(HostId),
}

impl MemberId {
    /// Returns what the member is.
    pub const fn kind(self) -> MemberKind {
        match self {
            Self::Site(_) => MemberKind::Site,
            Self::Host(_) => MemberKind::Host,
        }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(id) => id.fmt(f),
            Self::Host(id) => id.fmt(f),
        }
    }
}

impl From<SiteId> for MemberId {
    fn from(id: SiteId) -> Self {
        Self::Site(id)
    }
}

impl From<HostId> for MemberId {
    fn from(id: HostId) -> Self {
        Self::Host(id)
    }
}
