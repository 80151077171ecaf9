//! Escapes text from the simulated world for output.

/// Replaces characters that must not be shown.
const REPLACEMENT: char = '\u{fffd}';

/// Returns `text` as one line without characters that move the cursor or change the text direction.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// Returns `text` for HTML and XML 1.0, as content or inside a quoted attribute.
pub(crate) fn markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars().map(shown) {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Maps whitespace to a space. Control characters (XML 1.0 cannot represent most of them), the two noncharacters, and
/// directional overrides (CVE-2021-42574) are replaced.
fn shown(letter: char) -> char {
    match letter {
        '\t' | '\n' | '\r' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => REPLACEMENT,
        letter if letter.is_control() => REPLACEMENT,
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_holds_no_markup_of_others() {
        assert_eq!(markup("<a b='c' d=\"e\">&amp;"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;amp;");
    }

    #[test]
    fn no_text_moves_a_cursor_or_turns_a_line() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d\u{9b}e\0"), "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}e\u{fffd}");
        assert_eq!(markup("\u{b}\u{ffff}\u{7f}é😀"), "\u{fffd}\u{fffd}\u{fffd}é😀");
    }
}
