//! DNS: the lifecycle of a site's records, at four real name servers.
//!
//! The daemon runs the real plugin in its sandbox; the records it wrote are queried from the server itself. Foreign
//! records exist from the start, and are compared byte for byte at the end.

use linecamp_tests::{Fleet, Moto, NameServer, PATIENCE, PowerDns, SecretSetup, Site, UpdateServer, ZoneDump, plugin};

use crate::cli_json::show;

const ZONE: &str = "example.org";
const NAME: &str = "camp.camp.default.example.org";
const ADDRESS: &str = "io.linecamp.host.external_dns_ip";
const SWITCH: &str = "io.linecamp.host.external_dns";

const FOREIGN: [&str; 5] = [
    "www.example.org. 300 A 198.51.100.80",
    "www.example.org. 300 A 198.51.100.81",
    "text.example.org. 60 TXT \"v=spf1 -all\"",
    "mail.example.org. 3600 MX 10 www.example.org.",
    "taken.camp.default.example.org. 300 A 198.51.100.7",
];

/// Configures the site for a name server: the plugin's file, the settings, and the secrets in files of their own.
fn configure(fleet: &Fleet, site: &mut Site, server: &dyn NameServer, extra: &str) {
    let setup = server.provider();
    let plugins = site.data().join("plugins");
    std::fs::create_dir_all(&plugins).expect("a directory");
    std::fs::copy(plugin(setup.plugin), plugins.join(format!("{}.wasm", setup.plugin))).expect("the plugin is copied");
    let mut text = setup.secret_tables(fleet.directory(), &["main"]);
    let config: toml::Table = serde_json::from_value(setup.config.clone()).expect("an object");
    let secrets: Vec<_> = setup.secrets.iter().map(|secret| format!("{0} = \"{0}\"", secret.name)).collect();
    text += &format!(
        "[[provider]]\nname = \"main\"\nplugin = \"{}\"\nowner = \"acme\"\nzones = [\"{ZONE}\"]\nallow_deletes = true\n\
         reach_private = [\"{}\"]\nplain_http = true\n{extra}\n[provider.secrets]\n{}\n[provider.config]\n{config}",
        setup.plugin,
        setup.reach,
        secrets.join("\n"),
    );
    site.configure(&text);
}

#[track_caller]
fn wait_answer(fleet: &Fleet, server: &dyn NameServer, expected: &[&str]) {
    let what = format!("{} to answer {expected:?} for {NAME}", server.product());
    fleet.wait_for(&what, PATIENCE * 2, || (server.query(NAME, "A") == expected).then_some(()));
}

#[track_caller]
fn wait_state(fleet: &Fleet, state: &str) {
    fleet.wait_for(&format!("camp to be {state}"), PATIENCE * 2, || {
        (show(fleet, "camp")["state"] == state).then_some(())
    });
}

fn foreign(server: &dyn NameServer) -> ZoneDump {
    server.dump(ZONE)
}

