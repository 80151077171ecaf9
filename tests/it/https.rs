//! A certificate that the operator supplies.

use std::fs;
use std::path::Path;
use std::time::Duration;

use linecamp_tests::{CommandOutput, CompanyCa, Fleet, PATIENCE, Process, skip};
use rustix::process::Signal;

use crate::cli_json::connected_site;
use crate::markdown_page::Page;
use crate::shell::Shell;

/// The server checks the files every 10 s.
const NOTICE_MAX: Duration = Duration::from_secs(30);

/// The host in the server URL of every test.
const HOST: &str = "127.0.0.1";

/// The page's login with a CA.
const LOGIN: &str = "linecamp login https://camp.example:8443 --ca /etc/linecamp/tls/ca.pem --key-file key.txt";

/// Adds lines to the server's configuration and reloads it.
fn configure(fleet: &mut Fleet, lines: &str) {
    let directory = fleet.server.data().join("server.d");
    fs::create_dir_all(&directory).expect("a directory can be made");
    fs::write(directory.join("40-https.toml"), lines).expect("a file");
    let reloads = |fleet: &Fleet| fleet.server.log().matches("configuration reloaded").count();
    let before = reloads(fleet);
    fleet.server.signal(Signal::HUP);
    fleet.wait_for("the reload", PATIENCE, || (before < reloads(fleet)).then_some(()));
}

/// Runs the CLI with the company's CA instead of the pin.
fn cli_with_ca(fleet: &Fleet, ca: &Path, arguments: &[&str]) -> CommandOutput {
    let ca = ca.to_str().expect("the path is text");
    let login = [("LINECAMP_URL", fleet.url()), ("LINECAMP_CA", ca), ("LINECAMP_KEY", fleet.key())];
    fleet.run("linecamp", arguments, &login)
}

fn metric(fleet: &Fleet, name: &str) -> Option<String> {
    let (_, text) = fleet.http("/metrics").expect("curl is installed");
    text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned))
}

/// A renewal, a bad pair, and a reload: no connection and no link is lost, and the pin always works.
#[test]
fn a_supplied_certificate_is_replaced_without_dropping_a_connection_and_a_bad_one_is_rejected() {
    let mut fleet = Fleet::start();
    let Some(first) = CompanyCa::create(&fleet.directory().join("first")) else { return };
    if let Err(error) = fleet.http("/healthz") {
        return skip("curl", &error.to_string());
    }
    let second = CompanyCa::create(&fleet.directory().join("second")).expect("openssl is installed");
    let site = connected_site(&fleet, "camp");
    let (chain, key) = first.issue(HOST);
    cli_with_ca(&fleet, &first.file(), &["site", "ls"]).exits(3);
    configure(&mut fleet, &format!("https_certificate = {chain:?}\nhttps_key = {key:?}\n"));
    cli_with_ca(&fleet, &first.file(), &["site", "ls"]).ok();
    fleet.cli(&["site", "ls"]).ok();

    // It polls on one connection from before the renewal to after it.
    let mut tail = fleet.process("linecamp", &["event", "tail", "-o", "json"], "tail.log");
    tail.env("LINECAMP_URL", fleet.url());
    tail.env("LINECAMP_CA", first.file());
    tail.env("LINECAMP_KEY", fleet.key());
    tail.start();
    tail_shows(&fleet, &tail, "before");

    let (new_chain, new_key) = second.issue(HOST);
    fs::copy(&new_chain, &chain).expect("a copy");
    fleet.wait_for("the half of a renewal to be rejected", NOTICE_MAX, || {
        fleet.server.log().contains("https certificate rejected; using the previous one").then_some(())
    });
    cli_with_ca(&fleet, &first.file(), &["site", "ls"]).ok();
    assert_eq!(metric(&fleet, "linecamp_https_certificate_rejected").as_deref(), Some("1"));
    fs::copy(&new_key, &key).expect("a copy");
    fleet.wait_for("the renewed certificate", NOTICE_MAX, || {
        (cli_with_ca(&fleet, &second.file(), &["site", "ls"]).code == Some(0)).then_some(())
    });
    tail_shows(&fleet, &tail, "after");
    assert!(tail.is_running(), "{}", tail.log());
    fleet.cli(&["site", "ls"]).ok();
    assert_eq!(metric(&fleet, "linecamp_https_certificate_rejected").as_deref(), Some("0"));

    let (other_chain, other_key) = first.issue("other.example");
    configure(&mut fleet, &format!("https_certificate = {other_chain:?}\nhttps_key = {other_key:?}\n"));
    assert!(fleet.server.log().contains("is not for 127.0.0.1, the host in server_url"), "{}", fleet.server.log());
    cli_with_ca(&fleet, &second.file(), &["site", "ls"]).ok();
    let doctor = fleet.run("linecamp-server", &["doctor", "--data", &text(fleet.server.data())], &[]);
    assert!(doctor.stdout.contains("is not for 127.0.0.1"), "{}", doctor.stdout);

    // A restart with a bad pair keeps sites and pins.
    fleet.server.terminate();
    fleet.start_server();
    fleet.cli(&["site", "ls"]).ok();
    fleet.wait_link("camp", "connected");
    drop(site);
}

fn text(path: &Path) -> String {
    path.to_str().expect("the path is text").to_owned()
}

/// Creates a token, which is an event, and waits until the poller has printed it.
fn tail_shows(fleet: &Fleet, tail: &Process, name: &str) {
    let id = fleet.json(&["token", "create", "--label", &format!("step={name}")])["token"]["id"].clone();
    let id = id.as_str().expect("a token has an id").to_owned();
    fleet.wait_for("the event of the token", PATIENCE, || tail.log().contains(&id).then_some(()));
}

#[test]
fn every_command_about_https_works_as_pasted() {
    let fleet = Fleet::start();
    let Some(company) = CompanyCa::create(&fleet.directory().join("tls")) else { return };
    company.issue(HOST);
    fs::create_dir(fleet.server.data().join("server.d")).expect("a directory can be made");
    fs::write(fleet.directory().join("key.txt"), fleet.key()).expect("a file");
    let page = Page::read("packaging/docs/https.md").with(&[
        ("/var/lib/linecamp-server", &text(fleet.server.data())),
        // The reload of the page is that of systemd.
        (LOGIN, &format!("kill -HUP $SERVER; until {LOGIN}; do true; done")),
        ("/etc/linecamp", &text(fleet.directory())),
        ("https://camp.example:8443", fleet.url()),
    ]);
    let config = text(&fleet.directory().join("login.toml"));
    let server = fleet.server.id().expect("the server runs").to_string();
    let variables = [("LINECAMP_CONFIG", &*config), ("SERVER", &*server)];
    let mut shell = Shell::start(fleet.directory(), &variables);
    let blocks: Vec<_> = page.blocks().into_iter().filter(|block| ["sh", "text"].contains(&block.language)).collect();
    shell.follow(&blocks);
    let said = shell.transcript();
    assert!(said.contains("logged in to") && said.contains("not in trusted_proxies"), "{said}");
    // The other settings of the page are valid.
    let toml = page.blocks().into_iter().find(|block| block.language == "toml").expect("the page has settings");
    let file = fleet.directory().join("page.toml");
    fs::write(&file, toml.text).expect("a file");
    fleet.run("linecamp-server", &["config", "check", &text(&file)], &[]).ok();
}
