//! The server restarts, and its sites reconnect: in their slots, or as soon as they notice.

use std::time::{Duration, Instant};

use linecamp_tests::{Fleet, PATIENCE};

use crate::cli_json::{connected_site, entry, wait_label_at_server};

/// Returns the second of the day from the start of a log line.
fn second_of_day(line: &str) -> u64 {
    let time = line.split_once('T').and_then(|(_, rest)| rest.get(..8));
    let parts = time.expect("a line begins with its time").split(':');
    parts.fold(0, |sum, part| sum * 60 + part.parse::<u64>().expect("a number"))
}

/// A planned stop assigns reconnect slots, so that no site dials before a new server can be up.
#[test]
fn a_planned_stop_assigns_reconnect_slots() {
    let mut fleet = Fleet::start();
    let mut site = fleet.join("camp", &[]);
    site.env("LINECAMP_LOG", "debug");
    site.start();
    fleet.wait_link("camp", "connected");

    assert!(fleet.server.terminate().success());
    let why = site.local(&["why", "-o", "json"]).ok().json();
    let link = entry(&why, "part", "link").expect("the site has a link");
    assert_ne!(link["state"], "ok", "{link}");
    let metrics = site.local(&["metrics"]).ok().stdout;
    assert!(metrics.contains("linecamp_link_losses_total{reason=\"server-stopping\"} 1"), "{metrics}");
    let dials = || {
        let log = site.log();
        let down = log.lines().skip_while(|line| !line.contains("link down"));
        let lines: Vec<_> =
            down.filter(|line| line.contains("link down") || line.contains("dialing")).map(second_of_day).collect();
        (2 <= lines.len()).then(|| (lines[0], lines[1]))
    };
    let (down, dialled) = fleet.wait_for("a redial", PATIENCE, dials);
    assert!(1 <= (dialled + 86_400 - down) % 86_400, "the next server started within a second");

    fleet.start_server();
    let back = Instant::now();
    fleet.wait_link("camp", "connected");
    assert!(back.elapsed() < Duration::from_secs(15), "took {:?}", back.elapsed());
}

/// A killed server announces nothing. The next packet of a site reveals that its session is gone.
#[test]
fn a_killed_server_is_detected_with_the_next_packet() {
    let mut fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    fleet.server.kill();
    fleet.start_server();
    assert_eq!(
        site.local(&["status", "-o", "json"]).ok().json()["link"]["state"],
        "connected",
        "it notices without a message"
    );

    let said = Instant::now();
    site.local(&["label", "set", "rack=r7"]).ok();
    wait_label_at_server(&fleet, "camp", "rack", Some("r7"));
    let took = said.elapsed();
    assert!(took < Duration::from_secs(12), "a timeout detected it, after {took:?}: {}", site.log());
    assert!(site.log().contains("the peer restarted"), "{}", site.log());
}
