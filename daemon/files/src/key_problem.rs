//! What is wrong with a key of a file, for the person who wrote it: the line and the path of the key.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_the_path_of_its_key_once() {
        assert_eq!(problem_at("a[0]", "missing field `b`"), "key `a[0].b` is missing");
        assert_eq!(problem_at("", "missing field `b`"), "key `b` is missing");
        assert_eq!(problem_at("a.b", "unknown field `b`"), "key `a`: unknown field `b`");
        assert_eq!(problem_at("b", "unknown field `b`"), "unknown field `b`");
        assert_eq!(problem_at("a.b", "invalid type: x"), "key `a.b`: invalid type: x");
    }
}
