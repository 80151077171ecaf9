//! A plugin and a provider that fits it, for tests.

use std::collections::BTreeSet;

use linecamp_model::{
    Capabilities, DnsCapabilities, DnsSettings, DomainName, Endpoint, Environment, FleetChange, Grant, Name,
    NameTemplate, OwnerId, PluginDescription, PluginDigest, PluginFile, PluginRef, ProviderConfig, ProviderSpec,
    SecretName, SecretRequirement, Selector, Text, Ttl, WallTime,
};

use crate::fleet::decision::Decided;
use crate::fleet::state::FleetState;
use crate::staging::Replay as _;

pub(super) const fn digest(number: u8) -> PluginDigest {
    PluginDigest::from_bytes([number; 32])
}

pub(super) fn file(description: Option<PluginDescription>) -> PluginFile {
    let name = Name::parse("dns-fake").unwrap();
    PluginFile { name, bytes: 8, pushed_at: WallTime::EPOCH, description: description.map(Box::new) }
}

pub(super) fn description() -> PluginDescription {
    let schema = r#"{"type":"object","additionalProperties":false,"required":["api"],"properties":{"api":{}}}"#;
    PluginDescription {
        name: Name::parse("dns-fake").unwrap(),
        version: Text::lossy("1.0.0"),
        summary: Text::lossy("Manages DNS records in a small zone API."),
        capabilities: Capabilities::Dns(DnsCapabilities::described((true, true), (1, 86_400), 100).unwrap()),
        config_schema: schema.to_owned(),
        secrets: vec![SecretRequirement {
            name: SecretName::parse("token").unwrap(),
            summary: Text::lossy("Bearer token."),
            is_required: true,
        }],
        endpoints: vec![Text::lossy("{api}")],
    }
}

pub(super) fn provider() -> ProviderSpec {
    let token = SecretName::parse("token").unwrap();
    ProviderSpec {
        name: Name::parse("main-dns").unwrap(),
        plugin: PluginRef { name: Name::parse("dns-fake").unwrap(), digest: Some(digest(1)) },
        config: ProviderConfig::of_json(r#"{"api":"https://dns.test"}"#).unwrap(),
        secrets: [(token.clone(), token)].into(),
        grant: Grant { reach: BTreeSet::from([Endpoint::parse("dns.test:443").unwrap()]), ..Grant::default() },
        kind: DnsSettings {
            owner: OwnerId::parse("acme").unwrap(),
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

/// Returns a fleet with an environment `default` and the plugin under `digest(1)`.
pub(super) fn with_plugin(is_described: bool) -> FleetState {
    let mut state = FleetState::default();
    let environment =
        Environment { approval: false, recoveries_per_day_max: 1, removed_keep: std::time::Duration::from_secs(3600) };
    state.apply(FleetChange::Environment(Name::parse("default").unwrap(), Some(environment)));
    let file = file(is_described.then(description));
    state.apply(FleetChange::Plugin(digest(1), Some(file)));
    state
}

/// Applies the changes of a decision.
#[track_caller]
pub(super) fn apply(state: &mut FleetState, decided: Decided) {
    for change in decided.expect("accepted").changes {
        state.apply(change);
    }
}
