//! Hosts that join the server directly, and belong to a site.

use linecamp_tests::{CommandOutput, Fleet, PATIENCE, Site};

use crate::cli_json::{connected_site, events, label};

/// Creates a token for hosts of a site.
fn token(fleet: &Fleet, site: &str) -> String {
    let created = fleet.json(&["host", "add", "--custom", "--site", site, "--label", "tier=gold"]);
    created["join"].as_str().expect("a text").split_once('@').expect("a token and addresses").0.to_owned()
}

fn try_join(fleet: &Fleet, token: &str, name: &str, arguments: &[&str]) -> CommandOutput {
    fleet.try_join(name, token, fleet.server.quic(), arguments)
}

/// Lets a machine join the server as a host of `camp`, and starts its daemon.
fn join(fleet: &Fleet, name: &str) -> Site {
    try_join(fleet, &token(fleet, "camp"), name, &["--host", "--site", "camp", "--label", "line=3"]).ok();
    let mut host = fleet.site(name);
    host.start();
    host
}

fn wait_host(fleet: &Fleet, what: &str, host: &str, mut holds: impl FnMut(&serde_json::Value) -> bool) {
    fleet.wait_for(&format!("{host}: {what}"), PATIENCE, || {
        let shown = fleet.cli(&["host", "show", host, "-o", "json"]);
        (shown.code == Some(0) && holds(&shown.json())).then_some(())
    });
}

fn wait_state(fleet: &Fleet, host: &str, state: &str) {
    wait_host(fleet, state, host, |shown| shown["state"] == state);
}

/// A host joins while its site is off, is labelled, seen at the gateway, and returns after a kill of it and the server.
#[test]
fn a_host_joins_the_server_and_is_a_host_of_its_site() {
    let mut fleet = Fleet::start();
    let mut gateway = connected_site(&fleet, "camp");
    gateway.terminate();
    let mut press = join(&fleet, "press");
    wait_state(&fleet, "camp/press", "active");
    press.local(&["label", "set", "--host", "door=2"]).ok();
    fleet.cli(&["host", "label", "camp/press", "rack=r7"]).ok();
    wait_host(&fleet, "labels of every owner", "camp/press", |shown| {
        let labels = ["line", "door", "rack", "tier"].map(|key| label(&shown["labels"], key));
        labels == [Some("3"), Some("2"), Some("r7"), Some("gold")] && shown["via"] == "server"
    });
    let seen = fleet.wait_for("the label to reach the host", PATIENCE, || {
        let labels = press.local(&["label", "ls", "-o", "json"]).ok().json();
        (label(&labels["host"], "rack") == Some("r7")).then_some(labels)
    });
    assert_eq!(label(&seen["host"], "tier"), Some("gold"));

    gateway.start();
    fleet.wait_for("the gateway to show it", PATIENCE, || {
        let hosts = gateway.local(&["host", "ls", "-o", "json"]);
        let hosts = (hosts.code == Some(0)).then(|| hosts.json())?;
        hosts.as_array()?.iter().any(|host| host["name"] == "press" && host["id"].is_string()).then_some(())
    });

    press.kill();
    fleet.server.kill();
    fleet.start_server();
    press.start();
    wait_host(&fleet, "its link to return", "camp/press", |shown| {
        shown["state"] == "active"
            && shown["link"]["state"] == "connected"
            && label(&shown["labels"], "door") == Some("2")
    });
}

/// A host is removed at the server, another one leaves; a gateway is refused with what to do instead.
#[test]
fn direct_hosts_are_removed_at_the_server_or_leave() {
    let fleet = Fleet::start();
    let _gateway = connected_site(&fleet, "camp");
    let (mut press, mut lathe) = (join(&fleet, "press"), join(&fleet, "lathe"));
    for name in ["camp/press", "camp/lathe"] {
        wait_state(&fleet, name, "active");
    }
    let refused = fleet.cli(&["host", "rm", "camp/camp", "--force"]).exits(1);
    assert!(refused.stderr.contains("is the gateway of its site: remove the site"), "{refused:?}");
    let early = fleet.cli(&["host", "rm", "camp/press"]).exits(1);
    assert!(early.stderr.contains("linecamp host deactivate camp/press"), "{early:?}");
    fleet.cli(&["host", "deactivate", "camp/press"]).ok();
    wait_state(&fleet, "camp/press", "inactive");
    let removed = fleet.cli(&["host", "rm", "camp/press"]).ok();
    assert!(removed.stdout.contains("apt-get purge linecampd"), "{removed:?}");
    lathe.local(&["leave"]).ok();
    for (host, name) in [(&mut press, "camp/press"), (&mut lathe, "camp/lathe")] {
        host.wait_for_exit(PATIENCE);
        assert!(host.log().contains("this machine was removed"), "{}", host.log());
        wait_state(&fleet, name, "removed");
    }
    let texts = events(&fleet, "camp", "phase-changed");
    assert!(texts.iter().any(|text| text.contains("host press is removed")), "{texts:?}");
}

/// A token is for hosts of one site, and says so.
#[test]
fn a_token_of_hosts_is_for_the_hosts_of_one_site() {
    let fleet = Fleet::start();
    let (_camp, _other) = (connected_site(&fleet, "camp"), connected_site(&fleet, "other"));
    let of_hosts = token(&fleet, "camp");
    let of_sites = fleet.token(&["--uses", "5"]);
    let wrong: [(&str, &[&str], &str); 3] = [
        (&of_hosts, &[], "this join token is for hosts"),
        (&of_hosts, &["--host", "--site", "other"], "for hosts of site camp, not of other"),
        (&of_sites, &["--host", "--site", "camp"], "this join token is for sites"),
    ];
    for (number, (token, arguments, reason)) in wrong.into_iter().enumerate() {
        let refused = try_join(&fleet, token, &format!("machine-{number}"), arguments);
        assert!(refused.code != Some(0) && refused.stderr.contains(reason), "{refused:?}");
    }
    try_join(&fleet, &of_hosts, "press", &["--host", "--site", "camp"]).ok();
    let used_up = try_join(&fleet, &of_hosts, "lathe", &["--host", "--site", "camp"]);
    assert!(used_up.code != Some(0) && used_up.stderr.contains("has had its 1 uses"), "{used_up:?}");
}
