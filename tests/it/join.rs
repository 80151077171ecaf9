//! How a site joins.

use linecamp_tests::{Fleet, PATIENCE, wait_until};

use crate::cli_json::{entry, label, show, wait_facts};

/// A token, a join, a start, and the operator sees the site with all its names and labels.
#[test]
fn a_site_joins_with_a_token_and_connects() {
    let fleet = Fleet::start();
    let token = fleet.token(&["--label", "region=eu"]);
    let (target, data) = (format!("{token}@{}", fleet.server.quic()), fleet.directory().join("camp-001"));
    let line = ["join", &target, "--name", "camp-001", "--label", "rack=r7", "--data", data.to_str().expect("text")];
    let variables =
        [("LINECAMP_HOST_LABELS", "foo=bar&hello=big%20world"), ("CATTLE_HOST_LABELS", "foo=old&from=rancher")];
    let said = fleet.run("linecampd", &line, &variables).ok();
    assert!(said.stdout.starts_with("joined as camp-001 in environment default;"), "{}", said.stdout);

    let mut site = fleet.site("camp-001");
    for (name, value) in variables {
        site.env(name, value);
    }
    site.start();
    wait_facts(&fleet, "camp-001");

    let shown = show(&fleet, "camp-001");
    assert_eq!(shown["state"], "active");
    let region = entry(&shown["labels"], "key", "region").expect("the token's label");
    assert_eq!((&region["value"], &region["owner"]), (&"eu".into(), &"assigned".into()));
    let rack = entry(&shown["labels"], "key", "rack").expect("the label of the join");
    assert_eq!((&rack["value"], &rack["owner"]), (&"r7".into(), &"local".into()));
    let host = &shown["hosts"][0];
    assert_eq!((&host["name"], &host["origin"]), (&"camp-001".into(), &"gateway".into()));
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    for (key, value) in [
        ("foo", "bar"),
        ("hello", "big world"),
        ("from", "rancher"),
        ("region", "eu"),
        ("io.linecamp.host.linux_kernel_version", &*kernel),
        ("io.rancher.host.linux_kernel_version", &*kernel),
    ] {
        assert_eq!(label(&host["labels"], key), Some(value), "{key}");
    }
    let listed = fleet.cli(&["site", "ls", "-l", "region=eu"]).ok();
    assert!(listed.stdout.contains("camp-001"), "{}", listed.stdout);
}

/// Joining twice with the same key gives the same site, also if the token is used up and the response was lost.
#[test]
fn joining_twice_is_idempotent() {
    let fleet = Fleet::start();
    let token = fleet.token(&["--uses", "1"]);
    let quic = fleet.server.quic();
    let first = fleet.join_by("camp", &token, quic, &[]);

    let again = fleet.try_join("camp", &token, quic, &[]).ok();
    assert!(again.stdout.starts_with("already joined as camp"), "{}", again.stdout);
    std::fs::remove_file(first.data().join("identity/membership.pem")).expect("the certificate is lost");
    let rejoined = fleet.try_join("camp", &token, quic, &[]).ok();
    assert!(rejoined.stdout.starts_with("joined as camp"), "{}", rejoined.stdout);
    let other = fleet.try_join("camp", &token, quic, &["--name", "other"]);
    assert_ne!(other.code, Some(0), "a directory belongs to one site");

    assert_eq!(fleet.json(&["site", "ls"])["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(fleet.json(&["token", "ls"])["items"][0]["state"], "used-up");
}

#[test]
fn a_join_succeeds_when_the_first_of_several_servers_is_down() {
    let fleet = Fleet::start();
    let token = fleet.token(&[]);
    // The discard port of another loopback address: nothing listens there.
    let target = format!("{token}@127.0.0.2:9,{}", fleet.server.quic());
    let data = fleet.directory().join("camp");
    let data = data.to_str().expect("text");
    let joined = fleet.run("linecampd", &["join", &target, "--name", "camp", "--data", data], &[]);
    let said = joined.ok();
    assert!(said.stderr.contains("127.0.0.2:9 did not answer"), "{}", said.stderr);
}

/// If approval is required, a site waits for an operator, and both sides show that.
#[test]
fn a_site_waits_until_it_is_accepted() {
    let fleet = Fleet::start();
    fleet.cli(&["environment", "create", "lab", "--approval", "on"]).ok();
    let token = fleet.token(&["--environment", "lab"]);
    let said = fleet.try_join("camp", &token, fleet.server.quic(), &[]).ok();
    assert!(said.stdout.contains("waiting for an operator to accept it"), "{}", said.stdout);

    let mut site = fleet.site("camp");
    site.start();
    wait_facts(&fleet, "camp");
    let shown = show(&fleet, "camp");
    assert_eq!(shown["state"], "pending");
    assert!(shown["waits_for"].as_str().is_some_and(|text| text.contains("accept")), "{shown}");
    assert_eq!(site.local(&["status", "-o", "json"]).ok().json()["target"], "pending");

    fleet.cli(&["site", "accept", "camp"]).ok();
    fleet.wait_for("the site to be active", PATIENCE, || (show(&fleet, "camp")["state"] == "active").then_some(()));
    let is_told = || (site.local(&["status", "-o", "json"]).ok().json()["target"] == "active").then_some(());
    assert!(wait_until(PATIENCE, is_told).is_some(), "the site knows");
}

/// A machine that joins with a replacement token becomes the site, and the machine it replaces cannot return.
#[test]
fn a_machine_that_replaces_another_becomes_the_same_site() {
    let fleet = Fleet::start();
    let mut broken = fleet.join("camp", &[]);
    broken.start();
    wait_facts(&fleet, "camp");
    fleet.cli(&["site", "label", "camp", "rack=r7"]).ok();
    let before = show(&fleet, "camp");
    broken.terminate();

    let token = fleet.token(&["--replace", "camp"]);
    let listed = fleet.json(&["token", "ls"]);
    assert_eq!(listed["items"][0]["replaces"], "camp", "{listed}");
    let said = fleet.try_join("spare", &token, fleet.server.quic(), &[]).ok();
    assert!(said.stdout.starts_with("joined as camp in environment default;"), "{}", said.stdout);
    let mut spare = fleet.site("spare");
    spare.start();
    fleet.wait_link("camp", "connected");
    let after = show(&fleet, "camp");
    assert_eq!((&after["id"], &after["hosts"][0]["id"]), (&before["id"], &before["hosts"][0]["id"]));
    assert_eq!(label(&after["labels"], "rack"), Some("r7"));

    broken.start();
    assert_eq!(broken.wait_for_exit(PATIENCE).expect("the daemon exits").code(), Some(3), "{}", broken.log());
    let said = fleet.try_join("third", &token, fleet.server.quic(), &[]);
    assert_ne!(said.code, Some(0), "the token has one use");
}
