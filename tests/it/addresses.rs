//! A server whose name resolves to several addresses, some of which do not work from here.

use std::net::IpAddr;
use std::time::Duration;

use linecamp_model::{JoinToken, Pin};
use linecamp_tests::{CommandOutput, Fleet, Network, Site};

use crate::doctor::{assert_check, doctor_report};

const NAME: &str = "camp.example";

/// The address in join tokens.
const SERVER: &str = "camp.example:8443";

const URL: &str = "https://camp.example:8443";

/// Covers two dials in which nothing answers (18 s each), and slack for a busy machine.
const TWO_DIALS: Duration = Duration::from_secs(90);

/// A network in which the server's name resolves to these addresses, and the server.
fn behind_a_name(addresses: &[IpAddr]) -> Option<(Network, Fleet)> {
    let network = Network::start_with_ipv6(NAME, addresses)?;
    let fleet = Fleet::start_in(&network);
    Some((network, fleet))
}

fn dead_ipv4(count: u8) -> impl Iterator<Item = IpAddr> {
    (1..=count).map(|number| Network::dead_addresses(number).0)
}

fn dead_ipv6(count: u8) -> impl Iterator<Item = IpAddr> {
    (1..=count).map(|number| Network::dead_addresses(number).1)
}

/// Joins a site through the name, starts it, and waits for its link.
#[track_caller]
fn link_through_the_name(fleet: &Fleet) -> Site {
    fleet.try_join_at("camp", &fleet.token(&[]), SERVER, &[]).ok();
    let mut site = fleet.site("camp");
    site.start();
    wait_link(fleet);
    site
}

#[track_caller]
fn wait_link(fleet: &Fleet) {
    fleet.wait_for("the link of camp", TWO_DIALS, || {
        (fleet.json(&["site", "show", "camp"])["link"]["state"] == "connected").then_some(())
    });
}

fn list_at_site(fleet: &Fleet) -> CommandOutput {
    fleet.cli_at_site(URL, &["site", "ls"])
}

#[test]
fn four_dead_ipv6_addresses_do_not_keep_a_site_from_its_server() {
    let addresses: Vec<_> = dead_ipv6(4).chain([Network::server_addresses().0]).collect();
    let Some((_network, fleet)) = behind_a_name(&addresses) else { return };
    let site = link_through_the_name(&fleet);
    list_at_site(&fleet).ok();
    assert_check(&doctor_report(&site), "udp", "ok", "ok");
}

#[test]
fn a_dead_ipv6_address_does_not_keep_an_operator_from_the_server() {
    let addresses = [Network::dead_addresses(1).1, Network::server_addresses().0];
    let Some((_network, fleet)) = behind_a_name(&addresses) else { return };
    list_at_site(&fleet).ok();
}

#[test]
fn dead_ipv4_addresses_do_not_hide_an_ipv6_address() {
    let addresses: Vec<_> = dead_ipv4(5).chain(dead_ipv6(2)).chain([Network::server_addresses().1]).collect();
    let Some((_network, fleet)) = behind_a_name(&addresses) else { return };
    link_through_the_name(&fleet);
    list_at_site(&fleet).ok();
}

#[test]
fn the_next_dial_tries_the_addresses_that_are_left() {
    // More than the eight that one dial tries if none answers.
    let addresses: Vec<_> = dead_ipv4(9).chain(dead_ipv6(5)).chain([Network::server_addresses().0]).collect();
    let Some((_network, fleet)) = behind_a_name(&addresses) else { return };
    fleet.try_join_at("camp", &fleet.token(&[]), SERVER, &["--timeout", "50s"]).ok();
    let mut site = fleet.site("camp");
    site.start();
    wait_link(&fleet);
    list_at_site(&fleet).ok();
}

#[test]
fn a_network_with_ipv6_only_reaches_a_server_that_has_both() {
    let (ipv4, ipv6) = Network::server_addresses();
    let Some((network, fleet)) = behind_a_name(&[ipv4, ipv6]) else { return };
    network.remove_ipv4_of_site();
    let site = link_through_the_name(&fleet);
    list_at_site(&fleet).ok();
    let report = doctor_report(&site);
    let checks = report["checks"].as_array().expect("a report has checks");
    for name in ["name-resolution", "udp", "tls"] {
        let mut verdicts = checks.iter().filter(|check| check["name"] == name).map(|check| &check["verdict"]);
        assert!(verdicts.all(|verdict| verdict != "fail"), "{name}: {report:#}");
    }
}

#[test]
fn a_wrong_server_ends_a_join_only_if_no_address_is_silent() {
    let (good, silent) = (Network::server_addresses().0, Network::dead_addresses(1).0);
    let Some((_network, fleet)) = behind_a_name(&[good, silent]) else { return };
    let mut token = JoinToken::parse(&fleet.token(&[])).expect("the server creates valid tokens");
    token.pin = Pin::of(b"another server");
    let token = token.reveal();

    let joined = fleet.try_join_at("camp", &token, SERVER, &["--timeout", "15s"]).exits(1);
    for part in ["within 15s", "not the pinned", "203.0.113.1 did not answer within 10 s"] {
        assert!(joined.stderr.contains(part), "{}", joined.stderr);
    }
    let joined = fleet.try_join_at("camp", &token, &format!("{good}:8443"), &["--timeout", "15s"]).exits(3);
    assert!(joined.stderr.contains("not the pinned"), "{}", joined.stderr);
}
