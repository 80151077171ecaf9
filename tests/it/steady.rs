//! Steady state: nothing is written, and next to nothing is sent.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use linecamp_tests::{Fleet, PATIENCE, UdpProxy, wait_until};

use crate::shown::{entry, wait_converged, wait_facts};

/// How long nothing is to happen: a third of the time between two keep-alives.
const WATCHED: Duration = Duration::from_secs(5);

/// What a keep-alive and its answer may have.
const KEEP_ALIVE_BYTES_MAX: u64 = 500;

fn databases(fleet: &Fleet, site: &Path) -> Vec<PathBuf> {
    let names = |data: &Path, name: &str| ["", "-wal"].map(|suffix| data.join(format!("{name}{suffix}")));
    [names(site, "site.db"), names(fleet.server.data(), "fleet.db")].concat()
}

fn written(paths: &[PathBuf]) -> Vec<Option<(u64, SystemTime)>> {
    let look = |path: &PathBuf| {
        let metadata = path.metadata().ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    paths.iter().map(look).collect()
}

#[test]
fn a_settled_fleet_writes_nothing_and_says_next_to_nothing() {
    let fleet = Fleet::start();
    let proxy = UdpProxy::start(fleet.server.quic());
    let mut site = fleet.join_by("camp", &fleet.token(&[]), proxy.address(), &["--label", "rack=r7"]);
    site.start();
    wait_facts(&fleet, "camp");
    wait_converged(&fleet, "camp");
    let paths = databases(&fleet, site.data());
    fleet.wait_for("a second without a write", PATIENCE, || {
        let why = site.local(&["why", "-o", "json"]).ok().json();
        let is_told = entry(&why, "part", "events")?["state"].as_str()?.starts_with("0 wait");
        let before = written(&paths);
        let change = wait_until(Duration::from_secs(1), || (written(&paths) != before).then_some(()));
        (is_told && change.is_none()).then_some(())
    });

    let (before, sent) = (written(&paths), proxy.traffic());
    let change = wait_until(WATCHED, || (written(&paths) != before).then(|| written(&paths)));
    assert_eq!(change, None, "before: {before:?}");
    let now = proxy.traffic();
    let bytes = now.bytes_up + now.bytes_down - sent.bytes_up - sent.bytes_down;
    assert!(bytes <= KEEP_ALIVE_BYTES_MAX, "{bytes} bytes in {WATCHED:?}");
    fleet.wait_link("camp", "connected");
}
