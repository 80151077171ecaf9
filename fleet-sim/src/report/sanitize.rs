//! Text from the simulated world, made safe to show.

use linecamp_model::printable;

/// Returns `text` as one line without characters that move the cursor, change the text direction, or are not allowed
/// in XML 1.0.
pub(crate) fn plain(text: &str) -> String {
    printable(text).into_owned()
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
