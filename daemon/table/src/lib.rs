//! Output for terminals: tables with aligned columns, optional colors, text that is safe to print, and the choice
//! between tables and JSON ([`OutputFormat`]).
//!
//! Every program prints its tables with this crate, so that they look alike: two spaces between columns, no trailing
//! spaces, and `-` in an empty cell, so that scripts can count columns. Widths are counted in characters, not in
//! terminal columns: names, addresses and states have no wide characters.
//!
//! [`Cell`] replaces invisible characters, so that text from the network cannot contain terminal escape sequences. The
//! only escape sequences printed are the colors of [`Color`], and only if the caller enables them. What a program
//! writes passes [`OutputFormat::safe_output`] last, whether it is a table or not.
//!
//! This crate does not write anywhere and does not detect terminals.

mod cell;
mod color;
mod format;
mod safe_output;

pub use cell::Cell;
pub use color::Color;
pub use format::{OutputFormat, OutputFormatError};

/// The gap between two columns.
const GAP: &str = "  ";

/// The indentation of a cell that is printed below its row.
const BELOW: &str = "    ";

/// What is printed for an empty cell.
const EMPTY: &str = "-";

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// To the left: text.
    Left,
    /// To the right: numbers.
    Right,
}

/// A table with `N` columns.
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    rows: Vec<[Cell; N]>,
    alignment: [Align; N],
    empty: &'static str,
    indent: &'static str,
    /// The columns of a terminal beyond which the last cell of a row is printed below it.
    width: Option<usize>,
}

impl<const N: usize> Table<N> {
    /// Creates a table with a row of headings.
    pub fn new(headings: [&str; N]) -> Self {
        Self::bare().with([headings.map(|heading| Cell::colored(heading, Color::Dim))])
    }

    /// Creates a table without headings.
    pub const fn bare() -> Self {
        Self { rows: Vec::new(), alignment: [Align::Left; N], empty: EMPTY, indent: "", width: None }
    }

    /// Sets the alignment of each column. The default is [`Align::Left`].
    pub const fn align(mut self, alignment: [Align; N]) -> Self {
        self.alignment = alignment;
        self
    }

    /// Sets what is printed for an empty cell. The default is `-`.
    pub const fn empty(mut self, text: &'static str) -> Self {
        self.empty = text;
        self
    }

    /// Starts each line with `indent`.
    pub const fn indent(mut self, indent: &'static str) -> Self {
        self.indent = indent;
        self
    }

    /// Prints the last cell of a row on lines of its own below the row, broken between words, if the row would be
    /// longer than `width` characters. For text that people read to its end: terminals break lines anywhere, and pagers
    /// hide the rest of a long line.
    pub const fn last_cell_below(mut self, width: usize) -> Self {
        self.width = Some(width);
        self
    }

    /// Adds rows.
    pub fn with(mut self, rows: impl IntoIterator<Item = [Cell; N]>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Renders the table, with colors if `colors` is true. Each line ends in `\n`.
    pub fn render(&self, colors: bool) -> String {
        let widths = self.widths();
        let mut text = String::new();
        let row_start = self.indent.len() + widths.iter().rev().skip(1).map(|width| width + GAP.len()).sum::<usize>();
        for row in &self.rows {
            let mut line = self.indent.to_owned();
            let mut padding = 0;
            let last = row.last().map(|cell| self.shown(cell).0).unwrap_or_default();
            let below = self.width.filter(|width| *width < row_start + last.chars().count());
            let in_line = if below.is_some() { N - 1 } else { N };
            for ((cell, width), align) in row.iter().zip(widths).zip(self.alignment).take(in_line) {
                let (shown, color) = self.shown(cell);
                let missing = width - shown.chars().count();
                let (before, after) = match align {
                    Align::Left => (0, missing),
                    Align::Right => (missing, 0),
                };
                // Padding is added only before the next cell, so that lines have no trailing spaces.
                if !shown.is_empty() {
                    line += &" ".repeat(padding + before);
                    line += &color.paint(shown, colors);
                    padding = after + GAP.len();
                } else {
                    padding += width + GAP.len();
                }
            }
            text += line.trim_end_matches(' ');
            text.push('\n');
            for part in below.into_iter().flat_map(|width| wrapped(last, width.saturating_sub(BELOW.len()))) {
                text += &format!("{BELOW}{part}\n");
            }
        }
        text
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = self.shown(cell).0.chars().count().max(*width);
            }
        }
        widths
    }

    /// Returns what is printed for `cell`.
    fn shown<'a>(&self, cell: &'a Cell) -> (&'a str, Color) {
        if cell.text().is_empty() { (self.empty, Color::Plain) } else { (cell.text(), cell.color()) }
    }
}

/// Breaks a text between words into lines of at most `width` characters; a longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_cell_that_does_not_fit_is_printed_whole_below_its_row() {
        let detail = "the credentials are not accepted: write the key to /etc/linecamp/key, then run linecampd why";
        let table = Table::new(["CONDITION", "DETAIL"]).last_cell_below(50);
        let table = table.with([["provider-failed".into(), detail.into()], ["phase-late".into(), "waits".into()]]);
        let expected = "CONDITION        DETAIL\n\
                        provider-failed\n\
                        \x20   the credentials are not accepted: write the\n\
                        \x20   key to /etc/linecamp/key, then run linecampd\n\
                        \x20   why\n\
                        phase-late       waits\n";
        assert_eq!(table.render(false), expected);
    }

    #[test]
    fn columns_are_aligned_and_countable() {
        let table = Table::new(["NAME", "STATE", "NOTE"]).with([
            ["camp-042".into(), Cell::colored("active", Color::Green), "é".into()],
            ["a".into(), "deactivating".into(), "".into()],
        ]);
        let expected = "NAME      STATE         NOTE\n\
                        camp-042  active        é\n\
                        a         deactivating  -\n";
        assert_eq!(table.render(false), expected);
        assert!(table.render(true).contains("camp-042  \u{1b}[32mactive\u{1b}[0m        é\n"));
    }

    #[test]
    fn numbers_are_aligned_to_the_right() {
        let table = Table::new(["suite", "s"]).align([Align::Left, Align::Right]).indent("  ");
        let table = table.with([["core".into(), "1.2".into()], ["it".into(), "240.0".into()]]);
        assert_eq!(table.render(false), "  suite      s\n  core     1.2\n  it     240.0\n");
    }

    #[test]
    fn empty_cells_can_stay_empty() {
        let table = Table::bare().empty("").with([
            ["link".into(), "connected".into(), "3d".into()],
            ["".into(), "dialing".into(), "".into()],
            ["id".into(), "".into(), "x".into()],
        ]);
        assert_eq!(table.render(false), "link  connected  3d\n      dialing\nid               x\n");
    }
}
