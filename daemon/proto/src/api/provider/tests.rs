use linecamp_model::{FleetProvider, Name, PluginFile, ProviderSpec, Selector, WallTime};

use super::*;
use crate::api::tests::written;
use crate::api::{PluginView, RecordPlace, RecordView, domain_name};
use crate::tests::sample;

const LEAST: &str = r#"{"name":"shop","plugin":"dns-powerdns","owner":"acme","zones":["acme.example"]}"#;

fn body(json: &str) -> ProviderBody {
    serde_json::from_str(json).expect("reads")
}

/// Returns the minimal provider with one key changed.
fn with(key: &str, value: serde_json::Value) -> ProviderBody {
    let mut json: serde_json::Map<_, _> = serde_json::from_str(LEAST).expect("reads");
    json.insert(key.to_owned(), value);
    serde_json::from_value(json.into()).expect("has the shape")
}

fn spec(json: &str) -> ProviderSpec {
    body(json).to_spec().expect("is valid")
}

#[test]
fn a_missing_field_has_its_documented_value() {
    let least = spec(LEAST);
    let all = body(&serde_json::to_string(&ProviderBody::from(&least)).expect("serialises"));
    insta::assert_snapshot!(written(&all));
    assert_eq!(all.to_spec(), Ok(least));
}

#[test]
fn settings_survive_their_encoding() {
    let spec = ProviderSpec { is_withdrawing: false, ..sample::provider_spec() };
    let body = ProviderBody::from(&spec);
    insta::assert_snapshot!(written(&body));
    assert_eq!(body.to_spec(), Ok(spec));
}

#[test]
fn the_same_shape_is_a_table_of_the_daemons_configuration() {
    #[derive(Deserialize)]
    struct File {
        provider: Vec<ProviderBody>,
    }
    let text = r#"
        [[provider]]
        name = "shop"
        plugin = "dns-rfc2136"
        owner = "acme"
        zones = ["Bücher.example."]
        secrets = { tsig = "tsig.key" }
        reach_private = ["ns1.bücher.example:53"]
        records = [{ template = "www.{site}", type = "cname", values = ["Shop.BÜCHER.example."] }]

        [provider.config]
        server = "ns1.bücher.example:53"
        algorithm = "hmac-sha256"
        [provider.config.key]
        name = "k"
        bits = [1, 2.5, true]
    "#;
    let file: File = toml::from_str(text).expect("reads");
    let spec = file.provider[0].to_spec().expect("is valid");
    assert_eq!(
        spec.config.as_str(),
        r#"{"algorithm":"hmac-sha256","key":{"bits":[1,2.5,true],"name":"k"},"server":"ns1.bücher.example:53"}"#
    );
    assert_eq!(spec.dns().zones.iter().map(ToString::to_string).collect::<Vec<_>>(), ["xn--bcher-kva.example"]);
    assert_eq!(spec.dns().extra[0].values[0].as_str(), "Shop.xn--bcher-kva.example.".to_lowercase());
    assert_eq!(spec.grant.reach_private.first().map(ToString::to_string), Some("ns1.xn--bcher-kva.example:53".into()));
    let error = toml::from_str::<File>("[[provider]]\nname = \"x\"\nplugin = \"p\"\nzones = [\"z\"]");
    assert!(error.err().expect("there is no owner").to_string().contains("missing field `owner`"));
    let date: File = toml::from_str(&text.replace("name = \"k\"", "since = 2026-11-22")).expect("reads");
    let error = date.provider[0].to_spec().expect_err("a date").to_string();
    assert_eq!(error, "config: has a date, which JSON does not know: put it in quotes");
}

