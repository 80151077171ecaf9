//! JSON Schema, as far as configs use it: the subset that forms and the host's validation use.
//!
//! What is *not* here: references, combinations, conditions, patterns. A config is flat and written by people; the
//! report names unsupported keywords.

use serde_json::Value;

/// Keywords that are accepted but not validated here.
const ANNOTATIONS: [&str; 9] =
    ["title", "description", "default", "examples", "format", "pattern", "$schema", "$id", "$comment"];

/// Keywords that are validated.
const KEYWORDS: [&str; 13] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];

/// A config schema.
pub(crate) struct Schema(pub(crate) Value);

impl Schema {
    /// Parses a schema, which must describe an object.
    ///
    /// # Errors
    /// A message that says why it is not such a schema.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("the schema is not JSON: {error}"))?;
        match value.get("type").and_then(Value::as_str) {
            Some("object") => {}
            _ => return Err("the schema is not that of an object".to_owned()),
        }
        match unknown_keyword(&value) {
            Some(keyword) => Err(format!("the schema uses the unsupported keyword `{keyword}`")),
            None => Ok(Self(value)),
        }
    }

    /// Returns the first problem of a value, and its path.
    pub(crate) fn problem(&self, value: &Value) -> Option<String> {
        problem(&self.0, value, "")
    }

    /// Returns the settings with their names.
    pub(crate) fn properties(&self) -> Vec<(&str, &Value)> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        properties
            .map(|fields| fields.iter().map(|(name, schema)| (name.as_str(), schema)).collect())
            .unwrap_or_default()
    }

    /// Returns the names of the required settings.
    pub(crate) fn required(&self) -> Vec<&str> {
        let names = self.0.get("required").and_then(Value::as_array);
        names.map(|names| names.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }
}

fn unknown_keyword(schema: &Value) -> Option<String> {
    let fields = schema.as_object()?;
    let known = |keyword: &str| ANNOTATIONS.contains(&keyword) || KEYWORDS.contains(&keyword);
    if let Some((keyword, _)) = fields.iter().find(|(keyword, _)| !known(keyword)) {
        return Some(keyword.clone());
    }
    let properties = fields.get("properties").and_then(Value::as_object);
    let inner = properties.into_iter().flat_map(|properties| properties.values());
    inner.chain(fields.get("items")).chain(fields.get("additionalProperties")).find_map(unknown_keyword)
}

fn problem(schema: &Value, value: &Value, path: &str) -> Option<String> {
    let at = || if path.is_empty() { "the config".to_owned() } else { format!("`{path}`") };
    if let Some(wanted) = schema.get("type").filter(|wanted| !is_of(wanted, value)) {
        return Some(format!("{} is not of type {wanted}", at()));
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|choices| !choices.contains(value))
        || schema.get("const").is_some_and(|only| only != value)
    {
        return Some(format!("{} is not one of its choices", at()));
    }
    let size = match value {
        Value::Number(number) => number.as_f64().map(|number| ("minimum", "maximum", number)),
        Value::String(text) => Some(("minLength", "maxLength", count(text.chars().count()))),
        Value::Array(items) => Some(("minItems", "maxItems", count(items.len()))),
        _ => None,
    };
    if let Some((least, greatest, size)) = size {
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        if bound(least).is_some_and(|bound| size < bound) || bound(greatest).is_some_and(|bound| bound < size) {
            return Some(format!("{} is out of range", at()));
        }
    }
    match value {
        Value::Object(fields) => fields_problem(schema, fields, path),
        Value::Array(items) => {
            let inner = schema.get("items")?;
            items.iter().enumerate().find_map(|(index, item)| problem(inner, item, &format!("{path}[{index}]")))
        }
        _ => None,
    }
}

fn fields_problem(schema: &Value, fields: &serde_json::Map<String, Value>, path: &str) -> Option<String> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !fields.contains_key(*name)) {
        return Some(format!("`{}` is missing", below(missing)));
    }
    fields.iter().find_map(|(name, value)| {
        let named = schema.get("properties").and_then(|properties| properties.get(name));
        match (named, schema.get("additionalProperties")) {
            (Some(inner), _) => problem(inner, value, &below(name)),
            (None, Some(Value::Bool(false))) => Some(format!("unknown setting `{}`", below(name))),
            (None, Some(inner @ Value::Object(_))) => problem(inner, value, &below(name)),
            (None, _) => None,
        }
    })
}

fn is_of(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(several) => several.iter().any(|one| is_of(one, value)),
        Value::String(name) => match name.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "null" => value.is_null(),
            _ => false,
        },
        _ => false,
    }
}

/// Counts are small enough to be exact as a float.
fn count(items: usize) -> f64 {
    u32::try_from(items).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false, "required": ["api"], "properties": {
        "api": {"type": "string", "minLength": 3}, "port": {"type": "integer", "minimum": 1, "maximum": 9},
        "mode": {"enum": ["a", "b"]}, "servers": {"type": "array", "items": {"type": "string"}, "maxItems": 2}}}"#;

    #[test]
    fn a_config_is_validated_against_its_schema() {
        let schema = Schema::parse(SCHEMA).unwrap();
        let check = |config: &str, words: Option<&str>| {
            let problem = schema.problem(&serde_json::from_str(config).unwrap());
            match (problem, words) {
                (None, None) => {}
                (Some(problem), Some(words)) => assert!(problem.contains(words), "{config}: {problem}"),
                (problem, _) => panic!("{config}: {problem:?}"),
            }
        };
        check(r#"{"api": "xyz", "port": 9, "mode": "a", "servers": ["x"]}"#, None);
        check("[]", Some("the config"));
        check("{}", Some("`api` is missing"));
        check(r#"{"api": "x"}"#, Some("`api` is out"));
        check(r#"{"api": "xyz", "port": 10}"#, Some("`port`"));
        check(r#"{"api": "xyz", "port": 1.5}"#, Some("`port`"));
        check(r#"{"api": "xyz", "mode": "c"}"#, Some("`mode`"));
        check(r#"{"api": "xyz", "servers": ["x", 1]}"#, Some("`servers[1]`"));
        check(r#"{"api": "xyz", "servers": ["x", "y", "z"]}"#, Some("`servers`"));
        check(r#"{"api": "xyz", "apy": 1}"#, Some("unknown setting `apy`"));
    }

    #[test]
    fn an_invalid_config_schema_is_rejected() {
        for text in ["", "{}", r#"{"type": "string"}"#, r##"{"type": "object", "properties": {"a": {"$ref": "#"}}}"##] {
            assert!(Schema::parse(text).is_err(), "{text}");
        }
    }
}
