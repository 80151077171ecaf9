//! A site behind a realistic network: addresses change, and a router loses its state, drops, delays and blocks packets.
//!
//! In [`partition`](crate::partition) the test cuts the link between any two datagrams; here the kernel does what hosts
//! and routers do to a daemon that is not notified of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linecamp_tests::{Fleet, Network, PATIENCE, Site};
use serde_json::Value;

use crate::cli_json::{connected_site, show, wait_converged, wait_label_at_server, wait_label_at_site};
use crate::doctor::{assert_check, assert_named, doctor_report};

/// How many labels are set, one after another, on a lossy network: some 250 packets.
const LABELS: usize = 30;

/// The one-way delay of the slow network.
const DELAY: Duration = Duration::from_millis(200);

/// How long a site may take to dial again: ten seconds until an attempt times out, a backoff of a minute at most, and
/// slack for a busy machine.
const REDIAL: Duration = Duration::from_secs(90);

/// A site that is connected through a router, and has nothing left to send.
fn behind_a_router() -> Option<(Network, Fleet, Site)> {
    let network = Network::start()?;
    let fleet = Fleet::start_in(&network);
    let site = connected_site(&fleet, "camp");
    wait_converged(&fleet, "camp");
    Some((network, fleet, site))
}

/// Returns when the session started, as both ends see it. Another session has another time.
fn session(fleet: &Fleet, site: &Site) -> [Value; 2] {
    let own = site.local(&["status", "-o", "json"]).ok().json();
    [&own, &show(fleet, "camp")].map(|shown| {
        assert_eq!(shown["link"]["state"], "connected", "{shown:#}");
        shown["link"]["since"].clone()
    })
}

/// Returns the address the server sees the site at.
fn address(fleet: &Fleet) -> SocketAddr {
    let shown = show(fleet, "camp")["link"]["address"].clone();
    shown.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{shown} is an address"))
}

/// Whether the server sees the site at its router's address.
fn is_behind(fleet: &Fleet, network: &Network) -> bool {
    let (seen, (ip, ports)) = (address(fleet), network.seen_from_outside());
    seen.ip() == ip && ports.contains(&seen.port())
}

/// Changes a label on both ends, and waits until each has the other's: the server first, whose change reaches a site
/// that moved with its next keep-alive, since only the site knows its new address.
fn change_both_sides(fleet: &Fleet, site: &Site, value: &str) {
    fleet.cli(&["site", "label", "camp", &format!("rack={value}")]).ok();
    wait_label_at_site(fleet, site, "rack", Some(value));
    site.local(&["label", "set", &format!("door={value}")]).ok();
    wait_label_at_server(fleet, "camp", "door", Some(value));
    wait_converged(fleet, "camp");
    wait_acknowledged(fleet, site);
}

/// Waits until the site has received all acknowledgements: its next message does not wait for one that is in transit to
/// an address the site no longer has.
fn wait_acknowledged(fleet: &Fleet, site: &Site) {
    fleet.wait_for("the site to know that the server holds everything", PATIENCE, || {
        let why = site.local(&["why", "-o", "json"]).ok().json();
        let state = |part: &str| {
            let line = why.as_array()?.iter().find(|line| line["part"] == part)?;
            line["state"].as_str().map(ToOwned::to_owned)
        };
        (state("status")? == "ok" && state("events")? == "ok").then_some(())
    });
}

#[test]
fn a_session_survives_an_address_change() {
    let Some((mut network, fleet, site)) = behind_a_router() else { return };
    let (before, seen) = (session(&fleet, &site), address(&fleet));
    network.change_site_address();
    change_both_sides(&fleet, &site, "r1");
    assert_eq!(session(&fleet, &site), before);
    assert_ne!(address(&fleet), seen, "the router maps the new address to another port");

    // A site that has something to send sends it immediately, from whatever address it has.
    network.change_site_address();
    let started = Instant::now();
    site.local(&["label", "set", "door=r2"]).ok();
    wait_label_at_server(&fleet, "camp", "door", Some("r2"));
    assert!(started.elapsed() < PATIENCE / 3, "it took {:?}", started.elapsed());
    assert_eq!(session(&fleet, &site), before);
}

#[test]
fn a_session_survives_the_loss_of_nat_mappings() {
    let Some((mut network, fleet, site)) = behind_a_router() else { return };
    let before = session(&fleet, &site);
    assert!(is_behind(&fleet, &network), "{} is the router's mapping", address(&fleet));
    network.rebind_nat();
    assert!(!is_behind(&fleet, &network), "the old port is outside the new range");
    change_both_sides(&fleet, &site, "r1");
    assert!(is_behind(&fleet, &network), "{} is the router's mapping", address(&fleet));
    assert_eq!(session(&fleet, &site), before);

    network.change_outer_address();
    site.local(&["label", "set", "door=r2"]).ok();
    wait_label_at_server(&fleet, "camp", "door", Some("r2"));
    assert!(is_behind(&fleet, &network), "{} is the router's mapping", address(&fleet));
    change_both_sides(&fleet, &site, "r3");
    assert_eq!(session(&fleet, &site), before);
}

