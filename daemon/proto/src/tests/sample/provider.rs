//! Providers, plugins and DNS records.

use std::collections::BTreeSet;

use linecamp_model::{
    Capabilities, Claim, DnsCapabilities, DnsSettings, DnsStatus, DocumentKey, DomainName, Endpoint, ExtraRecord,
    FleetProvider, Grant, NameTemplate, Observed, OwnedRecord, OwnedRecordKey, OwnerId, Ownership, PluginDescription,
    PluginDigest, PluginFile, PluginPiece, PluginRef, PluginWant, ProviderConfig, ProviderId, ProviderSpec,
    ProviderStatus, RecordKey, RecordState, RecordStatus, RecordType, SecretName, SecretRequirement, Selector, Ttl,
};

use super::*;

const PLUGIN: PluginDigest = PluginDigest::from_bytes([0xbb; 32]);

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).expect("a DNS name")
}

fn owner() -> OwnerId {
    OwnerId::parse("acme-retail").expect("an owner id")
}

fn provider_id() -> ProviderId {
    ProviderId::of(&name("shop-zone"))
}

/// Returns a provider with every field set.
pub(crate) fn provider_spec() -> ProviderSpec {
    let secret = |text| SecretName::parse(text).expect("a secret's name");
    let endpoint = |text| Endpoint::parse(text).expect("an endpoint");
    let extra = ExtraRecord {
        template: NameTemplate::parse("*.{site}").expect("a template"),
        rtype: RecordType::Cname,
        values: vec![text("{host}.{site}.{environment}.{zone}")],
    };
    ProviderSpec {
        name: name("shop-zone"),
        plugin: PluginRef { name: name("dns-powerdns"), digest: Some(PLUGIN) },
        config: ProviderConfig::of_json(r#"{"api":"https://dns.acme.example:8443","server":"localhost"}"#)
            .expect("short"),
        secrets: [(secret("api-key"), secret("pdns.key"))].into(),
        grant: Grant {
            reach: [endpoint("dns.acme.example:8443")].into(),
            reach_private: [endpoint("[fd00::5]:8443"), endpoint("10.0.0.5:53")].into(),
            plain_http: true,
        },
        kind: DnsSettings {
            owner: owner(),
            zones: [domain("acme.example"), domain("xn--bcher-kva.example")].into(),
            template: NameTemplate::parse("{host}.{site}").expect("a template"),
            ttl: Ttl::of(120).expect("two minutes"),
            hosts: Selector::parse("tier = front, !lab").expect("a selector"),
            observed_address: true,
            allow_deletes: true,
            withdraw_inactive: true,
            extra: vec![extra],
        }
        .into(),
        is_dry_run: true,
        is_withdrawing: true,
    }
}

/// Returns a status with every field set.
pub(crate) fn provider_status() -> ProviderStatus {
    let set = |values: &[&str]| values.iter().map(|value| (*value).into()).collect::<BTreeSet<_>>();
    let record = |name: &str, rtype, [values, seen]: [&[&str]; 2], state, detail| RecordStatus {
        zone: domain("acme.example"),
        key: RecordKey { name: domain(name), rtype },
        values: set(values),
        ttl: (!values.is_empty()).then(|| Ttl::of(120).expect("two minutes")),
        observed: Some(Observed {
            at: WALL,
            values: set(seen),
            ttl: (!seen.is_empty()).then(|| Ttl::of(3_600).expect("an hour")),
        }),
        state,
        detail: text(detail),
    };
    let alias: &[&str] = &["camp-042.acme.example"];
    let addresses: &[&str] = &["192.0.2.7", "192.0.2.8"];
    let unseen = RecordStatus {
        observed: None,
        ..record("camp-042.acme.example", RecordType::Aaaa, [&["2001:db8::7"], &[]], RecordState::Unknown, "")
    };
    ProviderStatus {
        name: name("shop-zone"),
        is_local: true,
        plugin: text("dns-powerdns 0.1.0"),
        failure: Some(text("dns.acme.example:8443 does not answer")),
        converged: Generation(20),
        kind: DnsStatus {
            records: vec![
                record("*.camp-042.acme.example", RecordType::Cname, [alias, alias], RecordState::InSync, ""),
                record("camp-042.acme.example", RecordType::A, [addresses, &["192.0.2.9"]], RecordState::Update, ""),
                unseen,
                record(
                    "camp-042.acme.example",
                    RecordType::Txt,
                    [&[], &["x"]],
                    RecordState::Retained,
                    "deletes are not enabled",
                ),
            ],
        }
        .into(),
    }
}

fn spec_document() -> Document<SpecBody> {
    Document { generation: Generation(21), body: Some(SpecBody::Provider(Box::new(provider_spec()))) }
}

fn status_document() -> Document<StatusBody> {
    Document { generation: Generation(10), body: Some(StatusBody::Provider(provider_status())) }
}

pub(super) fn from_member() -> Vec<(&'static str, FromMember)> {
    let key = DocumentKey::Provider(provider_id());
    let gone = DocumentKey::Provider(ProviderId::of(&name("old-zone")));
    vec![
        ("status-provider", FromMember::Status(delta(9, vec![(key, status_document()), (gone, tombstone(11))]))),
        ("want-plugin", FromMember::WantPlugin(PluginWant { digest: PLUGIN, offset: 32_768 })),
    ]
}

pub(super) fn from_parent() -> Vec<(&'static str, FromParent)> {
    let key = DocumentKey::Provider(provider_id());
    let gone = DocumentKey::Provider(ProviderId::of(&name("old-zone")));
    let piece = PluginPiece { digest: PLUGIN, offset: 32_768, total: 32_780, bytes: b"\0asm\r\0\x01\0piec".to_vec() };
    let absent = PluginPiece { offset: 32_768, total: 0, bytes: Vec::new(), ..piece };
    vec![
        ("spec-provider", FromParent::Spec(delta(20, vec![(key, spec_document()), (gone, tombstone(22))]))),
        ("plugin", FromParent::Plugin(piece)),
        ("plugin-absent", FromParent::Plugin(absent)),
    ]
}

pub(super) fn site_records() -> Vec<(&'static str, SiteChange)> {
    let key = DocumentKey::Provider(provider_id());
    let held = OwnedRecordKey {
        provider: provider_id(),
        zone: domain("acme.example"),
        record: RecordKey { name: domain("*.camp-042.acme.example"), rtype: RecordType::Aaaa },
    };
    let body = OwnedRecord {
        claim: Claim { owner: owner(), site: SITE },
        state: Ownership::Adopting,
        ttl: Ttl::of(120).expect("two minutes"),
        values: ["2001:db8::7".into()].into(),
    };
    vec![
        ("spec-provider", SiteChange::Spec(key, Some(spec_document()))),
        ("status-provider", SiteChange::Status(key, Some(status_document()))),
        ("observed-address", SiteChange::ObservedAddress(Some([192, 0, 2, 7].into()))),
        ("owned", SiteChange::OwnedRecord(held, Some(body))),
    ]
}

/// Returns a description with every field set.
pub(crate) fn plugin_description() -> PluginDescription {
    let text = |text| Text::parse(text).expect("a text");
    let dns = DnsCapabilities::described((true, true), (1, 86_400), 100);
    PluginDescription {
        name: name("dns-powerdns"),
        version: text("1.2.0"),
        summary: text("Manages DNS records in PowerDNS."),
        capabilities: Capabilities::Dns(dns.expect("valid capabilities")),
        config_schema: r#"{"properties":{"api":{"type":"string"}},"required":["api"],"type":"object"}"#.to_owned(),
        secrets: vec![SecretRequirement {
            name: SecretName::parse("api-key").expect("a secret's name"),
            summary: text("API key."),
            is_required: true,
        }],
        endpoints: vec![text("{api}")],
    }
}

pub(super) fn fleet_records() -> Vec<(&'static str, FleetChange)> {
    let key = DocumentKey::Provider(provider_id());
    let provider = FleetProvider {
        sites: Selector::parse("region = eu").expect("a selector"),
        spec: provider_spec(),
        matches_facts: false,
    };
    let plugin = PluginFile { name: name("dns-powerdns"), bytes: 211_330, pushed_at: WALL, description: None };
    let description = Some(Box::new(plugin_description()));
    let described = PluginFile { description, ..plugin.clone() };
    vec![
        ("site-spec-provider", FleetChange::Spec(SITE, key, Some(spec_document()))),
        ("site-status-provider", FleetChange::Status(SITE, key, Some(status_document()))),
        ("provider", FleetChange::Provider(name("default"), name("shop-zone"), Some(Box::new(provider)))),
        ("plugin", FleetChange::Plugin(PLUGIN, Some(plugin))),
        ("plugin-described", FleetChange::Plugin(PLUGIN, Some(described))),
    ]
}
