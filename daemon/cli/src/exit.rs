//! Exit codes, and what is printed when a command fails.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done; also when the reader of stdout closed the pipe, or Ctrl-C ended `event tail` |
//! | 1 | failed: the server was unreachable or rejected the request, or a component failed its conformance checks |
//! | 2 | bad arguments or configuration: no request was sent, or the server rejected it as malformed |
//! | 3 | needs an operator: the API key was rejected, or the server could not be authenticated |

use std::process::ExitCode;

use linecamp_model::AuditBreak;
use linecamp_proto::api::ErrorCode;
use linecamp_proto::command_error::{CommandError, CommandErrorCode, FailureCode};
use linecamp_table::OutputFormat;
use linecamp_transport::DialError;

use crate::argument::ArgumentError;
use crate::client::ClientError;
use crate::context::Context;
use crate::credentials::ConfigError;
use crate::output::{Output, OutputError};

/// The command failed.
const FAILED: u8 = 1;
/// The arguments or the login are invalid. clap exits with this code, too.
const USAGE: u8 = 2;
/// An operator must act before a retry can succeed.
const OPERATOR: u8 = 3;

/// Prints an error and how to fix it. Returns the exit code.
pub(crate) fn report(error: &anyhow::Error, context: &Context<'_>) -> ExitCode {
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return ExitCode::SUCCESS;
    }
    let problems = match error.downcast_ref() {
        Some(ClientError::Rejected { problems, .. }) => problems.clone(),
        _ => Vec::new(),
    };
    context
        .out
        .error(&CommandError { problems, ..CommandError::new(code(error), format!("{error:#}"), advice(error)) });
    exit_code(error).into()
}

/// Prints an error of parsing the command line, or the help that was asked for. Returns the exit code.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    let format = OutputFormat::of_arguments(std::env::args_os());
    if format == OutputFormat::Table || !error.use_stderr() {
        // clap does not print to a closed stream either.
        drop(error.print());
        return u8::try_from(error.exit_code()).unwrap_or(USAGE).into();
    }
    Output::plain(format).error(&CommandError::bad_arguments(&error.to_string()));
    USAGE.into()
}

/// Why a command failed on this machine, or with a result that its output lists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailure {
    /// The runtime could not be started.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    /// The server has no packages for an installer.
    #[error("the server has no linecampd packages: install linecamp-server from its own package, or linecampd by hand")]
    NoPackages,
    /// The server sent a package name that could be a path.
    #[error("the server sent an invalid package name: `{0}`")]
    PackageName(String),
    /// Some of several sites could not be changed.
    #[error("{failed} of {all} sites could not be changed")]
    Sites { failed: u64, all: u64 },
    /// Some of several sites have not applied a change in time.
    #[error("{waiting} of {all} sites have not applied the change yet")]
    SitesWaiting { waiting: u64, all: u64 },
    /// A plugin cannot be used; the text says which, and why.
    #[error("{0}")]
    Plugin(String),
    /// A component failed its conformance tests.
    #[error("{component} failed {count} conformance {}", if *count == 1 { "test" } else { "tests" })]
    Tests { component: String, count: usize },
    /// The audit log is not what was written.
    #[error("the audit log is broken: {0}")]
    AuditBroken(AuditBreak),
    /// None of the known heads could be looked for.
    #[error(
        "the audit log begins after the known heads: retention has removed their entries, and nothing was compared"
    )]
    AuditNotCompared,
    /// The server sent a hash that is none.
    #[error("the server sent an invalid hash of the audit log")]
    AuditHash,
}

/// Returns the code of an error, for programs.
fn code(error: &anyhow::Error) -> CommandErrorCode {
    if error.is::<ArgumentError>() {
        return FailureCode::BadArguments.into();
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return FailureCode::from(error).into();
    }
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return CommandErrorCode::from(error);
    }
    match error.downcast_ref() {
        Some(CommandFailure::Runtime(_)) => FailureCode::SystemFailed.into(),
        Some(CommandFailure::NoPackages) => ErrorCode::NotPossible.into(),
        Some(CommandFailure::PackageName(_)) => FailureCode::InvalidAnswer.into(),
        Some(CommandFailure::Sites { .. } | CommandFailure::SitesWaiting { .. }) => FailureCode::PartlyFailed.into(),
        Some(CommandFailure::Plugin(_)) => FailureCode::PluginFailed.into(),
        Some(CommandFailure::Tests { .. }) => FailureCode::TestsFailed.into(),
        Some(CommandFailure::AuditBroken(_) | CommandFailure::AuditNotCompared) => FailureCode::AuditBroken.into(),
        Some(CommandFailure::AuditHash) => FailureCode::InvalidAnswer.into(),
        // What remains are files to read and to write, stdout among them.
        None => FailureCode::FileFailed.into(),
    }
}

