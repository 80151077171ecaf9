//! The documentation: a page, its sections, and the blocks of code in them.

use std::fs;
use std::iter;

/// A Markdown page of the repository.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
}

/// A fenced block of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// The language after the opening fence: `sh` for commands, `text` for the output of the block before.
    pub(crate) language: &'a str,
    /// The lines between the fences, each with its line break.
    pub(crate) text: &'a str,
}

impl Page {
    /// Reads a page by its path from the repository's root.
    ///
    /// # Panics
    /// If there is no such page.
    pub(crate) fn read(path: &str) -> Self {
        let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
        let path = format!("{root}/../{path}");
        Self { text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")) }
    }

    /// Returns the page with every occurrence of each left string replaced by the right one.
    pub(crate) fn with(self, replacements: &[(&str, &str)]) -> Self {
        let replace = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
        Self { text: replacements.iter().fold(self.text, replace) }
    }

    /// Returns the page's text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns all blocks of the page.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        blocks(&self.text)
    }

    /// Returns the blocks of the section with this heading, such as `## Labels`.
    ///
    /// # Panics
    /// If the page has no such section.
    pub(crate) fn section(&self, heading: &str) -> Vec<Block<'_>> {
        let (_, section) =
            self.text.split_once(heading).unwrap_or_else(|| panic!("the page has no section `{heading}`"));
        blocks(section.split("\n## ").next().unwrap_or_default())
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut rest = text;
    iter::from_fn(|| {
        let (_, after) = rest.split_once("```")?;
        let (language, after) = after.split_once('\n').expect("an opening fence ends its line");
        let (text, after) = after.split_once("```").expect("a block is closed");
        rest = after;
        Some(Block { language, text })
    })
    .collect()
}

/// Returns whether `output` is what `pattern` describes. In a pattern, `…` stands for any text within a line, a line
/// with nothing else stands for any number of lines, and runs of spaces are equal.
pub(crate) fn matches(pattern: &str, output: &str) -> bool {
    let normal = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    lines_match(&normal(pattern), &normal(output))
}

fn lines_match(pattern: &[String], output: &[String]) -> bool {
    match (pattern.split_first(), output.split_first()) {
        (None, found) => found.is_none(),
        (Some((first, rest)), None) => first == "…" && lines_match(rest, output),
        (Some((first, rest)), Some((_, others))) if first == "…" => {
            lines_match(rest, output) || lines_match(pattern, others)
        }
        (Some((first, rest)), Some((line, others))) => line_matches(first, line) && lines_match(rest, others),
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut line) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return line.is_empty() };
    for part in parts {
        let Some((_, after)) = line.split_once(part) else { return false };
        line = after;
    }
    line.ends_with(last)
}

#[test]
fn an_ellipsis_stands_for_any_text_or_any_lines() {
    let check = |pattern: &str, output: &str, expected| {
        assert_eq!(matches(pattern, output), expected, "{pattern:?} and {output:?}");
    };
    check("NAME  LINK\ncamp  connected …\n", "NAME LINK\ncamp    connected 3s\n", true);
    check("camp  connected …\n", "camp  disconnected 3s\n", false);
    check("spec … applied …, done", "spec 3 applied 4, done", true);
    check("…\nlast", "first\nsecond\nlast", true);
    check("…\nlast", "last", true);
    check("first\n…", "first", true);
    check("first", "first\nsecond", false);
    check("a…a", "a", false);
}

#[test]
fn blocks_have_a_language_and_belong_to_a_section() {
    let page = Page { text: "# T\n\n```sh\na\n```\n\n## One\n\n```text\nb\nc\n```\n\n## Two\n".to_owned() };
    let block = |language, text| Block { language, text };
    assert_eq!(page.blocks(), [block("sh", "a\n"), block("text", "b\nc\n")]);
    assert_eq!(page.section("## One"), [block("text", "b\nc\n")]);
    assert_eq!(page.section("## Two"), []);
}
