//! The cells of a table.

use linecamp_model::printable;

use crate::color::Color;

/// One cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    color: Color,
}

impl Cell {
    /// Creates a colored cell. `text` is made [`printable`].
    pub fn colored(text: &str, color: Color) -> Self {
        Self { text: printable(text).into(), color }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_replaced() {
        assert_eq!(Cell::from("a\u{1b}[2Jb\nc\u{202e}d").text(), "a\u{fffd}[2Jb c\u{fffd}d");
    }
}
