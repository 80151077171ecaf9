//! Configs: the schema matches what serde accepts, and a refusal names the wrong setting.

use std::collections::BTreeMap;

use linecamp_provider::http::{HttpError, HttpRequest, HttpResponse};
use linecamp_provider::prelude::*;
use linecamp_provider::{DnsError, Host, Level, entry};
use serde::Deserialize;
use serde_json::{Value, json};

/// How to reach the service.
///
/// All of it.
#[derive(Deserialize, Config)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(dead_code, reason = "only its shape matters")]
struct Everything {
    /// Where the "API" is.
    #[config(format = "uri", example = "https://a.test", min_length = 8)]
    api_url: String,
    #[serde(default)]
    #[config(default = 53, minimum = 1)]
    port: u16,
    depth: Option<i64>,
    #[serde(rename = "isFast", default)]
    is_fast: bool,
    ratio: f64,
    /// Several.
    #[config(max_items = 3)]
    servers: Vec<Server>,
    tags: BTreeMap<String, String>,
    mode: Mode,
    #[serde(skip)]
    memo: Vec<u8>,
    r#type: Option<Vec<u8>>,
}

/// One of the servers.
#[derive(Deserialize, Config)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its shape matters")]
struct Server {
    /// Its name.
    host: String,
}

#[derive(Deserialize, Config)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    VerySlow,
    #[serde(rename = "FAST")]
    Fast,
}

#[test]
fn a_schema_says_what_serde_reads() {
    let schema: Value = serde_json::from_str(Everything::SCHEMA).unwrap();
    let server = json!({
        "type": "object", "additionalProperties": false, "required": ["host"],
        "properties": {"host": {"description": "Its name.", "type": "string"}}
    });
    let expected = json!({
        "description": "How to reach the service.\nAll of it.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "api-url": {"description": "Where the \"API\" is.", "format": "uri", "examples": ["https://a.test"],
                "minLength": 8, "type": "string"},
            "port": {"default": 53, "minimum": 1, "maximum": 65535, "type": "integer"},
            "depth": {"type": "integer"},
            "isFast": {"type": "boolean"},
            "ratio": {"type": "number"},
            "servers": {"description": "Several.", "maxItems": 3, "type": "array", "items": server},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "mode": {"type": "string", "enum": ["very-slow", "FAST"]},
            "type": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
        },
        "required": ["api-url", "ratio", "servers", "tags", "mode"],
    });
    assert_eq!(schema, expected);
}

/// A provider that does nothing.
struct Idle;

impl DnsProvider for Idle {
    type Config = Everything;

    fn describe() -> ProviderInfo {
        ProviderInfo::new("idle", "1.0.0", "Does nothing.")
    }

    fn validate(_: &Everything, _: &Context) -> Result<(), ProviderError> {
        Ok(())
    }

    fn observe(_: &Everything, _: &Context, _: &str, _: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        Ok(vec![
            RecordSet::new("B.Example.", "a", 60, ["192.0.2.2", "192.0.2.1"]),
            RecordSet::new("b.example", "A", 60, ["192.0.2.3"]),
            RecordSet::new("other.example", "A", 60, ["192.0.2.3"]),
            RecordSet::new("b.example", "TXT", 60, Vec::<String>::new()),
        ])
    }

    fn apply(_: &Everything, _: &Context, _: &str, _: &str, _: &[Change]) -> Result<Vec<RecordSet>, ProviderError> {
        Err(ProviderError::invalid("é".repeat(1000)))
    }
}

/// An environment in which every request times out.
struct Nobody;

impl Host for Nobody {
    fn send_http(&self, _: &HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::Timeout)
    }

    fn send_dns(&self, _: &str, _: &[u8], _: Option<&Tsig>) -> Result<Vec<u8>, DnsError> {
        Err(DnsError::Timeout)
    }

    fn log(&self, _: Level, _: &str) {}

    fn now_millis(&self) -> u64 {
        0
    }
}

const CONFIG: &str =
    r#"{"api-url": "https://a.test", "ratio": 1, "servers": [{"host": "a"}], "tags": {}, "mode": "FAST"}"#;

#[test]
fn a_wrong_config_is_refused_by_the_name_of_its_setting() {
    let check = |config: &str, blamed: Option<&str>| match entry::validate::<Idle>(config, &Context::new(Nobody)) {
        Err(ProviderError::Invalid { field, .. }) => assert_eq!(field.as_deref(), blamed, "{config}"),
        other => panic!("{config}: {other:?}"),
    };
    assert_eq!(entry::validate::<Idle>(CONFIG, &Context::new(Nobody)), Ok(()));
    check("{}", Some("api-url"));
    check(&CONFIG.replace("api-url", "api"), Some("api"));
    check(&CONFIG.replace("\"a\"", "17"), Some("servers[0].host"));
    check(&CONFIG.replace("\"host\"", "\"hots\""), Some("servers[0].hots"));
    check(&CONFIG.replace("{\"host\": \"a\"}", "{}"), Some("servers[0].host"));
    check(&CONFIG.replace("FAST", "fast"), Some("mode"));
    check(&CONFIG.replace("\"ratio\": 1", "\"ratio\": 1, \"port\": 65536"), Some("port"));
    check("[]", None);
    check("{", None);
    check(&format!("{CONFIG} x"), None);
}

#[test]
fn what_was_observed_is_brought_into_form() {
    let cx = Context::new(Nobody);
    let found = entry::observe::<Idle>(CONFIG, &cx, "example", &["b.example".to_owned()]).unwrap();
    assert_eq!(found, [RecordSet::new("b.example", "A", 60, ["192.0.2.1", "192.0.2.2", "192.0.2.3"])]);
    assert_eq!(entry::observe::<Idle>(CONFIG, &cx, "example", &[]).unwrap().len(), 2, "all of them");
}

#[test]
fn a_long_reason_is_cut() {
    let change_set = entry::ChangeSet { idempotency_key: "k", changes: &[] };
    let failure = entry::apply::<Idle>(CONFIG, &Context::new(Nobody), "example", change_set).unwrap_err();
    assert!(failure.reason().len() < 500 && failure.reason().ends_with("é…"));
}
