//! The line of a key in a TOML file.

use linecamp_files::line_of;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Returns the line of the key with this path, such as `records[0].values`, in a TOML text; without such a key, that of
/// the closest one around it.
pub(super) fn line_of_key(text: &str, path: &str) -> Option<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a = 1\n[[list]]\nb = [\n  { c = 2 },\n]\n[list.deep]\nd = 3\n";

    #[test]
    fn a_key_is_found_by_its_path() {
        for (path, line) in [("a", 1), ("list[0].b[0].c", 4), ("list[0].deep.d", 7), ("list[0].b[7]", 3)] {
            assert_eq!(line_of_key(TEXT, path), Some(line), "{path}");
        }
        assert_eq!(line_of_key(TEXT, ""), None);
    }
}
