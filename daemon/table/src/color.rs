//! Text colors.

/// A text color. The names are those of the eight standard terminal colors (SGR, ECMA-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// The terminal's own color.
    Plain,
    /// Bold, in the terminal's own color.
    Bold,
    /// Dim: headings, and what is finished.
    Dim,
    /// Green: in order.
    Green,
    /// Yellow: in progress, or a warning.
    Yellow,
    /// Red: needs attention.
    Red,
}

impl Color {
    /// Returns `text` in this color, or unchanged if `colors` is false.
    pub fn paint(self, text: &str, colors: bool) -> String {
        match self.code() {
            Some(code) if colors => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Some(_) | None => text.to_owned(),
        }
    }

    /// Returns the escape sequences that [`paint`](Self::paint) writes.
    pub(crate) fn sequences(self) -> Vec<String> {
        self.paint("\n", true).split('\n').map(str::to_owned).collect()
    }

    const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Bold => Some(1),
            Self::Dim => Some(2),
            Self::Red => Some(31),
            Self::Green => Some(32),
            Self::Yellow => Some(33),
        }
    }
}
