//! Reads reports back with an XML parser: a missing end tag or a bad escape fails the test.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Returns the names of all elements in document order.
///
/// # Panics
///
/// If the text is not well-formed; the message says where.
pub(crate) fn elements(text: &str) -> Vec<String> {
    let (mut reader, mut open, mut found) = (Reader::from_str(text), 0_usize, Vec::new());
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error} at byte {}", reader.error_position()));
        match event {
            Event::Start(tag) => {
                found.push(checked_name(&tag));
                open += 1;
            }
            Event::Empty(tag) => found.push(checked_name(&tag)),
            Event::End(_) => open -= 1,
            Event::Text(text) => {
                assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
            }
            Event::GeneralRef(name) => assert!(["amp", "lt", "gt", "quot"].contains(&&*name), "{name:?}"),
            Event::Decl(_) => assert!(found.is_empty(), "a declaration after the first element"),
            Event::Eof => break,
            other => panic!("a report has no {other:?}"),
        }
    }
    assert_eq!(open, 0, "elements without an end");
    found
}

fn checked_name(tag: &BytesStart<'_>) -> String {
    for attribute in tag.attributes() {
        let attribute = attribute.unwrap_or_else(|error| panic!("{error} in {tag:?}"));
        assert!(!attribute.value.chars().any(char::is_control), "a control character in {tag:?}");
        attribute.normalized_value(XmlVersion::Explicit1_0).unwrap_or_else(|error| panic!("{error} in {tag:?}"));
    }
    tag.name().as_ref().to_owned()
}

mod tests {
    use super::elements;

    #[test]
    fn what_is_well_formed_is_listed() {
        assert_eq!(elements("<?xml version=\"1.0\"?>\n<a b=\"1\" c=\"&lt;\"><d/>&amp;<e></e></a>\n"), ["a", "d", "e"]);
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
