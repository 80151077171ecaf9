//! Backups: taken while the server runs, restored elsewhere, and what its sites and operators see afterwards.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use linecamp_tests::{CommandOutput, Fleet, PATIENCE, Site, skip};
use serde_json::Value;

use crate::cli_json::{connected_site, show};

const RECIPIENT: &str = "age14n5yhmefxe2g3w8wcpr8rtlq4ckl7xk7vrf72z2d8jqlscv4xgssensnla";
const IDENTITY: &str = "AGE-SECRET-KEY-13DRJ8KRFM77F8RTXS3VQG2T0KW8ES0ZNASVMGFQ6NN5HTY3QZDTSSVUQJG";

fn path(fleet: &Fleet, name: &str) -> String {
    fleet.directory().join(name).display().to_string()
}

fn data(fleet: &Fleet) -> String {
    fleet.server.data().display().to_string()
}

fn server_command(fleet: &Fleet, arguments: &[&str]) -> CommandOutput {
    fleet.run("linecamp-server", arguments, &[])
}

fn back_up(fleet: &Fleet, name: &str) -> CommandOutput {
    server_command(fleet, &["backup", &path(fleet, name), "--data", &data(fleet)]).ok()
}

/// Loses the server's directory, restores the backup in its place, and starts the server. The admin key is kept.
fn restore(fleet: &mut Fleet, name: &str) -> CommandOutput {
    fleet.server.kill();
    let lost: PathBuf = fleet.server.data().with_extension("lost");
    fs::rename(fleet.server.data(), lost).expect("the directory can be moved");
    let restored = ["restore", &path(fleet, name), "--data", &data(fleet), "--keep-key", "admin"];
    let said = server_command(fleet, &restored).ok();
    fleet.start_server();
    said
}

fn held_sites(fleet: &Fleet) -> Vec<Value> {
    fleet.json(&["restore", "ls"])["sites"].as_array().cloned().unwrap_or_default()
}

fn label(fleet: &Fleet, site: &str) -> u64 {
    let labels = show(fleet, site)["labels"].as_array().cloned().unwrap_or_default();
    let found = labels.iter().find(|label| label["key"] == "n").expect("the label is there");
    found["value"].as_str().and_then(|value| value.parse().ok()).expect("a number")
}

fn wait_why(fleet: &Fleet, site: &Site, words: &str) {
    fleet.wait_for(&format!("why to say `{words}`"), PATIENCE, || {
        site.local(&["why"]).stdout.contains(words).then_some(())
    });
}

