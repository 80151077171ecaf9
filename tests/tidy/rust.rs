//! A minimal lexer of Rust: what is code, comment, string and test.
//!
//! [`code`] and [`without_strings`] keep every line and column where it was and blank the rest, so that a rule can use
//! plain text search and still report the right line.

/// Returns the text with comments and the contents of strings blanked.
pub(crate) fn code(text: &str) -> String {
    blank(text, true)
}

/// Returns the text with the contents of strings blanked; comments stay.
pub(crate) fn without_strings(text: &str) -> String {
    blank(text, false)
}

/// Returns the output of [`code`] without code compiled only for tests: items under `#[cfg(test)]`.
pub(crate) fn code_outside_tests(code: &str) -> String {
    let mut code: Vec<char> = code.chars().collect();
    let marker: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + marker.len() <= code.len() {
        if code[at] == '#' && code[at..at + marker.len()] == marker[..] {
            let end = end_of_item(&code, at + marker.len());
            for letter in code[at..end].iter_mut().filter(|letter| **letter != '\n') {
                *letter = ' ';
            }
            at = end;
        } else {
            at += 1;
        }
    }
    code.into_iter().collect()
}

/// Returns every word with its line, counted from 1. A word is a sequence of characters valid in a name.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines()
        .zip(1..)
        .flat_map(|(line, number)| line.split(|letter| !is_name(letter)).map(move |word| (number, word)))
        .filter(|(_, word)| !word.is_empty())
}

/// Returns every path in the code with its line, counted from 1: `std::fs::read`, and each leaf of a nested `use`.
pub(crate) fn paths(code: &str) -> Vec<(usize, String)> {
    let letters: Vec<char> = code.chars().collect();
    let (mut found, mut line, mut at) = (Vec::new(), 1, 0);
    while at < letters.len() {
        let letter = letters[at];
        if is_name(letter) {
            let start = line;
            let (leaves, end, lines) = path_at(&letters, at);
            found.extend(leaves.into_iter().map(|leaf| (start, leaf)));
            line += lines;
            at = end;
        } else {
            line += usize::from(letter == '\n');
            at += 1;
        }
    }
    found
}

/// A function: its name, its first line, and its number of lines from `fn` to the last brace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// Returns the functions with a body in the output of [`code`].
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let letters: Vec<char> = code.chars().collect();
    let newlines = |from: usize, to: usize| letters[from..to].iter().filter(|letter| **letter == '\n').count();
    let (mut found, mut line) = (Vec::new(), 1);
    for at in 0..letters.len().saturating_sub(3) {
        line += usize::from(letters[at] == '\n');
        let is_word = at == 0 || !is_name(letters[at - 1]);
        if !(is_word && letters[at..at + 3] == ['f', 'n', ' ']) {
            continue;
        }
        let name: String = letters[at + 3..].iter().take_while(|letter| is_name(**letter)).collect();
        if name.is_empty() {
            continue;
        }
        let end = end_of_item(&letters, at);
        if letters[end - 1] == '}' {
            found.push(Function { name, line, lines: newlines(at, end) + 1 });
        }
    }
    found
}

fn is_name(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// Returns the position after an item: after its closing brace, or its semicolon.
fn end_of_item(letters: &[char], from: usize) -> usize {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (at, letter) in letters.iter().enumerate().skip(from) {
        match letter {
            '(' | '[' => others += 1,
            ')' | ']' => others = others.saturating_sub(1),
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return at + 1;
                }
            }
            ';' if braces == 0 && others == 0 => return at + 1,
            _ => {}
        }
    }
    letters.len()
}

