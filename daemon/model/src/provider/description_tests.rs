use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::dns::{DnsCapabilities, DomainName, NameTemplate, Ttl};
use crate::limits::{SCHEMA_BYTES_MAX, SETTING_PROBLEMS_MAX};
use crate::name::Text;
use crate::selector::Selector;

const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false, "required": ["api"], "properties": {
    "api": {"type": "string", "description": "URL of the API."},
    "mirror": {"type": "string", "default": "https://mirror.test"},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 1000},
    "mode": {"enum": ["plain", "signed"]},
    "name": {"type": "string", "minLength": 2, "maxLength": 3},
    "fast": {"type": ["boolean", "null"]},
    "servers": {"type": "array", "maxItems": 2, "items": {
        "type": "object", "additionalProperties": false, "required": ["host"],
        "properties": {"host": {"type": "string"}}
    }},
    "zones": {"type": "object", "additionalProperties": {"type": "string"}}
}}"#;

fn text(text: &str) -> Text {
    Text::parse(text).unwrap()
}

pub(super) fn plugin() -> PluginDescription {
    let secret = |name: &str, is_required| SecretRequirement {
        name: SecretName::parse(name).unwrap(),
        summary: text("Bearer token of the API."),
        is_required,
    };
    let (ttl_min, ttl_max) = (Ttl::of(0).unwrap(), Ttl::of(86_400).unwrap());
    PluginDescription {
        name: Name::parse("dns-fake").unwrap(),
        version: text("1.0.0"),
        summary: text("Manages DNS records in a small zone API."),
        capabilities: Capabilities::Dns(DnsCapabilities {
            atomic: true,
            can_list_records: true,
            ttl_min,
            ttl_max,
            max_batch_size: 100,
        }),
        config_schema: SCHEMA.to_owned(),
        secrets: vec![secret("token", true), secret("old-token", false)],
        endpoints: ["{api}", "{mirror}"].map(text).to_vec(),
    }
}

/// A provider that fits the plugin, with this config.
pub(super) fn provider(config: &str) -> ProviderSpec {
    let endpoints = |all: &[&str]| all.iter().map(|text| Endpoint::parse(text).unwrap()).collect::<BTreeSet<_>>();
    let secret = |text: &str| SecretName::parse(text).unwrap();
    ProviderSpec {
        name: Name::parse("main-dns").unwrap(),
        plugin: PluginRef { name: Name::parse("dns-fake").unwrap(), digest: None },
        config: ProviderConfig::of_json(config).unwrap(),
        secrets: BTreeMap::from([(secret("token"), secret("dns-token"))]),
        grant: Grant {
            reach: endpoints(&["dns.test:443", "mirror.test:443"]),
            reach_private: endpoints(&["10.0.0.5:8081", "[fd00::1]:80"]),
            plain_http: false,
        },
        kind: DnsSettings {
            owner: crate::dns::OwnerId::parse("acme").unwrap(),
            zones: BTreeSet::from([DomainName::parse("example.org").unwrap()]),
            template: NameTemplate::parse(NameTemplate::DEFAULT).unwrap(),
            ttl: Ttl::DEFAULT,
            hosts: Selector::default(),
            observed_address: false,
            allow_deletes: false,
            withdraw_inactive: false,
            extra: Vec::new(),
        }
        .into(),
        is_dry_run: false,
        is_withdrawing: false,
    }
}

#[track_caller]
pub(super) fn check(provider: &ProviderSpec, plugin: &PluginDescription, expected: &[&str]) {
    let found: Vec<_> = provider.problems(plugin).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{}", provider.config.as_str());
}

