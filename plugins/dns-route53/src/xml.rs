//! Just enough XML parsing to read Route 53's responses: elements and their text. Attributes, comments and processing
//! instructions are skipped; a document type declaration, which could define entities, is rejected.

use std::fmt;

/// The maximum nesting depth of elements. Route 53 uses six levels; deeper documents are rejected before anything is
/// built from them.
const DEPTH_MAX: usize = 32;

/// Why a document cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct XmlError(&'static str);

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid XML: {}", self.0)
    }
}

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Without the namespace.
    pub(crate) name: String,
    /// The text directly inside the element.
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

impl Element {
    /// Parses a document.
    pub(crate) fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader { rest: text, open: vec![Self::default()] };
        while !reader.rest.is_empty() {
            reader.step()?;
        }
        let (Some(mut root), true) = (reader.open.pop(), reader.open.is_empty()) else {
            return Err(XmlError("unclosed element"));
        };
        match (root.children.pop(), root.children.is_empty()) {
            (Some(only), true) => Ok(only),
            (_, _) => Err(XmlError("not exactly one root element")),
        }
    }

    /// Returns the children with this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns the first child with this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns the trimmed text of the first child with this name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// Returns the texts of all elements with this name, at any depth.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        let deeper = self.children.iter().flat_map(|child| child.texts(name));
        let own = (self.name == name).then(|| self.text.trim());
        own.into_iter().chain(deeper).collect()
    }
}

struct Reader<'a> {
    rest: &'a str,
    /// The open elements, below one that represents the document.
    open: Vec<Element>,
}

impl<'a> Reader<'a> {
    fn step(&mut self) -> Result<(), XmlError> {
        if self.rest.starts_with("<!--") {
            self.upto("-->").map(drop)
        } else if self.rest.starts_with("<![CDATA[") {
            let text = self.upto("]]>")?;
            self.top()?.text.push_str(&text["<![CDATA[".len()..]);
            Ok(())
        } else if self.rest.starts_with("<?") {
            self.upto("?>").map(drop)
        } else if self.rest.starts_with("<!") {
            Err(XmlError("document type not supported"))
        } else if self.rest.starts_with("</") {
            let name = self.upto(">")?;
            self.close(local(name[2..].trim_end()))
        } else if self.rest.starts_with('<') {
            let tag = self.tag()?;
            self.open(tag)
        } else {
            let end = self.rest.find('<').unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest;
            let text = unescape(text)?;
            self.top()?.text.push_str(&text);
            Ok(())
        }
    }

    /// Consumes everything up to and including `end`, and returns it without `end`.
    fn upto(&mut self, end: &str) -> Result<&'a str, XmlError> {
        let (before, rest) = self.rest.split_once(end).ok_or(XmlError("unclosed tag"))?;
        self.rest = rest;
        Ok(before)
    }

    /// Consumes an opening tag, whose attributes may contain a `>`, and returns the text between its brackets.
    fn tag(&mut self) -> Result<&'a str, XmlError> {
        let mut quote = None;
        for (at, letter) in self.rest.char_indices().skip(1) {
            match (quote, letter) {
                (None, '>') => {
                    let tag = &self.rest[1..at];
                    self.rest = &self.rest[at + 1..];
                    return Ok(tag);
                }
                (None, '"' | '\'') => quote = Some(letter),
                (Some(open), _) if open == letter => quote = None,
                (_, _) => {}
            }
        }
        Err(XmlError("unclosed tag"))
    }

    fn open(&mut self, tag: &str) -> Result<(), XmlError> {
        let is_empty = tag.ends_with('/');
        let name = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
        if name.is_empty() {
            return Err(XmlError("an element has no name"));
        }
        if DEPTH_MAX <= self.open.len() {
            return Err(XmlError("elements nested too deeply"));
        }
        self.open.push(Element { name: local(name).to_owned(), ..Element::default() });
        if is_empty { self.close(local(name)) } else { Ok(()) }
    }

    fn close(&mut self, name: &str) -> Result<(), XmlError> {
        let Some(element) = self.open.pop().filter(|element| element.name == name && !self.open.is_empty()) else {
            return Err(XmlError("unexpected end tag"));
        };
        self.top()?.children.push(element);
        Ok(())
    }

    fn top(&mut self) -> Result<&mut Element, XmlError> {
        self.open.last_mut().ok_or(XmlError("unexpected end tag"))
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// Escapes a text for use in XML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn unescape(text: &str) -> Result<String, XmlError> {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').ok_or(XmlError("unclosed entity"))?;
        plain.push(meaning(entity).ok_or(XmlError("unknown entity"))?);
        plain.push_str(rest);
    }
    Ok(plain)
}

fn meaning(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_their_text_are_read() {
        let text = "<?xml version=\"1.0\"?>\n<!-- c --><a:R xmlns:a='x>y'><B>1 &lt; 2 &#38;&#x41;</B><E/><E x=\"/\"/>\
                    <C><B><![CDATA[<&>]]></B></C>\n</a:R>\n";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "R");
        assert_eq!(root.text_of("B"), Some("1 < 2 &A"));
        assert_eq!(root.all("E").count(), 2);
        assert_eq!(root.texts("B"), ["1 < 2 &A", "<&>"]);
        assert_eq!(Element::parse(&format!("<a>{}</a>", escape("<&>\"'"))).unwrap().text, "<&>\"'");
    }

    #[test]
    fn incomplete_xml_is_rejected() {
        let deep = "<a>".repeat(100);
        let texts = [
            "",
            "x",
            "<a>",
            "<a",
            "<a x=\"",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a></a></a>",
            "<>",
            "< a/>",
            "<a>&nbsp;</a>",
            "<a>&x</a>",
            "<a>&#xD800;</a>",
            "<a><!--</a>",
            "<a><![CDATA[</a>",
            "<!DOCTYPE a><a/>",
            "<?",
            &deep,
        ];
        for text in texts {
            assert!(Element::parse(text).is_err(), "{text}");
        }
    }
}
