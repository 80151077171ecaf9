//! Output: tables or JSON on stdout, notes on stderr.
//!
//! Only this module writes to them. It uses `write_all`, not `println!`, so that a closed pipe is an [`OutputError`]
//! and not a panic. Invisible characters are replaced ([`OutputFormat::safe_output`]), so that a site cannot send
//! terminal escape sequences. Colors are used on a terminal only, and never with `NO_COLOR` (<https://no-color.org>).

use std::io::{self, IsTerminal as _, Write as _};
use std::time::SystemTime;

use linecamp_proto::command_error::CommandError;
use linecamp_table::OutputFormat;
use serde::Serialize;

use crate::credentials::{Env, disables_colors};
use crate::text_style::TextStyle;

/// Why output could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The reader of stdout closed the pipe.
    #[error("stdout was closed")]
    Closed,
    /// Another I/O error, such as a full disk.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
}

/// Writes results to stdout and notes to stderr.
#[derive(Debug)]
pub(crate) struct Output {
    format: OutputFormat,
    style: TextStyle,
}

impl Output {
    /// Creates an output in `format`.
    pub(crate) fn new(format: OutputFormat, env: &dyn Env) -> Self {
        let colors = io::stdout().is_terminal() && !disables_colors(env);
        let style = TextStyle { colors, now: SystemTime::now() };
        Self { format, style }
    }

    /// Creates an output in `format` without colors, for errors before the options are known.
    pub(crate) fn plain(format: OutputFormat) -> Self {
        Self { format, style: TextStyle { colors: false, now: SystemTime::now() } }
    }

    /// Prints `value` as JSON, or the text returned by `table`.
    pub(crate) fn show(
        &self,
        value: &impl Serialize,
        table: impl FnOnce(&TextStyle) -> String,
    ) -> Result<(), OutputError> {
        match self.format {
            OutputFormat::Table => self.print(&table(&self.style)),
            OutputFormat::Json => self.print(&(json_text(value, serde_json::to_string_pretty)? + "\n")),
        }
    }

    /// Prints one item of a stream: `value` as JSON on one line, or the text returned by `line`.
    pub(crate) fn show_line(&self, value: &impl Serialize, line: impl FnOnce() -> String) -> Result<(), OutputError> {
        match self.format {
            OutputFormat::Table => self.print(&(line() + "\n")),
            OutputFormat::Json => self.print(&(json_text(value, serde_json::to_string)? + "\n")),
        }
    }

    /// Prints `text` in any format.
    pub(crate) fn print(&self, text: &str) -> Result<(), OutputError> {
        write_out(&self.format.safe_output(text))
    }

    /// Prints the error of a command to stderr: as one line of JSON, or as text with its hint below. Write errors are
    /// ignored.
    pub(crate) fn error(&self, error: &CommandError) {
        match self.format {
            OutputFormat::Table => {
                self.note(&format!("linecamp: {}", error.message));
                if let Some(hint) = &error.hint {
                    self.note(&format!("  {hint}"));
                }
            }
            OutputFormat::Json => write_note(&self.format.safe_output(&error.json())),
        }
    }

    /// Shows how far something has come, on a line of its own that the next call replaces; an empty `text` removes it.
    /// Only if stderr is a terminal. Write errors are ignored.
    pub(crate) fn progress(&self, text: &str) {
        if io::stderr().is_terminal() {
            _ = write!(io::stderr().lock(), "\r\x1b[K{}", OutputFormat::Table.safe_output(text));
        }
    }

    /// Prints a note to stderr. Write errors are ignored.
    pub(crate) fn note(&self, text: &str) {
        write_note(&OutputFormat::Table.safe_output(text));
    }
}

fn write_note(text: &str) {
    _ = writeln!(io::stderr().lock(), "{text}");
}

fn json_text<T: Serialize>(
    value: &T,
    serialize: impl FnOnce(&T) -> serde_json::Result<String>,
) -> Result<String, OutputError> {
    serialize(value).map_err(|error| OutputError::Write(error.into()))
}

fn write_out(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => OutputError::Closed,
        _ => OutputError::Write(error),
    })
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::ErrorCode;
    use serde_json::Value;

    use super::*;

    /// A text that reorders and hides parts of itself on a terminal.
    const HOSTILE: &str = "a\u{202e}b\u{1b}[2J\u{e0041}";

    #[test]
    fn json_output_keeps_every_value_and_has_no_invisible_character() {
        let text = json_text(&[HOSTILE], serde_json::to_string).expect("it serializes");
        let error = CommandError::new(ErrorCode::NotFound, HOSTILE, None).json();
        for json in [text, error] {
            let shown = OutputFormat::Json.safe_output(&json);
            assert!(!shown.contains(linecamp_model::is_invisible), "{shown:?}");
            let read = |json: &str| serde_json::from_str::<Value>(json).expect("it is JSON");
            assert_eq!(read(&shown), read(&json));
        }
    }
}
