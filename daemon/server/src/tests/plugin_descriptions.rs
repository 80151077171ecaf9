//! Plugins pushed with the description of what they need, and providers that are validated against it.

use linecamp_model::PluginDigest;
use serde_json::{Value, json};

use super::fixture::Running;

/// A component as far as the server checks it. `build` distinguishes it from others.
fn component(build: u8) -> Vec<u8> {
    [&b"\0asm\x0d\0\x01\0"[..], &[build; 4]].concat()
}

fn digest(build: u8) -> String {
    PluginDigest::of(&component(build)).to_string()
}

fn description() -> Value {
    json!({
        "name": "dns-fake",
        "version": "1.2.0",
        "summary": "Manages DNS records in a small zone API.",
        "capabilities": {"dns": {
            "atomic": true, "can_list_records": true, "ttl_min": 0, "ttl_max": 86_400, "max_batch_size": 100
        }},
        "config_schema": {
            "type": "object", "additionalProperties": false, "required": ["api"],
            "properties": {"api": {"type": "string"}, "page_size": {"type": "integer", "minimum": 1}}
        },
        "secrets": [
            {"name": "token", "summary": "Bearer token of the API.", "required": true},
            {"name": "old-token", "summary": "The token before it.", "required": false}
        ],
        "endpoints": ["{api}"]
    })
}

/// A provider that fits the description.
fn provider(build: u8) -> Value {
    let settings = json!({
        "name": "main-dns", "plugin": "dns-fake", "digest": digest(build), "owner": "acme", "zones": ["example.org"],
        "config": {"api": "https://dns.example.org/v1"}, "secrets": {"token": "dns-token"},
        "reach": ["dns.example.org:443"]
    });
    json!({"environment": "default", "sites": "", "settings": settings})
}

/// A provider that fits in nothing.
fn wrong_provider(build: u8) -> Value {
    let mut request = provider(build);
    request["settings"]["config"] = json!({"api": "http://10.0.0.5:8081", "page_size": 0, "apy": "x"});
    request["settings"]["secrets"] = json!({"tokn": "dns-token"});
    request["settings"]["reach"] = json!([]);
    request
}

const FIELDS: [&str; 6] = [
    "settings.config.apy",
    "settings.config.page_size",
    "settings.secrets.tokn",
    "settings.secrets.token",
    "settings.reach_private",
    "settings.plain_http",
];

