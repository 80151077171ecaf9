//! Two providers of one site that want the same name in the same zone.

use linecamp_model::{ConditionKind, DnsSettings, NameTemplate, ProviderConfig, ProviderSpec, RecordType};

use super::quarantine::extra;
use super::records::{MINUTE, conditions, plain_site, provider, shown};
use crate::RECONCILE_INTERVAL;
use crate::testing::{DAY, Pair, name};

fn shared(provider_name: &str, value: &str) -> ProviderSpec {
    let template = NameTemplate::parse(&format!("{{host}}.{provider_name}")).unwrap();
    let dns = DnsSettings { template, extra: vec![extra("shared", RecordType::A, value)], ..provider().dns().clone() };
    ProviderSpec { name: name(provider_name), kind: dns.into(), ..provider() }
}

fn value_of_shared(pair: &Pair) -> Vec<String> {
    shown(pair).into_iter().filter(|text| text.starts_with("shared")).collect()
}

fn settings(pair: &mut Pair, providers: Vec<ProviderSpec>) {
    pair.nodes[0].config.providers = providers;
    pair.crash_site();
}

/// Also if their settings differ and only the observation shows that they write to the same place.
#[test]
fn the_first_of_two_providers_gets_a_shared_name_and_the_other_reports_it() {
    for text in ["{}", r#"{"server":"another name of the same"}"#] {
        let (one, two) = (shared("one", "192.0.2.101"), shared("two", "192.0.2.199"));
        let two = ProviderSpec { config: ProviderConfig::of_json(text).unwrap(), ..two };
        let mut pair = plain_site(75);
        settings(&mut pair, vec![two.clone()]);
        pair.run_for(MINUTE);
        assert_eq!(value_of_shared(&pair), ["shared.example.org A 300 192.0.2.199"]);
        settings(&mut pair, vec![one.clone(), two.clone()]);
        pair.run_for(2 * RECONCILE_INTERVAL);
        assert_eq!(value_of_shared(&pair), ["shared.example.org A 300 192.0.2.101"]);
        let found = conditions(&pair);
        assert!(found.len() == 1 && found[0].0 == ConditionKind::RecordQuarantined, "{found:?}");
        assert!(found[0].1.contains("shared.example.org A") && found[0].1.contains("provider one"), "{found:?}");
        let writes = pair.name_server.writes.len();
        pair.run_for(DAY);
        pair.crash_site();
        pair.run_for(2 * RECONCILE_INTERVAL);
        assert_eq!(pair.name_server.writes.len(), writes, "neither provider writes");
        // The other leaves: it does not own the name and must not delete it.
        settings(&mut pair, vec![one.clone(), ProviderSpec { is_withdrawing: true, ..two.clone() }]);
        pair.run_for(2 * RECONCILE_INTERVAL);
        assert_eq!(value_of_shared(&pair), ["shared.example.org A 300 192.0.2.101"]);
        let written = pair.name_server.writes[writes..].iter().filter_map(|(_, change)| change.key());
        let shared: Vec<_> = written.filter(|key| key.name.as_str().contains("shared")).collect();
        assert!(shared.is_empty(), "it is not deleted and recreated: {shared:?}");
        // The first leaves: the other takes the name over.
        settings(&mut pair, vec![ProviderSpec { is_withdrawing: true, ..one }, two]);
        pair.run_for(2 * RECONCILE_INTERVAL);
        assert_eq!(value_of_shared(&pair), ["shared.example.org A 300 192.0.2.199"]);
        assert_eq!(conditions(&pair), []);
    }
}