/// Join, labels, a new address, an unreachable server, a crash, deactivation, removal; and nothing is left.
fn check_lifecycle(mut server: Box<dyn NameServer>) {
    server.create_zone(ZONE);
    server.seed(ZONE, &FOREIGN);
    let before = foreign(&*server);
    let mut fleet = Fleet::start();
    let mut site = fleet.join("camp", &["--host-label", &format!("{ADDRESS}=192.0.2.1")]);
    let taken =
        "[[provider.records]]\ntemplate = \"taken.{site}.{environment}\"\ntype = \"A\"\nvalues = [\"192.0.2.9\"]";
    configure(&fleet, &mut site, &*server, taken);
    site.start();
    wait_answer(&fleet, &*server, &["192.0.2.1"]);
    let condition = fleet.wait_for("a condition about the foreign name", PATIENCE, || {
        let conditions = show(&fleet, "camp")["conditions"].clone();
        conditions.as_array()?.iter().find(|condition| condition["kind"] == "record-conflict").cloned()
    });
    assert!(condition["detail"].as_str().is_some_and(|detail| detail.contains("taken.camp")), "{condition}");

    fleet.cli(&["host", "label", "camp", &format!("{ADDRESS}=192.0.2.2")]).ok();
    wait_answer(&fleet, &*server, &["192.0.2.2"]);

    // Without its server, the site applies changes made locally.
    fleet.server.kill();
    site.local(&["label", "set", "--host", &format!("{SWITCH}=false")]).ok();
    wait_answer(&fleet, &*server, &[]);
    site.local(&["label", "set", "--host", &format!("{SWITCH}=true")]).ok();
    wait_answer(&fleet, &*server, &["192.0.2.2"]);
    let is_in_sync = |record: &serde_json::Value| record["name"] == NAME && record["state"] == "in-sync";
    fleet.wait_for("the record to be observed and in sync", PATIENCE, || {
        let listed = site.local(&["dns", "ls", "-o", "json"]).ok().json();
        listed.as_array().is_some_and(|records| records.iter().any(is_in_sync)).then_some(())
    });

    // Killed while the name server delays a change: pending records are found, and completed or reverted.
    for _ in 0..2 {
        server.freeze();
        site.local(&["label", "set", "--host", &format!("{SWITCH}=false")]).ok();
        fleet.wait_for("a call to be in progress", PATIENCE, || {
            let why = site.local(&["why", "-o", "json"]).ok().json();
            let provider = why.as_array()?.iter().find(|line| line["part"] == "provider")?;
            (provider["state"] == "active").then_some(())
        });
        site.kill();
        server.thaw();
        site.start();
        fleet.wait_for("the daemon to answer", PATIENCE, || (site.local(&["status"]).code == Some(0)).then_some(()));
        site.local(&["label", "set", "--host", &format!("{SWITCH}=true")]).ok();
        wait_answer(&fleet, &*server, &["192.0.2.2"]);
    }

    fleet.start_server();
    fleet.wait_link("camp", "connected");
    fleet.cli(&["site", "deactivate", "camp"]).ok();
    wait_state(&fleet, "inactive");
    assert_eq!(server.query(NAME, "A"), ["192.0.2.2"], "running workloads keep their records");
    fleet.cli(&["site", "rm", "camp"]).ok();
    wait_state(&fleet, "removed");
    assert_eq!(foreign(&*server), before, "{} has the same foreign records as before", server.product());
}

/// A zone whose listing has more than the 4 MiB of a response: the site manages its records by name, is told once that
/// the zone cannot be searched, and leaves nothing behind.
#[test]
fn a_site_keeps_its_records_in_a_zone_that_is_too_large_to_list() {
    let Some(mut server) = PowerDns::start() else { return };
    server.create_large_zone(ZONE, 60_000);
    let before = foreign(&server);
    let fleet = Fleet::start();
    let mut site = fleet.join("camp", &["--host-label", &format!("{ADDRESS}=192.0.2.1")]);
    configure(&fleet, &mut site, &server, "");
    site.start();
    wait_answer(&fleet, &server, &["192.0.2.1"]);
    fleet.wait_for("the failed search to be reported", PATIENCE, || {
        site.local(&["why"]).ok().stdout.contains("cannot be searched for records left by an earlier run").then_some(())
    });
    let shown = show(&fleet, "camp");
    assert!(shown["conditions"].as_array().is_some_and(Vec::is_empty), "{shown}");
    fleet.cli(&["site", "deactivate", "camp"]).ok();
    wait_state(&fleet, "inactive");
    fleet.cli(&["site", "rm", "camp"]).ok();
    wait_state(&fleet, "removed");
    assert_eq!(foreign(&server), before, "the zone has the same foreign records as before");
}

/// A child zone appears: the site's record in the parent zone is no longer served. The site reports the child zone by
/// name, and removal leaves nothing behind in the parent zone.
fn check_child_zone(mut server: Box<dyn NameServer>) {
    const CHILD_ZONE: &str = "default.example.org";
    server.create_zone(ZONE);
    server.seed(ZONE, &FOREIGN[..4]);
    let before = foreign(&*server);
    let fleet = Fleet::start();
    let mut site = fleet.join("camp", &["--host-label", &format!("{ADDRESS}=192.0.2.1")]);
    configure(&fleet, &mut site, &*server, "");
    site.start();
    wait_answer(&fleet, &*server, &["192.0.2.1"]);
    server.create_zone(CHILD_ZONE);
    fleet.cli(&["host", "label", "camp", &format!("{ADDRESS}=192.0.2.2")]).ok();
    let condition = fleet.wait_for("the child zone to be reported", PATIENCE * 2, || {
        let conditions = show(&fleet, "camp")["conditions"].clone();
        conditions.as_array()?.iter().find(|condition| condition["kind"] == "record-quarantined").cloned()
    });
    let said = condition["detail"].as_str().unwrap_or_default();
    assert!(said.contains(&format!("is in the child zone {CHILD_ZONE}")), "{condition}");
    let listed = site.local(&["dns", "ls", "-o", "json"]).ok().json();
    let is_in_sync = |record: &serde_json::Value| record["state"] == "in-sync";
    assert!(!listed.as_array().is_some_and(|records| records.iter().any(is_in_sync)), "{listed}");
    fleet.cli(&["site", "deactivate", "camp"]).ok();
    wait_state(&fleet, "inactive");
    fleet.cli(&["site", "rm", "camp"]).ok();
    wait_state(&fleet, "removed");
    let after: Vec<_> = foreign(&*server).lines().map(ToOwned::to_owned).collect();
    let ours: Vec<_> = after.iter().filter(|line| line.contains("camp")).collect();
    assert!(ours.is_empty(), "{}: {ours:?} is left in the parent zone", server.product());
    assert!(before.lines().all(|line| after.iter().any(|found| found == line)), "{}: {after:?}", server.product());
}

