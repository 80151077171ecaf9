//! Who performs an operation on the fleet.

use std::fmt;
use std::net::IpAddr;

use crate::id::{KeyId, RequestId, UserSessionId};
use crate::name::Name;

/// Who performs an operation on the fleet, and with which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub identity: Identity,
    /// The address of the client; `None` for a command that did not arrive over the network.
    pub address: Option<IpAddr>,
    /// The request, which the log names as well.
    pub request: RequestId,
}

/// Whose limits a caller uses up: all sessions and keys of a user count as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerAccount {
    /// A user.
    User(Name),
    /// A key of the console.
    Key(KeyId),
    /// The console itself.
    Console,
}

/// Who a caller is, and by what it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The server's own console: a person with access to its data directory.
    Console,
    /// A user, in a session that began with a login.
    User(Name, UserSessionId),
    /// An API key.
    Key(KeyIdentity),
    /// Nobody: a request without credentials.
    Anonymous,
}

/// An API key, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIdentity {
    /// Its ID.
    pub id: KeyId,
    /// Its name.
    pub name: Name,
    /// The user it belongs to; `None` for a key of the server's console.
    pub user: Option<Name>,
}

impl Identity {
    /// Returns whose limits the caller uses up.
    pub fn account(&self) -> CallerAccount {
        match (self, self.user()) {
            (_, Some(user)) => CallerAccount::User(user.clone()),
            (Self::Key(key), None) => CallerAccount::Key(key.id),
            (Self::Console | Self::Anonymous | Self::User(..), None) => CallerAccount::Console,
        }
    }

    /// Returns the user that acts, in a session or by a key.
    pub const fn user(&self) -> Option<&Name> {
        match self {
            Self::User(name, _) => Some(name),
            Self::Key(key) => key.user.as_ref(),
            Self::Console | Self::Anonymous => None,
        }
    }
}

impl Caller {
    /// Returns the server's own console.
    pub const fn console() -> Self {
        Self { identity: Identity::Console, address: None, request: RequestId::from_bytes([0; 8]) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console => f.write_str("console"),
            Self::User(name, _) => write!(f, "user {name}"),
            Self::Key(KeyIdentity { name, user: Some(user), .. }) => write!(f, "user {user}, key {name}"),
            Self::Key(KeyIdentity { name, .. }) => write!(f, "key {name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}
