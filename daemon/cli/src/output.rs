//! What the operator gets to see: tables or JSON on stdout, notes on stderr.
//!
//! This is the only module that writes. It writes through `write_all`, not `println!`, so that a reader who went
//! away is an [`OutputError`] and no panic. Whatever came over the network is shown without its control
//! characters: no text of a site moves the operator's cursor. Colours appear on a terminal only, and never with
//! `NO_COLOR` (<https://no-color.org>).

use std::io::{self, IsTerminal as _, Write as _};
use std::time::SystemTime;

use serde::Serialize;

use crate::config::{Env, refuses_colours};

/// Between two columns.
const GAP: &str = "  ";

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs: what the API answers
    Json,
}

/// Why something could not be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Whoever read stdout has gone away, which is their right.
    #[error("nobody reads the output any more")]
    Closed,
    /// The disk is full, or the like.
    #[error("failed to write the output")]
    Write(#[source] io::Error),
}

/// Where results and notes go.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    style: TextStyle,
}

impl Output {
    /// Makes an output to stdout and stderr.
    pub(crate) fn new(format: Format, env: &dyn Env) -> Self {
        let colours = io::stdout().is_terminal() && !refuses_colours(env);
        let style = TextStyle { colours, now: SystemTime::now() };
        Self { format, style }
    }

    /// Shows `value` as JSON, or as the text that `table` makes.
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

    /// Shows one of many that arrive over time: JSON on one line, or the line that `line` makes.
    pub(crate) fn show_line(&self, value: &impl Serialize, line: impl FnOnce() -> String) -> Result<(), OutputError> {
        match self.format {
            Format::Table => write_out(&(line() + "\n")),
            Format::Json => write_out(&(json_text(value, serde_json::to_string)? + "\n")),
        }
    }

    /// Shows `text` as it is, whatever the format.
    pub(crate) fn print(&self, text: &str) -> Result<(), OutputError> {
        write_out(text)
    }

    /// Says something beside the result, on stderr. If nobody hears it, that is no reason to stop.
    pub(crate) fn note(&self, text: &str) {
        let lines: Vec<_> = text.lines().map(clean).collect();
        _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
    }
}

fn json_text<T: Serialize>(
    value: &T,
    serialise: impl FnOnce(&T) -> serde_json::Result<String>,
) -> Result<String, OutputError> {
    serialise(value).map_err(|error| OutputError::Write(error.into()))
}

fn write_out(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => OutputError::Closed,
        _ => OutputError::Write(error),
    })
}

/// Returns `text` with control characters replaced.
pub(crate) fn clean(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// What a text looks like depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextStyle {
    /// Whether to colour.
    pub(crate) colours: bool,
    /// The moment ages are counted to.
    pub(crate) now: SystemTime,
}

impl TextStyle {
    /// Returns how long ago an RFC 3339 moment was, in its largest unit: `42s`, `12m`, `5h`, `400d`.
    ///
    /// A moment in the future is `0s`: the server's clock may be a little ahead. A text that is no moment is `?`.
    pub(crate) fn age(&self, since: &str) -> String {
        let Ok(since) = humantime::parse_rfc3339(since) else {
            return "?".into();
        };
        let seconds = self.now.duration_since(since).unwrap_or_default().as_secs();
        in_largest_unit(seconds)
    }

    /// Returns how long it is until an RFC 3339 moment, like [`age`](Self::age) but rounded up to a whole minute, so
    /// that a day that began a second ago is still a day.
    pub(crate) fn until(&self, moment: &str) -> String {
        let Ok(moment) = humantime::parse_rfc3339(moment) else {
            return "?".into();
        };
        let seconds = moment.duration_since(self.now).unwrap_or_default().as_secs();
        in_largest_unit(seconds.next_multiple_of(60))
    }

    /// Returns `text` in a colour, on a terminal.
    pub(crate) fn paint(&self, text: &str, colour: Colour) -> String {
        match colour.code() {
            Some(code) if self.colours => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Some(_) | None => text.into(),
        }
    }
}

/// Returns a duration in its largest unit.
pub(crate) fn in_largest_unit(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Green,
    Yellow,
    Red,
    Dim,
}

impl Colour {
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
    colour: Colour,
}

impl Cell {
    /// Makes a cell in a colour.
    pub(crate) fn coloured(text: &str, colour: Colour) -> Self {
        Self { text: clean(text), colour }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::coloured(text.as_ref(), Colour::Plain)
    }
}

/// A table with aligned columns.
#[derive(Clone, Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Table<N> {
    /// Makes a table with headings.
    pub(crate) fn new(headings: [&str; N]) -> Self {
        Self::bare().with([headings.map(|heading| Cell::coloured(heading, Colour::Dim))])
    }

    /// Makes a table without headings.
    pub(crate) const fn bare() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds rows.
    pub(crate) fn with(mut self, rows: impl IntoIterator<Item = [Cell; N]>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Returns the table as lines. An empty cell is a `-`, so that columns can be counted.
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
                line += &style.paint(&cell.text, cell.colour);
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

    /// A look without colours, at 2026-11-22T02:27:00Z.
    pub(crate) fn plain() -> TextStyle {
        TextStyle { colours: false, now: humantime::parse_rfc3339("2026-11-22T02:27:00Z").expect("valid") }
    }

    #[test]
    fn columns_are_aligned_and_countable() {
        let table = Table::new(["NAME", "STATE", "NOTE"]).with([
            ["camp-042".into(), Cell::coloured("active", Colour::Green), "é".into()],
            ["a".into(), "deactivating".into(), "".into()],
        ]);
        insta::assert_snapshot!(table.render(&plain()));
        let colours = TextStyle { colours: true, ..plain() };
        assert!(table.render(&colours).contains("camp-042  \u{1b}[32mactive\u{1b}[0m        é\n"));
    }

    #[test]
    fn no_text_moves_the_cursor() {
        assert_eq!(Cell::from("a\u{1b}[2Jb\nc").text, "a\u{fffd}[2Jb\u{fffd}c");
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
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
    fn a_day_that_has_just_begun_is_a_day() {
        assert_eq!(plain().until("2026-11-23T02:26:59Z"), "1d");
        assert_eq!(plain().until("2026-11-22T02:28:01Z"), "2m");
        assert_eq!(plain().until("2026-11-21T02:28:01Z"), "0s");
    }
}
