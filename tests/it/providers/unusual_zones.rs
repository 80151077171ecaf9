//! Real-world zones: large, signed, with comments, unrelated sets, names in mixed case, wildcards, empty names,
//! aliases, delegations and redirections. Existing records are observed, and never overwritten.

use linecamp_model::{ProviderFailure, ProviderReply, RecordSet};
use linecamp_tests::{Moto, NameServer, PowerDns, UpdateServer};

use super::in_order;
use super::runner::{Runner, create, delete, set};

/// Record sets of the large zone: more than fit in a response of 4 MiB from PowerDNS, so that it is also read name by
/// name.
const SETS: usize = 20_000;

/// Record sets of the large zone at moto, which keeps lists and is slow.
const SETS_MOTO: usize = 500;

/// Names relative to the zone.
const UNUSUAL: [&str; 14] = [
    "taken 300 A 198.51.100.1",
    "taken 300 A 198.51.100.2",
    "_linecamp-a.taken 300 TXT \"of another owner\"",
    "MiXeD 300 A 198.51.100.3",
    "a.b.empty 300 A 198.51.100.4",
    "*.wild 300 A 198.51.100.5",
    "*.wild 300 TXT \"of a wildcard\"",
    "*.alias 300 CNAME taken",
    "www 300 CNAME taken",
    "text 300 TXT \"one\" \"two\"",
    "mail 300 MX 10 taken",
    "below 300 NS ns1.elsewhere.example.",
    "zz 300 AAAA 2001:db8::1",
    "moved 300 DNAME elsewhere.example.",
];

fn handles_unusual_zones(mut server: Box<dyn NameServer>) {
    let is_moto = server.product() == "moto";
    server.create_large_zone("example.org", if is_moto { SETS_MOTO } else { SETS });
    let mut plugin = Runner::new(&*server);
    check_unusual_zone(&*server, &mut plugin, "example.org");
    if server.create_signed_zone("example.net") {
        check_unusual_zone(&*server, &mut plugin, "example.net");
    }
}

fn check_unusual_zone(server: &dyn NameServer, plugin: &mut Runner, zone: &str) {
    let is_moto = server.product() == "moto";
    // Relative targets and names belong to the zone. Route 53 does not support DNAME, and stores names in lower case;
    // moto stores them as received, and then does not find them by a name in lower case.
    let absolute = |line: &&str| {
        let line = line.replace(" taken", &format!(" taken.{zone}."));
        let line = if is_moto { line.replace("MiXeD", "mixed") } else { line };
        line.replacen(' ', &format!(".{zone}. "), 1)
    };
    let odd: Vec<_> = UNUSUAL.iter().filter(|line| !(is_moto && line.contains("DNAME"))).map(absolute).collect();
    server.seed(zone, &odd.iter().map(String::as_str).collect::<Vec<_>>());
    // On sets that exist, and on some that do not.
    for (label, rtype) in [("taken", "A"), ("commented", "A"), ("_linecamp-a.new", "TXT"), ("mail", "MX")] {
        server.comment(zone, &format!("{label}.{zone}"), rtype);
    }
    let before = server.dump(zone).without_signatures();
    observes_existing_records(plugin, zone);
    leaves_existing_records(plugin, zone);
    assert_eq!(server.dump(zone).without_signatures(), before, "a conflict leaves nothing behind");

    let (claim, record) = (
        set(&format!("_linecamp-a.new.{zone} 300 TXT"), &["linecamp-claim owner=acme site=7"]),
        set(&format!("new.{zone} 300 A"), &["192.0.2.9"]),
    );
    plugin.done(zone, &[create(&claim), create(&record)]);
    let names = [format!("_linecamp-a.new.{zone}"), format!("absent.{zone}"), format!("new.{zone}")];
    assert_eq!(plugin.observe(zone, &names.each_ref().map(String::as_str)), [claim.clone(), record.clone()]);
    plugin.done(zone, &[delete(&record), delete(&claim)]);
    assert_eq!(server.dump(zone).without_signatures(), before, "{} has the same records as before", server.product());
}

/// Existing records are observed whatever else is requested in the same call, before or after.
fn observes_existing_records(plugin: &mut Runner, zone: &str) {
    let there = in_order(&[
        set(&format!("taken.{zone} 300 A"), &["198.51.100.1", "198.51.100.2"]),
        set(&format!("_linecamp-a.taken.{zone} 300 TXT"), &["of another owner"]),
        set(&format!("mixed.{zone} 300 A"), &["198.51.100.3"]),
        set(&format!("www.{zone} 300 CNAME"), &[&format!("taken.{zone}")]),
        set(&format!("text.{zone} 300 TXT"), &["onetwo"]),
        set(&format!("zz.{zone} 300 AAAA"), &["2001:db8::1"]),
        set(&format!("n7.{zone} 300 A"), &["192.0.2.1"]),
    ]);
    // The signed zone is a small one.
    let there: Vec<RecordSet> =
        there.into_iter().filter(|set| !set.key.name.as_str().starts_with("n7.example.net")).collect();
    let absent = ["absent", "commented", "empty", "b.empty", "x.wild", "x.alias", "zzz", "_linecamp-a.zz"];
    let absent = absent.map(|label| format!("{label}.{zone}"));
    for set in &there {
        let name = set.key.name.as_str();
        for other in [&absent[0], &absent[1], &absent[6]] {
            assert_eq!(plugin.observe(zone, &[name, other]), std::slice::from_ref(set), "{name} with {other}");
        }
    }
    let all = there.iter().map(|set| set.key.name.as_str()).chain(absent.iter().map(String::as_str));
    assert_eq!(plugin.observe(zone, &all.collect::<Vec<_>>()), there);
}

/// Nothing is overwritten, whichever of the names comes first.
fn leaves_existing_records(plugin: &mut Runner, zone: &str) {
    let new = |label: &str| set(&format!("{label}.{zone} 300 A"), &["192.0.2.9"]);
    let steps = [
        vec![create(&new("taken"))],
        vec![create(&new("absent")), create(&new("taken"))],
        vec![create(&new("mixed")), create(&new("zzz"))],
        vec![create(&set(&format!("_linecamp-a.mixed.{zone} 300 TXT"), &["claim"])), create(&new("mixed"))],
        vec![create(&new("absent")), create(&new("www"))],
        vec![delete(&new("taken"))],
    ];
    for changes in &steps {
        let reply = plugin.apply(zone, changes);
        let is_conflict = matches!(reply, ProviderReply::Failed(ProviderFailure::Conflict { .. }));
        assert!(is_conflict, "{changes:?}: {reply:?}");
    }
}

#[test]
fn the_plugin_handles_unusual_zones_at_powerdns() {
    PowerDns::start().into_iter().for_each(|server| handles_unusual_zones(Box::new(server)));
}

#[test]
fn the_plugin_handles_unusual_zones_at_bind() {
    UpdateServer::bind().into_iter().for_each(|server| handles_unusual_zones(Box::new(server)));
}

#[test]
fn the_plugin_handles_unusual_zones_at_knot() {
    UpdateServer::knot().into_iter().for_each(|server| handles_unusual_zones(Box::new(server)));
}

#[test]
fn the_plugin_handles_unusual_zones_at_route_53() {
    Moto::start().into_iter().for_each(|server| handles_unusual_zones(Box::new(server)));
}
