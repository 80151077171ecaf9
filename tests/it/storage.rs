//! Disks that accept no writes: sites stay connected, and the operator is notified immediately.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use linecamp_tests::{Fleet, PATIENCE, Site, skip};

use crate::cli_json::{condition, connected_site, events, show, wait_condition, wait_label_at_site};
use crate::corruption::fill;
use crate::doctor::{assert_check, doctor_report};
use crate::mounted_disk::{ReadOnly, SmallDisk};

/// How long a retry may take: a failed store is retried every half minute.
const RETRIED: Duration = Duration::from_secs(90);

/// Writes that a full disk rejects at a retry: the status of the spec, and the retry itself.
const FAILED_WRITES_MIN: u64 = 2;

/// The shortest certificate lifetime of a server: it is renewed after 40 seconds.
const LIFE: Duration = Duration::from_secs(60);

#[track_caller]
fn wait_cleared(fleet: &Fleet, kind: &str) {
    fleet.wait_for(&format!("the end of {kind}"), RETRIED, || {
        condition(&show(fleet, "camp"), kind).is_none().then_some(())
    });
}

/// A site's disk fills up under its daemon: the server names the disk within seconds, and what is not stored.
#[test]
fn the_server_reports_a_full_site_disk_within_seconds() {
    let fleet = Fleet::start();
    let data = fleet.directory().join("camp");
    fs::create_dir(&data).expect("a directory");
    let Some(_disk) = SmallDisk::mount(&data) else { return };
    let mut site = connected_site(&fleet, "camp");
    let filler = site.data().join("filler");
    fill(&filler);
    fleet.wait_for("a refusal", PATIENCE, || {
        let long = "x".repeat(200);
        let said = (0..20).map(|number| site.local(&["label", "set", &format!("k{number}={long}")]));
        said.into_iter().find(|said| said.code != Some(0))
    });
    let detail = fleet.wait_for("the server to receive the report", Duration::from_secs(5), || {
        condition(&show(&fleet, "camp"), "disk-full").map(str::to_owned)
    });
    assert!(detail.contains(&*data.display().to_string()) && detail.contains("not kept"), "{detail}");
    assert_eq!(show(&fleet, "camp")["link"]["state"], "connected");

    // A restart finds no space either.
    site.kill();
    site.start();
    fleet.wait_link("camp", "connected");
    wait_condition(&fleet, "camp", "disk-full");
    fs::remove_file(&filler).expect("space is freed");
    wait_cleared(&fleet, "disk-full");
    site.local(&["label", "set", "rack=r2"]).ok();
    assert_eq!(events(&fleet, "camp", "condition-cleared"), ["disk-full"]);
}

/// Returns how many writes a site's disk has rejected.
fn failed_writes(site: &Site) -> u64 {
    let metrics = site.local(&["metrics"]).ok().stdout;
    let line = metrics.lines().find_map(|line| line.strip_prefix("linecamp_store_writes_total{result=\"failed\"} "));
    line.and_then(|number| number.parse().ok()).expect("a number of failed writes")
}

/// A disk stays full until space is freed: the condition neither clears nor flaps.
#[test]
fn a_full_disk_is_reported_until_space_is_free() {
    let fleet = Fleet::start();
    let data = fleet.directory().join("camp");
    fs::create_dir(&data).expect("a directory");
    let Some(_disk) = SmallDisk::mount(&data) else { return };
    let site = connected_site(&fleet, "camp");
    let filler = site.data().join("filler");
    fill(&filler);
    fleet.wait_for("a refusal", PATIENCE, || {
        let long = "x".repeat(200);
        let said = (0..20).map(|number| site.local(&["label", "set", &format!("k{number}={long}")]));
        said.into_iter().find(|said| said.code != Some(0))
    });
    wait_condition(&fleet, "camp", "disk-full");
    fleet.cli(&["site", "label", "camp", "rack=r2"]).ok();
    let before = failed_writes(&site);
    fleet.wait_for("retried writes", RETRIED, || {
        let failed = failed_writes(&site) - before;
        assert!(condition(&show(&fleet, "camp"), "disk-full").is_some(), "after {failed} failed writes");
        (FAILED_WRITES_MIN <= failed).then_some(())
    });
    assert_eq!(events(&fleet, "camp", "condition-raised").len(), 1);
    fs::remove_file(&filler).expect("space is freed");
    wait_cleared(&fleet, "disk-full");
    wait_label_at_site(&fleet, &site, "rack", Some("r2"));
    assert_eq!(events(&fleet, "camp", "condition-cleared"), ["disk-full"]);
}

