//! The server is unreachable, and the site keeps working.

use linecamp_tests::{Fleet, PATIENCE};

use crate::cli_json::{
    connected_site, entry, events, label, show, wait_converged, wait_label_at_server, wait_label_at_site,
};

#[test]
fn a_site_is_managed_locally_while_the_server_is_down() {
    let mut fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    fleet.cli(&["site", "label", "camp", "rack=r7"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    wait_converged(&fleet, "camp");
    fleet.server.kill();
    site.kill();

    site.start();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    let status = site.local(&["status", "-o", "json"]).ok().json();
    assert_eq!((&status["name"], &status["environment"]), (&"camp".into(), &"default".into()));
    assert_eq!((&status["target"], &status["link"]["state"]), (&"active".into(), &"reconnecting".into()));
    assert!(status["outbox_events"].as_u64().is_some_and(|count| 0 < count), "its start event is queued");
    let hosts = site.local(&["host", "ls", "-o", "json"]).ok().json();
    assert_eq!((&hosts[0]["name"], &hosts[0]["origin"]), (&"camp".into(), &"gateway".into()));
    assert!(label(&hosts[0]["labels"], "io.linecamp.host.os").is_some(), "facts are kept");
    let why = site.local(&["why", "-o", "json"]).ok().json();
    let link = entry(&why, "part", "link").expect("the site has a link");
    assert!(link["next"]["at"].is_string(), "it reports the next attempt: {link}");

    site.local(&["label", "set", "door=3"]).ok();
    wait_label_at_site(&fleet, &site, "door", Some("3"));
    site.local(&["label", "set", "--host", "shelf=low"]).ok();
    let said = fleet.cli(&["site", "ls"]).exits(1);
    assert!(said.stderr.contains("check that linecamp-server is running there"), "{}", said.stderr);

    fleet.start_server();
    wait_label_at_server(&fleet, "camp", "door", Some("3"));
    assert_eq!(label(&show(&fleet, "camp")["hosts"][0]["labels"], "shelf"), Some("low"));
    fleet.wait_for("the events recorded while offline", PATIENCE, || {
        let set = events(&fleet, "camp", "labels-set-locally");
        let is_told = ["door=3", "shelf=low"].iter().all(|text| set.iter().any(|one| one.contains(text)));
        (is_told && events(&fleet, "camp", "daemon-started").len() == 2).then_some(())
    });
    let status = site.local(&["status", "-o", "json"]).ok().json();
    assert_eq!(status["events_dropped"], 0);
}
