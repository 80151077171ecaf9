//! Tests of the desired records.

use linecamp_model::{
    DnsSettings, DomainName, EffectiveLabel, EffectiveLabels, ExtraRecord, LabelKey, LabelValue, Level, Name,
    NameTemplate, Owner, OwnerId, RecordKey, RecordSet, RecordType, Selector, Target, Text, Ttl, WallTime,
};

use super::{DesiredRecords, HostInput, Location, desired_records};

const ZONE: &str = "example.org";

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn host(labels: &[(&str, &str)]) -> HostInput {
    let label = |value: &str| EffectiveLabel {
        value: LabelValue::parse(value).unwrap(),
        owner: Owner::Assigned,
        level: Level::Host,
        since: WallTime::EPOCH,
    };
    let labels: EffectiveLabels =
        labels.iter().map(|(key, value)| (LabelKey::parse(key).unwrap(), label(value))).collect();
    HostInput { name: Name::parse("gw").unwrap(), target: Target::Active, labels, observed: None }
}

fn dns_spec() -> DnsSettings {
    DnsSettings {
        owner: OwnerId::parse("acme").unwrap(),
        zones: [name(ZONE)].into(),
        template: NameTemplate::parse(NameTemplate::DEFAULT).unwrap(),
        ttl: Ttl::DEFAULT,
        hosts: Selector::default(),
        observed_address: false,
        allow_deletes: false,
        withdraw_inactive: false,
        extra: Vec::new(),
    }
}

fn desired_of(spec: &DnsSettings, hosts: &[HostInput]) -> DesiredRecords {
    let (site, environment) = (Name::parse("camp").unwrap(), Name::parse("retail").unwrap());
    desired_records(spec, Location { site: &site, environment: &environment, zone: &name(ZONE) }, hosts)
}

fn shown(desired: &DesiredRecords) -> Vec<String> {
    desired.sets.values().map(RecordSet::to_string).collect()
}

#[test]
fn the_address_is_the_label_else_the_observed_one_else_the_hosts_own() {
    let own = ("io.linecamp.host.address", "10.0.0.5,fd00::5");
    let check = |labels: &[(&str, &str)], observed: Option<&str>, expected: &[&str]| {
        let spec = DnsSettings { observed_address: true, ..dns_spec() };
        let host = HostInput { observed: observed.map(|text| text.parse().unwrap()), ..host(labels) };
        assert_eq!(shown(&desired_of(&spec, &[host])), expected);
    };
    check(&[own], None, &["gw.camp.retail.example.org A 300 10.0.0.5", "gw.camp.retail.example.org AAAA 300 fd00::5"]);
    check(&[own], Some("203.0.113.9"), &["gw.camp.retail.example.org A 300 203.0.113.9"]);
    let label = ("io.rancher.host.external_dns_ip", "192.0.2.1");
    check(&[own, label], Some("203.0.113.9"), &["gw.camp.retail.example.org A 300 192.0.2.1"]);
    let ours = ("io.linecamp.host.external_dns_ip", "192.0.2.2, 2001:DB8::2");
    let both = ["gw.camp.retail.example.org A 300 192.0.2.2", "gw.camp.retail.example.org AAAA 300 2001:db8::2"];
    check(&[own, label, ours], None, &both);
}

#[test]
fn an_invalid_address_is_rejected_and_never_published() {
    let host = host(&[("io.linecamp.host.external_dns_ip", "not-an-ip"), ("io.linecamp.host.address", "10.0.0.5")]);
    let desired = desired_of(&dns_spec(), &[host]);
    assert!(desired.sets.is_empty());
    let (key, reason) = desired.rejected.first_key_value().expect("set aside");
    assert_eq!(key.to_string(), "gw.camp.retail.example.org A");
    assert!(reason.as_str().contains("external_dns_ip is `not-an-ip`"), "{reason}");
}