#[test]
fn a_name_in_a_child_zone_is_reported_and_reverted_at_powerdns() {
    PowerDns::start().into_iter().for_each(|server| check_child_zone(Box::new(server)));
}

#[test]
fn a_name_in_a_child_zone_is_reported_and_reverted_at_bind() {
    UpdateServer::bind().into_iter().for_each(|server| check_child_zone(Box::new(server)));
}

#[test]
fn a_name_in_a_child_zone_is_reported_and_reverted_at_knot() {
    UpdateServer::knot().into_iter().for_each(|server| check_child_zone(Box::new(server)));
}

#[test]
fn a_site_keeps_its_records_at_powerdns() {
    PowerDns::start().into_iter().for_each(|server| check_lifecycle(Box::new(server)));
}

#[test]
fn a_site_keeps_its_records_at_bind() {
    UpdateServer::bind().into_iter().for_each(|server| check_lifecycle(Box::new(server)));
}

#[test]
fn a_site_keeps_its_records_at_knot() {
    UpdateServer::knot().into_iter().for_each(|server| check_lifecycle(Box::new(server)));
}

#[test]
fn a_site_keeps_its_records_at_route_53() {
    Moto::start().into_iter().for_each(|server| check_lifecycle(Box::new(server)));
}

/// An error names the plugin, what was attempted and what to do; once the cause is fixed, the site recovers by itself.
#[test]
fn a_wrong_key_and_a_stopped_name_server_are_reported_until_fixed() {
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone(ZONE);
    let fleet = Fleet::start();
    let mut site = fleet.join("camp", &["--host-label", &format!("{ADDRESS}=192.0.2.1")]);
    configure(&fleet, &mut site, &server, "");
    let SecretSetup { name, value: key, .. } = server.provider().secrets[0].clone();
    let path = fleet.directory().join(name);
    std::fs::write(&path, "wrong").expect("a file");
    site.start();
    let failure = |words: &[&str]| {
        fleet.wait_for(&format!("the failure to be reported: {words:?}"), PATIENCE * 2, || {
            let said = site.local(&["provider", "ls", "-o", "json"]);
            let listed = (said.code == Some(0)).then(|| said.json())?;
            let failure = listed[0]["failure"].as_str().unwrap_or_default().to_owned();
            words.iter().all(|word| failure.contains(word)).then_some(())
        });
    };
    failure(&["plugin dns-powerdns", "credentials are not accepted"]);
    server.kill();
    std::fs::write(&path, key).expect("a file");
    failure(&["plugin dns-powerdns", "validating its settings"]);
    server.restart();
    wait_answer(&fleet, &server, &["192.0.2.1"]);
    assert!(!site.log().contains("wrong"), "a secret does not reach the log");
    fleet.wait_for("the recovery to be logged", PATIENCE, || {
        let is_recovery = |line: &&str| line.contains("condition cleared") && line.contains("provider=main");
        site.log().lines().any(|line| is_recovery(&line)).then_some(())
    });
    let log = site.log();
    let failures = log.lines().filter(|line| line.contains("condition raised") && line.contains("provider=main"));
    let failures: Vec<_> = failures.collect();
    assert_eq!(failures.len(), 1, "one line while it lasts: {failures:?}");
    assert!(failures[0].contains("the credentials are not accepted"), "{failures:?}");
}