/// A config with a valid `api` and these fields.
fn with(fields: &str) -> ProviderSpec {
    provider(&format!(r#"{{"api": "https://dns.test", {fields}}}"#))
}

#[test]
fn a_config_is_validated_against_the_schema() {
    let plugin = plugin();
    check(&provider(r#"{"api": "https://dns.test/v1"}"#), &plugin, &[]);
    check(
        &with(r#""page_size": 1000, "mode": "plain", "name": "äöü", "fast": null, "servers": [{"host": "a"}]"#),
        &plugin,
        &[],
    );
    check(&provider("{}"), &plugin, &["config.api: required, but not set: URL of the API"]);
    let table = [
        (
            r#""apy": 1"#,
            "apy: unknown setting; the plugin has api, fast, mirror, mode, name, page_size, servers or zones",
        ),
        (r#""page_size": "10""#, "page_size: expected integer, found string"),
        (r#""page_size": 1.5"#, "page_size: expected integer, found number"),
        (r#""page_size": 0"#, "page_size: expected at least 1, found 0"),
        (r#""page_size": 1001"#, "page_size: expected at most 1000, found 1001"),
        (r#""mode": "fast""#, "mode: expected plain or signed"),
        (r#""name": "é""#, "name: expected at least 2 characters, found 1"),
        (r#""name": "abcd""#, "name: expected at most 3 characters, found 4"),
        (r#""fast": 1"#, "fast: expected boolean or null, found number"),
        (
            r#""servers": [{"host": "a"}, {"hots": "b", "host": "b"}]"#,
            "servers[1].hots: unknown setting; the plugin has host",
        ),
        (r#""servers": [{}]"#, "servers[0].host: required, but not set"),
        (r#""servers": {}"#, "servers: expected array, found object"),
        (r#""zones": {"example.org": 7}"#, "zones.example.org: expected string, found number"),
    ];
    for (fields, problem) in table {
        check(&with(fields), &plugin, &[&format!("config.{problem}")]);
    }
    let three = r#""servers": [{"host": "a"}, {"host": "b"}, {"host": "c"}]"#;
    check(&with(three), &plugin, &["config.servers: expected at most 2 elements, found 3"]);
}

#[test]
fn secrets_are_known_and_complete() {
    let mut provider = provider(r#"{"api": "https://dns.test"}"#);
    let name = |text: &str| SecretName::parse(text).unwrap();
    provider.secrets.insert(name("old-token"), name("x"));
    check(&provider, &plugin(), &[]);
    provider.secrets.remove(&name("token"));
    provider.secrets.insert(name("tokn"), name("dns-token"));
    let problems = [
        "secrets.tokn: unknown secret; the plugin has token, old-token",
        "secrets.token: required, but not set: Bearer token of the API",
    ];
    check(&provider, &plugin(), &problems);
}

#[test]
fn called_endpoints_are_granted() {
    let of = |api: &str| provider(&format!(r#"{{"api": "{api}"}}"#));
    check(&of("https://DNS.test:443/v1?x"), &plugin(), &[]);
    check(&of("dns.test:443"), &plugin(), &[]);
    let missing = "is missing, but the plugin calls it; list it in reach_private if its address is private";
    check(&of("https://other.test"), &plugin(), &[&format!("reach: other.test:443 {missing}")]);
    check(&of("https://10.0.0.6"), &plugin(), &["reach_private: 10.0.0.6:443 is missing, but the plugin calls it"]);
    let plain = "plain_http: required, because the plugin calls an http:// URL";
    check(&of("http://10.0.0.5:8081"), &plugin(), &[plain]);
    check(&of("http://[fd00::1]/"), &plugin(), &[plain]);
    let mut plainly = of("http://10.0.0.5:8081");
    plainly.grant.plain_http = true;
    check(&plainly, &plugin(), &[]);
    let private = "reach: 10.0.0.5:8081 is not a public address: list it in reach_private instead";
    std::mem::swap(&mut plainly.grant.reach, &mut plainly.grant.reach_private);
    plainly.grant.reach_private = plugin_reach();
    check(&plainly, &plugin(), &[private]);
    let text = "config.api: expected a URL or HOST:PORT, because the plugin calls it";
    check(&of("dns.test"), &plugin(), &[text]);
}

fn plugin_reach() -> BTreeSet<Endpoint> {
    BTreeSet::from([Endpoint::parse("mirror.test:443").unwrap()])
}

/// A plugin that declares the default of a setting as `HOST:PORT` does not call it where the setting has another value.
#[test]
fn a_replaced_default_needs_no_grant() {
    let mut plugin = plugin();
    plugin.endpoints = ["mirror.test:443", "{mirror}"].map(text).to_vec();
    let mut provider = with(r#""mirror": "https://dns.test""#);
    check(&provider, &plugin, &[]);
    provider.grant.reach.remove(&Endpoint::parse("mirror.test:443").unwrap());
    check(&provider, &plugin, &[]);
    let config = ProviderConfig::of_json(r#"{"api": "https://dns.test"}"#).unwrap();
    let missing = "is missing, but the plugin calls it; list it in reach_private if its address is private";
    check(&ProviderSpec { config, ..provider }, &plugin, &[&format!("reach: mirror.test:443 {missing}")]);
}

#[test]
fn all_problems_are_reported_up_to_a_limit() {
    let mut provider = provider(r#"{"apy": 1, "page_size": "x"}"#);
    provider.plugin.name = Name::parse("dns-other").unwrap();
    provider.secrets.clear();
    provider.grant = Grant::default();
    let fields: Vec<_> = provider.problems(&plugin()).iter().map(|problem| problem.field.to_string()).collect();
    let expected = ["plugin", "config.apy", "config.page_size", "config.api", "secrets.token", "reach"];
    assert_eq!(fields, expected);
    let many: Vec<_> = (0..100).map(|number| format!(r#""x{number}": 1"#)).collect();
    assert_eq!(with(&many.join(",")).problems(&plugin()).len(), SETTING_PROBLEMS_MAX);
    let long = format!(r#""{}": 1"#, "ä\u{202e}".repeat(1000));
    let problems = with(&long).problems(&plugin());
    assert!(problems[0].field.as_str().len() < 400 && !problems[0].field.as_str().contains('\u{202e}'));
}

/// What this rule cannot read is left to the plugin, which validates its settings itself.
#[test]
fn an_unknown_schema_rejects_nothing() {
    for schema in ["", "{", "[]", "{}", r#"{"type": 7, "properties": [], "required": {}, "items": 1, "enum": []}"#] {
        let plugin = PluginDescription { config_schema: schema.to_owned(), ..plugin() };
        check(&with(r#""apy": [1]"#), &plugin, &[]);
    }
}

#[test]
fn a_description_is_limited() {
    let check = |description: PluginDescription, expected: Option<&str>| {
        let found = description.check_limits().err().map(|problem| problem.field.to_string());
        assert_eq!(found.as_deref(), expected);
    };
    check(plugin(), None);
    check(PluginDescription { version: Text::default(), ..plugin() }, Some("version"));
    let config_schema = " ".repeat(SCHEMA_BYTES_MAX + 1);
    check(PluginDescription { config_schema, ..plugin() }, Some("config_schema"));
    check(PluginDescription { endpoints: vec![text("a.test:1"); 33], ..plugin() }, Some("endpoints"));
    check(PluginDescription { secrets: vec![plugin().secrets[0].clone(); 33], ..plugin() }, Some("secrets"));
    assert!(plugin().has_usable_schema());
    for schema in ["", "[]", "{}", r#"{"type": "string"}"#] {
        assert!(!PluginDescription { config_schema: schema.to_owned(), ..plugin() }.has_usable_schema(), "{schema}");
    }
}
