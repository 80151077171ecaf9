//! What keeps a server from being made, from starting or from running.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use linecamp_model::limits::API_KEYS_MAX;
use linecamp_model::{Name, TokenError};
use linecamp_service::LayersError;
use linecamp_store::{StoreError, StoreFault};
use linecamp_transport::TransportError;

/// Why a command of `linecamp-server` was not done.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration does not read.
    #[error(transparent)]
    Config(#[from] LayersError),
    /// A value of the configuration is out of its range.
    #[error("{place}: {key} {problem}")]
    ConfigValue {
        /// The file and the line.
        place: String,
        /// Which key.
        key: &'static str,
        /// What is wrong, and what may stand there.
        problem: String,
    },
    /// There is a server in the directory already.
    #[error(
        "{} holds a server already: start it with `linecamp-server run --data {0}`, make another admin key with \
         `linecamp-server key create --data {0} --name NAME`, or name another directory",
        dir.display()
    )]
    Initialised {
        /// The directory.
        dir: PathBuf,
    },
    /// There is half a server in the directory.
    #[error(
        "{} holds {found} but no whole server: an earlier init did not finish, or files were lost. If it never ran, remove \
         {found} and run init again; if it did, restore the directory from a backup",
        dir.display()
    )]
    HalfInitialised {
        /// The directory.
        dir: PathBuf,
        /// What is there.
        found: String,
    },
    /// There is no server in the directory.
    #[error(
        "{} holds no server: make one with `linecamp-server init --data {0} --server-url https://HOST:PORT`",
        dir.display()
    )]
    NotInitialised {
        /// The directory.
        dir: PathBuf,
    },
    /// The database is not where it should be, though there was one.
    #[error("{} is missing, and with it every registration: restore it from a backup", path.display())]
    DatabaseMissing {
        /// The database file.
        path: PathBuf,
    },
    /// A file or folder could not be made.
    #[error("failed to create {}", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something about the components of pushed plugins could not be done.
    #[error("failed to {doing} {}", path.display())]
    Plugin {
        /// What, such as `write`.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("failed to read random bytes from {path}")]
    Random {
        /// From where.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There is an API key of this name.
    #[error("there is an API key {name} already; choose another name, or remove it with `linecamp-server key rm`")]
    KeyExists {
        /// Its name.
        name: Name,
    },
    /// There are as many API keys as may be.
    #[error("there are {API_KEYS_MAX} API keys, as many as may be: remove some with `linecamp-server key rm`")]
    KeysFull,
    /// There is no API key of this name.
    #[error("there is no API key {name}; `linecamp-server key ls` lists them")]
    KeyUnknown {
        /// The name that was looked for.
        name: Name,
    },
    /// The store could not be opened, or is in use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write did not become durable.
    #[error("failed to write the database")]
    Write(#[source] StoreFault),
    /// The authority, a certificate or a socket failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An address of the link is none.
    #[error("failed to make the address that join tokens name")]
    LinkAddress(#[source] TokenError),
    /// The loop ended by itself: a defect.
    #[error("the server's loop ended by itself; this is a defect")]
    LoopEnded,
}

impl ServerError {
    /// Says whether the arguments or the configuration are at fault: exit code 2.
    pub const fn blames_input(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::ConfigValue { .. }
            | Self::Initialised { .. }
            | Self::HalfInitialised { .. }
            | Self::NotInitialised { .. }
            | Self::KeyExists { .. }
            | Self::KeysFull
            | Self::KeyUnknown { .. }
            | Self::LinkAddress(_) => true,
            Self::Transport(error) => {
                matches!(error, TransportError::BadName { .. } | TransportError::AuthorityExists { .. })
            }
            Self::DatabaseMissing { .. }
            | Self::Create { .. }
            | Self::Plugin { .. }
            | Self::Random { .. }
            | Self::Store(_)
            | Self::Write(_)
            | Self::LoopEnded => false,
        }
    }

    /// Says whether trying again is pointless until a person has done something: exit code 3.
    pub fn needs_operator(&self) -> bool {
        match self {
            Self::DatabaseMissing { .. } => true,
            Self::Store(error) => error.needs_operator(),
            Self::Transport(error) => {
                matches!(error, TransportError::Missing { .. } | TransportError::Damaged { .. })
            }
            _ => false,
        }
    }

    /// Returns what to do about it, where the words of the error do not say.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Transport(TransportError::Bind { address, source }) => bind_advice(address.port(), source),
            Self::Store(StoreError::InUse { .. }) => {
                Some("stop that process first; one server works on it at a time".into())
            }
            _ => None,
        }
    }
}

fn bind_advice(port: u16, source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            Some(format!("another process has that port; `ss -lntup 'sport = :{port}'` shows which"))
        }
        io::ErrorKind::PermissionDenied => Some(format!(
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE; take another one than {port}, or grant it"
        )),
        io::ErrorKind::AddrNotAvailable => Some("this machine has no such address; `ip address` lists them".into()),
        _ => None,
    }
}

/// Renders an error and its causes on one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
