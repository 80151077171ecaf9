//! A child zone below the configured zone: records at its names in the parent zone are never served. The plugin does
//! not write them, reports the child zone, and deletes records written before the child zone existed.

use linecamp_model::{ProviderFailure, ProviderReply};
use linecamp_tests::{Moto, NameServer, PowerDns, UpdateServer};

use super::runner::{Runner, create, delete, domain, failure, observing, replace, set};
use super::{ZONE, in_order};

/// A child zone or alias that hides names of the parent zone, and the expected error message.
struct ChildZone {
    /// The apex of the child zone.
    apex: &'static str,
    /// The record in the parent zone; if `None`, the server gets a zone with this name.
    record: Option<&'static str>,
    message: &'static str,
}

const CHILD_ZONES: [ChildZone; 3] = [
    ChildZone { apex: "default.example.org", record: None, message: "is in the child zone default.example.org" },
    ChildZone {
        apex: "leased.example.org",
        record: Some("leased.example.org. 300 NS ns1.elsewhere.example."),
        message: "is in the child zone leased.example.org",
    },
    ChildZone {
        apex: "moved.example.org",
        record: Some("moved.example.org. 300 DNAME elsewhere.example."),
        message: "under the DNAME record of moved.example.org",
    },
];

fn reports_child_zones(mut server: Box<dyn NameServer>) {
    let product = server.product();
    server.create_zone(ZONE);
    let mut plugin = Runner::new(&*server);
    for child in &CHILD_ZONES {
        let (is_zone, is_dname) = (child.record.is_none(), child.apex == "moved.example.org");
        let is_supported = match product {
            // It serves zones where they are delegated to, and does not support DNAME.
            "moto" => !is_zone && !is_dname,
            // It rejects a DNAME above a name that is in use, so a DNAME cannot hide one.
            "Knot DNS" => !is_dname,
            _ => true,
        };
        if is_supported {
            is_reported_and_reverted(&mut *server, &mut plugin, child);
        }
    }
}

fn is_reported_and_reverted(server: &mut dyn NameServer, plugin: &mut Runner, child: &ChildZone) {
    let before = server.dump(ZONE);
    let name = format!("camp.camp.{}", child.apex);
    let record = set(&format!("{name} 300 A"), &["192.0.2.1"]);
    let claim = set(&format!("_linecamp-a.{name} 300 TXT"), &["linecamp-claim owner=acme site=7"]);
    let visible = set("camp.example.org 300 A", &["192.0.2.2"]);
    plugin.done(ZONE, &[create(&claim), create(&record), create(&visible)]);
    let all = ["camp.example.org", &name, claim.key.name.as_str()];
    assert_eq!(plugin.observe(ZONE, &all), in_order(&[visible.clone(), record.clone(), claim.clone()]));

    let is_seeded = child.record.inspect(|record| server.seed(ZONE, &[record])).is_some();
    if !is_seeded {
        server.create_zone(child.apex);
    }
    let assert_rejected = |reply: ProviderReply, name: &str| match failure(reply) {
        ProviderFailure::Refused { reason, part: Some(blamed) } if blamed.as_str() == domain(name).as_str() => {
            assert!(reason.as_str().contains(child.message), "{reason}");
        }
        other => panic!("{}: {name}: {other:?}", server.product()),
    };
    for hidden in [&*name, claim.key.name.as_str(), &format!("new.{}", child.apex)] {
        assert_rejected(plugin.call(observing(ZONE, &["absent.example.org", hidden])), hidden);
    }
    let new = set(&format!("new.{} 300 A", child.apex), &["192.0.2.3"]);
    assert_rejected(plugin.apply(ZONE, &[create(&new)]), new.key.name.as_str());
    assert_rejected(plugin.apply(ZONE, &[replace(&record, &set(&format!("{name} 60 A"), &["192.0.2.4"]))]), &name);
    // A record that differs from what was written belongs to someone else.
    let other = plugin.apply(ZONE, &[delete(&set(&format!("{name} 300 A"), &["192.0.2.77"]))]);
    assert!(matches!(other, ProviderReply::Failed(ProviderFailure::Conflict { .. })), "{other:?}");
    // The rest is unaffected, and leftovers are deleted, once.
    assert_eq!(plugin.observe(ZONE, &["absent.example.org", "camp.example.org"]), std::slice::from_ref(&visible));
    for _ in 0..2 {
        plugin.done(ZONE, &[delete(&record), delete(&claim), delete(&visible)]);
    }
    if let Some(record) = child.record {
        let [name, _, rtype, ..] = record.split(' ').collect::<Vec<_>>()[..] else { panic!("{record}") };
        server.remove_records(ZONE, name.trim_end_matches('.'), rtype);
    }
    assert_eq!(server.dump(ZONE), before, "{}: nothing remains below {}", server.product(), child.apex);
}

#[test]
fn the_plugin_reports_a_child_zone_at_powerdns() {
    PowerDns::start().into_iter().for_each(|server| reports_child_zones(Box::new(server)));
}

#[test]
fn the_plugin_reports_a_child_zone_at_bind() {
    UpdateServer::bind().into_iter().for_each(|server| reports_child_zones(Box::new(server)));
}

#[test]
fn the_plugin_reports_a_child_zone_at_knot() {
    UpdateServer::knot().into_iter().for_each(|server| reports_child_zones(Box::new(server)));
}

#[test]
fn the_plugin_reports_a_child_zone_at_route_53() {
    Moto::start().into_iter().for_each(|server| reports_child_zones(Box::new(server)));
}
