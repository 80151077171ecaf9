//! Errors of creating, starting and running a server.

use std::io;
use std::path::PathBuf;

use linecamp_backup::BackupError;
use linecamp_model::limits::API_KEYS_MAX;
use linecamp_model::{Name, TokenError, shell_quoted};
use linecamp_proto::api::ErrorCode;
use linecamp_proto::command_error::{CommandErrorCode, FailureCode};
use linecamp_service::LayersError;
use linecamp_store::{StoreError, StoreFault};
use linecamp_transport::{HttpsCertificateError, TransportError};

/// Why a command of `linecamp-server` failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration cannot be parsed.
    #[error(transparent)]
    Config(#[from] LayersError),
    /// A configuration value is invalid.
    #[error("{place}: {key} {problem}")]
    ConfigValue {
        /// The file and the line.
        place: String,
        /// The key.
        key: &'static str,
        /// The problem, and the values allowed.
        problem: String,
    },
    /// The directory already contains a server.
    #[error(
        "{} already contains a server. Start it with `linecamp-server run --data {1}`, create another API key with \
         `linecamp-server key create --data {1} --name NAME`, or use another directory",
        dir.display(),
        shell_quoted(dir)
    )]
    Initialized {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory contains an incomplete server.
    #[error(
        "{} contains an incomplete server (only {found}): init was interrupted, or files were lost. If the server \
         never ran, delete {found} and run init again; otherwise restore the directory from a backup",
        dir.display()
    )]
    PartlyInitialized {
        /// The directory.
        dir: PathBuf,
        /// The files found.
        found: String,
    },
    /// The directory contains no server.
    #[error(
        "no server in {}. Create one with `linecamp-server init --data {} --server-url https://HOST:PORT`",
        dir.display(),
        shell_quoted(dir)
    )]
    NotInitialized {
        /// The directory.
        dir: PathBuf,
    },
    /// The database of an initialized server is missing.
    #[error("database {} is missing; it contains every site's registration. Restore it from a backup", path.display())]
    DatabaseMissing {
        /// The database file.
        path: PathBuf,
    },
    /// A file or folder could not be created.
    #[error("failed to create {}", path.display())]
    Create {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file operation on the components of uploaded plugins failed.
    #[error("failed to {operation} {}", path.display())]
    Plugin {
        /// The operation, such as `write`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An API key of this name exists.
    #[error(
        "API key {name} already exists; choose another name, or delete it with `linecamp-server key rm --name {name}`"
    )]
    KeyExists {
        /// The name.
        name: Name,
    },
    /// The maximum number of API keys is reached.
    #[error("too many API keys (maximum {API_KEYS_MAX}); delete some with `linecamp-server key rm`")]
    KeysFull,
    /// No API key has this name.
    #[error("API key {name} not found; list the keys with `linecamp-server key ls`")]
    KeyUnknown {
        /// The requested name.
        name: Name,
    },
    /// The certificate for operators is rejected. A server starts without it; only a check of the configuration fails.
    #[error("https_certificate and https_key are rejected")]
    HttpsCertificate(#[from] HttpsCertificateError),
    /// A backup could not be written or read.
    #[error("failed to {operation} backup {file}")]
    Backup {
        /// `read` or `write`.
        operation: &'static str,
        /// The file.
        file: String,
        /// The cause.
        source: Box<BackupError>,
    },
    /// A backup contains something that no backup has, or lacks something.
    #[error("backup {file} is rejected: {problem}")]
    BackupRejected {
        /// The file.
        file: String,
        /// The problem.
        problem: String,
    },
    /// A file with a passphrase or with identities cannot be used.
    #[error("cannot use {}: {problem}", path.display())]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// The problem, without the secret.
        problem: String,
    },
    /// A backup can only be restored into an empty directory.
    #[error(
        "{} is not empty; restore into an empty or absent directory, for example {}",
        dir.display(),
        shell_quoted(dir.with_extension("restored"))
    )]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// A directory or a file in it cannot be read.
    #[error("failed to {operation} {}", path.display())]
    Directory {
        /// The operation, such as `list`.
        operation: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The database does not fit into a backup.
    #[error("the database {} has {bytes} bytes, and a backup has room for {bytes_max}", path.display())]
    DatabaseTooLarge {
        /// The database.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The maximum.
        bytes_max: u64,
    },
    /// The backup has no API key of the server's console with this name.
    #[error(
        "the backup has no API key {name} of the server's console to keep; leave out --keep-key, and create a key after \
         the restore with `linecamp-server key create`"
    )]
    KeptKeyUnknown {
        /// The name.
        name: Name,
    },
    /// No user has this name, and another admin can log in.
    #[error("user {name} not found; another admin can log in and create it: linecamp user create {name}")]
    UserUnknown {
        /// The requested name.
        name: Name,
    },
    /// The user logs in at the identity provider and has no password.
    #[error(
        "user {name} logs in at the identity provider and has no password; give the name of another user, or a new \
         name: it becomes an admin if no admin can log in"
    )]
    UserOfProvider {
        /// The requested name.
        name: Name,
    },
    /// A password could not be hashed: no memory, or a bug.
    #[error("failed to hash a password")]
    PasswordHash,
    /// The store could not be opened, or another process has locked it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write did not become durable.
    #[error("failed to write the database")]
    Write(#[source] StoreFault),
    /// The authority, a certificate or a socket failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The link address for join tokens is invalid.
    #[error("cannot determine the link address for join tokens")]
    LinkAddress(#[source] TokenError),
    /// The loop ended unexpectedly: a bug.
    #[error("the server loop ended unexpectedly; please report this bug")]
    LoopEnded,
}

impl ServerError {
    /// Returns whether the arguments or the configuration are at fault: exit code 2.
    pub fn blames_input(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::ConfigValue { .. }
            | Self::Initialized { .. }
            | Self::PartlyInitialized { .. }
            | Self::NotInitialized { .. }
            | Self::Store(StoreError::LongPath { .. })
            | Self::KeyExists { .. }
            | Self::KeysFull
            | Self::KeyUnknown { .. }
            | Self::HttpsCertificate(_)
            | Self::SecretFile { .. }
            | Self::NotEmpty { .. }
            | Self::KeptKeyUnknown { .. }
            | Self::UserUnknown { .. }
            | Self::UserOfProvider { .. }
            | Self::LinkAddress(_) => true,
            Self::Backup { source, .. } => matches!(
                **source,
                BackupError::WrongPassphrase
                    | BackupError::WrongIdentity
                    | BackupError::NeedsPassphrase
                    | BackupError::NeedsIdentity
                    | BackupError::NotEncrypted
            ),
            Self::Transport(error) => {
                matches!(error, TransportError::BadName { .. } | TransportError::AuthorityExists { .. })
            }
            Self::DatabaseMissing { .. }
            | Self::DatabaseTooLarge { .. }
            | Self::BackupRejected { .. }
            | Self::Create { .. }
            | Self::Directory { .. }
            | Self::Plugin { .. }
            | Self::Store(_)
            | Self::Write(_)
            | Self::PasswordHash
            | Self::LoopEnded => false,
        }
    }

    /// Returns whether retrying is pointless until an operator acts: exit code 3.
    pub fn needs_operator(&self) -> bool {
        match self {
            Self::DatabaseMissing { .. } | Self::DatabaseTooLarge { .. } | Self::BackupRejected { .. } => true,
            Self::Backup { source, .. } => source.blames_file(),
            Self::Store(error) => error.needs_operator(),
            Self::Transport(error) => {
                matches!(error, TransportError::Missing { .. } | TransportError::Corrupt { .. })
            }
            _ => false,
        }
    }

    /// Returns the code for programs.
    pub fn code(&self) -> CommandErrorCode {
        CommandErrorCode::Failure(match self {
            Self::KeyExists { .. } => return CommandErrorCode::Answer(ErrorCode::NameTaken),
            Self::KeysFull => return CommandErrorCode::Answer(ErrorCode::Limit),
            Self::Config(_) | Self::ConfigValue { .. } | Self::HttpsCertificate(_) | Self::LinkAddress(_) => {
                FailureCode::ConfigInvalid
            }
            Self::KeyUnknown { .. } | Self::KeptKeyUnknown { .. } | Self::UserUnknown { .. } => {
                return CommandErrorCode::Answer(ErrorCode::NotFound);
            }
            Self::Backup { source, .. } if source.blames_file() => FailureCode::BackupInvalid,
            Self::Backup { source, .. } if matches!(**source, BackupError::Io(_)) => FailureCode::FileFailed,
            Self::Backup { .. } | Self::SecretFile { .. } | Self::NotEmpty { .. } | Self::UserOfProvider { .. } => {
                FailureCode::BadArguments
            }
            Self::BackupRejected { .. } => FailureCode::BackupInvalid,
            Self::Initialized { .. }
            | Self::PartlyInitialized { .. }
            | Self::Transport(TransportError::AuthorityExists { .. }) => FailureCode::AlreadyInitialized,
            Self::NotInitialized { .. } => FailureCode::NotInitialized,
            Self::Store(StoreError::InUse { .. }) => FailureCode::DirectoryInUse,
            Self::Store(StoreError::LongPath { .. }) => FailureCode::BadArguments,
            Self::DatabaseMissing { .. } | Self::DatabaseTooLarge { .. } | Self::Store(_) | Self::Write(_) => {
                FailureCode::DatabaseFailed
            }
            Self::Create { .. }
            | Self::Directory { .. }
            | Self::Plugin { .. }
            | Self::Transport(TransportError::Read { .. } | TransportError::Write { .. }) => FailureCode::FileFailed,
            Self::Transport(TransportError::BadName { .. }) => FailureCode::BadArguments,
            Self::Transport(TransportError::Missing { .. } | TransportError::Corrupt { .. }) => {
                FailureCode::IdentityCorrupt
            }
            Self::Transport(TransportError::Bind { .. }) => FailureCode::PortUnavailable,
            Self::Transport(_) | Self::PasswordHash | Self::LoopEnded => FailureCode::SystemFailed,
        })
    }

    /// Returns what to do about the error, where its message does not say.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Transport(TransportError::Bind { address, source }) => bind_advice(address.port(), source),
            _ => None,
        }
    }
}

fn bind_advice(port: u16, source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            Some(format!("Another process uses the port; find it with: ss -lntup 'sport = :{port}'"))
        }
        io::ErrorKind::PermissionDenied => Some(format!(
            "Ports below 1024 require the capability CAP_NET_BIND_SERVICE: grant it, or use another port than {port}."
        )),
        io::ErrorKind::AddrNotAvailable => {
            Some("This machine does not have that address; list its addresses with: ip address".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_quote_the_directory() {
        let dir = || PathBuf::from("/my data");
        let error = ServerError::Initialized { dir: dir() }.to_string();
        assert!(error.contains("`linecamp-server run --data '/my data'`"), "{error}");
        assert!(error.contains("`linecamp-server key create --data '/my data' --name NAME`"), "{error}");
        let error = ServerError::NotInitialized { dir: dir() }.to_string();
        assert!(error.contains("`linecamp-server init --data '/my data' --server-url https://HOST:PORT`"), "{error}");
    }
}