/// Labels change and machines join while backups are taken. The first site is labeled before the second: in one
/// revision, it is ahead by one at most.
#[test]
fn a_backup_under_load_is_one_revision_and_its_sites_return() {
    let mut fleet = Fleet::start();
    let first = connected_site(&fleet, "camp-1");
    let _second = connected_site(&fleet, "camp-2");
    let set =
        |fleet: &Fleet, site: &str, value: u64| drop(fleet.cli(&["site", "label", site, &format!("n={value}")]).ok());
    let mut value = 0;
    let mut acknowledged = 0;
    for round in 0..3 {
        value += 1;
        set(&fleet, "camp-1", value);
        set(&fleet, "camp-2", value);
        acknowledged = value;
        fleet.join(&format!("joined-{round}"), &[]);
        let (file, data) = (path(&fleet, "camp.backup"), data(&fleet));
        let mut backup = fleet.process("linecamp-server", &["backup", &file, "--data", &data], "backup.log");
        backup.start();
        while backup.is_running() {
            value += 1;
            set(&fleet, "camp-1", value);
            set(&fleet, "camp-2", value);
        }
        let log = backup.log();
        assert!(backup.exit_status().is_some_and(|status| status.success()), "{log}");
    }
    // After the last backup: this is lost.
    set(&fleet, "camp-1", value + 1);
    let late = connected_site(&fleet, "late");

    let said = restore(&mut fleet, "camp.backup").stdout;
    assert!(said.contains("held until an operator accepts them: 5 sites"), "{said}");
    let (one, two) = (label(&fleet, "camp-1"), label(&fleet, "camp-2"));
    assert!(acknowledged <= two && two <= one && one <= two + 1, "{acknowledged} acknowledged, then {one} and {two}");

    // They are held, and say why. What the server lost is evidence.
    let asked = |name: &'static str, evidence: &'static str| {
        move |sites: &[Value]| sites.iter().any(|site| site["name"] == name && site["evidence"] == evidence)
    };
    fleet.wait_for("the sites to ask", PATIENCE, || {
        let sites = held_sites(&fleet);
        (asked("camp-1", "changed")(&sites) && !asked("camp-2", "not-seen")(&sites)).then_some(())
    });
    wait_why(&fleet, &first, "server-restored");
    fleet.wait_for("the late site to be listed as unknown", PATIENCE, || {
        fleet.json(&["restore", "ls"])["unknown"].as_array().is_some_and(|all| !all.is_empty()).then_some(())
    });
    assert!(!late.local(&["status"]).stdout.is_empty());
    assert_eq!(fleet.json(&["version"])["server"]["restored"]["held_sites"], 5);
    let doctor = server_command(&fleet, &["doctor", "--data", &data(&fleet)]);
    assert!(doctor.stdout.contains("5 sites"), "{}", doctor.stdout);

    let preview = fleet.cli(&["restore", "accept", "--all"]).ok();
    assert!(preview.stderr.contains("add --yes to apply"), "{}", preview.stderr);
    assert_eq!(held_sites(&fleet).len(), 5, "a preview changes nothing");
    let accepted = fleet.cli(&["restore", "accept", "--all", "--yes"]).ok();
    assert!(accepted.stdout.contains("nothing is held any more"), "{}", accepted.stdout);
    for name in ["camp-1", "camp-2"] {
        fleet.wait_link(name, "connected");
        set(&fleet, name, 1_000);
        fleet.wait_for(&format!("{name} to converge"), PATIENCE, || {
            let site = show(&fleet, name);
            (site["spec_generation"] == site["converged_generation"]).then_some(())
        });
    }
    assert_eq!(fleet.json(&["version"])["server"]["restored"], Value::Null);
}

#[test]
fn what_was_removed_or_revoked_after_a_backup_is_asked_about() {
    let mut fleet = Fleet::start();
    let _stays = connected_site(&fleet, "stays");
    let mut gone = connected_site(&fleet, "gone");
    fleet.server.kill();
    let made = server_command(&fleet, &["key", "create", "--data", &data(&fleet), "--name", "ci"]).ok();
    let ci = made.word_after("ci key:");
    fleet.start_server();
    let token = fleet.token(&[]);
    back_up(&fleet, "camp.backup");

    gone.kill();
    fleet.cli(&["site", "rm", "gone", "--force"]).ok();
    fleet.cli(&["token", "revoke", &token]).ok();
    fleet.server.kill();
    server_command(&fleet, &["key", "rm", "--data", &data(&fleet), "--name", "ci"]).ok();
    restore(&mut fleet, "camp.backup");

    gone.start();
    wait_why(&fleet, &gone, "waits until its operator accepts this site");
    let login = [("LINECAMP_URL", fleet.url()), ("LINECAMP_PIN", fleet.pin()), ("LINECAMP_KEY", &*ci)];
    let refused = fleet.run("linecamp", &["site", "ls"], &login).exits(3);
    assert!(refused.stderr.contains("this API key is not accepted yet"), "{}", refused.stderr);
    let late = fleet.try_join("late", &token, fleet.server.quic(), &["--timeout", "5s"]);
    assert_ne!(late.code, Some(0), "{}{}", late.stdout, late.stderr);

    let listed = fleet.cli(&["restore", "ls"]).ok().stdout;
    assert!(listed.contains("stays") && listed.contains("gone") && listed.contains("ci"), "{listed}");
    fleet.cli(&["restore", "reject", "--site", "gone", "--token", &token, "--key", "ci"]).ok();
    let ended = gone.wait_for_exit(PATIENCE).expect("the daemon exits");
    assert_eq!(ended.code(), Some(3), "{}", gone.log());
    assert!(gone.log().contains("this machine was removed"), "{}", gone.log());
    fleet.cli(&["restore", "accept", "--site", "stays"]).ok();
    fleet.wait_link("stays", "connected");
    fleet.cli(&["restore", "accept", "--site", "stays"]).exits(2);
    let refused = fleet.run("linecamp", &["site", "ls"], &login).exits(3);
    assert!(refused.stderr.contains("unknown API key"), "{}", refused.stderr);
}

