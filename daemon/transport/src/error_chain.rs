//! An error and its causes as one line of text.

use std::error::Error;

/// Formats an error and its causes on one line, separated by `: `. What the text already says is not repeated: some
/// libraries include the cause, or its beginning, in their own message.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        append(&mut text, &error.to_string());
        cause = error.source();
    }
    text
}

fn append(text: &mut String, problem: &str) {
    if says(text, problem) {
        return;
    }
    // The cause contains its own cause: only what follows the common part is new.
    let common = problem.match_indices(": ").map(|(end, _)| end).filter(|end| says(text, &problem[..*end])).last();
    match common {
        Some(end) if text.ends_with(&problem[..end]) => text.push_str(&problem[end..]),
        Some(_) | None => {
            text.push_str(": ");
            text.push_str(problem);
        }
    }
}

/// Whether `text` contains `problem` as whole words.
fn says(text: &str, problem: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(problem).any(|(start, found)| {
        let (before, after) = (&text[..start], &text[start + found.len()..]);
        !is_word(before.chars().next_back()) && !is_word(after.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Outer {
        text: &'static str,
        source: io::Error,
    }

    #[test]
    fn a_cause_is_appended_once() {
        let check = |text, expected: &str| {
            let source = io::Error::other("disk full");
            assert_eq!(error_chain(&Outer { text, source }), expected);
        };
        check("cannot write /a", "cannot write /a: disk full");
        check("cannot write /a: disk full", "cannot write /a: disk full");
        check("cannot write /a (disk full); free space", "cannot write /a (disk full); free space");
        check("cannot write /disk fuller", "cannot write /disk fuller: disk full");
    }

    #[test]
    fn a_cause_that_contains_its_own_cause_is_said_once() {
        let middle = |text| io::Error::other(Outer { text, source: io::Error::other("disk full") });
        let check = |text, cause, expected: &str| {
            assert_eq!(error_chain(&Outer { text, source: middle(cause) }), expected);
        };
        check("cannot start", "cannot write /a: disk full", "cannot start: cannot write /a: disk full");
        check(
            "cannot start: cannot write /a",
            "cannot write /a: disk full",
            "cannot start: cannot write /a: disk full",
        );
    }
}
