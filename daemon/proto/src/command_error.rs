//! The error that the programs print with `-o json` if a command fails: one line of JSON on stderr.
//!
//! It is an [`ErrorBody`](crate::api::ErrorBody) with an optional hint. Its code is the answerer's [`ErrorCode`] if a
//! server or a daemon answered; otherwise it is a [`FailureCode`].

use serde::Serialize;

use crate::api::{ErrorCode, FieldProblem};

/// Why a command failed: the code for programs, and texts for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandError {
    /// The code, for programs.
    pub code: CommandErrorCode,
    /// What failed, and why.
    pub message: String,
    /// What to do about it, unless the message says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The fields that are wrong, as in the server's [`Error`](crate::api::Error).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
}

impl CommandError {
    /// Creates an error.
    pub fn new(code: impl Into<CommandErrorCode>, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { code: code.into(), message: message.into(), hint, problems: Vec::new() }
    }

    /// Creates the error of a command line that cannot be parsed from the parser's text: its first paragraph, without
    /// the usage.
    pub fn bad_arguments(text: &str) -> Self {
        let problem = text.split("\n\n").next().unwrap_or(text);
        // Without a subcommand, the parser's text is the help.
        let message = problem.strip_prefix("error: ").map_or("a command is missing; see --help", str::trim_end);
        Self::new(FailureCode::BadArguments, message, None)
    }

    /// Formats it as one line of JSON: `{"error":{"code":…,"message":…}}`.
    pub fn json(&self) -> String {
        serde_json::json!({ "error": self }).to_string()
    }
}

/// The code of a [`CommandError`]. The two lists share no code with different meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CommandErrorCode {
    /// The request was answered with an error, or would have been.
    Answer(ErrorCode),
    /// The command failed where it ran.
    Failure(FailureCode),
}

impl From<ErrorCode> for CommandErrorCode {
    fn from(code: ErrorCode) -> Self {
        Self::Answer(code)
    }
}

impl From<FailureCode> for CommandErrorCode {
    fn from(code: FailureCode) -> Self {
        Self::Failure(code)
    }
}

/// Declares [`FailureCode`] and the list of its values, from one list.
macro_rules! failure_codes {
    ($($(#[$doc:meta])* $code:ident,)*) => {
        /// Why a command failed where it ran: the closed list of codes that programs may act on. In JSON
        /// `bad-arguments` and so on. Stable: codes are added, never changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FailureCode {
            $($(#[$doc])* $code,)*
        }

        impl FailureCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$code,)*];
        }
    };
}

failure_codes! {
    /// An argument is missing or invalid.
    BadArguments,
    /// A configuration file, a variable or the stored login is invalid.
    ConfigInvalid,
    /// No server and no API key are configured.
    NotLoggedIn,
    /// No server could be reached.
    CannotConnect,
    /// The server's certificate is not the expected one.
    ServerNotTrusted,
    /// There was no answer in time.
    TimedOut,
    /// The connection was lost during the request, which may have been applied.
    ConnectionLost,
    /// The answer cannot be used: it is too large, or not from a compatible server.
    InvalidAnswer,
    /// A file or directory cannot be read or written.
    FileFailed,
    /// The operating system denied something else, such as a thread or a socket.
    SystemFailed,
    /// Some of several changes failed; the output lists them.
    PartlyFailed,
    /// A component failed its conformance tests; the output lists them.
    TestsFailed,
    /// The audit log is not what was written, or could not be compared with what is known of it.
    AuditBroken,
    /// A plugin cannot be used.
    PluginFailed,
    /// Another process uses the data directory.
    DirectoryInUse,
    /// The database is missing, corrupt, too new, or cannot be opened or written.
    DatabaseFailed,
    /// A backup is corrupt, incomplete, too new, or not a backup.
    BackupInvalid,
    /// The identity or the certificate authority is missing or corrupt.
    IdentityCorrupt,
    /// The port cannot be opened.
    PortUnavailable,
    /// No daemon is running.
    NotRunning,
    /// The daemon is running, but its local socket cannot be reached.
    SocketUnavailable,
    /// The data directory has not joined a server.
    NotJoined,
    /// The machine lacks what the daemon needs.
    RequirementsNotMet,
    /// The server rejected the join.
    JoinRejected,
    /// The data directory has joined under another name.
    AlreadyJoined,
    /// The server has removed the site.
    SiteRemoved,
    /// The command was interrupted.
    Interrupted,
    /// The data directory already contains a server, or parts of one.
    AlreadyInitialized,
    /// The data directory contains no server.
    NotInitialized,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_error_is_one_line_of_json() {
        let error = CommandError::new(ErrorCode::NotFound, "there is no site\ncamp", None);
        assert_eq!(error.json(), r#"{"error":{"code":"not-found","message":"there is no site\ncamp"}}"#);
        let error = CommandError::new(FailureCode::NotLoggedIn, "m", Some("log in".to_owned()));
        assert_eq!(error.json(), r#"{"error":{"code":"not-logged-in","hint":"log in","message":"m"}}"#);
    }

    #[test]
    fn a_usage_error_is_its_first_paragraph() {
        let error =
            CommandError::bad_arguments("error: missing:\n  <NAME>\n\nUsage: x <NAME>\n\nFor more, try '--help'.\n");
        assert_eq!((error.code, &*error.message), (FailureCode::BadArguments.into(), "missing:\n  <NAME>"));
        let error = CommandError::bad_arguments("Manage sites\n\nUsage: linecamp site <COMMAND>\n");
        assert_eq!(&*error.message, "a command is missing; see --help");
    }

    #[test]
    fn every_code_is_documented_and_no_other() {
        let page = include_str!("../../../packaging/docs/troubleshooting.md");
        let (_, chapter) = page.split_once("## Exit codes and errors").expect("the page has the chapter");
        let chapter = chapter.split("\n## ").next().expect("a chapter has a text");
        let code = |row: &str| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned());
        let documented: BTreeSet<String> = chapter.lines().filter_map(code).collect();
        let name = |code: &CommandErrorCode| Some(serde_json::to_value(code).expect("serializes").as_str()?.to_owned());
        let answers = ErrorCode::ALL.iter().map(|code| CommandErrorCode::Answer(*code));
        let failures = FailureCode::ALL.iter().map(|code| CommandErrorCode::Failure(*code));
        let codes: BTreeSet<String> = answers.chain(failures).filter_map(|code| name(&code)).collect();
        assert_eq!(documented, codes);
        assert_eq!(codes.len(), ErrorCode::ALL.len() + FailureCode::ALL.len(), "no code is in both lists");
    }
}
