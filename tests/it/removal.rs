//! How a site is removed.

use linecamp_tests::{Fleet, PATIENCE, Site};

use crate::cli_json::{connected_site, show};

#[track_caller]
fn wait_state(fleet: &Fleet, name: &str, state: &str) {
    fleet.wait_for(&format!("{name} to be {state}"), PATIENCE, || (show(fleet, name)["state"] == state).then_some(()));
}

#[track_caller]
fn assert_forgotten(site: &mut Site) {
    let ended = site.wait_for_exit(PATIENCE).expect("the daemon exits");
    assert_eq!(ended.code(), Some(3), "{}", site.log());
    assert!(site.log().contains("this machine was removed"), "{}", site.log());
    let is_there = |part: &str| site.data().join(part).exists();
    for part in ["identity/key.pem", "identity/membership.pem", "site.db", "site.db-wal"] {
        assert!(!is_there(part), "{part} still exists");
    }
}

#[test]
fn a_site_is_deactivated_and_removed() {
    let fleet = Fleet::start();
    let mut site = fleet.join("camp", &[]);
    let mut copy = fleet.clone_disk(&site, "copy");
    site.start();
    crate::cli_json::wait_facts(&fleet, "camp");
    std::fs::write(site.data().join("labels.d/a.toml"), "rack = \"r7\"").expect("a file");

    let said = fleet.cli(&["site", "rm", "camp"]).exits(1);
    assert!(said.stderr.contains("deactivate it first") && said.stderr.contains("--force"), "{}", said.stderr);
    fleet.cli(&["site", "deactivate", "camp"]).ok();
    wait_state(&fleet, "camp", "inactive");
    fleet.wait_link("camp", "connected");
    fleet.cli(&["site", "activate", "camp"]).ok();
    wait_state(&fleet, "camp", "active");
    fleet.cli(&["site", "deactivate", "camp"]).ok();
    wait_state(&fleet, "camp", "inactive");
    fleet.cli(&["site", "rm", "camp"]).ok();
    wait_state(&fleet, "camp", "removed");

    assert_forgotten(&mut site);
    assert!(site.data().join("labels.d/a.toml").exists(), "labels.d belongs to the machine");
    site.start();
    let ended = site.wait_for_exit(PATIENCE).expect("no identity is left to run with");
    assert_eq!(ended.code(), Some(3));

    // A copy of its disk can never reconnect.
    copy.start();
    assert_forgotten(&mut copy);
    let mut again = fleet.join("camp", &[]);
    again.start();
    fleet.wait_link("camp", "connected");
    assert_eq!(show(&fleet, "camp")["state"], "active", "the name refers to the active site");
}

#[test]
fn an_offline_site_removed_by_force_learns_it_when_it_reconnects() {
    let fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    site.kill();
    fleet.cli(&["site", "rm", "camp", "--force"]).ok();
    assert_eq!(show(&fleet, "camp")["state"], "removed");
    let said = fleet.cli(&["site", "label", "camp", "rack=r7"]).exits(1);
    assert!(said.stderr.contains("was removed"), "{}", said.stderr);

    site.start();
    assert_forgotten(&mut site);
}

/// A join with the key of a removed site is rejected, also with a valid token.
#[test]
fn a_removed_key_cannot_join_again() {
    let fleet = Fleet::start();
    let site = fleet.join("camp", &[]);
    let copy = fleet.clone_disk(&site, "copy");
    std::fs::remove_file(copy.data().join("identity/membership.pem")).expect("it has one");
    fleet.cli(&["site", "rm", "camp", "--force"]).ok();
    let token = fleet.token(&[]);
    let said = fleet.try_join("copy", &token, fleet.server.quic(), &[]).exits(3);
    assert!(said.stderr.contains("this site was removed at the server"), "{}", said.stderr);
    // To reuse the machine, make it a new site.
    copy.local(&["forget"]).ok();
    fleet.try_join("copy", &token, fleet.server.quic(), &[]).ok();
}