#[test]
fn hosts_are_excluded_by_label_selector_and_phase() {
    let address = ("io.linecamp.host.address", "10.0.0.5");
    let count = |spec: &DnsSettings, host: HostInput| desired_of(spec, &[host]).sets.len();
    assert_eq!(count(&dns_spec(), host(&[address])), 1);
    assert_eq!(count(&dns_spec(), host(&[address, ("io.linecamp.host.external_dns", "False")])), 0);
    let selective = DnsSettings { hosts: Selector::parse("tier=web").unwrap(), ..dns_spec() };
    assert_eq!(count(&selective, host(&[address])), 0);
    assert_eq!(count(&selective, host(&[address, ("tier", "web")])), 1);
    let inactive = HostInput { target: Target::Inactive, ..host(&[address]) };
    assert_eq!(count(&dns_spec(), inactive.clone()), 1, "what runs goes on");
    assert_eq!(count(&DnsSettings { withdraw_inactive: true, ..dns_spec() }, inactive), 0);
    assert_eq!(count(&dns_spec(), HostInput { target: Target::Pending, ..host(&[address]) }), 0);
}

#[test]
fn hosts_with_one_name_share_a_record_set_and_templates_are_expanded() {
    let extra = |template: &str, rtype, value: &str| ExtraRecord {
        template: NameTemplate::parse(template).unwrap(),
        rtype,
        values: vec![Text::parse(value).unwrap()],
    };
    let spec = DnsSettings {
        template: NameTemplate::parse("{site}").unwrap(),
        extra: vec![
            extra("*.{site}", RecordType::Cname, "{site}.{zone}"),
            extra("{site}", RecordType::Cname, "elsewhere.example"),
            extra("i.{site}", RecordType::A, "nonsense"),
        ],
        ..dns_spec()
    };
    let address = |address| host(&[("io.linecamp.host.address", address)]);
    let desired = desired_of(&spec, &[address("10.0.0.5"), address("10.0.0.6")]);
    assert_eq!(
        shown(&desired),
        ["*.camp.example.org CNAME 300 camp.example.org", "camp.example.org A 300 10.0.0.5 10.0.0.6"]
    );
    let aside: Vec<_> = desired.rejected.keys().map(RecordKey::to_string).collect();
    assert_eq!(aside, ["camp.example.org CNAME", "i.camp.example.org A"]);
}

#[test]
fn a_missing_address_is_explained() {
    let spec = DnsSettings { observed_address: true, ..dns_spec() };
    let reason = |observed: Option<&str>| {
        let seen = HostInput { observed: observed.map(|text| text.parse().unwrap()), ..host(&[]) };
        desired_of(&spec, &[seen]).rejected.first_key_value().expect("rejected").1.to_string()
    };
    let set = "set label io.linecamp.host.external_dns_ip";
    assert_eq!(reason(None), format!("host gw: no address is known; the server has not seen one yet: {set}"));
    let expected =
        "host gw: no address is known; the server sees 169.254.7.7, which is valid only on one network segment";
    assert_eq!(reason(Some("169.254.7.7")), format!("{expected}: {set}"));
}

#[test]
fn an_address_that_other_machines_cannot_rely_on_is_never_published() {
    let spec = DnsSettings { observed_address: true, ..dns_spec() };
    for address in ["127.0.0.1", "::1", "169.254.7.7", "fe80::1", "::ffff:127.0.0.1", "255.255.255.255", "0.0.0.0"] {
        let text = format!("192.0.2.1,{address}");
        let desired = desired_of(&spec, &[host(&[("io.linecamp.host.external_dns_ip", &text)])]);
        assert_eq!(shown(&desired), Vec::<String>::new(), "label {text}");
        let reason = desired.rejected.first_key_value().expect("rejected").1;
        assert!(reason.as_str().contains(&format!("`{address}`, which ")), "{reason}");

        let text = format!("10.0.0.5,{address}");
        let own = host(&[("io.linecamp.host.address", &text)]);
        let seen = HostInput { observed: Some(address.parse().unwrap()), ..own };
        assert_eq!(shown(&desired_of(&spec, &[seen])), ["gw.camp.retail.example.org A 300 10.0.0.5"], "own {text}");
    }
}
