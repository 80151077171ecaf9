//! What is wrong in a TOML file, for the person who wrote it: the line, the path of the key, and the problem.

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

/// What is wrong in a TOML text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TomlProblem {
    /// The line, starting at 1.
    pub line: usize,
    /// The problem, with the path of the key if the text is well-formed.
    pub problem: String,
}

impl TomlProblem {
    /// Describes `error`, which comes from reading `text`.
    pub fn new(text: &str, error: &Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let table = DeTable::parse(text).ok();
        let path = table.and_then(|table| key_at(table.get_ref(), offset, "")).unwrap_or_default();
        let message = error.message().trim_end().replace('\n', "; ");
        Self { line: line_of(text, offset), problem: problem_at(&path, &message) }
    }
}

/// Adds the path of the key, such as `records[0].values`, to serde's message about it.
pub fn problem_at(path: &str, message: &str) -> String {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'));
    match (path, missing) {
        ("", Some((field, _))) => format!("key `{field}` is missing"),
        (_, Some((field, _))) => format!("key `{path}.{field}` is missing"),
        // The message names the field itself.
        (_, None) if message.starts_with("unknown field") => match parent {
            "" => message.to_owned(),
            parent => format!("key `{parent}`: {message}"),
        },
        ("", None) => message.to_owned(),
        (_, None) => format!("key `{path}`: {message}"),
    }
}

/// Returns the line of the byte at `offset` in `text`, starting at 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// Returns the line of the key with this path, such as `records[0].values`, in a TOML text; without such a key, that of
/// the closest one around it.
pub fn line_of_key(text: &str, path: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (mut found, mut value): (_, Option<&Spanned<DeValue<'_>>>) = (None, None);
    for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')) {
        let next = match value.map(Spanned::get_ref) {
            None => table.get_ref().get(step),
            Some(DeValue::Table(inner)) => inner.get(step),
            Some(DeValue::Array(items)) => step.parse().ok().and_then(|index: usize| items.get(index)),
            Some(_) => None,
        };
        let Some(next) = next else { break };
        (found, value) = (Some(line_of(text, next.span().start)), Some(next));
    }
    found
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
    fn a_key_is_found_by_its_offset_and_by_its_path() {
        let table = DeTable::parse(TEXT).expect("valid");
        for (key, path, line) in [("a", "a", 1), ("c", "list[0].b[0].c", 4), ("d", "list[0].deep.d", 7)] {
            let offset = TEXT.find(&format!("{key} =")).expect("there");
            assert_eq!(key_at(table.get_ref(), offset, "").as_deref(), Some(path));
            assert_eq!(line_of_key(TEXT, path), Some(line));
        }
        assert_eq!(line_of_key(TEXT, "list[0].b[7]"), Some(3), "the closest key around it");
        assert_eq!(line_of_key(TEXT, ""), None);
    }

    #[test]
    fn a_problem_names_the_path_of_its_key_once() {
        assert_eq!(problem_at("a[0]", "missing field `b`"), "key `a[0].b` is missing");
        assert_eq!(problem_at("", "missing field `b`"), "key `b` is missing");
        assert_eq!(problem_at("a.b", "unknown field `b`"), "key `a`: unknown field `b`");
        assert_eq!(problem_at("b", "unknown field `b`"), "unknown field `b`");
        assert_eq!(problem_at("a.b", "invalid type: x"), "key `a.b`: invalid type: x");
    }
}
