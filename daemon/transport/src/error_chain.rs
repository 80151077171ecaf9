//! An error and its causes as one line of text.

use std::error::Error;

/// Formats an error and its causes on one line, separated by `: `. A cause that the text already ends with is not
/// repeated: some libraries include the cause in their own message.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let problem = error.to_string();
        if !text.ends_with(&problem) {
            text = format!("{text}: {problem}");
        }
        cause = error.source();
    }
    text
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
    }
}
