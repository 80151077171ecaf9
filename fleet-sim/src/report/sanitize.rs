//! Text from the simulated world, made safe to show.

/// Replaces characters that must not be shown.
const REPLACEMENT: char = '\u{fffd}';

/// Returns `text` as one line without characters that move the cursor, change the text direction, or are not allowed
/// in XML 1.0.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(shown).collect()
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
    fn control_and_direction_characters_are_replaced() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d\u{9b}e\0"), "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}e\u{fffd}");
        assert_eq!(plain("\u{b}\u{ffff}\u{7f}é😀<"), "\u{fffd}\u{fffd}\u{fffd}é😀<");
    }
}
