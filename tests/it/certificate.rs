//! Expired certificates.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use linecamp_tests::Fleet;

use crate::cli_json::{connected_site, events, show, wait_facts, wait_label_at_server};

/// The shortest certificate lifetime of a server.
const LIFE: Duration = Duration::from_secs(60);

/// A site that was offline for longer than its certificate is valid recovers with its existing key, without a visit.
#[test]
fn a_site_whose_certificate_has_expired_recovers() {
    let mut fleet = Fleet::start();
    fleet.server.terminate();
    let mut file = OpenOptions::new()
        .append(true)
        .open(fleet.server.data().join("server.toml"))
        .expect("the configuration is there");
    writeln!(file, "certificate_life = \"{}s\"", LIFE.as_secs()).expect("a line");
    fleet.start_server();
    let mut site = connected_site(&fleet, "camp");
    let until = site.local(&["status", "-o", "json"]).ok().json()["certificate_expires_at"].clone();
    site.kill();
    let end = until.as_str().expect("the daemon has a certificate").to_owned();
    fleet.wait_for("the certificate to end", LIFE + Duration::from_secs(10), || {
        (to_the_second(&end) < to_the_second(&clock())).then_some(())
    });
    assert_eq!(show(&fleet, "camp")["recoveries"], 0);

    site.start();
    wait_facts(&fleet, "camp");
    fleet.wait_link("camp", "connected");
    assert_eq!(show(&fleet, "camp")["recoveries"], 1);
    assert_eq!(events(&fleet, "camp", "site-recovered").len(), 1);
    let renewed = site.local(&["status", "-o", "json"]).ok().json()["certificate_expires_at"].clone();
    assert!(until.as_str() < renewed.as_str(), "{until} < {renewed}");
    site.local(&["label", "set", "rack=r7"]).ok();
    wait_label_at_server(&fleet, "camp", "rack", Some("r7"));
}

/// Returns this machine's time, in the daemon's format.
fn clock() -> String {
    let said = Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"]).output().expect("date is everywhere");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// Removes fractions of a second, which only one of the two has.
fn to_the_second(time: &str) -> &str {
    &time[..time.len().min("2026-01-01T00:00:00".len())]
}