#[test]
fn labels_arrive_and_the_session_survives_ten_percent_packet_loss() {
    let Some((network, fleet, site)) = behind_a_router() else { return };
    let before = session(&fleet, &site);
    network.lose(10);
    for number in 0..LABELS {
        change_both_sides(&fleet, &site, &format!("r{number}"));
    }
    assert_ne!(network.lost(), 0, "packets were lost");
    assert_eq!(session(&fleet, &site), before);
}

#[test]
fn a_site_on_a_high_latency_link_joins_and_is_managed() {
    let Some(mut network) = Network::start() else { return };
    if !network.delay(DELAY) {
        return;
    }
    let fleet = Fleet::start_in(&network);
    let began = Instant::now();
    let mut site = fleet.join("camp", &[]);
    assert!(began.elapsed() >= 4 * DELAY, "a handshake and a response take two round trips: {:?}", began.elapsed());
    site.start();
    fleet.wait_link("camp", "connected");
    wait_converged(&fleet, "camp");
    let before = session(&fleet, &site);
    let started = Instant::now();
    fleet.cli(&["site", "label", "camp", "rack=r1"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r1"));
    wait_converged(&fleet, "camp");
    assert!(started.elapsed() >= 2 * DELAY, "one round trip: {:?}", started.elapsed());
    change_both_sides(&fleet, &site, "r2");
    assert_eq!(session(&fleet, &site), before);
    let report = doctor_report(&site);
    for check in ["udp", "tls", "clock"] {
        assert_check(&report, check, "ok", "ok");
    }
}

#[test]
fn a_path_that_drops_udp_is_reported_and_the_link_recovers() {
    let Some((network, fleet, mut site)) = behind_a_router() else { return };
    let server = fleet.server.quic();
    let report = doctor_report(&site);
    assert_check(&report, "udp", "ok", "ok");
    assert_named(&report, "udp", &format!("UDP {} of {}", server.port(), server.ip()));

    // A daemon started behind such a network has no idle timeout to wait for.
    assert!(site.terminate().success());
    network.block_udp();
    site.start();
    let state = || site.local(&["status", "-o", "json"]);
    let shown = fleet.wait_for("the daemon to answer", PATIENCE, || Some(state()).filter(|said| said.code == Some(0)));
    assert_ne!(shown.json()["link"]["state"], "connected");
    let report = doctor_report(&site);
    assert_check(&report, "udp", "fail", "udp-blocked");
    assert_named(&report, "udp", &format!("TCP {} answers", server.port()));
    assert_named(&report, "udp", &format!("UDP {}", server.port()));
    site.local(&["doctor"]).exits(1);
    assert_ne!(state().json()["link"]["state"], "connected");
    assert_ne!(network.lost(), 0, "packets were swallowed");

    network.heal();
    fleet.wait_for("the link to recover", REDIAL, || {
        (show(&fleet, "camp")["link"]["state"] == "connected").then_some(())
    });
    change_both_sides(&fleet, &site, "r1");
    assert_check(&doctor_report(&site), "udp", "ok", "ok");
}

#[test]
fn a_small_mtu_is_named_by_the_doctor_and_the_link_works_from_1228_bytes() {
    let Some((network, fleet, mut site)) = behind_a_router() else { return };
    assert!(site.terminate().success());
    for (mtu, is_silent, named) in [
        (1227, true, "below the 1228 bytes"),
        (1227, false, "is 1227 bytes; a link needs 1228"),
        (1200, false, "is 1200 bytes; a link needs 1228"),
    ] {
        network.narrow(mtu, is_silent);
        let report = doctor_report(&site);
        assert_check(&report, "udp", "fail", "mtu-too-small");
        assert_named(&report, "udp", named);
    }
    for mtu in [1280, 1228] {
        network.narrow(mtu, true);
        assert_check(&doctor_report(&site), "udp", "ok", "ok");
    }
    site.start();
    fleet.wait_for("the link", REDIAL, || (show(&fleet, "camp")["link"]["state"] == "connected").then_some(()));
    change_both_sides(&fleet, &site, "r1");
}

/// The server tells its next address, and its host moves there: the old address is gone.
#[test]
fn a_site_behind_a_router_follows_its_server_to_another_address() {
    let Some((network, mut fleet, site)) = behind_a_router() else { return };
    let after = Network::moved_server_address();
    let path = fleet.server.data().join("server.d");
    std::fs::create_dir(&path).expect("a folder can be made");
    std::fs::write(path.join("50-move.toml"), format!("link_addresses = [\"{after}\"]\n")).expect("a drop-in");
    fleet.server.signal(rustix::process::Signal::HUP);
    let servers = || site.local(&["status", "-o", "json"]).ok().json()["servers"].clone();
    fleet.wait_for("the site to be told", PATIENCE, || (servers()["candidate_set"] == 2).then_some(()));

    assert!(fleet.server.terminate().success());
    network.change_server_address();
    fleet.move_server_to(after);
    fleet.wait_for("the link", REDIAL, || (show(&fleet, "camp")["link"]["state"] == "connected").then_some(()));
    fleet.wait_for("the set to be confirmed", PATIENCE, || (servers()["set"] == 2).then_some(()));
    assert_eq!(servers()["addresses"], serde_json::json!([after.to_string()]));
}
