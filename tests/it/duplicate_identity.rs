//! Two machines with one identity.

use linecamp_tests::{Fleet, PATIENCE};

use crate::cli_json::{events, show, wait_condition, wait_facts, wait_label_at_server};

/// A cloned disk is rejected; the first machine keeps its link; the operator is notified of both.
#[test]
fn a_cloned_disk_is_rejected_and_both_machines_are_reported() {
    let fleet = Fleet::start();
    let mut first = fleet.join("camp", &[]);
    let mut copy = fleet.clone_disk(&first, "copy");
    first.start();
    wait_facts(&fleet, "camp");
    let link = || first.local(&["status", "-o", "json"]).ok().json()["link_doing"].clone();
    let before = link();
    let address = show(&fleet, "camp")["link"]["address"].as_str().expect("an address").to_owned();

    copy.start();
    let detail = wait_condition(&fleet, "camp", "duplicate-identity");
    assert!(detail.contains(&format!("{address} is linked")), "{address}: {detail}");
    assert!(detail.contains("was refused") && detail.matches("127.0.0.1:").count() == 2, "{detail}");
    let sentence = format!("another machine, at {address}, is connected with this identity");
    fleet.wait_for("the copy to report it", PATIENCE, || copy.log().contains(&sentence).then_some(()));
    let said = copy.local(&["why"]).ok();
    assert!(said.stdout.contains(&sentence), "{}", said.stdout);

    assert_eq!(link(), before, "the session of the first machine is unchanged");
    first.local(&["label", "set", "rack=r7"]).ok();
    wait_label_at_server(&fleet, "camp", "rack", Some("r7"));
    assert_eq!(events(&fleet, "camp", "duplicate-refused").len(), 1);
}

/// A machine that was reset replaces its own old session immediately: it is not a duplicate.
#[test]
fn a_reset_machine_is_not_a_duplicate() {
    let fleet = Fleet::start();
    let mut site = crate::cli_json::connected_site(&fleet, "camp");
    site.kill();
    site.start();
    fleet.wait_for("the link in the log, twice", PATIENCE, || {
        (site.log().matches("link up").count() == 2).then_some(())
    });
    assert_eq!(show(&fleet, "camp")["link"]["state"], "connected");
    assert_eq!(crate::cli_json::condition(&show(&fleet, "camp"), "duplicate-identity"), None);
}
