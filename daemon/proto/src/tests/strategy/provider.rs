//! Providers, plugins and DNS records.

use linecamp_model::limits::{
    EXTRA_RECORDS_MAX, GRANTS_PER_PROVIDER_MAX, PLUGIN_BYTES_MAX, PLUGIN_PIECE_BYTES_MAX, PROVIDER_SPEC_BYTES_MAX,
    RECORDS_PER_PROVIDER_MAX, REPORTED_RECORDS_BYTES_MAX, SECRET_NAME_BYTES_MAX, SECRETS_PER_PROVIDER_MAX,
    ZONES_PER_PROVIDER_MAX, reported_record_bytes,
};
use linecamp_model::{
    Capabilities, Claim, DnsCapabilities, DnsSettings, DnsStatus, DomainName, Endpoint, ExtraRecord, FleetProvider,
    Grant, NameTemplate, Observed, OwnedRecord, OwnedRecordKey, OwnerId, Ownership, PluginDescription, PluginDigest,
    PluginFile, PluginPiece, PluginRef, PluginWant, ProviderConfig, ProviderId, ProviderSpec, ProviderStatus,
    RecordKey, RecordState, RecordStatus, RecordType, SecretName, SecretRequirement, Selector, Ttl,
};
use proptest::collection::btree_set;

use super::*;
use crate::convert::provider_spec_bytes;

fn domain() -> impl Strategy<Value = DomainName> {
    let short = vec(word(&['a', '0', '-', '_'], 8), 1..4);
    let long = vec(word(&['a', '0', '-', '_'], 61), 4..=4);
    let labels = prop_oneof![9 => short, 1 => long];
    (any::<bool>(), labels).prop_map(|(is_wildcard, labels)| {
        let labels: Vec<_> = labels.iter().map(|inner| format!("a{inner}")).map(|label| label + "9").collect();
        let name = labels.join(".");
        let end = name.char_indices().map(|(index, _)| index).take_while(|index| *index < 250).last();
        let name = name[..=end.unwrap_or_default()].trim_end_matches(['.', '-']);
        DomainName::parse(&format!("{}{name}", if is_wildcard { "*." } else { "" })).expect("a DNS name")
    })
}

fn record_type() -> impl Strategy<Value = RecordType> {
    select(&["A", "AAAA", "CNAME", "TXT"]).prop_map(RecordType::of)
}

fn any_record_type() -> impl Strategy<Value = RecordType> {
    prop_oneof![9 => record_type(), 1 => "[A-Z][A-Z0-9-]{0,15}".prop_map(|text| RecordType::of(&text))]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let name = domain().prop_filter("no wildcard", |name| !name.as_str().starts_with('*'));
    let host = prop_oneof![
        name.prop_map(|name| name.to_string()),
        any::<[u8; 4]>().prop_map(|bytes| IpAddr::from(bytes).to_string()),
        any::<[u8; 16]>().prop_map(|bytes| format!("[{}]", IpAddr::from(bytes))),
    ];
    (host, 1..=u16::MAX).prop_map(|(host, port)| Endpoint::new(&host, port).expect("an endpoint"))
}

fn secret_name() -> impl Strategy<Value = SecretName> {
    word(&['a', '0', '-', '_', '.'], SECRET_NAME_BYTES_MAX - 1)
        .prop_map(|inner| SecretName::parse(&format!("s{inner}")).expect("a secret's name"))
}

fn selector() -> impl Strategy<Value = Selector> {
    let terms = ["rack = r7", "!lab", "tier in (a, b)", "n >= 5.10", "note = \"a \\\" b\""].to_vec();
    subsequence(terms, 0..=3).prop_map(|terms| Selector::parse(&terms.join(",")).expect("a selector"))
}

fn template() -> impl Strategy<Value = NameTemplate> {
    select(&["{host}.{site}.{environment}", "@", "*.{site}", "www-{host}", "a.b_c"])
        .prop_map(|text| NameTemplate::parse(text).expect("a template"))
}

