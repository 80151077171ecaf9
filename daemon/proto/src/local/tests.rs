use linecamp_model as model;
use linecamp_model::{Generation, LinkState, LinkView, Name, PartState, Text, WallTime, Why};

use super::*;
use crate::api::DnsRecord;
use crate::api::tests::{site, written};
use crate::tests::sample;

fn addresses(texts: &str) -> Vec<model::ServerAddress> {
    model::ServerAddress::parse_list(texts).expect("addresses")
}

fn view() -> model::LocalView {
    let site = site();
    model::LocalView {
        id: Some(site.id),
        name: Some(site.name.clone()),
        environment: None,
        target: Some(model::Target::Inactive),
        link: LinkView {
            state: LinkState::Disconnected,
            since: WallTime::EPOCH,
            address: Text::lossy("camp.example:8443"),
        },
        link_doing: Text::lossy("waiting to dial again"),
        servers: model::KnownServers {
            confirmed: model::ServerSet { number: 2, addresses: addresses("camp.example:8443,192.0.2.7:8443") },
            candidate: Some(model::ServerSet { number: 3, addresses: addresses("new.example:8443") }),
        },
        configured_servers: Vec::new(),
        labels: site.labels.clone(),
        applied_generation: Generation(18),
        converged_generation: Generation(17),
        daemon_version: Text::lossy("0.1.0"),
        certificate_expires_at: Some(WallTime::from_unix_millis(1_795_314_420_000)),
        outbox_events: 4,
        events_dropped: 0,
        hosts: vec![model::LocalHostView {
            link: None,
            id: model::HostId::from_bytes([0x22; 16]),
            name: Name::parse("camp-042").ok(),
            origin: model::Origin::Gateway,
            target: None,
            labels: site.labels,
        }],
        conditions: site.conditions,
        providers: Vec::new(),
    }
}

#[test]
fn a_local_status_is_written_as_promised() {
    insta::assert_snapshot!(written(&LocalStatus::from(&view())));
    written(&LocalLabels::from(&view()));
}

#[test]
fn a_provider_and_its_records_are_written_as_promised() {
    let (status, spec) = (sample::provider_status(), sample::provider_spec());
    let all = [written(&LocalProvider::new(&status, None)), written(&DnsRecord::all(std::slice::from_ref(&status)))];
    insta::assert_snapshot!(all.join("\n"));
    let with_settings = LocalProvider::new(&status, Some(&spec));
    written(&with_settings);
    assert_eq!((with_settings.records, with_settings.records_failed), (4, 1));
}

#[test]
fn what_a_part_waits_for_is_written_as_promised() {
    let line = WhyLine::from(&Why {
        part: "link",
        state: PartState::Waiting,
        detail: "in words".into(),
        next: Some((WallTime::EPOCH, "dials".into())),
    });
    assert_eq!(
        serde_json::to_string(&line).expect("serializes"),
        r#"{"part":"link","state":"waiting","detail":"in words","next":{"at":"1970-01-01T00:00:00Z","does":"dials"}}"#
    );
}
