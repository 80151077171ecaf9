//! The label story with the link cut at every step: replication continues from wherever the cut was.

use std::time::Duration;

use linecamp_tests::{Fleet, PATIENCE, Site, UdpProxy};

use crate::cli_json::{events, label, show, wait_converged, wait_facts, wait_label_at_server, wait_label_at_site};

/// A site behind a proxy that can cut the link.
fn behind_a_wire(fleet: &Fleet) -> (UdpProxy, Site) {
    let proxy = UdpProxy::start(fleet.server.quic());
    let mut site = fleet.join_by("camp", &fleet.token(&[]), proxy.address(), &[]);
    // Only through the proxy, whatever address the server tells.
    site.configure(&format!("servers = [\"{}\"]\n", proxy.address()));
    site.start();
    wait_facts(fleet, "camp");
    wait_converged(fleet, "camp");
    (proxy, site)
}

/// The link is cut after a number of the story's datagrams: before it, between any two steps, and after it.
#[test]
fn a_label_arrives_when_the_link_is_cut_at_any_step() {
    let fleet = Fleet::start();
    let (proxy, site) = behind_a_wire(&fleet);
    for datagrams in 0..8 {
        let value = format!("r{datagrams}");
        proxy.cut_after(datagrams);
        fleet.cli(&["site", "label", "camp", &format!("rack={value}")]).ok();
        // A story shorter than the cut is over before it; then there is nothing left to recover.
        fleet.wait_for("the cut, or the end of the exchange", PATIENCE, || {
            let shown = show(&fleet, "camp");
            (proxy.is_cut() || shown["spec_generation"] == shown["converged_generation"]).then_some(())
        });
        proxy.heal();
        wait_label_at_site(&fleet, &site, "rack", Some(&value));
        wait_converged(&fleet, "camp");
    }
}

/// The same on a slow link, where the site is changed, too, during the cut: after a number of datagrams since the
/// operator's command returned.
#[test]
fn a_label_arrives_when_the_link_is_cut_at_any_time() {
    let fleet = Fleet::start();
    let (proxy, site) = behind_a_wire(&fleet);
    let passed = || proxy.traffic().datagrams_up + proxy.traffic().datagrams_down;
    for (number, datagrams) in [0, 1, 2, 4].into_iter().enumerate() {
        let value = format!("r{number}");
        proxy.delay(Duration::from_millis(15));
        fleet.cli(&["site", "label", "camp", &format!("rack={value}")]).ok();
        let before = passed();
        fleet.wait_for("the time of the cut, or the end of the exchange", PATIENCE, || {
            let is_over = || {
                let shown = show(&fleet, "camp");
                shown["spec_generation"] == shown["converged_generation"]
            };
            (before + datagrams <= passed() || is_over()).then_some(())
        });
        proxy.cut();
        site.local(&["label", "set", &format!("door={value}")]).ok();
        proxy.heal();
        wait_label_at_site(&fleet, &site, "rack", Some(&value));
        wait_label_at_server(&fleet, "camp", "door", Some(&value));
        wait_converged(&fleet, "camp");
    }
    for number in 0..4 {
        let set = events(&fleet, "camp", "labels-set-locally");
        let of_this = set.iter().filter(|text| text.contains(&format!("door=r{number}")));
        assert_eq!(of_this.count(), 1, "each is reported once: {set:?}");
    }
}

/// Both sides are changed while disconnected, and both restart; afterwards each has both changes.
#[test]
fn edits_on_both_sides_of_a_partition_never_conflict() {
    let mut fleet = Fleet::start();
    let (proxy, mut site) = behind_a_wire(&fleet);
    proxy.cut();
    fleet.cli(&["site", "label", "camp", "rack=central", "tier=gold"]).ok();
    site.local(&["label", "set", "rack=local", "door=3"]).ok();
    site.kill();
    site.start();
    fleet.server.kill();
    fleet.start_server();
    wait_label_at_site(&fleet, &site, "rack", Some("local"));
    assert_eq!(label(&show(&fleet, "camp")["labels"], "rack"), Some("central"));

    proxy.heal();
    for (key, value) in [("rack", "central"), ("tier", "gold"), ("door", "3")] {
        wait_label_at_site(&fleet, &site, key, Some(value));
        wait_label_at_server(&fleet, "camp", key, Some(value));
    }
    wait_converged(&fleet, "camp");
    fleet.cli(&["site", "label", "camp", "rack-"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("local"));
}

/// The site's router is restarted: the site comes from another port, and its session continues.
#[test]
fn a_session_survives_a_new_source_port() {
    let fleet = Fleet::start();
    let (proxy, site) = behind_a_wire(&fleet);
    let session = || site.local(&["status", "-o", "json"]).ok().json()["link"]["since"].clone();
    let before = (session(), show(&fleet, "camp")["link"]["address"].clone());
    proxy.rebind();
    site.local(&["label", "set", "rack=r7"]).ok();
    wait_label_at_server(&fleet, "camp", "rack", Some("r7"));
    assert_eq!(session(), before.0);
    assert_ne!(show(&fleet, "camp")["link"]["address"], before.1, "the server reports the new address");
}
