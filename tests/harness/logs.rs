//! The logs of one test's processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many lines of each log a failure shows.
const TAIL_LINES: usize = 40;

/// The logs of one test; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs {
    files: Arc<Mutex<Vec<PathBuf>>>,
}

impl Logs {
    /// Adds a log file.
    pub(crate) fn add(&self, path: &Path) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.iter().any(|known| known == path) {
            files.push(path.to_owned());
        }
    }

    /// Returns the end of every log, for a failure message.
    pub(crate) fn tails(&self) -> String {
        self.all().into_iter().map(|(path, text)| tail(&path, &text)).collect()
    }

    /// Returns every line at level ERROR that contains none of the expected texts.
    pub(crate) fn errors(&self, expected: &[String]) -> Vec<String> {
        let is_expected = |line: &str| expected.iter().any(|text| line.contains(text.as_str()));
        let all = self.all();
        let errors = all.iter().flat_map(|(path, text)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let lines = text.lines().filter(|line| is_error(line) && !is_expected(line));
            lines.map(move |line| format!("{name}: {line}"))
        });
        errors.collect()
    }

    fn all(&self) -> Vec<(PathBuf, String)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().map(|path| (path.clone(), read(path))).collect()
    }
}

/// Returns a log's text without color codes.
pub(crate) fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let mut text = String::new();
    for (index, part) in String::from_utf8_lossy(&bytes).split('\u{1b}').enumerate() {
        // A color code ends with its first letter.
        let end = if index == 0 { 0 } else { part.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |at| at + 1) };
        text.push_str(&part[end..]);
    }
    text
}

/// The level is one of the first words of a line, or a field of its JSON.
fn is_error(line: &str) -> bool {
    line.split_whitespace().take(3).any(|word| word == "ERROR") || line.contains("\"level\":\"ERROR\"")
}

fn tail(path: &Path, text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let left_out = lines.len() - shown.len();
    format!("--- {} ({left_out} lines before)\n{}\n", path.display(), shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_recognized_by_its_level_not_its_text() {
        let check = |line, expected| assert_eq!(is_error(line), expected, "{line}");
        check("2026-11-22T03:20:00Z ERROR linecampd: failed to commit", true);
        check("ERROR failed", true);
        check(r#"{"timestamp":"x","level":"ERROR","fields":{}}"#, true);
        check("2026-11-22T03:20:00Z  WARN linecampd: the server said ERROR", false);
    }

    #[test]
    fn colors_are_removed_from_a_log() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "\u{1b}[2mtime\u{1b}[0m \u{1b}[31mERROR\u{1b}[0m x").unwrap();
        assert_eq!(read(file.path()), "time ERROR x");
    }
}
