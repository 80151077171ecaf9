//! Output: tables or JSON on stdout, notes on stderr.
//!
//! Only this module writes to them. It uses `write_all`, not `println!`, so that a closed pipe is an [`OutputError`]
//! and not a panic. Control characters in text from the network are replaced, so that a site cannot send terminal
//! escape sequences. Colors are used on a terminal only, and never with `NO_COLOR` (<https://no-color.org>).

use std::io::{self, IsTerminal as _, Write as _};
use std::time::SystemTime;

use serde::Serialize;

use crate::config::{Env, disables_colors};

/// Between two columns.
const GAP: &str = "  ";

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Table
    Table,
    /// JSON as returned by the API
    Json,
}

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
    format: Format,
    style: TextStyle,
}

impl Output {
    /// Creates an output in `format`.
    pub(crate) fn new(format: Format, env: &dyn Env) -> Self {
        let colors = io::stdout().is_terminal() && !disables_colors(env);
        let style = TextStyle { colors, now: SystemTime::now() };
        Self { format, style }
    }

    /// Prints `value` as JSON, or the text returned by `table`.
    pub(crate) fn show(
        &self,
        value: &impl Serialize,
        table: impl FnOnce(&TextStyle) -> String,
    ) -> Result<(), OutputError> {
        match self.format {
            Format::Table => write_out(&table(&self.style)),
            Format::Json => write_out(&(json_text(value, serde_json::to_string_pretty)? + "\n")),
        }
    }

    /// Prints one item of a stream: `value` as JSON on one line, or the text returned by `line`.
    pub(crate) fn show_line(&self, value: &impl Serialize, line: impl FnOnce() -> String) -> Result<(), OutputError> {
        match self.format {
            Format::Table => write_out(&(line() + "\n")),
            Format::Json => write_out(&(json_text(value, serde_json::to_string)? + "\n")),
        }
    }

    /// Prints `text` in any format.
    pub(crate) fn print(&self, text: &str) -> Result<(), OutputError> {
        write_out(text)
    }

    /// Prints a note to stderr. Write errors are ignored.
    pub(crate) fn note(&self, text: &str) {
        let lines: Vec<_> = text.lines().map(clean).collect();
        _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
    }
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

/// Replaces control characters in `text`.
pub(crate) fn clean(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// How to render text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextStyle {
    /// Whether to use colors.
    pub(crate) colors: bool,
    /// The reference time for ages.
    pub(crate) now: SystemTime,
}

impl TextStyle {
    /// Returns the age of an RFC 3339 timestamp in its largest unit: `42s`, `12m`, `5h`, `400d`.
    ///
    /// A timestamp in the future is `0s`: the server's clock may be slightly ahead. An invalid timestamp is `?`.
    pub(crate) fn age(&self, since: &str) -> String {
        let Ok(since) = humantime::parse_rfc3339(since) else {
            return "?".into();
        };
        let seconds = self.now.duration_since(since).unwrap_or_default().as_secs();
        in_largest_unit(seconds)
    }

    /// Returns the time until an RFC 3339 timestamp, like [`age`](Self::age) but rounded up to a minute, so that a
    /// token just created for 24 hours shows `1d`.
    pub(crate) fn until(&self, moment: &str) -> String {
        let Ok(moment) = humantime::parse_rfc3339(moment) else {
            return "?".into();
        };
        let seconds = moment.duration_since(self.now).unwrap_or_default().as_secs();
        in_largest_unit(seconds.next_multiple_of(60))
    }

    /// Returns `text` in a color if colors are enabled.
    pub(crate) fn paint(&self, text: &str, color: Color) -> String {
        match color.code() {
            Some(code) if self.colors => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Some(_) | None => text.into(),
        }
    }
}

/// Formats a duration in its largest unit.
pub(crate) fn in_largest_unit(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Text colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Color {
    Plain,
    Green,
    Yellow,
    Red,
    Dim,
}

impl Color {
    /// Returns the SGR parameter (ECMA-48).
    const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Green => Some(32),
            Self::Yellow => Some(33),
            Self::Red => Some(31),
            Self::Dim => Some(2),
        }
    }
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    color: Color,
}

impl Cell {
    /// Creates a colored cell.
    pub(crate) fn colored(text: &str, color: Color) -> Self {
        Self { text: clean(text), color }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::colored(text.as_ref(), Color::Plain)
    }
}

/// A table with aligned columns.
#[derive(Clone, Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Table<N> {
    /// Creates a table with headings.
    pub(crate) fn new(headings: [&str; N]) -> Self {
        Self::bare().with([headings.map(|heading| Cell::colored(heading, Color::Dim))])
    }

    /// Creates a table without headings.
    pub(crate) const fn bare() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds rows.
    pub(crate) fn with(mut self, rows: impl IntoIterator<Item = [Cell; N]>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Renders the table. An empty cell is printed as `-`, so that scripts can count columns.
    pub(crate) fn render(&self, style: &TextStyle) -> String {
        let dash = Cell::from("-");
        let or_dash = |cell| if Cell::width(cell) == 0 { &dash } else { cell };
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row.iter().map(or_dash)) {
                *width = cell.width().max(*width);
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            let mut pad = 0;
            for (width, cell) in widths.iter().zip(row.iter().map(or_dash)) {
                line += &" ".repeat(pad);
                line += &style.paint(&cell.text, cell.color);
                pad = width - cell.width() + GAP.len();
            }
            text += &line;
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A style without colors, at 2026-11-22T02:27:00Z.
    pub(crate) fn plain() -> TextStyle {
        TextStyle { colors: false, now: humantime::parse_rfc3339("2026-11-22T02:27:00Z").expect("valid") }
    }

    #[test]
    fn columns_are_aligned_and_countable() {
        let table = Table::new(["NAME", "STATE", "NOTE"]).with([
            ["camp-042".into(), Cell::colored("active", Color::Green), "é".into()],
            ["a".into(), "deactivating".into(), "".into()],
        ]);
        insta::assert_snapshot!(table.render(&plain()));
        let colors = TextStyle { colors: true, ..plain() };
        assert!(table.render(&colors).contains("camp-042  \u{1b}[32mactive\u{1b}[0m        é\n"));
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(Cell::from("a\u{1b}[2Jb\nc").text, "a\u{fffd}[2Jb\u{fffd}c");
    }

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        let check = |since, expected: &str| assert_eq!(plain().age(since), expected);
        check("2026-11-22T02:26:18Z", "42s");
        check("2026-11-22T02:14:30Z", "12m");
        check("2026-11-21T03:27:00Z", "23h");
        check("2026-11-19T02:27:00Z", "3d");
        check("2025-10-18T02:27:00Z", "400d");
        check("2026-11-22T02:28:00Z", "0s");
        check("yesterday", "?");
    }

    #[test]
    fn the_time_until_is_rounded_up_to_a_minute() {
        assert_eq!(plain().until("2026-11-23T02:26:59Z"), "1d");
        assert_eq!(plain().until("2026-11-22T02:28:01Z"), "2m");
        assert_eq!(plain().until("2026-11-21T02:28:01Z"), "0s");
    }
}
