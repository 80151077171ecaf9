//! The last step before anything is written to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use linecamp_model::{mark_invisible, printable};

use crate::color::Color;
use crate::format::OutputFormat;

/// Every color that a program may print; its escape sequences are the only ones that reach a terminal.
const COLORS: [Color; 5] = [Color::Bold, Color::Dim, Color::Red, Color::Green, Color::Yellow];

impl OutputFormat {
    /// Returns the complete output of a command as it may be written to a terminal, whatever its texts contain.
    ///
    /// In a table, invisible characters are replaced as by [`printable`], except for line feeds and the colors of
    /// [`Color`]. In JSON they are escaped (`\u202e`), which does not change any value.
    pub fn safe_output(self, text: &str) -> Cow<'_, str> {
        let is_unsafe = |(letter, is_invisible)| letter != '\n' && is_invisible;
        match self {
            _ if !mark_invisible(text).any(is_unsafe) => text.into(),
            Self::Table => without_unknown_escapes(text).into(),
            Self::Json => escaped(text).into(),
        }
    }
}

fn without_unknown_escapes(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.find(['\n', '\u{1b}']) {
        safe += &printable(&rest[..next]);
        rest = &rest[next..];
        let known = COLORS.iter().flat_map(|color| color.sequences()).find(|sequence| rest.starts_with(sequence));
        let kept = match known {
            Some(sequence) => &rest[..sequence.len()],
            None if rest.starts_with('\n') => "\n",
            None => {
                safe.push(char::REPLACEMENT_CHARACTER);
                rest = &rest[1..];
                continue;
            }
        };
        safe += kept;
        rest = &rest[kept.len()..];
    }
    safe + &printable(rest)
}

/// Escapes characters of a JSON text. Outside of its strings it has only line feeds and ASCII, so all are in strings.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for (letter, is_invisible) in mark_invisible(json) {
        match is_invisible && letter != '\n' {
            false => safe.push(letter),
            true => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                // Writing to a string does not fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use linecamp_model::is_invisible;

    use super::*;

    /// A text as a hostile site, server or plugin would choose it.
    const HOSTILE: &str = "a\u{1b}[2Jb\u{202e}c\u{200b}d\u{2028}e\u{feff}f\u{e0041}g\u{9b}31mh\u{7}\r";

    #[test]
    fn only_line_feeds_and_our_colors_reach_a_terminal() {
        let shown = OutputFormat::Table.safe_output(HOSTILE);
        assert_eq!(shown.matches('\u{fffd}').count(), 8, "{shown:?}");
        assert!(!shown.contains(is_invisible), "{shown:?}");
        let own = Color::Red.paint("x\ny", true);
        assert_eq!(OutputFormat::Table.safe_output(&own), own);
        assert_eq!(OutputFormat::Table.safe_output("\u{1b}[5m\u{1b}\n"), "\u{fffd}[5m\u{fffd}\n");
    }

    #[test]
    fn json_is_escaped_and_keeps_its_values() {
        let json = "[\n  \"a\u{202e}b\u{e0041}c\u{9b}é\"\n]\n";
        let shown = OutputFormat::Json.safe_output(json);
        assert_eq!(shown, "[\n  \"a\\u202eb\\udb40\\udc41c\\u009bé\"\n]\n");
    }
}
