//! Each DNS plugin in the real host, against the real server it is for.
//!
//! The tests in `tests/it/dns.rs` cover a site's lifecycle; here a plugin is called directly, to test every change
//! it can make and every error it must report with each server.

mod child_zones;
mod runner;
mod unusual_zones;

use linecamp_model::{ProviderFailure, ProviderReply, ProviderRequest, RecordSet};
use linecamp_tests::{Moto, NameServer, PowerDns, TsigKey, UpdateServer};

use self::runner::{Runner, create, delete, failure, observing, replace, set};

const ZONE: &str = "example.org";

const FOREIGN: [&str; 7] = [
    "www.example.org. 300 A 198.51.100.80",
    "www.example.org. 300 A 198.51.100.81",
    "text.example.org. 60 TXT \"v=spf1 -all\" \"in \\\"two\\\" parts\"",
    "mail.example.org. 3600 MX 10 www.example.org.",
    "alias.example.org. 600 CNAME www.example.org.",
    "*.wild.example.org. 300 A 198.51.100.82",
    "*.wild.example.org. 300 TXT \"of a wildcard\"",
];

/// Record sets of every managed type, and what each is changed to.
fn changes() -> Vec<(RecordSet, RecordSet)> {
    let long = "x".repeat(300);
    vec![
        (
            set("_linecamp-a.gw.example.org 300 TXT", &["linecamp-claim owner=acme site=7"]),
            set("_linecamp-a.gw.example.org 300 TXT", &["linecamp-claim owner=acme site=8"]),
        ),
        (set("gw.example.org 300 A", &["192.0.2.1"]), set("gw.example.org 60 A", &["192.0.2.2", "192.0.2.10"])),
        (set("gw.example.org 300 AAAA", &["2001:db8::1"]), set("gw.example.org 300 AAAA", &["2001:db8:0:1::"])),
        (
            set("gw.example.org 300 TXT", &["a \"quoted\" word; a back\\092slash, \\195\\188"]),
            set("gw.example.org 300 TXT", &["one", &long]),
        ),
        (
            set("to.example.org 300 CNAME", &["gw.example.org"]),
            set("to.example.org 300 CNAME", &["www.elsewhere.example"]),
        ),
        (set("*.any.example.org 300 A", &["192.0.2.1"]), set("*.any.example.org 300 A", &["192.0.2.2"])),
        (set("x.wild.example.org 300 A", &["198.51.100.82"]), set("x.wild.example.org 300 A", &["192.0.2.1"])),
    ]
}