fn fields(problems: &Value) -> Vec<&str> {
    problems.as_array().into_iter().flatten().map(|problem| problem["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn all_mistakes_of_a_provider_are_reported_at_once() {
    let server = Running::start().await;
    let (status, pushed) = server.push_described("dns-fake", &description(), &component(1)).await;
    assert_eq!((status, &pushed["description"]["version"]), (201, &json!("1.2.0")), "{pushed}");
    let (status, answer) = server.ask("POST", "/api/v1/providers", Some(wrong_provider(1))).await;
    assert_eq!((status, &answer["code"]), (400, &json!("bad-request")), "{answer}");
    assert_eq!(fields(&answer["problems"]), FIELDS, "{answer}");
    let message = answer["detail"].as_str().unwrap();
    assert!(message.contains("plugin dns-fake 1.2.0"), "{message}");
    // One line per problem, with the field as a provider file names it.
    let lines: Vec<_> = message.lines().skip(1).map(|line| line.trim_start().split_once(": ").unwrap()).collect();
    assert_eq!(lines.iter().map(|(field, _)| format!("settings.{field}")).collect::<Vec<_>>(), FIELDS, "{message}");
    assert!(lines.iter().all(|(_, problem)| !problem.ends_with('.')), "{message}");

    let (status, made) = server.ask("POST", "/api/v1/providers", Some(provider(1))).await;
    assert_eq!((status, &made["validated"]), (201, &json!(true)), "{made}");
    // An edit is validated by the same rule.
    let edit = json!({"settings": wrong_provider(1)["settings"]});
    let (status, answer) = server.ask("PATCH", "/api/v1/providers/main-dns", Some(edit)).await;
    assert_eq!((status, fields(&answer["problems"])), (400, FIELDS.to_vec()), "{answer}");
}

#[tokio::test]
async fn a_preview_of_a_provider_is_validated_and_changes_nothing() {
    let server = Running::start().await;
    server.push_described("dns-fake", &description(), &component(1)).await;
    let preview = |query: &str| format!("/api/v1/providers/main-dns/preview{query}");
    let (status, answer) = server.ask("POST", &preview(""), Some(wrong_provider(1))).await;
    assert_eq!((status, fields(&answer["problems"])), (400, FIELDS.to_vec()), "{answer}");
    let (status, shown) = server.ask("POST", &preview(""), Some(provider(1))).await;
    assert_eq!((status, &shown["validated"], &shown["site_count"]), (200, &json!(true), &json!(0)), "{shown}");
    let (_, all) = server.ask("GET", "/api/v1/providers", None).await;
    assert_eq!(all["items"], json!([]));
    assert_eq!(server.ask("POST", &preview(""), Some(provider(2))).await.0, 404, "the plugin was not pushed");

    // What cannot be added cannot be previewed either.
    server.ask("POST", "/api/v1/providers", Some(provider(1))).await;
    let (status, answer) = server.ask("POST", &preview(""), Some(provider(1))).await;
    assert_eq!((status, &answer["code"]), (409, &json!("name-taken")), "{answer}");
    assert_eq!(server.ask("POST", &preview("?replace=true"), Some(provider(1))).await.0, 200);
    let (status, answer) = server.ask("POST", "/api/v1/providers/other/preview", Some(provider(1))).await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn a_plugin_without_a_description_is_marked_and_its_providers_are_not_validated() {
    let server = Running::start().await;
    let (status, pushed) = server.push("dns-fake", &component(1), component(1).len() as u64).await;
    assert_eq!((status, pushed.get("description")), (201, Some(&Value::Null)), "{pushed}");
    let (status, made) = server.ask("POST", "/api/v1/providers", Some(wrong_provider(1))).await;
    assert_eq!((status, &made["validated"]), (201, &json!(false)), "{made}");

    // Pushed again with its description, it breaks nothing and names the providers that do not fit.
    let (status, pushed) = server.push_described("dns-fake", &description(), &component(1)).await;
    assert_eq!((status, &pushed["invalid_providers"][0]["name"]), (201, &json!("main-dns")), "{pushed}");
    assert_eq!(fields(&pushed["invalid_providers"][0]["problems"]), FIELDS, "{pushed}");
    let (_, shown) = server.ask("GET", "/api/v1/providers/main-dns", None).await;
    assert_eq!((&shown["validated"], fields(&shown["problems"])), (&json!(false), FIELDS.to_vec()), "{shown}");
    // Its sites can still be changed, and it can be removed.
    let (status, edited) = server.ask("PATCH", "/api/v1/providers/main-dns", Some(json!({"sites": "a=b"}))).await;
    assert_eq!(status, 200, "{edited}");
    assert_eq!(server.ask("DELETE", "/api/v1/providers/main-dns", None).await.0, 200);
}

#[tokio::test]
async fn a_new_version_names_the_providers_that_it_would_break() {
    let server = Running::start().await;
    server.push_described("dns-fake", &description(), &component(1)).await;
    server.ask("POST", "/api/v1/providers", Some(provider(1))).await;
    let mut newer = description();
    newer["version"] = json!("2.0.0");
    newer["config_schema"]["required"] = json!(["api", "page_size"]);
    let (status, pushed) = server.push_described("dns-fake", &newer, &component(2)).await;
    assert_eq!(status, 201, "{pushed}");
    let broken = &pushed["invalid_providers"];
    assert_eq!((&broken[0]["environment"], &broken[0]["name"]), (&json!("default"), &json!("main-dns")), "{pushed}");
    assert_eq!(fields(&broken[0]["problems"]), ["settings.config.page_size"], "{pushed}");
    let (_, shown) = server.ask("GET", "/api/v1/providers/main-dns", None).await;
    assert_eq!(shown["validated"], json!(true), "it keeps its version: {shown}");
}

#[tokio::test]
async fn a_description_survives_a_restart_with_its_plugin() {
    let server = Running::start().await;
    server.push_described("dns-fake", &description(), &component(1)).await;
    let server = server.crash().await;
    let (status, shown) = server.ask("GET", &format!("/api/v1/plugins/{}", digest(1)), None).await;
    assert_eq!((status, &shown["description"]), (200, &description()), "{shown}");
    // A push without a description does not remove it.
    server.push("dns-fake", &component(1), component(1).len() as u64).await;
    let (_, all) = server.ask("GET", "/api/v1/plugins", None).await;
    assert_eq!(all["items"][0]["description"], description(), "{all}");
}

#[tokio::test]
async fn an_invalid_description_is_rejected_and_leaves_no_plugin() {
    let server = Running::start().await;
    let with = |key: &str, value: Value| {
        let mut description = description();
        description[key] = value;
        description
    };
    let secret = json!({"name": "../x", "summary": "", "required": true});
    let table = [
        (with("name", json!("other")), "names the plugin other"),
        (with("nmae", json!("x")), "unknown field `nmae`"),
        (with("version", json!("")), "description.version: "),
        (with("config_schema", json!([])), "description.config_schema: "),
        (with("config_schema", json!({"type": "object", "title": "x".repeat(70_000)})), "description.config_schema: "),
        (with("secrets", json!([secret])), "description.secrets[0].name: "),
        (with("endpoints", json!(vec!["a.test:1"; 33])), "description.endpoints: "),
        (with("endpoints", json!(["{api}", "{host}:{port"])), "description.endpoints[1]: cannot read {host}:{port"),
        (with("summary", json!("x".repeat(600))), "description.summary: "),
        (with("capabilities", json!({"dns": {}})), "missing field"),
        (json!("x".repeat(200_000)), "at most 163840 bytes"),
    ];
    for (description, words) in table {
        let (status, answer) = server.push_described("dns-fake", &description, &component(1)).await;
        let message = answer["detail"].as_str().unwrap_or_default();
        assert!((status == 400 || status == 413) && message.contains(words), "{words}: {status} {answer}");
    }
    let (_, all) = server.ask("GET", "/api/v1/plugins", None).await;
    assert_eq!(all["items"], json!([]));
    assert_eq!(std::fs::read_dir(server.layout.plugins()).unwrap().count(), 0);
}
