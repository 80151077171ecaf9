//! Corrupt databases, and a full disk at a site.

use std::fs;
use std::path::Path;

use linecamp_tests::{Fleet, PATIENCE};

use crate::cli_json::{
    connected_site, wait_condition, wait_converged, wait_label_at_server, wait_label_at_site, wait_no_condition,
};
use crate::mounted_disk::SmallDisk;

/// A corrupt site database is moved aside, and the site is restored from what the server knows.
#[test]
fn a_corrupt_site_database_is_moved_aside_and_resynced() {
    let fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    fleet.cli(&["site", "label", "camp", "rack=r7"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    wait_converged(&fleet, "camp");
    assert!(site.terminate().success());

    let path = site.data().join("site.db");
    let mut bytes = fs::read(&path).expect("the database exists");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    fs::write(&path, &bytes).expect("the database can be overwritten");
    let _ = fs::remove_file(site.data().join("site.db-wal"));

    site.start();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    let detail = wait_condition(&fleet, "camp", "store-corrupt");
    assert!(detail.contains("site.db.corrupt-1"), "{detail}");
    assert!(site.data().join("site.db.corrupt-1").exists());
    wait_converged(&fleet, "camp");
    assert!(site.terminate().success());
    site.start();
    wait_no_condition(&fleet, "camp", "store-corrupt");
}

/// No program may replace a corrupt fleet database.
#[test]
fn a_corrupt_server_database_needs_an_operator() {
    let mut fleet = Fleet::start();
    fleet.token(&[]);
    assert!(fleet.server.terminate().success());
    let path = fleet.server.data().join("fleet.db");
    let mut bytes = fs::read(&path).expect("the database exists");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    fs::write(&path, &bytes).expect("the database can be overwritten");
    let data = fleet.server.data().to_str().expect("text").to_owned();
    let said = fleet.run("linecamp-server", &["run", "--data", &data], &[]).exits(3);
    assert!(said.stderr.contains("fleet.db is corrupt") && said.stderr.contains("backup"), "{}", said.stderr);
    assert_eq!(fs::read(&path).expect("the database exists"), bytes, "the file is unchanged");
}

/// Writes until the disk is full.
pub(crate) fn fill(path: &Path) {
    let full = (0..).find_map(|_| {
        let mut file = fs::File::options().create(true).append(true).open(path).ok()?;
        std::io::Write::write_all(&mut file, &[7; 512]).err()
    });
    assert!(full.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull), "the disk is full");
}

/// A full disk rejects what cannot be stored, keeps the link, and recovers as soon as there is space.
#[test]
fn a_full_site_disk_raises_a_condition_and_loses_nothing() {
    let fleet = Fleet::start();
    let data = fleet.directory().join("camp");
    fs::create_dir(&data).expect("a directory");
    let Some(_disk) = SmallDisk::mount(&data) else { return };
    let mut site = connected_site(&fleet, "camp");
    site.local(&["label", "set", "rack=r1"]).ok();
    let filler = site.data().join("filler");
    fill(&filler);

    // The database's WAL has some space left.
    let refused = fleet.wait_for("a refusal", PATIENCE, || {
        let long = "x".repeat(200);
        let said = (0..20).map(|number| site.local(&["label", "set", &format!("k{number}={long}")]));
        said.into_iter().find(|said| said.code != Some(0))
    });
    assert!(refused.stderr.contains("full"), "{}", refused.stderr);
    let status = site.local(&["status"]).ok();
    assert!(status.stdout.contains("disk-full"), "{}", status.stdout);
    assert!(status.stdout.contains("connected"), "the link stays up: {}", status.stdout);
    assert!(status.stdout.contains("r1"), "existing data is kept: {}", status.stdout);

    fs::remove_file(&filler).expect("space is freed");
    site.local(&["label", "set", "rack=r2"]).ok();
    // The daemon does not retry a full disk for half a minute; a restart is faster.
    assert!(site.terminate().success());
    site.start();
    wait_label_at_server(&fleet, "camp", "rack", Some("r2"));
    let status = fleet.wait_for("the daemon to answer again", PATIENCE, || {
        let said = site.local(&["status"]);
        (said.code == Some(0)).then_some(said.stdout)
    });
    assert!(!status.contains("disk-full"), "{status}");
}