/// Desired records are created, observed as written, written once, and deleted without leftovers.
fn manages_records(mut server: Box<dyn NameServer>) {
    server.create_zone(ZONE);
    server.seed(ZONE, &FOREIGN);
    let before = server.dump(ZONE);
    let mut plugin = Runner::new(&*server);
    assert!(matches!(plugin.call(ProviderRequest::Validate), ProviderReply::Validated(_)));
    let changes = changes();
    let names: Vec<_> = changes.iter().map(|(first, _)| first.key.name.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(plugin.observe(ZONE, &names), [], "nothing exists at these names, whatever a wildcard answers");

    let mut there: Vec<RecordSet> = Vec::new();
    for pair in changes.chunks(3) {
        let changes: Vec<_> = pair.iter().map(|(first, _)| create(first)).collect();
        plugin.done(ZONE, &changes);
        let dump = server.dump(ZONE);
        let serial = server.query(ZONE, "SOA");
        plugin.done(ZONE, &changes);
        assert_eq!(
            (server.dump(ZONE), server.query(ZONE, "SOA")),
            (dump, serial),
            "already applied, so nothing is written"
        );
        there.extend(pair.iter().map(|(first, _)| first.clone()));
        assert_eq!(plugin.observe(ZONE, &names), in_order(&there));
    }
    assert_eq!(server.query("gw.example.org", "A"), ["192.0.2.1"]);
    // Route 53 escapes in octal, zone files in decimal.
    let umlaut = if server.product() == "moto" { r"\303\274" } else { r"\195\188" };
    assert_eq!(server.query("gw.example.org", "TXT"), [format!(r#""a \"quoted\" word; a back\\slash, {umlaut}""#)]);

    for (first, second) in &changes {
        plugin.done(ZONE, &[replace(first, second)]);
        // The reply was lost, and the change set is retried.
        plugin.done(ZONE, &[replace(first, second)]);
    }
    let seconds: Vec<_> = changes.iter().map(|(_, second)| second.clone()).collect();
    assert_eq!(plugin.observe(ZONE, &names), in_order(&seconds));
    assert_eq!(server.query("gw.example.org", "A"), ["192.0.2.10", "192.0.2.2"]);

    // From one type to another at one name, in one change set.
    let (alias, address) = (&changes[4].1, set("to.example.org 300 A", &["192.0.2.3"]));
    plugin.done(ZONE, &[delete(alias), create(&address)]);
    plugin.done(ZONE, &[delete(&address), create(alias)]);
    assert_eq!(server.query("to.example.org", "CNAME"), ["www.elsewhere.example."]);

    for second in &seconds {
        plugin.done(ZONE, &[delete(second)]);
        plugin.done(ZONE, &[delete(second)]);
    }
    assert_eq!(server.dump(ZONE), before, "{} has the same records of others as before", server.product());
    respects_others(&mut plugin);
    assert_eq!(server.dump(ZONE), before, "a conflict leaves nothing behind");
}

/// A record owned by someone else is a conflict, and the change set is atomic.
fn respects_others(plugin: &mut Runner) {
    let claim = set("_linecamp-a.www.example.org 300 TXT", &["linecamp-claim owner=acme site=7"]);
    let ours = set("www.example.org 300 A", &["192.0.2.1"]);
    let steps = [
        vec![create(&claim), create(&ours)],
        vec![create(&ours), create(&claim)],
        vec![delete(&ours)],
        vec![replace(&ours, &set("www.example.org 300 A", &["192.0.2.2"]))],
        vec![delete(&set("www.example.org 300 A", &["198.51.100.80"]))],
        vec![create(&set("alias.example.org 300 A", &["192.0.2.1"]))],
        vec![create(&claim), create(&set("alias.example.org 300 TXT", &["beside an alias"]))],
        vec![create(&set("mail.example.org 300 CNAME", &["gw.example.org"]))],
    ];
    let conflicts = |reply| matches!(reply, ProviderReply::Failed(ProviderFailure::Conflict { .. }));
    for changes in &steps {
        assert!(conflicts(plugin.apply(ZONE, changes)), "{changes:?}");
    }
}

/// Every error is reported, and clears when its cause is fixed.
fn reports_failures(mut server: Box<dyn NameServer>) {
    server.create_zone(ZONE);
    let mut plugin = Runner::new(&*server);
    let setup = server.provider();
    let record = set("gw.example.org 300 A", &["192.0.2.1"]);
    plugin.done(ZONE, &[create(&record)]);

    let secret = setup.secrets.last().expect("each has a secret").clone();
    let wrong = if setup.plugin == "dns-rfc2136" { TsigKey::STRANGER.secret } else { "wrong" };
    plugin.set_secret(secret.name, wrong);
    for reply in [plugin.call(observing(ZONE, &["gw.example.org"])), plugin.apply(ZONE, &[delete(&record)])] {
        let failed = failure(reply);
        assert!(matches!(failed, ProviderFailure::Unauthorized { .. }), "{failed:?}");
        assert!(!failed.reason().as_str().contains(wrong), "{failed:?}");
    }
    plugin.set_secret(secret.name, &secret.value);

    let absent = failure(plugin.call(observing("example.com", &["gw.example.com"])));
    assert!(matches!(absent, ProviderFailure::Refused { .. }), "{absent:?}");
    assert!(absent.reason().as_str().contains("example.com"), "{absent:?}");

    server.freeze();
    let hung = failure(plugin.call(observing(ZONE, &["gw.example.org"])));
    server.thaw();
    assert!(matches!(hung, ProviderFailure::Retry { .. }), "{hung:?}");
    assert_eq!(plugin.observe(ZONE, &["gw.example.org"]), std::slice::from_ref(&record));

    server.kill();
    for request in [ProviderRequest::Validate, observing(ZONE, &["gw.example.org"])] {
        let stopped = failure(plugin.call(request));
        assert!(matches!(stopped, ProviderFailure::Retry { .. }), "{stopped:?}");
    }
    if server.keeps_data() {
        server.restart();
        assert_eq!(plugin.observe(ZONE, &["gw.example.org"]), std::slice::from_ref(&record));
        plugin.done(ZONE, &[delete(&record)]);
    }
}

fn in_order(sets: &[RecordSet]) -> Vec<RecordSet> {
    let mut sets = sets.to_vec();
    sets.sort_by(|one, other| one.key.cmp(&other.key));
    sets
}

#[test]
fn the_plugin_manages_records_at_powerdns() {
    PowerDns::start().into_iter().for_each(|server| manages_records(Box::new(server)));
}

#[test]
fn the_plugin_reports_failures_at_powerdns() {
    PowerDns::start().into_iter().for_each(|server| reports_failures(Box::new(server)));
}

#[test]
fn the_plugin_manages_records_at_bind() {
    UpdateServer::bind().into_iter().for_each(|server| manages_records(Box::new(server)));
}

#[test]
fn the_plugin_reports_failures_at_bind() {
    UpdateServer::bind().into_iter().for_each(|server| reports_failures(Box::new(server)));
}

#[test]
fn the_plugin_manages_records_at_knot() {
    UpdateServer::knot().into_iter().for_each(|server| manages_records(Box::new(server)));
}

#[test]
fn the_plugin_reports_failures_at_knot() {
    UpdateServer::knot().into_iter().for_each(|server| reports_failures(Box::new(server)));
}

#[test]
fn the_plugin_manages_records_at_route_53() {
    Moto::start().into_iter().for_each(|server| manages_records(Box::new(server)));
}

#[test]
fn the_plugin_reports_failures_at_route_53() {
    Moto::start().into_iter().for_each(|server| reports_failures(Box::new(server)));
}

/// A key that the server knows but that lacks permission is not retried forever; an unknown key is not authenticated.
#[test]
fn a_key_without_permission_is_reported() {
    if let Some(mut server) = Moto::start() {
        server.create_zone(ZONE);
        let mut plugin = Runner::new(&server);
        let (id, secret) = server.key("reader");
        plugin.set_secret("access-key-id", id);
        plugin.set_secret("secret-access-key", secret);
        assert_eq!(plugin.observe(ZONE, &["gw.example.org"]), []);
        let denied = failure(plugin.apply(ZONE, &[create(&set("gw.example.org 300 A", &["192.0.2.1"]))]));
        assert!(matches!(denied, ProviderFailure::Unauthorized { .. }), "{denied:?}");
        assert!(denied.reason().as_str().contains("ChangeResourceRecordSets"), "{denied:?}");
    }
    for server in [UpdateServer::bind(), UpdateServer::knot()] {
        let Some(mut server) = server else { continue };
        server.create_zone(ZONE);
        let mut plugin = Runner::new(&server);
        plugin.set("key_name", TsigKey::STRANGER.name);
        let unknown = failure(plugin.call(observing(ZONE, &["gw.example.org"])));
        assert!(matches!(unknown, ProviderFailure::Unauthorized { .. }), "{unknown:?}");
        assert!(unknown.reason().as_str().contains("BADKEY"), "{unknown:?}");
    }
}

/// Clock skew is not reported as a wrong key: the call is retried, and the error says which clock is where. (BIND does
/// not start under libfaketime.)
#[test]
fn a_wrong_clock_is_reported() {
    let Some(mut server) = UpdateServer::knot() else { return };
    server.create_zone(ZONE);
    if !server.set_clock("-1h") {
        return;
    }
    let mut plugin = Runner::new(&server);
    let late = failure(plugin.apply(ZONE, &[create(&set("gw.example.org 300 A", &["192.0.2.1"]))]));
    assert!(matches!(late, ProviderFailure::Retry { .. }), "{late:?}");
    let words = late.reason().as_str();
    assert!(words.contains("BADTIME") && words.contains("behind"), "{words}");
}
