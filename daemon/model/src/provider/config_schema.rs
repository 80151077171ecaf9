//! The JSON Schema of a plugin's settings, and how a config is validated against it.
//!
//! These keywords are validated: `type`, `properties`, `required`, `additionalProperties`, `items`, `enum`, `const`,
//! `minimum`, `maximum`, `minLength`, `maxLength`, `minItems` and `maxItems`. All others, such as `pattern` and
//! `format`, are left to the plugin, and with them what they decide: all of a value beside a reference, fields without
//! a schema of their own beside `patternProperties` or a combination such as `allOf`, and the first elements of a list
//! beside `prefixItems`. So is a field that is `null` or has a default, where it is not required to have a value.

use super::problem::{Problems, shown};
use crate::json::Json;

/// How many names or choices a problem lists.
const LISTED_MAX: usize = 8;

/// Beside these, older versions of JSON Schema ignore all other keywords.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Fields that `properties` does not name may be those of such a keyword.
const OTHER_FIELDS: [&str; 10] = [
    "patternProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
    "extends",
];

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];

/// Adds the problems of a value at `path` to `found`.
pub(super) fn validate(schema: &Json, value: &Json, path: &str, found: &mut Problems) {
    let is_nullable = *value == Json::Null && schema.get("nullable") == Some(&Json::Bool(true));
    if is_nullable || REFERENCES.iter().any(|keyword| schema.get(keyword).is_some()) {
        return;
    }
    if let Some(expected) = schema.get("type").filter(|expected| !is_of(expected, value)) {
        return found.add(path, format_args!("expected {}, found {}", type_names(expected), value.type_name()));
    }
    let choices = schema.get("enum").map(Json::items).into_iter().flatten();
    let choices: Vec<_> = choices.chain(schema.get("const")).collect();
    if !choices.is_empty() && !choices.contains(&value) {
        return found.add(path, format_args!("expected {}", listed(choices.into_iter().map(choice))));
    }
    match value {
        Json::Number(number) => within(schema, ("minimum", "maximum", ""), *number, path, found),
        Json::Text(text) => {
            within(schema, ("minLength", "maxLength", " characters"), count(text.chars().count()), path, found);
        }
        Json::List(items) => {
            within(schema, ("minItems", "maxItems", " elements"), count(items.len()), path, found);
            let Some(inner) = schema.get("items") else { return };
            let prefix = schema.get("prefixItems").map_or(0, |prefix| prefix.items().len());
            for (index, item) in items.iter().enumerate().skip(prefix) {
                validate(inner, item, &format!("{path}[{index}]"), found);
            }
        }
        Json::Object(_) => validate_fields(schema, value, path, found),
        Json::Null | Json::Bool(_) => {}
    }
}

fn validate_fields(schema: &Json, value: &Json, path: &str, found: &mut Problems) {
    let Json::Object(fields) = value else { return };
    let below = |name: &str| format!("{path}.{}", shown(name));
    let property = |name: &str| schema.get("properties").and_then(|properties| properties.get(name));
    let required = schema.get("required").map(Json::items).into_iter().flatten().filter_map(Json::text);
    let others = schema.get("additionalProperties");
    let others = others.filter(|_| OTHER_FIELDS.iter().all(|keyword| schema.get(keyword).is_none()));
    for (name, value) in fields {
        match (property(name), others) {
            // Optional fields that are not set: a schema seldom says that they may be null.
            (Some(_), _) if *value == Json::Null && required.clone().all(|required| *required != **name) => {}
            (Some(inner), _) | (None, Some(inner @ Json::Object(_))) => validate(inner, value, &below(name), found),
            (None, Some(Json::Bool(false))) => found.add(&below(name), unknown(schema)),
            (None, _) => {}
        }
    }
    for name in required.filter(|name| !fields.contains_key(*name)) {
        let inner = property(name);
        if inner.is_none_or(|inner| inner.get("default").is_none()) {
            let about = inner.and_then(|inner| inner.get("description")?.text());
            found.add(&below(name), format_args!("required, but not set{}", about_clause(about)));
        }
    }
}

/// Formats the description of something that is missing.
pub(super) fn about_clause(about: Option<&str>) -> String {
    let about = about.map_or("", |about| about.trim_end().trim_end_matches('.'));
    if about.is_empty() { String::new() } else { format!(": {}", shown(about)) }
}

fn unknown(schema: &Json) -> String {
    match schema.get("properties") {
        Some(Json::Object(properties)) if !properties.is_empty() => {
            format!("unknown setting; the plugin has {}", listed(properties.keys().map(|name| shown(name))))
        }
        _ => "unknown setting; the plugin has none".to_owned(),
    }
}

fn within(schema: &Json, (least, greatest, unit): (&str, &str, &str), size: f64, path: &str, found: &mut Problems) {
    let bound = |keyword: &str| schema.get(keyword).and_then(Json::number);
    if let Some(bound) = bound(least).filter(|bound| size < *bound) {
        found.add(path, format_args!("expected at least {bound}{unit}, found {size}"));
    } else if let Some(bound) = bound(greatest).filter(|bound| *bound < size) {
        found.add(path, format_args!("expected at most {bound}{unit}, found {size}"));
    }
}

/// Returns a count, which is small enough to be exact as a float.
fn count(items: usize) -> f64 {
    u32::try_from(items).unwrap_or(u32::MAX).into()
}

fn is_of(expected: &Json, value: &Json) -> bool {
    match expected {
        Json::List(several) => several.iter().any(|one| is_of(one, value)),
        Json::Text(name) if &**name == "integer" => value.number().is_some_and(|number| number.fract() == 0.0),
        Json::Text(name) if TYPES.contains(&&**name) => **name == *value.type_name(),
        // Not a type: left to the plugin.
        _ => true,
    }
}

fn type_names(expected: &Json) -> String {
    match expected {
        Json::List(several) => listed(several.iter().map(type_names)),
        other => choice(other),
    }
}

fn choice(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => number.to_string(),
        Json::Text(text) => shown(text),
        Json::List(_) | Json::Object(_) => value.type_name().to_owned(),
    }
}

/// Lists the first few texts.
fn listed(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<_> = texts.take(LISTED_MAX + 1).collect();
    let more = if LISTED_MAX < texts.len() { ", …" } else { "" };
    texts.truncate(LISTED_MAX);
    match (texts.pop(), texts.is_empty(), more) {
        (Some(last), false, "") => format!("{} or {last}", texts.join(", ")),
        (Some(last), false, _) => format!("{}, {last}{more}", texts.join(", ")),
        (Some(only), true, _) => only,
        (None, _, _) => String::new(),
    }
}
