//! Hosts of a LAN, which join the gateway of their site.

use linecamp_tests::{Fleet, PATIENCE, Port, Site};
use rustix::process::Signal;

use crate::cli_json::{connected_site, label};

/// Starts a site whose gateway listens for hosts on a port of its own, which is given.
fn gateway(fleet: &Fleet) -> (Site, Port) {
    let mut site = connected_site(fleet, "camp");
    let port = Port::take();
    let address = port.address();
    site.terminate();
    site.configure(&format!("[hosts]\nlisten = \"{address}\"\naddresses = [\"{address}\"]\n"));
    site.start();
    fleet.wait_link("camp", "connected");
    (site, port)
}

/// Lets a machine join the gateway of a site with a token of it, and starts its daemon.
fn join(fleet: &Fleet, gateway: &Site, name: &str) -> Site {
    let created = gateway.local(&["token", "create", "-o", "json"]).ok().json();
    let (token, address) = created["join"].as_str().expect("a text").split_once('@').expect("a token and an address");
    fleet.try_join_at(name, token, address, &["--host", "--label", "line=3"]).ok();
    let mut host = fleet.site(name);
    host.start();
    host
}

fn wait_local_link(fleet: &Fleet, gateway: &Site, name: &str, state: &str) {
    fleet.wait_for(&format!("the gateway to see {name} {state}"), PATIENCE, || {
        let hosts = gateway.local(&["host", "ls", "-o", "json"]).ok().json();
        let host = hosts.as_array()?.iter().find(|host| host["name"] == name)?.clone();
        (host["link"]["state"] == state).then_some(())
    });
}

fn wait_state(fleet: &Fleet, host: &str, state: &str) {
    fleet.wait_for(&format!("{host} to be {state}"), PATIENCE, || {
        let shown = fleet.cli(&["host", "show", host, "-o", "json"]);
        (shown.code == Some(0) && shown.json()["state"] == state).then_some(())
    });
}

/// Three machines join while the server is off, are seen at the gateway, and appear at the server when it is back.
#[test]
fn hosts_join_their_gateway_without_the_server_and_appear_there_later() {
    let mut fleet = Fleet::start();
    let (gateway, _port) = gateway(&fleet);
    fleet.server.kill();
    let hosts = ["press", "lathe", "saw"].map(|name| join(&fleet, &gateway, name));
    for name in ["press", "lathe", "saw"] {
        wait_local_link(&fleet, &gateway, name, "connected");
    }
    hosts[1].local(&["label", "set", "--host", "door=2"]).ok();

    fleet.start_server();
    for name in ["press", "lathe", "saw"] {
        wait_state(&fleet, &format!("camp/{name}"), "active");
    }
    fleet.wait_for("the labels of the host", PATIENCE, || {
        let shown = fleet.json(&["host", "show", "camp/lathe"]);
        let labels = (label(&shown["labels"], "line"), label(&shown["labels"], "door"));
        (labels == (Some("3"), Some("2")) && shown["via"] == "gateway").then_some(())
    });
    fleet.cli(&["host", "label", "camp/press", "tier=gold"]).ok();
    fleet.wait_for("the label to reach the host", PATIENCE, || {
        let labels = hosts[0].local(&["label", "ls", "-o", "json"]).ok().json();
        (label(&labels["host"], "tier") == Some("gold")).then_some(())
    });
}

/// A host is removed at its gateway, another leaves; both are told, and the server learns of it.
#[test]
fn hosts_are_removed_at_their_gateway_or_leave() {
    let fleet = Fleet::start();
    let (gateway, _port) = gateway(&fleet);
    let (mut press, mut lathe) = (join(&fleet, &gateway, "press"), join(&fleet, &gateway, "lathe"));
    for name in ["camp/press", "camp/lathe"] {
        wait_state(&fleet, name, "active");
    }
    gateway.local(&["host", "rm", "press"]).ok();
    lathe.local(&["leave"]).ok();
    for (host, name) in [(&mut press, "camp/press"), (&mut lathe, "camp/lathe")] {
        host.wait_for_exit(PATIENCE);
        wait_state(&fleet, name, "removed");
    }
}

/// A gateway that starts another state machine at a reload listens at once again.
#[test]
fn hosts_return_at_once_when_their_gateway_reloads() {
    let fleet = Fleet::start();
    let (mut gateway, port) = gateway(&fleet);
    let _press = join(&fleet, &gateway, "press");
    wait_local_link(&fleet, &gateway, "press", "connected");
    let address = port.address();
    gateway.configure(&format!("[hosts]\nlisten = \"{address}\"\naddresses = [\"{address}\", \"localhost:1\"]\n"));
    gateway.signal(Signal::HUP);
    wait_local_link(&fleet, &gateway, "press", "connected");
    assert!(!gateway.log().contains("cannot listen for hosts"), "{}", gateway.log());
}

/// The hosts of a site that is removed are removed with it, and told so.
#[test]
fn the_hosts_of_a_removed_site_are_told() {
    let fleet = Fleet::start();
    let (mut gateway, _port) = gateway(&fleet);
    let mut press = join(&fleet, &gateway, "press");
    wait_state(&fleet, "camp/press", "active");
    fleet.cli(&["site", "rm", "camp", "--force"]).ok();
    gateway.wait_for_exit(PATIENCE);
    press.wait_for_exit(PATIENCE);
    assert!(press.log().contains("this machine was removed"), "{}", press.log());
}
