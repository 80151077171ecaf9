//! Lists of 10,000 sites, and the CLI that reads all of their pages.

use std::collections::BTreeSet;

use linecamp_model::{
    Document, DocumentKey, FleetChange, Generation, HostId, HostRegistration, HostSpec, KeyFingerprint, LabelInput,
    LabelSet, Life, Name, Origin, Phase, Recoveries, Registration, SiteId, SiteSpec, SpecBody, Target, Text, TokenId,
    WallTime,
};
use linecamp_proto::record::fleet_change;
use linecamp_store::{Change, Kind, OnCorruption, Store};
use linecamp_tests::Fleet;
use serde_json::Value;

use crate::cli_json::connected_site;
use crate::shell::Shell;

/// As many as one environment may have.
const SITES: usize = 10_000;

/// Sites in one write: what the queue of the store takes.
const SITES_PER_WRITE: usize = 500;

const JOINED_AT: WallTime = WallTime::from_unix_millis(1_795_300_000_000);

fn name(text: &str) -> Name {
    Name::parse(text).expect("a valid name")
}

fn labels(list: &[String]) -> LabelSet {
    let input = LabelInput::parse_list(list).expect("valid labels");
    LabelSet::default().replaced(&input.labels, JOINED_AT).expect("few labels")
}

/// Returns the records of an active site of environment `lab` with one host. It was disconnected long ago if its number
/// is odd.
fn site(number: usize) -> Vec<FleetChange> {
    let bytes = u128::try_from(number).expect("it is small").to_be_bytes();
    let (id, gateway) = (SiteId::from_bytes(bytes), HostId::from_bytes(bytes));
    let mut key = [7; 32];
    key[..16].copy_from_slice(&bytes);
    let life = Life { phase: Phase::Active, since: JOINED_AT, requested_at: Generation(1) };
    let registration = Registration {
        environment: name("lab"),
        token: TokenId::from_bytes([7; 8]),
        joined_at: JOINED_AT,
        life,
        gateway,
        offline_since: (number % 2 == 1).then_some(JOINED_AT),
        recoveries: Recoveries::default(),
    };
    let site = SiteSpec {
        name: name(&format!("site-{number:05}")),
        environment: name("lab"),
        description: Text::default(),
        target: Target::Active,
        assigned: labels(&[format!("region=r{}", number % 4), format!("rack=a{number}")]),
    };
    let host = HostSpec {
        name: site.name.clone(),
        origin: Origin::Gateway,
        description: Text::default(),
        target: Target::Active,
        assigned: LabelSet::default(),
        member: None,
    };
    let document = |body| Some(Document { generation: Generation(1), body: Some(body) });
    vec![
        FleetChange::Site(id, Some(registration)),
        FleetChange::SiteKey(id, KeyFingerprint::from_bytes(key), Some(JOINED_AT)),
        FleetChange::Host(id, gateway, Some(HostRegistration { life })),
        FleetChange::Spec(id, DocumentKey::Site, document(SpecBody::Site(site))),
        FleetChange::Spec(id, DocumentKey::Host(gateway), document(SpecBody::Host(host))),
    ]
}

/// Adds the sites to the database of a server that does not run.
fn add_sites(fleet: &Fleet) {
    let (sender, answers) = std::sync::mpsc::sync_channel(1);
    let path = fleet.server.data().join("fleet.db");
    let answer = move |answer| sender.send(answer).expect("the test waits");
    let store = Store::open(&path, Kind::Fleet, OnCorruption::Refuse, answer).expect("the database opens").store;
    let numbers: Vec<_> = (0..SITES).collect();
    for (write, part) in numbers.chunks(SITES_PER_WRITE).enumerate() {
        let changes = part.iter().flat_map(|number| site(*number));
        let rows = changes.map(|change| fleet_change(&change)).map(|(key, body)| Change { key, body });
        store.submit(write as u64, rows.collect()).expect("there is room");
        answers.recv().expect("an answer").result.expect("it is durable");
    }
    store.close();
}

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().expect("a list")
}

