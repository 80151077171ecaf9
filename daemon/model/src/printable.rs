//! Text from elsewhere as it is shown to people: without characters that are invisible, and quoted in commands.

use std::borrow::Cow;
use std::ffi::OsStr;

/// Returns whether a character is invisible, and may hide or reorder others: two texts that look alike could differ, or
/// a text could be read as another. Such a character is rejected where people enter names, labels and texts, and
/// replaced where text is shown ([`printable`]).
///
/// These are the control characters (Cc), the line and paragraph separators (Zl, Zp), the format characters (Cf) that
/// have no glyph, the blank letters of other categories (Hangul fillers and others that are `Default_Ignorable`), the
/// tags and the noncharacters of Unicode 17. The zero-width joiner is one of them, so an emoji composed with it cannot
/// be a label. Variation selectors are not: they only choose the form of the character before them.
pub fn is_invisible(found: char) -> bool {
    found.is_control()
        || matches!(
            found,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e00ff}'
                | '\u{e01f0}'..='\u{e0fff}'
        )
        || u32::from(found) & 0xfffe == 0xfffe
}

/// Returns what is shown for a character: a space for a tab or a line end, U+FFFD for another invisible one.
fn shown(letter: char) -> char {
    match letter {
        '\t' | '\n' | '\r' => ' ',
        letter if is_invisible(letter) => char::REPLACEMENT_CHARACTER,
        letter => letter,
    }
}

/// Replaces each invisible character by U+FFFD, and a tab or line end by a space. The result is one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    match text.contains(is_invisible) {
        true => text.chars().map(shown).collect(),
        false => text.into(),
    }
}

/// Returns the start of a text that others chose: [`printable`], at most `bytes_max` bytes, and `…` if it is cut.
pub fn excerpt(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    for letter in text.chars().map(shown) {
        if bytes_max < kept.len() + letter.len_utf8() {
            kept.push('…');
            break;
        }
        kept.push(letter);
    }
    kept
}

/// Names a character that is not allowed: `` `_` ``, `` `é` (U+00E9) ``, or `U+202E` if it is invisible.
pub fn character_name(found: char) -> String {
    match u32::from(found) {
        code if is_invisible(found) => format!("U+{code:04X}"),
        code if !found.is_ascii() => format!("`{found}` (U+{code:04X})"),
        _ => format!("`{found}`"),
    }
}

/// Quotes a word of a command that is shown to people, so that a shell reads the same word when it is pasted: a path, a
/// file name, a URL, a selector. Names and ids need no quotes.
pub fn shell_quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    // A NUL cannot be in an argument, so it does not matter how it is shown.
    shlex::Quoter::new().allow_nul(true).quote(&word).map_or_else(|_| word.to_string(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_replaced_and_others_are_kept() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected, "{text:?}");
        check("a\u{1b}[2Jb\nc\td", "a\u{fffd}[2Jb c d");
        check(
            "a\u{202e}b\u{200b}c\u{2028}d\u{feff}e\u{e0041}f\u{ad}g\u{9b}h\u{ffff}",
            &format!("{}\u{fffd}", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h"),
        );
        check("Straße 東京\u{3000}支店 ❤\u{fe0f} e\u{301} \u{a0}", "Straße 東京\u{3000}支店 ❤\u{fe0f} e\u{301} \u{a0}");
    }

    /// The standard library has the Unicode database: whatever this crate calls invisible has no glyph there either,
    /// except for the blank letters.
    #[test]
    fn every_invisible_character_has_no_glyph() {
        let blank = ['\u{34f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{3164}', '\u{ffa0}'];
        for found in ('\0'..=char::MAX).filter(|found| is_invisible(*found) && !blank.contains(found)) {
            // A combining mark is escaped only at the start of a text.
            let text = format!("a{found}").escape_debug().to_string();
            assert!(text.starts_with("a\\"), "U+{:04X}", u32::from(found));
        }
    }

    #[test]
    fn an_excerpt_is_bounded_whatever_the_text() {
        assert_eq!(excerpt("short", 5), "short");
        assert_eq!(excerpt("a\nb\u{1b}", 128), "a b\u{fffd}");
        for text in ["x".repeat(40_000), "\u{1b}".repeat(40_000), "é".repeat(40_000)] {
            let shown = excerpt(&text, 128);
            assert!(120 < shown.len() && shown.len() <= 128 + '…'.len_utf8(), "{}", shown.len());
        }
    }

    #[test]
    fn a_character_is_named_by_its_code_point_unless_it_is_ascii() {
        let names = ['_', 'é', '\u{202e}', '\n', '\u{e0041}'].map(character_name);
        assert_eq!(names, ["`_`", "`é` (U+00E9)", "U+202E", "U+000A", "U+E0041"]);
    }

    #[test]
    fn a_quoted_word_is_read_as_one_word_by_a_shell() {
        assert_eq!(shell_quoted("/var/lib/linecamp"), "/var/lib/linecamp");
        for word in
            ["", "a b", "it's", "$(reboot)", "`x`", "a;b", "\"", "\\", "a\nb", "~", "*", "#", "!", "^a", "-x=y&z", "é"]
        {
            assert_eq!(shlex::split(&shell_quoted(word)), Some(vec![word.to_owned()]));
        }
    }
}
