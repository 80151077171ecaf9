//! Settings that a plugin may accept are not rejected: a site refuses before it calls the plugin, so there would be no
//! way around a wrong rejection.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::description_tests::{check, plugin, provider};
use super::*;
use crate::name::Text;

/// A plugin without endpoints, with this schema.
fn with_schema(schema: &Value) -> PluginDescription {
    PluginDescription { config_schema: schema.to_string(), endpoints: Vec::new(), ..plugin() }
}

/// A plugin that calls these endpoints, with any settings. `port` has a default.
fn with_endpoints(endpoints: &[&str]) -> PluginDescription {
    let schema = json!({"type": "object", "properties": {"port": {"default": 443}, "host": {"default": "dns.test"}}});
    let endpoints = endpoints.iter().map(|text| Text::parse(text).unwrap()).collect();
    PluginDescription { endpoints, ..with_schema(&schema) }
}

#[test]
fn all_placeholders_of_an_endpoint_are_filled() {
    let accepts = |config: &str, endpoint: &str| check(&provider(config), &with_endpoints(&[endpoint]), &[]);
    accepts(r#"{"host": "DNS.test", "port": 443}"#, "{host}:{port}");
    accepts(r#"{"host": "dns.test"}"#, "{host}:{port}");
    accepts(r#"{"port": "443"}"#, "{host}:{port}");
    accepts(r#"{"scheme": "https", "host": "dns.test"}"#, "{scheme}://{host}/{version}");
    accepts(r#"{"scheme": "https", "host": "dns.test", "version": 2}"#, "{scheme}://{host}/v{version}/zones");
    accepts(r#"{"hosts": ["dns.test", "mirror.test"], "port": 443}"#, "{hosts}:{port}");
    accepts(r#"{"host": "fd00::1", "port": 80}"#, "{host}:{port}");
    accepts(r#"{"host": "fd00::1", "port": 80}"#, "[{host}]:{port}");
    accepts(r#"{"api": "https://dns.test:8443"}"#, "{api}:443");
    accepts("{}", "https://dns.test/v1");
    let rejects =
        |config: &str, problem: &str| check(&provider(config), &with_endpoints(&["{host}:{port}"]), &[problem]);
    let missing = "is missing, but the plugin calls it; list it in reach_private if its address is private";
    rejects(r#"{"host": "other.test", "port": 53}"#, &format!("reach: other.test:53 {missing}"));
    rejects(r#"{"hosts": [], "host": "mirror.test", "port": 53}"#, &format!("reach: mirror.test:53 {missing}"));
    rejects(
        r#"{"host": "dns.test", "port": 99999}"#,
        "config.host: expected a value that makes {host}:{port} a URL or HOST:PORT, because the plugin calls it",
    );
}

#[test]
fn the_scheme_of_a_url_is_compared_without_case() {
    let plugin = with_endpoints(&["{api}"]);
    check(&provider(r#"{"api": "HTTPS://dns.test"}"#), &plugin, &[]);
    let plain = "plain_http: required, because the plugin calls an http:// URL";
    check(&provider(r#"{"api": "HTTP://10.0.0.5:8081"}"#), &plugin, &[plain]);
    check(&provider(r#"{"host": "10.0.0.5", "port": 8081}"#), &with_endpoints(&["HTTP://{host}:{port}"]), &[plain]);
}

/// An endpoint is optional: a setting that is not set or empty turns it off, and so does another value of one that is
/// set by default.
#[test]
fn an_endpoint_that_is_turned_off_needs_no_grant() {
    for config in ["{}", r#"{"api": ""}"#, r#"{"api": null}"#, r#"{"api": []}"#, r#"{"api": {"x": 1}}"#] {
        check(&provider(config), &with_endpoints(&["{api}", "{api}:53", "https://{api}/"]), &[]);
    }
    let plugin = with_endpoints(&["dns.test:443", "{host}:{port}"]);
    let mut elsewhere = provider(r#"{"host": "mirror.test"}"#);
    check(&elsewhere, &plugin, &[]);
    elsewhere.grant.reach.remove(&Endpoint::parse("dns.test:443").unwrap());
    check(&elsewhere, &plugin, &[]);
}

/// Endpoints of an earlier plugin that cannot be read, and of lists of any length, cost little.
#[test]
fn an_endpoint_that_cannot_be_read_is_left_to_the_plugin() {
    let plugin = with_endpoints(&["{api", "api}", "{}", "api", "{a{b}}", "{a}{b}{c}{d}{e}{f}{g}{h}{i}", "{x}{y}:1"]);
    for (index, endpoint) in plugin.endpoints.iter().enumerate() {
        let one = PluginDescription { endpoints: vec![endpoint.clone()], ..plugin.clone() };
        assert_eq!(one.check_endpoints().is_err(), index < 6, "{endpoint}");
    }
    let problem = plugin.check_endpoints().unwrap_err().to_string();
    let expected =
        "endpoints[0]: cannot read {api: declare HOST:PORT or a URL, with {field} for the value of a setting";
    assert_eq!(problem, expected);
    let list = json!(vec!["a"; 1000]);
    check(&provider(&json!({"api": "x", "x": list, "y": list}).to_string()), &plugin, &[]);
}

#[test]
fn keywords_that_are_not_read_reject_nothing() {
    let accepts = |schema: Value, config: Value| check(&provider(&config.to_string()), &with_schema(&schema), &[]);
    let inner = json!({"properties": {"a": {"type": "integer"}}});
    for keyword in ["allOf", "anyOf", "oneOf"] {
        accepts(json!({"type": "object", "additionalProperties": false, keyword: [inner]}), json!({"a": 1}));
        let others = json!({"type": "string"});
        accepts(json!({"type": "object", "additionalProperties": others, keyword: [inner]}), json!({"a": 1}));
    }
    for keyword in ["if", "then", "else"] {
        accepts(json!({"type": "object", "additionalProperties": false, keyword: inner}), json!({"a": 1}));
    }
    let dependent = json!({"b": inner});
    accepts(json!({"type": "object", "additionalProperties": false, "dependentSchemas": dependent}), json!({"a": 1}));
    let patterns = json!({"^a": {"type": "integer"}});
    accepts(json!({"type": "object", "additionalProperties": false, "patternProperties": patterns}), json!({"a": 1}));
    let reference = json!({"type": "string", "$ref": "#/$defs/a", "additionalProperties": false, "required": ["b"]});
    accepts(json!({"type": "object", "properties": {"x": reference}}), json!({"x": {"a": 1}}));
    let tuple = json!({"prefixItems": [{"type": "integer"}], "items": {"type": "string"}});
    accepts(json!({"type": "object", "properties": {"x": tuple}}), json!({"x": [1, "a"]}));
    let problem = "config.x[1]: expected string, found number";
    let plugin = with_schema(&json!({"type": "object", "properties": {"x": tuple}}));
    check(&provider(r#"{"x": [1, 1]}"#), &plugin, &[problem]);
}

#[test]
fn values_that_the_plugin_reads_are_accepted() {
    let property = |schema: Value| with_schema(&json!({"type": "object", "properties": {"x": schema}}));
    let accepts = |schema: Value, x: Value| check(&provider(&json!({"x": x}).to_string()), &property(schema), &[]);
    accepts(json!({"type": "integer"}), json!(1.0));
    accepts(json!({"type": "number"}), json!(1));
    accepts(json!({"type": ["string", "null"], "enum": ["a", null]}), json!(null));
    accepts(json!({"const": 1}), json!(1.0));
    // An `Option` of the SDK, and of OpenAPI.
    accepts(json!({"type": "string"}), json!(null));
    accepts(json!({"type": "array", "items": {"type": "string", "nullable": true, "enum": ["a"]}}), json!(["a", null]));
    // A type of an older or later version.
    accepts(json!({"type": "any"}), json!("a"));
    accepts(json!({"type": "string", "format": "ipv4", "pattern": "^1"}), json!("a"));
    let with_default = json!({"type": "object", "required": ["x"], "properties": {"x": {"default": 1}}});
    check(&provider("{}"), &with_schema(&with_default), &[]);
}

/// A schema as the SDK derives it, and a value that the derived type reads.
fn derived() -> impl Strategy<Value = (Value, Value)> {
    let number =
        any::<u32>().prop_map(|number| (json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}), json!(number)));
    let leaf = prop_oneof![
        any::<bool>().prop_map(|value| (json!({"type": "boolean"}), json!(value))),
        number,
        any::<i64>().prop_map(|number| (json!({"type": "integer"}), json!(number))),
        any::<u64>().prop_map(|number| (json!({"type": "integer", "minimum": 0}), json!(number))),
        (-1e9..1e9).prop_map(|number| (json!({"type": "number", "minimum": -1e9}), json!(number))),
        ".{1,9}".prop_map(|text| (json!({"type": "string", "minLength": 1, "maxLength": 9}), json!(text))),
        ("[a-z]{1,3}", "[a-z]{1,3}").prop_map(|(a, b)| (json!({"type": "string", "enum": [a, b]}), json!(b))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0_usize..3).prop_map(|((schema, value), count)| {
                (json!({"type": "array", "items": schema, "maxItems": 2}), json!(vec![value; count]))
            }),
            (inner.clone(), ".{0,9}").prop_map(|((schema, value), key)| {
                (json!({"type": "object", "additionalProperties": schema}), json!({key: value}))
            }),
            object(inner),
        ]
    })
}

/// An object whose fields are required, or optional: set, `null` or absent.
fn object(inner: impl Strategy<Value = (Value, Value)>) -> impl Strategy<Value = (Value, Value)> {
    vec((inner, 0_u8..4), 0..4).prop_map(|fields| {
        let (mut properties, mut required, mut config) = (Map::new(), Vec::new(), Map::new());
        for (index, ((schema, value), how)) in fields.into_iter().enumerate() {
            let name = format!("field_{index}");
            properties.insert(name.clone(), schema);
            match how {
                0 => continue,
                1 => config.insert(name, Value::Null),
                2 => config.insert(name, value),
                _ => {
                    required.push(name.clone());
                    config.insert(name, value)
                }
            };
        }
        let schema = json!({
            "type": "object", "additionalProperties": false, "properties": properties, "required": required
        });
        (schema, Value::Object(config))
    })
}

proptest! {
    #[test]
    fn settings_of_a_derived_type_are_never_rejected((schema, config) in object(derived())) {
        check(&provider(&config.to_string()), &with_schema(&schema), &[]);
    }
}
