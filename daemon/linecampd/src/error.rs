//! Why the daemon or a command failed.

use std::io;
use std::path::PathBuf;

use linecamp_model::{Refusal, TokenError, shell_quoted};
use linecamp_plugin_host::PluginHostError;
use linecamp_proto::api::Error;
use linecamp_proto::command_error::{CommandErrorCode, FailureCode};
use linecamp_store::StoreError;
use linecamp_transport::TransportError;

use crate::config::ConfigError;

/// Why the daemon or a command failed. [`exit_code`](Self::exit_code) tells who has to act.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A file, an argument or the environment contains an invalid setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An argument is invalid.
    #[error("{0}")]
    Argument(String),
    /// A join token is invalid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A file or directory of the daemon could not be created, read or removed.
    #[error("cannot {what} {path}", path = path.display())]
    File {
        /// The operation: `read`, `create` and so on.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The operating system denied a basic resource.
    #[error("cannot {what}")]
    System {
        /// The operation.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The data directory is in use, or the database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The identity cannot be used, or the link's socket cannot be opened.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The directory has no identity, and no join is configured.
    #[error(
        "the data directory {directory} has not joined a server. Create a join token with `linecamp token create`, then run: linecampd join - --data {data} --name NAME, and enter the token",
        directory = directory.display(),
        data = shell_quoted(directory)
    )]
    NotJoined {
        /// The data directory.
        directory: PathBuf,
    },
    /// A support bundle cannot be written.
    #[error(transparent)]
    Bundle(#[from] linecamp_doctor::BundleError),
    /// A plugin cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginHostError),
    /// The machine lacks what the daemon needs.
    #[error("this machine does not have what the daemon needs; the join token was not used{}", Attempts(.0))]
    Requirements(Vec<String>),
    /// The server rejected the join.
    #[error("the server rejected the join: {0}")]
    JoinRefused(Refusal),
    /// No address belongs to the server that issued the join token.
    #[error("none of the addresses belongs to the server that issued this join token{}", Attempts(.0))]
    WrongServer(Vec<String>),
    /// The server has removed the site, or its parent the host.
    #[error("this machine was removed; its identity and database here are deleted: {0}")]
    Removed(Refusal),
    /// The directory already belongs to a site with another name.
    #[error(
        "this data directory has already joined as {found}, not {requested}. An operator can rename the site; a second site needs its own data directory (--data)"
    )]
    OtherName {
        /// The site's name.
        found: String,
        /// The requested name.
        requested: String,
    },
    /// The directory already belongs to a site of another server.
    #[error(
        "this data directory {directory} has joined another server than the one that issued this token; nothing was changed. To leave that server, stop the daemon and run: linecampd forget --data {data}. Then join again",
        directory = directory.display(),
        data = shell_quoted(directory)
    )]
    OtherServer {
        /// The data directory.
        directory: PathBuf,
    },
    /// No server was reached before the timeout.
    #[error("no server answered within {limit}{}", Attempts(attempts))]
    Unreachable {
        /// The timeout, formatted.
        limit: String,
        /// The attempts, and why each failed.
        attempts: Vec<String>,
    },
    /// The addresses of a join token, through which the site has linked, could not be saved.
    #[error("cannot save the server's addresses: {0}. The site keeps the earlier ones; run the command again")]
    Servers(String),
    /// Labels given on the command line could not be saved.
    #[error("cannot save the labels: {0}")]
    Labels(String),
    /// Stopped by a signal before completion.
    #[error("interrupted before the join finished")]
    Interrupted,
    /// No daemon answers on the local socket: with the code for programs, and the message.
    #[error("{1}")]
    NoDaemon(FailureCode, String),
    /// A daemon is running, but its local socket cannot be reached.
    #[error("{0}")]
    NoSocket(String),
    /// The daemon rejected a request.
    #[error("{}", .0.message)]
    Refused(Error),
}

struct Attempts<'a>(&'a [String]);