fn config() -> impl Strategy<Value = ProviderConfig> {
    const SHAPES: [&str; 3] = ["{}", r#"{"a":[1,{"b":null}],"c":"\n"}"#, r#" { "k" : 1.5 } "#];
    let long = format!("{{\"k\":\"{}\"}}", "x".repeat(8 * 1024 - 8));
    prop_oneof![9 => select(&SHAPES).prop_map(str::to_owned), 1 => Just(long)]
        .prop_map(|text| ProviderConfig::of_json(&text).expect("short"))
}

fn grant() -> impl Strategy<Value = Grant> {
    let endpoints = || length(GRANTS_PER_PROVIDER_MAX).prop_flat_map(|count| btree_set(endpoint(), 0..=count));
    (endpoints(), endpoints(), any::<bool>()).prop_map(|(reach, reach_private, plain_http)| Grant {
        reach,
        reach_private,
        plain_http,
    })
}

fn extra() -> impl Strategy<Value = ExtraRecord> {
    let values = vec(text(), 0..4);
    (template(), record_type(), values).prop_map(|(template, rtype, values)| ExtraRecord { template, rtype, values })
}

fn owner() -> impl Strategy<Value = OwnerId> {
    name().prop_map(|name| OwnerId::parse(name.as_str()).expect("an owner id"))
}

fn dns() -> impl Strategy<Value = DnsSettings> {
    let zones = length(ZONES_PER_PROVIDER_MAX).prop_flat_map(|count| btree_set(domain(), 0..=count));
    let extra = length(EXTRA_RECORDS_MAX).prop_flat_map(|count| vec(extra(), count));
    let ttl = (0..=u32::MAX >> 1).prop_map(|seconds| Ttl::of(seconds).expect("below 2^31"));
    (owner(), zones, template(), ttl, selector(), any::<[bool; 3]>(), extra).prop_map(
        |(owner, zones, template, ttl, hosts, [observed_address, allow_deletes, withdraw_inactive], extra)| {
            DnsSettings {
                owner,
                zones,
                template,
                ttl,
                hosts,
                observed_address,
                allow_deletes,
                withdraw_inactive,
                extra,
            }
        },
    )
}

fn digest() -> impl Strategy<Value = PluginDigest> {
    uniform32(any::<u8>()).prop_map(PluginDigest::from_bytes)
}

fn provider_spec() -> impl Strategy<Value = ProviderSpec> {
    let secrets =
        length(SECRETS_PER_PROVIDER_MAX).prop_flat_map(|count| btree_map(secret_name(), secret_name(), 0..=count));
    let plugin = (name(), option::of(digest())).prop_map(|(name, digest)| PluginRef { name, digest });
    (name(), plugin, config(), secrets, grant(), dns(), any::<[bool; 2]>())
        .prop_map(|(name, plugin, config, secrets, grant, dns, [is_dry_run, is_withdrawing])| ProviderSpec {
            name,
            plugin,
            config,
            secrets,
            grant,
            kind: dns.into(),
            is_dry_run,
            is_withdrawing,
        })
        .prop_filter("too long together", |spec| provider_spec_bytes(spec) <= PROVIDER_SPEC_BYTES_MAX)
}

fn records() -> impl Strategy<Value = Vec<RecordStatus>> {
    let id = || (domain(), domain(), any_record_type());
    let values = || btree_set(word(&['a', ' ', '"', '\\', '\u{e9}'], 300).prop_map(String::into_boxed_str), 0..3);
    let ttl = || option::of((0..=u32::MAX >> 1).prop_map(|seconds| Ttl::of(seconds).expect("below 2^31")));
    let observed =
        move || option::of((wall(), values(), ttl()).prop_map(|(at, values, ttl)| Observed { at, values, ttl }));
    let rest = move || (values(), ttl(), observed(), select(RecordState::ALL), text());
    let one = length(RECORDS_PER_PROVIDER_MAX).prop_flat_map(move |count| btree_map(id(), rest(), 0..=count));
    one.prop_map(|records| {
        let mut left = REPORTED_RECORDS_BYTES_MAX;
        let all = records.into_iter().map(|((zone, name, rtype), (values, ttl, observed, state, detail))| {
            RecordStatus { zone, key: RecordKey { name, rtype }, values, ttl, observed, state, detail }
        });
        let fits = |record: &RecordStatus| {
            let id = [record.zone.as_str(), record.key.name.as_str(), record.key.rtype.as_str()];
            let texts: usize = id.iter().map(|text| text.len()).sum();
            let observed = record.observed.iter().flat_map(|observed| &observed.values);
            let values: Vec<_> = record.values.iter().chain(observed).map(|value| value.len()).collect();
            let texts = texts + values.iter().sum::<usize>() + record.detail.as_str().len();
            let bytes = reported_record_bytes(texts, values.len());
            left.checked_sub(bytes).map(|rest| left = rest).is_some()
        };
        all.filter(fits).collect()
    })
}

pub(super) fn provider_spec_body() -> BoxedStrategy<Keyed<SpecBody>> {
    let keyed = |spec: ProviderSpec| {
        (DocumentKey::Provider(ProviderId::of(&spec.name)), Some(SpecBody::Provider(Box::new(spec))))
    };
    provider_spec().prop_map(keyed).boxed()
}

pub(super) fn provider_status_body() -> BoxedStrategy<Keyed<StatusBody>> {
    let said = (text(), option::of(text()), generation());
    let status =
        (name(), any::<bool>(), said, records()).prop_map(|(name, is_local, (plugin, failure, converged), records)| {
            ProviderStatus { name, is_local, plugin, failure, converged, kind: DnsStatus { records }.into() }
        });
    let keyed = |status: ProviderStatus| {
        (DocumentKey::Provider(ProviderId::of(&status.name)), Some(StatusBody::Provider(status)))
    };
    status.prop_map(keyed).boxed()
}

/// A deleted provider, of which only the key is left.
pub(super) fn gone<B: std::fmt::Debug + Clone + 'static>() -> BoxedStrategy<Keyed<B>> {
    name().prop_map(|name| (DocumentKey::Provider(ProviderId::of(&name)), None)).boxed()
}

