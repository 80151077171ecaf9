//! What is wrong in a TOML file, for the person who wrote it: the line, the path of the key, and the problem.

use linecamp_files::{line_of, problem_at};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

/// What is wrong in a TOML text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TomlProblem {
    /// The line, starting at 1.
    pub(super) line: usize,
    /// The problem, with the path of the key if the text is well-formed.
    pub(super) problem: String,
}

impl TomlProblem {
    /// Describes `error`, which comes from reading `text`.
    pub(super) fn new(text: &str, error: &Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let table = DeTable::parse(text).ok();
        let path = table.and_then(|table| key_at(table.get_ref(), offset, "")).unwrap_or_default();
        let message = error.message().trim_end().replace('\n', "; ");
        Self { line: line_of(text, offset), problem: problem_at(&path, &message) }
    }
}

/// Returns the path of the key at `offset`. The parser limits the depth of a table, and so of this recursion.
fn key_at(table: &DeTable<'_>, offset: usize, parent: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        let path = if parent.is_empty() { name.to_string() } else { format!("{parent}.{name}") };
        let deeper = value_at(value, offset, &path);
        deeper.or_else(|| key.span().contains(&offset).then_some(path))
    })
}

/// Returns the path of the value at `offset`. The span of a table is that of its heading: its keys lie outside.
fn value_at(value: &Spanned<DeValue<'_>>, offset: usize, path: &str) -> Option<String> {
    let deeper = match value.get_ref() {
        DeValue::Table(table) => key_at(table, offset, path),
        DeValue::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| value_at(item, offset, &format!("{path}[{index}]")))
        }
        _ => None,
    };
    deeper.or_else(|| value.span().contains(&offset).then(|| path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n[[list]]\nb = [\n  { c = 2 },\n]\n[list.deep]\nd = 3\n";

    #[test]
    fn a_key_is_found_by_its_offset() {
        let table = DeTable::parse(TEXT).expect("valid");
        for (key, path) in [("a", "a"), ("c", "list[0].b[0].c"), ("d", "list[0].deep.d")] {
            let offset = TEXT.find(&format!("{key} =")).expect("there");
            assert_eq!(key_at(table.get_ref(), offset, "").as_deref(), Some(path));
        }
    }
}
