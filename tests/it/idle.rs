//! An idle fleet: nothing is written, and almost nothing is sent.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use linecamp_tests::{Fleet, PATIENCE, Traffic, UdpProxy};

use crate::cli_json::{entry, wait_converged, wait_facts};

/// The time between two keep-alives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How much of an idle link is observed: three keep-alives and their replies.
const DATAGRAMS: u64 = 6;

/// The most bytes in that many datagrams of an idle fleet: a keep-alive has some 30 bytes.
const BYTES_MAX: u64 = 500;

/// How long that may take: three keep-alives, and one more while the fleet settles.
const SETTLED_MAX: Duration = Duration::from_secs(90);

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
fn an_idle_fleet_writes_nothing_and_sends_almost_nothing() {
    let fleet = Fleet::start();
    let proxy = UdpProxy::start(fleet.server.quic());
    let mut site = fleet.join_by("camp", &fleet.token(&[]), proxy.address(), &["--label", "rack=r7"]);
    // Only through the proxy, whatever address the server tells.
    site.configure(&format!("servers = [\"{}\"]\n", proxy.address()));
    site.start();
    wait_facts(&fleet, "camp");
    wait_converged(&fleet, "camp");
    let paths = databases(&fleet, site.data());
    let is_told = || {
        let why = site.local(&["why", "-o", "json"]).ok().json();
        entry(&why, "part", "events").is_some_and(|events| events["state"] == "ok")
    };
    fleet.wait_for("the events to be acknowledged", PATIENCE, || is_told().then_some(()));

    // Activity still under way restarts the observation: a write, or datagrams in quick succession.
    let begin = || (written(&paths), proxy.traffic(), Instant::now());
    let mut watch = begin();
    let bytes = fleet.wait_for("three keep-alives without a disk write", SETTLED_MAX, || {
        let (files, before, began) = &watch;
        let (now, took) = (proxy.traffic(), began.elapsed());
        let is_over = DATAGRAMS <= datagrams(now) - datagrams(*before);
        if written(&paths) != *files || (is_over && took < KEEP_ALIVE) {
            watch = begin();
            return None;
        }
        is_over.then(|| now.bytes_up + now.bytes_down - before.bytes_up - before.bytes_down)
    });
    assert!(bytes <= BYTES_MAX, "{bytes} bytes in {DATAGRAMS} datagrams");
    fleet.wait_link("camp", "connected");
}

fn datagrams(traffic: Traffic) -> u64 {
    traffic.datagrams_up + traffic.datagrams_down
}