/// Without any program of ours: what the page on backups promises.
#[test]
fn age_and_tar_read_an_encrypted_backup() {
    let fleet = Fleet::start();
    let (file, identity) = (path(&fleet, "camp.backup"), path(&fleet, "identity"));
    fs::write(&identity, IDENTITY).expect("a file can be written");
    server_command(&fleet, &["backup", &file, "--data", &data(&fleet), "--recipient", RECIPIENT]).ok();
    let archive = match Command::new("age").args(["--decrypt", "--identity", &identity, &file]).output() {
        Ok(decrypted) => decrypted,
        Err(error) => return skip("age", &error.to_string()),
    };
    assert!(archive.status.success(), "{}", String::from_utf8_lossy(&archive.stderr));
    fs::write(path(&fleet, "camp.tar"), archive.stdout).expect("a file can be written");
    let listed = Command::new("tar").args(["--list", "--file", &path(&fleet, "camp.tar")]).output();
    let listed = listed.expect("tar is on every machine");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    for name in ["fleet.db", "ca/key.pem", "server.toml"] {
        assert!(names.lines().any(|line| line == name), "{name} in {names}");
    }
}

#[test]
fn an_encrypted_backup_needs_its_key_and_a_corrupt_one_leaves_nothing() {
    let fleet = Fleet::start();
    let (secret, wrong, identity) = (path(&fleet, "passphrase"), path(&fleet, "wrong"), path(&fleet, "identity"));
    for (path, text) in [(&secret, "correct horse\n"), (&wrong, "battery staple\n"), (&identity, IDENTITY)] {
        fs::write(path, text).expect("a file can be written");
    }
    let (file, to_key, target) = (path(&fleet, "a.backup"), path(&fleet, "b.backup"), path(&fleet, "restored"));
    let data = data(&fleet);
    server_command(&fleet, &["backup", &file, "--data", &data, "--passphrase-file", &secret]).ok();
    server_command(&fleet, &["backup", &to_key, "--data", &data, "--recipient", RECIPIENT]).ok();
    server_command(&fleet, &["backup", "--verify", &file, "--passphrase-file", &secret]).ok();
    server_command(&fleet, &["backup", "--verify", &to_key, "--identity-file", &identity]).ok();

    let fails = |code: i32, arguments: &[&str], words: &str| {
        let said = server_command(&fleet, &[&["restore", "--data", &target], arguments].concat()).exits(code);
        assert!(said.stderr.contains(words), "{}", said.stderr);
        assert!(!fleet.directory().join("restored").exists(), "something is left behind");
    };
    fails(2, &[&file, "--passphrase-file", &wrong], "wrong passphrase");
    fails(2, &[&file], "give it with --passphrase-file FILE");
    fails(2, &[&to_key], "give its identity with --identity-file FILE");
    let bytes = fs::read(&file).expect("the backup can be read");
    let corrupt = path(&fleet, "corrupt");
    for (contents, words) in [(&bytes[..bytes.len() / 2], "truncated"), (b"#!/bin/sh\n", "not a backup")] {
        fs::write(&corrupt, contents).expect("a file can be written");
        fails(3, &[&corrupt, "--passphrase-file", &secret], words);
    }
    let said = server_command(&fleet, &["restore", &corrupt, "--data", &target, "-o", "json"]).exits(3);
    assert!(said.stderr.contains(r#""code":"backup-invalid""#), "{}", said.stderr);
    let said = server_command(&fleet, &["restore", &file, "--passphrase-file", &secret, "--data", &data]);
    assert!(said.code != Some(0) && said.stderr.contains("is not empty"), "{}", said.stderr);
    server_command(&fleet, &["restore", &to_key, "--identity-file", &identity, "--data", &target]).ok();
}
