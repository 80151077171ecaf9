//! Exit codes, and what is printed when a command fails.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done; also when the reader of stdout closed the pipe, or Ctrl-C ended `event tail` |
//! | 1 | failed: the server was unreachable or rejected the request, or a component failed its conformance checks |
//! | 2 | bad arguments or config: no request was sent, or the server rejected it as malformed |
//! | 3 | needs an operator: the API key was rejected, or the server could not be authenticated |

use std::process::ExitCode;

use crate::argument::ArgumentError;
use crate::client::ClientError;
use crate::context::Context;
use crate::credentials::ConfigError;
use crate::output::OutputError;

/// The command failed.
pub(crate) const FAILED: u8 = 1;
/// The arguments or the login are invalid. clap exits with this code, too.
const USAGE: u8 = 2;
/// An operator must act before a retry can succeed.
const OPERATOR: u8 = 3;

/// Prints an error and how to fix it. Returns the exit code.
pub(crate) fn report(error: &anyhow::Error, context: &Context<'_>) -> ExitCode {
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return ExitCode::SUCCESS;
    }
    context.out.note(&format!("linecamp: {error:#}"));
    if let Some(advice) = advice(error) {
        context.out.note(&format!("  {advice}"));
    }
    exit_code(error).into()
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
    use linecamp_proto::api::ErrorCode;

    use super::*;

    #[test]
    fn exit_codes_follow_the_error() {
        let rejected = |code| anyhow::Error::from(ClientError::Rejected { code, message: "no".into() });
        assert_eq!(exit_code(&rejected(ErrorCode::NotFound)), FAILED);
        assert_eq!(exit_code(&rejected(ErrorCode::BadRequest)), USAGE);
        assert_eq!(exit_code(&rejected(ErrorCode::Unauthorized)), OPERATOR);
        assert_eq!(exit_code(&ArgumentError::EmptySelector.into()), USAGE);
        assert_eq!(exit_code(&ConfigError::NoConfigDir.into()), USAGE);
        assert!(advice(&rejected(ErrorCode::Ambiguous)).expect("advice").contains("--environment"));
    }
}