/// A server with 10,000 sites that are offline, and one site that is connected.
#[test]
fn ten_thousand_sites_are_listed_filtered_and_counted() {
    let mut fleet = Fleet::start();
    fleet.cli(&["environment", "create", "lab"]).ok();
    let _site = connected_site(&fleet, "camp");
    assert!(fleet.server.terminate().success());
    add_sites(&fleet);
    fleet.start_server();
    fleet.wait_link("camp", "connected");

    let read = fleet.cli(&["site", "ls", "-o", "json"]).ok();
    assert_eq!(read.stderr, "", "progress is for terminals");
    let all = read.json();
    assert_eq!((&all["total"], &all["offline"], &all["next"]), (&(SITES + 1).into(), &SITES.into(), &Value::Null));
    let names: Vec<_> = items(&all).iter().map(|site| site["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), SITES + 1);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), SITES + 1, "none is there twice");
    assert!(names[0] == "camp" && names[1..].is_sorted(), "by environment and name");
    assert_eq!(fleet.cli(&["site", "ls"]).ok().stdout.lines().count(), 1 + SITES + 1);
    let login = [("LINECAMP_URL", fleet.url()), ("LINECAMP_PIN", fleet.pin()), ("LINECAMP_KEY", fleet.key())];
    let terminal = "script --quiet --return --command 'linecamp site ls > /dev/null' /dev/null";
    let progress = Shell::start(fleet.directory(), &login).run(terminal);
    assert!(progress.contains("500 of 10001") && progress.contains("10000 of 10001"), "{progress:?}");

    let check = |arguments: &[&str], shown: usize, total: usize, offline: usize| {
        let list = fleet.json(arguments);
        let counts = (items(&list).len(), list["total"].as_u64(), list["offline"].as_u64());
        assert_eq!(counts, (shown, Some(total as u64), Some(offline as u64)), "{arguments:?}");
    };
    check(&["host", "ls"], SITES + 1, SITES + 1, SITES);
    check(&["site", "ls", "-l", "region=r3"], SITES / 4, SITES / 4, SITES / 4);
    check(&["host", "ls", "-l", "region in (r0,r1)", "--link", "disconnected"], SITES / 4, SITES / 4, SITES / 4);
    check(&["site", "ls", "--link", "connected", "--state", "active"], 1, 1, 0);
    check(&["site", "ls", "--text", "SITE-0999"], 10, 10, 10);
    check(&["site", "ls", "-l", "rack=a4711", "--environment", "lab"], 1, 1, 1);
    check(&["site", "ls", "--condition", "clock-skew"], 0, 0, 0);
    check(&["site", "ls", "--sort", "joined", "--limit", "750"], 750, SITES + 1, SITES);
    let newest = fleet.cli(&["site", "ls", "--sort", "joined", "--descending", "--limit", "1"]).ok();
    assert!(newest.stdout.contains("camp") && newest.stderr.contains("showing 1 of 10001"), "{newest:?}");
    let preview = fleet.json(&["site", "label", "-l", "region=r1", "ring=canary"]);
    assert_eq!((&preview["matched"], &preview["offline"]), (&(SITES / 4).into(), &(SITES / 4).into()));
    let label = || fleet.json(&["site", "ls", "-l", "ring=canary"])["total"].as_u64();
    fleet.cli(&["site", "label", "camp", "ring=canary"]).ok();
    assert_eq!(label(), Some(1), "a list after an acknowledged change has it");
    let applied = fleet.json(&["site", "label", "-l", "region=r1", "ring=canary", "--yes"]);
    assert_eq!(items(&applied).len(), (SITES / 4).div_ceil(500));
    assert_eq!(label(), Some(1 + SITES as u64 / 4));
    assert_eq!(fleet.json(&["bulk-action", "ls"])["items"][0]["progress"]["offline"], 500);
}