/// After a crash, a daemon starts where no file can be created, and local commands reach it.
#[test]
fn a_site_without_inodes_starts_after_a_crash() {
    let fleet = Fleet::start();
    let data = fleet.directory().join("camp");
    fs::create_dir(&data).expect("a directory");
    let Some(_disk) = SmallDisk::mount_with(&data, "size=8m,nr_inodes=60") else { return };
    let mut site = connected_site(&fleet, "camp");
    let full = (0..1000).find_map(|number| fs::File::create_new(data.join(format!("inode-{number}"))).err());
    assert!(full.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull), "all inodes are used");
    assert_check(&doctor_report(&site), "disk", "fail", "inodes-exhausted");
    site.kill();
    site.start();
    fleet.wait_link("camp", "connected");
    site.local(&["status"]).ok();

    // Without an old socket to replace, it connects anyway, and reports what is missing.
    site.kill();
    fs::remove_file(data.join("linecampd.sock")).expect("the socket of the killed daemon");
    fs::File::create_new(data.join("inode-of-the-socket")).expect("its inode");
    site.start();
    let detail = wait_condition(&fleet, "camp", "local-socket-failed");
    assert!(detail.contains("No space left") && detail.contains("df -i"), "{detail}");
    let said = site.local(&["status"]);
    assert!(said.stderr.contains("is running in") && said.stderr.contains("no free inodes"), "{}", said.stderr);
    fs::remove_file(data.join("inode-of-the-socket")).expect("an inode is freed");
    wait_cleared(&fleet, "local-socket-failed");
    site.local(&["status"]).ok();
}

/// A daemon that starts on a read-only disk connects anyway, with what a crash left, and reports it.
#[test]
fn a_site_on_a_read_only_disk_connects_and_reports_it() {
    let fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    fleet.cli(&["site", "label", "camp", "rack=r1"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r1"));
    site.kill();
    let Some(disk) = ReadOnly::mount(site.data()) else { return };
    site.start();
    let detail = wait_condition(&fleet, "camp", "store-failed");
    assert!(detail.contains("cannot be written") && detail.contains("not kept"), "{detail}");
    fleet.wait_link("camp", "connected");
    fleet.cli(&["site", "label", "camp", "rack=r2"]).ok();
    let shown = show(&fleet, "camp");
    assert_ne!(shown["spec_generation"], shown["applied_generation"], "nothing is acknowledged");
    wait_condition(&fleet, "camp", "local-socket-failed");
    let said = site.local(&["status"]);
    assert!(said.stderr.contains("is running in") && said.stderr.contains("read-only"), "{}", said.stderr);
    assert_check(&doctor_report(&site), "daemon", "warn", "socket-unavailable");

    disk.make_writable();
    wait_cleared(&fleet, "store-failed");
    wait_cleared(&fleet, "local-socket-failed");
    fleet.wait_for("the newest spec", RETRIED, || {
        let shown = show(&fleet, "camp");
        (shown["spec_generation"] == shown["applied_generation"]).then_some(())
    });
    wait_label_at_site(&fleet, &site, "rack", Some("r2"));
    drop(site);
}

/// A certificate that cannot be saved is a condition until it is saved; meanwhile the link is renewed from memory.
#[test]
fn an_unsaved_certificate_is_a_condition_until_it_is_saved() {
    let mut fleet = Fleet::start();
    fleet.server.terminate();
    let path = fleet.server.data().join("server.toml");
    let mut file = OpenOptions::new().append(true).open(path).expect("the configuration is there");
    writeln!(file, "certificate_life = \"{}s\"", LIFE.as_secs()).expect("a line");
    fleet.start_server();
    let site = connected_site(&fleet, "camp");
    let Some(disk) = ReadOnly::mount(&site.data().join("identity")) else { return };
    let detail = fleet.wait_for("a renewal that is not saved", 2 * LIFE, || {
        condition(&show(&fleet, "camp"), "identity-not-saved").map(str::to_owned)
    });
    assert!(detail.contains("ead-only"), "{detail}");
    // A successful database write does not clear the condition.
    site.local(&["label", "set", "rack=r1"]).ok();
    assert!(condition(&show(&fleet, "camp"), "identity-not-saved").is_some());
    disk.make_writable();
    wait_cleared(&fleet, "identity-not-saved");
    assert_eq!(show(&fleet, "camp")["link"]["state"], "connected");
    assert_eq!(show(&fleet, "camp")["recoveries"], 0);
    drop(site);
}

/// A server that starts on a read-only disk keeps its fleet connected, rejects changes, and reports it.
#[test]
fn a_server_on_a_read_only_disk_keeps_its_fleet_connected() {
    let mut fleet = Fleet::start();
    let _site = connected_site(&fleet, "camp");
    fleet.server.kill();
    let Some(disk) = ReadOnly::mount(fleet.server.data()) else { return };
    fleet.start_server();
    fleet.wait_link("camp", "connected");
    let refused = fleet.cli(&["site", "label", "camp", "rack=r1"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("cannot be written"), "{}", refused.stderr);
    match fleet.http("/healthz").map(|(_, text)| text) {
        Ok(text) => assert!(text.contains("\"status\":\"ok\",\"store\":\"read-only\""), "{text}"),
        Err(error) => skip("curl", &format!("/healthz of a server that cannot write: no curl here ({error})")),
    }

    disk.make_writable();
    fleet.wait_for("a change that is saved", RETRIED, || {
        (fleet.cli(&["site", "label", "camp", "rack=r1"]).code == Some(0)).then_some(())
    });
    fleet.server.terminate();
}
