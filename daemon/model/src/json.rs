//! JSON as far as the settings and the schema of a plugin need it: numbers compare by value. Texts are bounded by their
//! callers.
//!
//! A provider is validated in this crate, where the server and the site share the rule. What enters or leaves a process
//! as JSON is read and written in `proto`.

use std::collections::BTreeMap;

use serde_json::Value;

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
    /// Parses a text that consists of one value; `None` if it is not JSON, or nested more than 128 deep. Of equal keys
    /// the last one counts.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Value>(text).ok().map(Self::from)
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

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Self::Text(text.into()),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Object(fields.into_iter().map(|(key, value)| (key.into(), Self::from(value))).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_converted() {
        let check = |text: &str, expected: &str| {
            let found = Json::parse(text).map_or_else(|| "none".to_owned(), |value| format!("{value:?}"));
            assert_eq!(found, expected, "{text}");
        };
        check(
            r#" {"a" : [ 1 , -2.5e1 , true, null ] , "b":{}, "c": "\ud83d\ude00", "c": "é" } "#,
            concat!(
                "Object({\"a\": List([Number(1.0), Number(-25.0), Bool(true), Null]), ",
                "\"b\": Object({}), \"c\": Text(\"é\")})"
            ),
        );
        for text in ["", "[1,]", "{a:1}", "01", "1e999", "1 2", "NaN", "\"\\ud800\""] {
            check(text, "none");
        }
        assert_eq!(Json::parse("[1, 1e0]").unwrap().items()[0], Json::Number(1.0));
    }

    #[test]
    fn the_nesting_is_limited() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(&nested(100)).is_some());
        assert!(Json::parse(&nested(100_000)).is_none());
    }
}
