//! JSON as far as the settings and the schema of a plugin need it. Texts are bounded by their callers; nesting is
//! bounded here.
//!
//! A provider is validated in this crate, where the server and the site share the rule. What enters or leaves a process
//! as JSON is read and written in `proto`.

use std::collections::BTreeMap;

/// Maximum nesting of lists and objects. A deeper text is rejected.
const DEPTH_MAX: usize = 64;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    List(Vec<Self>),
    Object(BTreeMap<Box<str>, Self>),
}

impl Json {
    /// Parses a text that consists of one value; `None` if it is not JSON, or nested too deeply. Of equal keys the last
    /// one counts.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let value = reader.value(0)?;
        reader.skip_space();
        reader.rest.is_empty().then_some(value)
    }

    /// Returns a field of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(key),
            _ => None,
        }
    }

    /// Returns the text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value of a number.
    pub(crate) const fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the elements of a list; none for other values.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the name of its type in JSON Schema.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// The rest of a text.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Json> {
        self.skip_space();
        let depth = Some(depth + 1).filter(|depth| *depth <= DEPTH_MAX)?;
        match self.rest.as_bytes().first()? {
            b'n' => self.take("null").then_some(Json::Null),
            b't' => self.take("true").then_some(Json::Bool(true)),
            b'f' => self.take("false").then_some(Json::Bool(false)),
            b'"' => self.string().map(Json::Text),
            b'[' => self.list(depth).map(Json::List),
            b'{' => self.object(depth).map(Json::Object),
            _ => self.number().map(Json::Number),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Json>> {
        let mut items = Vec::new();
        if self.opens('[', ']')? {
            return Some(items);
        }
        loop {
            items.push(self.value(depth)?);
            if self.ends(']')? {
                return Some(items);
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<BTreeMap<Box<str>, Json>> {
        let mut fields = BTreeMap::new();
        if self.opens('{', '}')? {
            return Some(fields);
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.take(":").then_some(())?;
            fields.insert(key, self.value(depth)?);
            if self.ends('}')? {
                return Some(fields);
            }
        }
    }

    /// Takes the start of a list or an object; returns whether it is empty, and then takes its end too.
    fn opens(&mut self, start: char, end: char) -> Option<bool> {
        self.rest = self.rest.strip_prefix(start)?;
        self.skip_space();
        let after = self.rest.strip_prefix(end);
        self.rest = after.unwrap_or(self.rest);
        Some(after.is_some())
    }

    /// Takes a comma, or the end of a list or an object; returns whether it was the end.
    fn ends(&mut self, end: char) -> Option<bool> {
        self.skip_space();
        let is_end = self.rest.starts_with(end);
        self.rest = self.rest.strip_prefix([',', end])?;
        Some(is_end)
    }

    fn string(&mut self) -> Option<Box<str>> {
        self.rest = self.rest.strip_prefix('"')?;
        let mut text = String::new();
        loop {
            let plain = self.rest.find(|letter: char| letter == '"' || letter == '\\' || letter < ' ')?;
            text.push_str(&self.rest[..plain]);
            let special = self.rest[plain..].chars().next()?;
            self.rest = &self.rest[plain + 1..];
            match special {
                '"' => return Some(text.into()),
                '\\' => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => match self.unit()? {
                high @ 0xd800..0xdc00 => {
                    self.take("\\u").then_some(())?;
                    let low = self.unit().filter(|low| (0xdc00..0xe000).contains(low))?;
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                }
                unit => char::from_u32(unit)?,
            },
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<f64> {
        let is_part = |letter: char| letter.is_ascii_digit() || "+-.eE".contains(letter);
        let (number, rest) = self.rest.split_at(self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len()));
        let digits = number.strip_prefix('-').unwrap_or(number).as_bytes();
        let starts_well = match digits {
            [b'0', next, ..] => !next.is_ascii_digit(),
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        };
        self.rest = rest;
        let is_number = starts_well && digits.last().is_some_and(u8::is_ascii_digit);
        let number: f64 = number.parse().ok().filter(|_| is_number)?;
        number.is_finite().then_some(number)
    }

    fn take(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_it_is_defined() {
        let check = |text: &str, expected: &str| {
            let found = Json::parse(text).map_or_else(|| "none".to_owned(), |value| format!("{value:?}"));
            assert_eq!(found, expected, "{text}");
        };
        check(
            " {\"a\" : [ 1 , -2.5e1 , true, false, null ] , \"b\":{} } ",
            concat!(
                "Object({\"a\": List([Number(1.0), Number(-25.0), Bool(true), Bool(false), Null]), ",
                "\"b\": Object({})})"
            ),
        );
        check(r#""a\"\\\/\n\u00e9\ud83d\ude00""#, r#"Text("a\"\\/\né😀")"#);
        check("[]", "List([])");
        check(r#"{"a":1,"a":2}"#, r#"Object({"a": Number(2.0)})"#);
        for text in [
            "",
            "nul",
            "truex",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "--1",
            "1e999",
            "\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u00g0\"",
            "1 2",
            "NaN",
            "é",
        ] {
            check(text, "none");
        }
    }

    #[test]
    fn the_nesting_is_limited() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(&nested(DEPTH_MAX)).is_some());
        assert!(Json::parse(&nested(DEPTH_MAX + 1)).is_none());
        assert!(Json::parse(&nested(100_000)).is_none());
    }
}