#[test]
fn a_provider_is_of_a_known_kind() {
    assert_eq!(body(LEAST).kind, ProviderKindName::Dns, "the default");
    assert_eq!(with("kind", "dns".into()), body(LEAST));
    let error = serde_json::from_str::<ProviderBody>(&LEAST.replace('}', r#","kind":"mail"}"#)).expect_err("no kind");
    assert!(error.to_string().contains("unknown variant `mail`, expected `dns`"), "{error}");
}

#[test]
fn an_unknown_key_is_rejected() {
    let check = |json: &str| assert!(serde_json::from_str::<ProviderBody>(json).is_err(), "{json}");
    check(&LEAST.replace("\"owner\"", "\"ower\""));
    check(&LEAST.replace('}', ",\"delete\":true}"));
    check(&LEAST.replace('}', ",\"records\":[{\"template\":\"@\",\"type\":\"TXT\",\"values\":[\"v\"],\"ttl\":1}]}"));
    let request = format!(r#"{{"environment":"default","sites":"","settings":{LEAST},"force":true}}"#);
    assert!(serde_json::from_str::<ProviderRequest>(&request).is_err());
    assert!(serde_json::from_str::<ProviderEdit>(r#"{"site":""}"#).is_err());
}

#[test]
fn an_invalid_setting_is_rejected_with_its_key() {
    let check = |key: &str, value: serde_json::Value, words: &str| {
        let error = with(key, value).to_spec().expect_err(words).to_string();
        assert_eq!(error, words);
    };
    check("name", "Shop".into(), "name: a name has only a-z, 0-9 and `-`: column 1 is `S`");
    check("plugin", "".into(), "plugin: a name cannot be empty");
    check("owner", "a b".into(), "owner: a name has only a-z, 0-9 and `-`: column 2 is ` `");
    check("digest", "sha256:77".into(), "digest: is not `sha256:` and 64 hexadecimal digits");
    check("ttl", u32::MAX.into(), "ttl: is 0 to 2147483647 seconds");
    check(
        "hosts",
        "a b".into(),
        "hosts: selector, column 3: expected one of = == != < <= > >= in notin, or `,`, or the end, found `b`",
    );
    check("zones", serde_json::json!([]), "zones: is empty: name the zones that get the records");
    check("zones", serde_json::json!(["a", "b..c"]), "zones[1]: a DNS name has no empty label");
    check("zones", serde_json::json!(["*.a"]), "zones[0]: a zone is no wildcard, as `*.a` is");
    check("zones", serde_json::json!(vec!["a"; 17]), "zones: has 17 elements; at most 16 are allowed");
    check(
        "zones",
        serde_json::json!(["a\u{200d}\u{fffd}b.example"]),
        "zones[0]: the label `a\u{fffd}\u{fffd}b.example` is no internationalised name (IDNA, UTS 46)",
    );
    check(
        "template",
        "{hots}".into(),
        "template: `{hots}` stands for nothing: there are {host}, {site} and {environment}",
    );
    check(
        "reach",
        serde_json::json!(["a:1", "https://a"]),
        "reach[1]: `https://a` is not HOST:PORT, such as dns.example.org:443 or [2001:db8::1]:53",
    );
    check(
        "reach_private",
        serde_json::json!(["127.1:80"]),
        "reach_private[0]: `127.1:80` is not HOST:PORT: write an IPv4 address as four decimal numbers, such as 192.0.2.1",
    );
    check(
        "secrets",
        serde_json::json!({"key": "/etc/shadow"}),
        "secrets.key: `/etc/shadow` is not a secret name: at most 64 of a-z, 0-9, `-`, `_` and `.`, starting with a \
         letter or digit",
    );
    check(
        "config",
        serde_json::json!({"a": "x".repeat(9_000)}),
        "config: a provider's config has at most 8192 bytes, not 9008",
    );
    for url in ["http://u:PASSWORD@host", "https://token@host:8081/x", "http://u:PASS/WORD@host"] {
        let words = |key: &str| {
            let what =
                "is a URL with a user name or a password in it: write it without, and name a secret in `secrets`";
            format!("config: `{key}` {what}")
        };
        check("config", serde_json::json!({"api": url}), &words("api"));
        check("config", serde_json::json!({"api": [{"url": url}]}), &words("api.0.url"));
    }
}

#[test]
fn an_at_sign_outside_user_information_is_accepted() {
    for text in ["a@b.example", "https://a.example/x@y", "https://a.example:8081/x@y", "http://[::1]/x@y"] {
        with("config", serde_json::json!({"api": text})).to_spec().expect(text);
    }
}

#[test]
fn an_invalid_extra_record_is_rejected_with_its_key() {
    let check = |rtype: &str, values: &[&str], words: &str| {
        let record = serde_json::json!({"template": "www", "type": rtype, "values": values});
        let error = with("records", vec![record].into()).to_spec().expect_err(words).to_string();
        assert_eq!(error, format!("records[0].{words}"));
    };
    check("MX", &["10 a"], "type: is A, AAAA, CNAME or TXT");
    check("TXT", &[], "values: is empty: a record needs a value");
    check("CNAME", &["a", "b"], "values: are several; a CNAME has one target");
    check("TXT", &["v"; 17], "values: has 17 elements; at most 16 are allowed");
    check("A", &["192.0.2.1", "::1"], "values[1]: the A value `::1` is no IPv4 address");
    check("TXT", &["a\nb"], "values[0]: a text has no control or format characters: column 2 is U+000A");
    let long: Vec<_> = (0..4)
        .map(|_| serde_json::json!({"template": "www", "type": "TXT", "values": vec!["x".repeat(512); 16]}))
        .collect();
    let error = with("records", long.into()).to_spec().expect_err("too long together").to_string();
    assert_eq!(error, "name: all settings of `shop` together have 33082 bytes; 32768 are allowed");
}

#[test]
fn a_control_character_in_a_config_is_stored_as_an_escape() {
    let config = serde_json::json!({"a": "\u{7f}\u{85}\n"});
    let spec = with("config", config.clone()).to_spec().expect("is valid");
    assert_eq!(spec.config.as_str(), r#"{"a":"\u007f\u0085\n"}"#);
    assert_eq!(serde_json::Value::from(ProviderBody::from(&spec).config), config);
}

#[test]
fn an_error_about_a_setting_has_no_control_characters() {
    let hostile = "a\u{1b}[31m\n2026 ERROR forged".repeat(100);
    for body in [
        with("name", hostile.as_str().into()),
        with("zones", vec![hostile.as_str()].into()),
        with("zones", vec![format!("\u{fc}{hostile}")].into()),
        with("secrets", serde_json::json!({ hostile.as_str(): "b" })),
    ] {
        let error = body.to_spec().expect_err("hostile").to_string();
        assert!(!error.contains(linecamp_model::is_invisible) && error.len() < 1100, "{error:?}");
    }
}

#[test]
fn an_internationalized_name_is_converted_to_ascii() {
    let check = |text: &str, form: &str| assert_eq!(domain_name(text).expect("a name").as_str(), form);
    check("BÜCHER.Example.", "xn--bcher-kva.example");
    check("bu\u{308}cher。example", "xn--bcher-kva.example");
    check("*.faß.example", "*.xn--fa-hia.example");
    check("_dmarc.пример.example", "_dmarc.xn--e1afmkfd.example");
    check("XN--BCHER-KVA.example", "xn--bcher-kva.example");
    for text in ["", "\u{fc}..a", "a\u{fc} b", "\u{fc}*.a", &"\u{fc}".repeat(64)] {
        assert!(domain_name(text).is_err(), "{text}");
    }
    let template = with("template", "{host}.Bücher".into()).to_spec().expect("is valid").dns().template.clone();
    assert_eq!(template.as_str(), "{host}.xn--bcher-kva");
    assert!(with("template", "bü-{host}".into()).to_spec().is_err(), "what stands in braces is no name yet");
}

#[test]
fn a_digest_may_have_its_algorithm_as_a_prefix() {
    let digest = "ab".repeat(32);
    let parsed = plugin_digest(&digest).expect("a digest");
    assert_eq!(parsed.to_string(), format!("sha256:{digest}"));
    assert_eq!(plugin_digest(&parsed.to_string().to_uppercase().replace("SHA", "sha")), Some(parsed));
    for text in ["", "sha256:", "sha512:abab", &digest[1..], "g"] {
        assert_eq!(plugin_digest(text), None, "{text}");
    }
}

#[test]
fn a_provider_a_plugin_and_a_record_are_written_as_promised() {
    let name = |text| Name::parse(text).expect("a name");
    let provider = FleetProvider {
        sites: Selector::parse("region=eu").expect("a selector"),
        spec: spec(LEAST),
        matches_facts: false,
    };
    let file = PluginFile { name: name("dns-powerdns"), bytes: 211_330, pushed_at: WallTime::EPOCH, description: None };
    let plugin = sample::plugin_description();
    let described = PluginFile { description: Some(Box::new(plugin.clone())), ..file.clone() };
    let count = ProviderCount { sites: 12, converged: 10, failed: 1, left_out: 0 };
    let status = sample::provider_status();
    let (environment, site) = (name("default"), name("camp-042"));
    let place = RecordPlace { environment: &environment, site: &site, provider: &status };
    let all = [
        written(&ProviderView::new(&environment, &provider, count, Some(&provider.spec.problems(&plugin)))),
        written(&ProviderView::new(&environment, &provider, count, None)),
        written(&PluginView::new(&plugin_digest(&"ab".repeat(32)).expect("a digest"), &file)),
        written(&PluginView::new(&plugin_digest(&"cd".repeat(32)).expect("a digest"), &described)),
        written(&RecordView::new(place, &status.records()[1])),
    ];
    insta::assert_snapshot!(all.join("\n"));
}