/// Parses one path, braces included. Returns its leaves, the position after it, and how many lines it spans.
fn path_at(letters: &[char], from: usize) -> (Vec<String>, usize, usize) {
    let mut prefix = String::new();
    let mut at = from;
    loop {
        let word: String = letters[at..].iter().take_while(|letter| is_name(**letter)).collect();
        at += word.chars().count();
        prefix += &word;
        if letters.get(at..at + 2) != Some(&[':', ':']) {
            return (vec![prefix], at, 0);
        }
        at += 2;
        prefix += "::";
        match letters.get(at) {
            Some('{') => break,
            Some(letter) if is_name(*letter) => {}
            _ => return (vec![prefix], at, 0),
        }
    }
    let (mut leaves, mut lines) = (Vec::new(), 0);
    at += 1;
    while let Some(letter) = letters.get(at) {
        if is_name(*letter) {
            let (inner, end, inner_lines) = path_at(letters, at);
            leaves.extend(inner.into_iter().map(|leaf| format!("{prefix}{leaf}")));
            at = end;
            lines += inner_lines;
        } else {
            lines += usize::from(*letter == '\n');
            at += 1;
            if *letter == '}' {
                break;
            }
        }
    }
    (leaves, at, lines)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

fn blank(text: &str, comments: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < letters.len() {
        let rest = &letters[at..];
        let (next, taken, is_kept) = match inside {
            Inside::Code => from_code(rest, at.checked_sub(1).map(|before| letters[before])),
            Inside::LineComment if rest[0] == '\n' => (Inside::Code, 1, true),
            Inside::LineComment => (inside, 1, false),
            Inside::BlockComment { depth } if rest.starts_with(&['/', '*']) => {
                (Inside::BlockComment { depth: depth + 1 }, 2, false)
            }
            Inside::BlockComment { depth } if rest.starts_with(&['*', '/']) => {
                (if depth == 1 { Inside::Code } else { Inside::BlockComment { depth: depth - 1 } }, 2, false)
            }
            Inside::BlockComment { .. } => (inside, 1, false),
            Inside::Text if rest[0] == '\\' => (inside, 2, false),
            Inside::Text if rest[0] == '"' => (Inside::Code, 1, true),
            Inside::Text => (inside, 1, false),
            Inside::RawText { hashes } if closes_raw(rest, hashes) => (Inside::Code, 1 + hashes, true),
            Inside::RawText { .. } => (inside, 1, false),
        };
        let is_comment = matches!(inside, Inside::LineComment | Inside::BlockComment { .. })
            || matches!(next, Inside::LineComment | Inside::BlockComment { .. });
        let is_kept = is_kept || (is_comment && !comments);
        for letter in rest.iter().take(taken) {
            out.push(if is_kept || *letter == '\n' { *letter } else { ' ' });
        }
        at += taken;
        inside = next;
    }
    out
}

/// Classifies what begins here: the next state, how many characters it takes, and whether they stay.
fn from_code(rest: &[char], before: Option<char>) -> (Inside, usize, bool) {
    let is_new_word = !before.is_some_and(is_name);
    match rest {
        ['/', '/', ..] => (Inside::LineComment, 2, false),
        ['/', '*', ..] => (Inside::BlockComment { depth: 1 }, 2, false),
        ['"', ..] => (Inside::Text, 1, true),
        ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..] if is_new_word => {
            let prefix = if rest[0] == 'r' { 1 } else { 2 };
            let hashes = rest[prefix..].iter().take_while(|letter| **letter == '#').count();
            match rest.get(prefix + hashes) {
                Some('"') => (Inside::RawText { hashes }, prefix + hashes + 1, true),
                // A raw identifier, such as r#type.
                _ => (Inside::Code, prefix + hashes, true),
            }
        }
        // A character, not a lifetime: 'a' closes, 'a does not.
        ['\'', '\\', ..] => {
            let end = rest.iter().skip(3).position(|letter| *letter == '\'').map_or(rest.len(), |end| end + 4);
            (Inside::Code, end, false)
        }
        ['\'', _, '\'', ..] => (Inside::Code, 3, false),
        _ => (Inside::Code, 1, true),
    }
}

fn closes_raw(rest: &[char], hashes: usize) -> bool {
    rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|letter| *letter == '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_told_from_code() {
        let check = |text: &str, expected: &str| assert_eq!(code(text), expected, "{text}");
        check("a // b", "a     ");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("a\"b", 'x', '"', '\'')"#, r#"f("    ",    ,    ,     )"#);
        check(r##"f(r#"a"b"#, 'a)"##, r##"f(r#"   "#, 'a)"##);
        assert_eq!(without_strings("f(\"a\") // b"), "f(\" \") // b");
        assert_eq!(
            code_outside_tests("a;\n#[cfg(test)]\nmod tests { b }\nc;"),
            "a;\n            \n               \nc;"
        );
    }

    #[test]
    fn a_use_of_several_is_several_paths() {
        let found = paths("use std::{fs, time::{Duration, Instant}};\nx::y(std::env::var);");
        let expected = [
            (1, "use"),
            (1, "std::fs"),
            (1, "std::time::Duration"),
            (1, "std::time::Instant"),
            (2, "x::y"),
            (2, "std::env::var"),
        ];
        assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
    }

    #[test]
    fn a_function_ends_with_its_brace() {
        let found = functions("fn a(b: [u8; 2]) {\n if c {\n }\n}\nfn d();\nlet e: fn (u8);");
        assert_eq!(found, [Function { name: "a".into(), line: 1, lines: 4 }]);
    }
}
