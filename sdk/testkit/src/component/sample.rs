//! Makes a sample config from a schema, for a component that is tested without a config.

use serde_json::{Map, Value, json};

/// Returns a config with the required settings, from the schema's defaults and examples.
pub(super) fn config(schema: &str) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    object(&schema).to_string()
}

fn object(schema: &Value) -> Value {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let named = |name: &str| schema.get("properties").and_then(|properties| properties.get(name));
    let fields: Map<_, _> =
        required.map(|name| (name.to_owned(), value(named(name).unwrap_or(&Value::Null)))).collect();
    Value::Object(fields)
}

fn value(schema: &Value) -> Value {
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|items| items.first());
    let given =
        schema.get("default").or_else(|| first("examples")).or_else(|| first("enum")).or_else(|| schema.get("const"));
    if let Some(given) = given {
        return given.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => object(schema),
        Some("array") => json!([value(schema.get("items").unwrap_or(&Value::Null))]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        _ if schema.get("format").and_then(Value::as_str) == Some("uri") => json!("https://service.example"),
        _ => json!("service.example:443"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn required_settings_are_filled_in() {
        let schema = r#"{"type": "object", "required": ["api", "mode", "servers", "deep", "bare", "port"], "properties": {
            "api": {"type": "string", "format": "uri"}, "mode": {"enum": ["a", "b"]}, "idle": {"type": "string"},
            "servers": {"type": "array", "items": {"type": "string", "examples": ["ns.example:53"]}},
            "deep": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 7}}},
            "bare": {"type": "string"}, "port": {"type": "integer", "default": 53}}}"#;
        let config: serde_json::Value = serde_json::from_str(&super::config(schema)).unwrap();
        let expected = serde_json::json!({"api": "https://service.example", "mode": "a", "servers": ["ns.example:53"],
            "deep": {"n": 7}, "bare": "service.example:443", "port": 53});
        assert_eq!(config, expected);
    }
}
