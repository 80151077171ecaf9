//! Checks that a text is well-formed: enough of XML 1.0 to catch a bad escape or a missing end tag.
//!
//! Pages are checked too: they are both HTML and well-formed XML.

/// Returns the names of all elements in document order.
///
/// # Panics
///
/// If the text is not well-formed; the message says where.
pub(crate) fn elements(text: &str) -> Vec<String> {
    let (mut open, mut found): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some((content, tail)) = rest.split_once('<') {
        check_text(content);
        let (tag, tail) = tail.split_once('>').unwrap_or_else(|| panic!("no end: <{tail}"));
        rest = tail;
        if tag.starts_with('?') || tag.starts_with("!doctype") {
            assert!(found.is_empty(), "<{tag}> stands after the first element");
        } else if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> ends another element, before: {}", head(rest));
        } else {
            let (name, attributes) = tag.split_once(' ').unwrap_or_else(|| (tag.trim_end_matches('/'), ""));
            assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'), "<{tag}>");
            check_attributes(attributes.trim_end_matches('/'), tag);
            found.push(name.to_owned());
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
    }
    check_text(rest);
    assert!(open.is_empty(), "without an end: {open:?}");
    found
}

fn check_text(text: &str) {
    assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "a control character in {}", head(text));
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split_inclusive(';').next().unwrap_or_default();
        assert!(["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"].contains(&entity), "{entity}");
    }
}

fn check_attributes(attributes: &str, tag: &str) {
    let mut names = Vec::new();
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no value in <{tag}>"));
        let (value, tail) = value.split_once('"').unwrap_or_else(|| panic!("no quote in <{tag}>"));
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == ':'), "<{tag}>");
        assert!(!names.contains(&name), "twice `{name}` in <{tag}>");
        assert!(tail.is_empty() || tail.starts_with(' '), "no space between attributes in <{tag}>");
        check_text(value);
        names.push(name);
        rest = tail.trim();
    }
}

fn head(text: &str) -> &str {
    text.get(..200).unwrap_or(text)
}

mod tests {
    use super::elements;

    #[test]
    fn what_is_well_formed_is_listed() {
        assert_eq!(elements("<?xml?>\n<a b=\"1\" c=\"&lt;\"><d/>&amp;<e></e></a>\n"), ["a", "d", "e"]);
    }

    #[test]
    fn what_is_not_is_refused() {
        for text in [
            "<a>",
            "<a></b>",
            "<a>&</a>",
            "<a b=c></a>",
            "<a b=\"1\" b=\"2\"/>",
            "<a>\u{1}</a>",
            "<a",
            "<a b=\"&x;\"/>",
        ] {
            assert!(std::panic::catch_unwind(|| elements(text)).is_err(), "{text}");
        }
    }
}
