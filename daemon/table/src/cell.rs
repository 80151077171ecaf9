//! The cells of a table.

use crate::color::Color;

/// One cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    color: Color,
}

impl Cell {
    /// Creates a colored cell. Control characters in `text` are replaced.
    pub fn colored(text: &str, color: Color) -> Self {
        Self { text: clean(text), color }
    }

    /// Returns the text as it is printed.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) const fn color(&self) -> Color {
        self.color
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::colored(text.as_ref(), Color::Plain)
    }
}

/// Replaces each control character in `text` by U+FFFD.
pub fn clean(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(Cell::from("a\u{1b}[2Jb\nc").text(), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
