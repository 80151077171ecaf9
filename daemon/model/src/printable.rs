//! Text from elsewhere as it is shown to people: without characters that are invisible, and quoted in commands.

use std::borrow::Cow;
use std::ffi::OsStr;

/// Returns whether a character is invisible wherever it is, and may hide or reorder others: two texts that look alike
/// could differ, or a text could be read as another. Such a character is rejected where people enter names, labels and
/// texts, and replaced where text is shown ([`printable`]).
///
/// These are the control characters (Cc), the line and paragraph separators (Zl, Zp), the format characters (Cf) that
/// have no glyph, the blank letters of other categories (Hangul fillers, the empty Braille pattern, and others that are
/// `Default_Ignorable`), the tags, the variation selectors and the noncharacters of Unicode 17. The zero-width joiner
/// is one of them, so an emoji composed with it cannot be a label. Whether the two selectors that show a symbol as text
/// or as an emoji (U+FE0E, U+FE0F) are invisible depends on the character before them: see [`first_invisible`].
pub fn is_invisible(found: char) -> bool {
    found.is_control()
        || matches!(
            found,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{fe00}'..='\u{fe0d}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
        || u32::from(found) & 0xfffe == 0xfffe
}

/// Whether U+FE0E and U+FE0F choose the form of a character. The ranges have all symbols of Unicode 17 that they do
/// this for, besides the ASCII digits, and no letters of a script.
fn has_emoji_form(base: char) -> bool {
    matches!(
        base,
        '\u{a9}'
            | '\u{ae}'
            | '\u{203c}'..='\u{2b55}'
            | '\u{3030}'
            | '\u{303d}'
            | '\u{3297}'
            | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// Returns the characters of a text, each with whether it is invisible where it is.
pub fn mark_invisible(text: &str) -> impl Iterator<Item = (char, bool)> {
    text.chars().scan('\0', |before, letter| {
        let is_selector = matches!(letter, '\u{fe0e}' | '\u{fe0f}');
        let is_shown = if is_selector { has_emoji_form(*before) } else { !is_invisible(letter) };
        *before = letter;
        Some((letter, !is_shown))
    })
}

/// Returns the first invisible character of a text and how many characters are before it. Besides those that are
/// [invisible](is_invisible) anywhere, it finds U+FE0E and U+FE0F, except after a symbol that has an emoji form.
pub fn first_invisible(text: &str) -> Option<(usize, char)> {
    let mut marked = mark_invisible(text).enumerate();
    marked.find_map(|(index, (letter, is_invisible))| is_invisible.then_some((index, letter)))
}

/// Returns what is shown for each character: a space for a tab or a line end, U+FFFD for another invisible one.
fn shown(text: &str) -> impl Iterator<Item = char> {
    mark_invisible(text).map(|(letter, is_invisible)| match letter {
        '\t' | '\n' | '\r' => ' ',
        _ if is_invisible => char::REPLACEMENT_CHARACTER,
        letter => letter,
    })
}

/// Replaces each invisible character by U+FFFD, and a tab or line end by a space. The result is one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    match first_invisible(text) {
        Some(_) => shown(text).collect(),
        None => text.into(),
    }
}

/// Returns the start of a text that others chose: [`printable`], at most `bytes_max` bytes, and `…` if it is cut.
pub fn excerpt(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    for letter in shown(text) {
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
        code if is_invisible(found) || matches!(found, '\u{fe0e}' | '\u{fe0f}') => format!("U+{code:04X}"),
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
    /// except for the blank letters and the variation selectors, which it treats as combining marks.
    #[test]
    fn every_invisible_character_has_no_glyph() {
        let blank = ['\u{34f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
        let is_selector = |found| matches!(found, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0d}' | '\u{e0100}'..='\u{e01ef}');
        let is_ordinary = |found: &char| !blank.contains(found) && !is_selector(*found);
        for found in ('\0'..=char::MAX).filter(|found| is_invisible(*found) && is_ordinary(found)) {
            // A combining mark is escaped only at the start of a text.
            let text = format!("a{found}").escape_debug().to_string();
            assert!(text.starts_with("a\\"), "U+{:04X}", u32::from(found));
        }
    }

    /// A variation selector that changes nothing makes two texts look alike.
    #[test]
    fn a_variation_selector_is_kept_only_after_a_symbol() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected, "{text:?}");
        check("❤\u{fe0f} ☎\u{fe0e} ©\u{fe0f}", "❤\u{fe0f} ☎\u{fe0e} ©\u{fe0f}");
        check("a\u{fe0f}b", "a\u{fffd}b");
        check("\u{fe0e}é\u{fe0f}", "\u{fffd}é\u{fffd}");
        check("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}\u{fffd}");
        check("葛\u{e0100}城\u{fe00}", "葛\u{fffd}城\u{fffd}");
    }

    /// All of Cf and `Default_Ignorable_Code_Point` in the Unicode Character Database, version 17.0.
    #[test]
    fn every_format_character_and_default_ignorable_is_invisible() {
        const CF: &[(u32, u32)] = &[
            (0xad, 0xad),
            (0x600, 0x605),
            (0x61c, 0x61c),
            (0x6dd, 0x6dd),
            (0x70f, 0x70f),
            (0x890, 0x891),
            (0x8e2, 0x8e2),
            (0x180e, 0x180e),
            (0x200b, 0x200f),
            (0x202a, 0x202e),
            (0x2060, 0x2064),
            (0x2066, 0x206f),
            (0xfeff, 0xfeff),
            (0xfff9, 0xfffb),
            (0x110bd, 0x110bd),
            (0x110cd, 0x110cd),
            (0x13430, 0x1343f),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0001, 0xe0001),
            (0xe0020, 0xe007f),
        ];
        const DEFAULT_IGNORABLE: &[(u32, u32)] = &[
            (0xad, 0xad),
            (0x34f, 0x34f),
            (0x61c, 0x61c),
            (0x115f, 0x1160),
            (0x17b4, 0x17b5),
            (0x180b, 0x180f),
            (0x200b, 0x200f),
            (0x202a, 0x202e),
            (0x2060, 0x206f),
            (0x3164, 0x3164),
            (0xfe00, 0xfe0f),
            (0xfeff, 0xfeff),
            (0xffa0, 0xffa0),
            (0xfff0, 0xfff8),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0000, 0xe0fff),
        ];
        // `Prepended_Concatenation_Mark`: each has a glyph, around or above the digits or letters after it.
        const WITH_GLYPH: &[(u32, u32)] = &[
            (0x600, 0x605),
            (0x6dd, 0x6dd),
            (0x70f, 0x70f),
            (0x890, 0x891),
            (0x8e2, 0x8e2),
            (0x110bd, 0x110bd),
            (0x110cd, 0x110cd),
        ];
        let chars = |ranges: &'static [(u32, u32)]| ranges.iter().flat_map(|(from, to)| *from..=*to);
        let missed: Vec<_> = chars(CF)
            .chain(chars(DEFAULT_IGNORABLE))
            .chain([0x2800])
            .filter(|code| chars(WITH_GLYPH).all(|visible| visible != *code))
            .filter(|code| printable(&format!("a{}", char::from_u32(*code).unwrap())) != "a\u{fffd}")
            .map(|code| format!("U+{code:04X}"))
            .collect();
        assert!(missed.is_empty(), "{missed:?}");
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