pub(super) fn want() -> impl Strategy<Value = PluginWant> {
    (digest(), 0..=PLUGIN_BYTES_MAX).prop_map(|(digest, offset)| PluginWant { digest, offset })
}

pub(super) fn piece() -> impl Strategy<Value = PluginPiece> {
    let bytes = length(PLUGIN_PIECE_BYTES_MAX).prop_map(|length| vec![7; length]);
    let place = (bytes, 0..1_000_000_u64, 0..1_000_u64);
    (digest(), place, any::<bool>()).prop_map(|(digest, (bytes, offset, rest), is_there)| {
        match (is_there, bytes.len()) {
            (false, _) => PluginPiece { digest, offset, total: 0, bytes: Vec::new() },
            (true, 0) => PluginPiece { digest, offset, total: offset, bytes },
            (true, length) => PluginPiece { digest, offset, total: offset + length as u64 + rest, bytes },
        }
    })
}

pub(super) fn held() -> impl Strategy<Value = (OwnedRecordKey, OwnedRecord)> {
    let key = (uniform16(any::<u8>()), domain(), domain(), any_record_type()).prop_map(|(id, zone, name, rtype)| {
        OwnedRecordKey { provider: ProviderId::from_bytes(id), zone, record: RecordKey { name, rtype } }
    });
    let ttl = (0..=u32::MAX >> 1).prop_map(|seconds| Ttl::of(seconds).expect("below 2^31"));
    let values = btree_set(word(&['a', ' ', '"', '\\', '\u{e9}'], 300).prop_map(String::into_boxed_str), 0..3);
    let body = (owner(), site_id(), select(Ownership::ALL), ttl, values)
        .prop_map(|(owner, site, state, ttl, values)| OwnedRecord { claim: Claim { owner, site }, state, ttl, values });
    (key, body)
}

pub(super) fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

pub(super) fn fleet_provider() -> impl Strategy<Value = FleetProvider> {
    (selector(), provider_spec(), any::<bool>()).prop_map(|(sites, spec, matches_facts)| FleetProvider {
        sites,
        spec,
        matches_facts,
    })
}

pub(super) fn plugin_file() -> impl Strategy<Value = (PluginDigest, PluginFile)> {
    let file = (name(), 0..=PLUGIN_BYTES_MAX, wall(), option::of(plugin_description()));
    let file = file.prop_map(|(name, bytes, pushed_at, description)| {
        let description = description.map(|found| Box::new(PluginDescription { name: name.clone(), ..found }));
        PluginFile { name, bytes, pushed_at, description }
    });
    (digest(), file)
}

fn plugin_description() -> impl Strategy<Value = PluginDescription> {
    let secret = (secret_name(), text(), any::<bool>());
    let secret = secret.prop_map(|(name, summary, is_required)| SecretRequirement { name, summary, is_required });
    let flags = (any::<bool>(), any::<bool>());
    let parts =
        (name(), text(), text(), flags, (0_u32..100, 100_u32..1000), ".{0,60}", vec(secret, 0..3), vec(text(), 0..3));
    parts.prop_map(|(name, version, summary, flags, ttl, config_schema, secrets, endpoints)| PluginDescription {
        name,
        version: if version.as_str().is_empty() { Text::lossy("1.0.0") } else { version },
        summary,
        capabilities: Capabilities::Dns(DnsCapabilities::described(flags, ttl, 2).expect("valid capabilities")),
        config_schema,
        secrets,
        endpoints,
    })
}
