//! Who performs an operation on the fleet.

use std::fmt;
use std::net::IpAddr;

use crate::id::RequestId;
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

/// Who a caller is, and by what it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The server's own console: a person with access to its data directory.
    Console,
    /// An API key.
    Key(Name),
    /// Nobody: a request without credentials.
    Anonymous,
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
            Self::Key(name) => write!(f, "key {name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}