impl From<&ConfigError> for FailureCode {
    fn from(error: &ConfigError) -> Self {
        match error {
            ConfigError::NotLoggedIn { .. } => Self::NotLoggedIn,
            ConfigError::Read { .. } | ConfigError::Write { .. } => Self::FileFailed,
            ConfigError::NoConfigDir
            | ConfigError::NoContext { .. }
            | ConfigError::ContextName { .. }
            | ConfigError::Missing { .. }
            | ConfigError::ConflictingTrust { .. }
            | ConfigError::Url { .. }
            | ConfigError::Pin { .. }
            | ConfigError::Key { .. }
            | ConfigError::InsecurePermissions { .. }
            | ConfigError::Parse { .. } => Self::ConfigInvalid,
        }
    }
}

impl From<&ClientError> for CommandErrorCode {
    fn from(error: &ClientError) -> Self {
        Self::Failure(match error {
            ClientError::Rejected { code, .. } => return Self::Answer(*code),
            ClientError::Dial { source: DialError::CaFile { .. } } => FailureCode::ConfigInvalid,
            ClientError::Dial { source: DialError::Expired { .. } } => FailureCode::ServerNotTrusted,
            ClientError::Dial { source } if source.needs_operator() => FailureCode::ServerNotTrusted,
            ClientError::Dial { .. } => FailureCode::CannotConnect,
            ClientError::Timeout { .. } => FailureCode::TimedOut,
            ClientError::ConnectionLost { .. } | ClientError::IncompleteResponse { .. } => FailureCode::ConnectionLost,
            ClientError::ResponseTooLarge { .. }
            | ClientError::UnexpectedResponse { .. }
            | ClientError::InvalidResponse { .. } => FailureCode::InvalidAnswer,
            ClientError::Request { .. } => FailureCode::BadArguments,
        })
    }
}

fn advice(error: &anyhow::Error) -> Option<String> {
    let client = error.downcast_ref().and_then(ClientError::advice);
    client.or_else(|| error.downcast_ref().and_then(ConfigError::advice))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ArgumentError>() || error.is::<ConfigError>() {
        return USAGE;
    }
    match error.downcast_ref::<ClientError>() {
        Some(error) if error.needs_operator() => OPERATOR,
        Some(error) if error.blames_request() => USAGE,
        Some(_) | None => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::Parent;

    use super::*;

    #[test]
    fn exit_codes_follow_the_error() {
        let rejected =
            |code| anyhow::Error::from(ClientError::Rejected { code, message: "no".into(), problems: Vec::new() });
        assert_eq!(exit_code(&rejected(ErrorCode::NotFound)), FAILED);
        assert_eq!(exit_code(&rejected(ErrorCode::BadRequest)), USAGE);
        assert_eq!(exit_code(&rejected(ErrorCode::Unauthorized)), OPERATOR);
        assert_eq!(exit_code(&ArgumentError::EmptySelector.into()), USAGE);
        assert_eq!(exit_code(&ConfigError::NoConfigDir.into()), USAGE);
        assert!(advice(&rejected(ErrorCode::Busy)).expect("advice").contains("retry"));
        assert_eq!(advice(&rejected(ErrorCode::Ambiguous)), None, "the server's message says what to add");
    }

    #[test]
    fn each_error_has_its_code() {
        let check = |error: anyhow::Error, expected: CommandErrorCode| assert_eq!(code(&error), expected, "{error:#}");
        let server = || "camp:8443".to_owned();
        check(
            ClientError::Rejected { code: ErrorCode::NotFound, message: "no".into(), problems: Vec::new() }.into(),
            ErrorCode::NotFound.into(),
        );
        check(ArgumentError::EmptySelector.into(), FailureCode::BadArguments.into());
        check(ConfigError::NotLoggedIn { path: "/c".into() }.into(), FailureCode::NotLoggedIn.into());
        check(ConfigError::NoConfigDir.into(), FailureCode::ConfigInvalid.into());
        let dial = |source| anyhow::Error::from(ClientError::Dial { source });
        let foreign = DialError::ForeignAuthority { server: server(), parent: Parent::Server };
        check(dial(foreign), FailureCode::ServerNotTrusted.into());
        let limit = std::time::Duration::from_secs(1);
        check(dial(DialError::Silent { server: server(), limit, transport: "TCP" }), FailureCode::CannotConnect.into());
        check(ClientError::Timeout { server: server(), limit }.into(), FailureCode::TimedOut.into());
        check(CommandFailure::Sites { failed: 1, all: 2 }.into(), FailureCode::PartlyFailed.into());
        let tests = |count| CommandFailure::Tests { component: "x.wasm".into(), count };
        assert_eq!(tests(1).to_string(), "x.wasm failed 1 conformance test");
        check(tests(2).into(), FailureCode::TestsFailed.into());
        check(anyhow::Error::msg("cannot read").context("x"), FailureCode::FileFailed.into());
    }
}
