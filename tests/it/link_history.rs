//! Why a site was offline.

use linecamp_tests::{Fleet, PATIENCE};

use crate::cli_json::{connected_site, show};

#[test]
fn a_gap_is_shown_with_its_cause() {
    let mut fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    let before = fleet.cli(&["site", "history", "camp"]).ok();
    assert!(before.stderr.contains("no gaps of three minutes or more"), "{}", before.stderr);
    assert_eq!(fleet.cli(&["site", "history", "camp", "-o", "json"]).ok().json()["items"], serde_json::json!([]));
    assert!(fleet.cli(&["site", "history", "nobody"]).exits(1).stderr.contains("nobody"));
    // An hour passes for both, in which neither runs.
    assert!(site.terminate().success());
    assert!(fleet.server.terminate().success());
    if !(site.set_clock("+1h") && fleet.server.set_clock("+1h")) {
        return;
    }
    fleet.start_server();
    site.start();
    let gap = fleet.wait_for("the gap", PATIENCE, || {
        let history = fleet.cli(&["site", "history", "camp", "-o", "json"]).ok().json();
        history["items"].as_array().and_then(|gaps| gaps.first().cloned())
    });
    assert_eq!(gap["cause"], "daemon-restart", "{gap}");
    assert_eq!(gap["causes"][0]["cause"], "daemon-restart", "{gap}");
    assert!(gap["seconds"].as_u64().is_some_and(|seconds| (3_600..4_000).contains(&seconds)), "{gap}");
    let table = fleet.cli(&["site", "history", "camp"]).ok();
    assert!(table.stdout.contains("daemon-restart"), "{}", table.stdout);
    fleet.wait_for("the link", PATIENCE, || (show(&fleet, "camp")["link"]["state"] == "connected").then_some(()));
}