impl std::fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl DaemonError {
    /// Returns the exit code: 1 failed, 2 bad arguments or configuration, 3 needs an operator.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Argument(_)
            | Self::Token(_)
            | Self::Store(
                StoreError::InUse { .. } | StoreError::ForeignDirectory { .. } | StoreError::LongPath { .. },
            ) => 2,
            Self::NotJoined { .. }
            | Self::Requirements(_)
            | Self::JoinRefused(_)
            | Self::WrongServer(_)
            | Self::Removed(_)
            | Self::OtherName { .. }
            | Self::OtherServer { .. }
            | Self::Transport(TransportError::Missing { .. } | TransportError::Corrupt { .. }) => 3,
            Self::Store(error) if error.needs_operator() => 3,
            Self::File { .. }
            | Self::System { .. }
            | Self::Store(_)
            | Self::Transport(_)
            | Self::Plugin(_)
            | Self::Bundle(_)
            | Self::Unreachable { .. }
            | Self::Servers(_)
            | Self::Labels(_)
            | Self::Interrupted
            | Self::NoDaemon(..)
            | Self::NoSocket(_)
            | Self::Refused(_) => 1,
        }
    }

    /// Returns the code for programs.
    pub fn code(&self) -> CommandErrorCode {
        CommandErrorCode::Failure(match self {
            Self::Refused(error) => return CommandErrorCode::Answer(error.code),
            Self::Config(_) => FailureCode::ConfigInvalid,
            Self::Argument(_) | Self::Token(_) | Self::Store(StoreError::LongPath { .. }) => FailureCode::BadArguments,
            Self::Store(StoreError::InUse { .. }) => FailureCode::DirectoryInUse,
            Self::Store(_) => FailureCode::DatabaseFailed,
            Self::Transport(TransportError::Missing { .. } | TransportError::Corrupt { .. }) => {
                FailureCode::IdentityCorrupt
            }
            Self::Transport(TransportError::Read { .. } | TransportError::Write { .. })
            | Self::File { .. }
            | Self::Servers(_)
            | Self::Bundle(_) => FailureCode::FileFailed,
            Self::Transport(TransportError::Bind { .. }) => FailureCode::PortUnavailable,
            Self::System { .. } | Self::Transport(_) => FailureCode::SystemFailed,
            Self::NotJoined { .. } => FailureCode::NotJoined,
            Self::Plugin(_) => FailureCode::PluginFailed,
            Self::Requirements(_) => FailureCode::RequirementsNotMet,
            Self::JoinRefused(_) => FailureCode::JoinRejected,
            Self::WrongServer(_) => FailureCode::ServerNotTrusted,
            Self::Removed(_) => FailureCode::SiteRemoved,
            Self::OtherName { .. } | Self::OtherServer { .. } => FailureCode::AlreadyJoined,
            Self::Unreachable { .. } => FailureCode::CannotConnect,
            Self::Labels(_) => FailureCode::DatabaseFailed,
            Self::Interrupted => FailureCode::Interrupted,
            Self::NoDaemon(code, _) => *code,
            Self::NoSocket(_) => FailureCode::SocketUnavailable,
        })
    }

    /// Whether creating a file failed because of the disk's state, which may be temporary: full, read-only or failing.
    pub(crate) fn is_disk_error(&self) -> bool {
        use io::ErrorKind as Kind;
        let Self::File { source, .. } = self else { return false };
        matches!(source.kind(), Kind::StorageFull | Kind::QuotaExceeded | Kind::ReadOnlyFilesystem)
            || source.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
    }

    /// Builds the error of a failed file operation.
    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::RefusalCode;

    use super::*;

    #[test]
    fn the_exit_code_depends_on_who_has_to_act() {
        let check = |error: DaemonError, exit_code, code: FailureCode| {
            assert_eq!((error.exit_code(), error.code()), (exit_code, code.into()), "{error}");
        };
        let directory = PathBuf::from("/d");
        let in_use = StoreError::InUse { directory: directory.clone(), service: "linecampd", pid: Some(7) };
        let too_new = StoreError::TooNew { path: directory.clone(), found: 9, supported: 1 };
        let refusal = Refusal::new(RefusalCode::TokenExpired, "the token has expired");
        check(DaemonError::Argument("no".to_owned()), 2, FailureCode::BadArguments);
        check(DaemonError::Store(in_use), 2, FailureCode::DirectoryInUse);
        check(DaemonError::Store(too_new), 3, FailureCode::DatabaseFailed);
        check(DaemonError::OtherServer { directory: directory.clone() }, 3, FailureCode::AlreadyJoined);
        check(DaemonError::NotJoined { directory }, 3, FailureCode::NotJoined);
        check(DaemonError::JoinRefused(refusal), 3, FailureCode::JoinRejected);
        check(DaemonError::NoDaemon(FailureCode::TimedOut, "none".to_owned()), 1, FailureCode::TimedOut);
    }

    #[test]
    fn a_command_quotes_the_directory_and_contains_no_token() {
        let error = DaemonError::NotJoined { directory: "/my data".into() }.to_string();
        assert!(error.contains("run: linecampd join - --data '/my data' --name NAME, and enter the token"), "{error}");
        let error = DaemonError::OtherServer { directory: "/my data".into() }.to_string();
        assert!(error.contains("run: linecampd forget --data '/my data'. Then"), "{error}");
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("my data");
        std::fs::create_dir_all(data.join("identity")).unwrap();
        std::fs::write(data.join("identity/membership.pem"), "nonsense").unwrap();
        let load = || linecamp_transport::SiteIdentity::load(&data.join("identity")).map_err(DaemonError::from);
        let command = format!("linecampd forget --data {}`", shell_quoted(&data));
        // The key is missing, and then the membership is corrupt.
        let missing = load().unwrap_err().to_string();
        assert!(missing.contains("missing") && missing.contains(&command), "{missing}");
        std::fs::rename(data.join("identity/membership.pem"), data.join("identity/kept")).unwrap();
        linecamp_transport::SiteKey::load_or_create(&data.join("identity")).unwrap();
        std::fs::rename(data.join("identity/kept"), data.join("identity/membership.pem")).unwrap();
        let corrupt = load().unwrap_err().to_string();
        assert!(corrupt.contains("corrupt") && corrupt.contains(&command), "{corrupt}");
    }

    #[test]
    fn a_disk_error_is_distinguished_from_a_wrong_path() {
        let check = |source: io::Error, expected| {
            let error = DaemonError::file("open the local socket", "/d/linecampd.sock")(source);
            assert_eq!(error.is_disk_error(), expected, "{error:?}");
        };
        check(io::ErrorKind::StorageFull.into(), true);
        check(io::ErrorKind::ReadOnlyFilesystem.into(), true);
        check(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()), true);
        check(io::ErrorKind::InvalidInput.into(), false);
        check(io::ErrorKind::NotFound.into(), false);
    }

    #[test]
    fn an_unreachable_server_is_listed_with_its_failure() {
        let error = DaemonError::Unreachable {
            limit: "60s".to_owned(),
            attempts: vec!["a:1: silent".to_owned(), "b:2: no address".to_owned()],
        };
        assert_eq!(error.to_string(), "no server answered within 60s\n  a:1: silent\n  b:2: no address");
    }
}
