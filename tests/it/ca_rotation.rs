//! The replacement of the server's certificate authority, and a change of its URL, with real sites.

use std::fs;

use linecamp_tests::{CommandOutput, Fleet, PATIENCE, Site};
use rustix::process::Signal;
use serde_json::Value;

/// Sites of the large journey.
const SITES: usize = 20;

/// Runs `linecamp` as the admin, with this pin.
fn cli(fleet: &Fleet, pin: &str, arguments: &[&str]) -> CommandOutput {
    let login = [("LINECAMP_URL", fleet.url()), ("LINECAMP_PIN", pin), ("LINECAMP_KEY", fleet.key())];
    fleet.run("linecamp", arguments, &login)
}

fn status(fleet: &Fleet, pin: &str) -> Value {
    cli(fleet, pin, &["ca", "status", "-o", "json"]).ok().json()
}

fn waiting(status: &Value) -> Vec<String> {
    let sites = status["waiting_sites"].as_array().expect("a status names the sites that wait");
    sites.iter().map(|site| site["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn wait_for_waiting(fleet: &Fleet, pin: &str, names: &[&str]) -> Value {
    let what = format!("the sites that wait to be {names:?}");
    fleet.wait_for(&what, PATIENCE, || Some(status(fleet, pin)).filter(|status| waiting(status) == names))
}

/// Waits until all sites are connected, with the server's word for it.
#[track_caller]
fn wait_all(fleet: &Fleet, pin: &str, count: usize) {
    fleet.wait_for(&format!("{count} sites to be connected"), PATIENCE, || {
        let sites = cli(fleet, pin, &["site", "ls", "-o", "json"]).ok().json();
        let connected = |site: &&Value| site["link"]["state"] == "connected";
        (sites["items"].as_array()?.iter().filter(connected).count() == count).then_some(())
    });
}

fn issuing(status: &Value) -> String {
    status["authorities"][0]["pin"].as_str().expect("an authority has a pin").to_owned()
}

/// Twenty sites, one of which is stopped during add and switch: none is lost. Afterwards the URL changes.
#[test]
fn twenty_sites_follow_the_replacement_of_the_authority_and_of_the_url() {
    let mut fleet = Fleet::start();
    let mut sites: Vec<Site> = (1..=SITES).map(|number| fleet.join(&format!("camp-{number:02}"), &[])).collect();
    sites.iter_mut().for_each(|site| site.start());
    let old = fleet.pin().to_owned();
    wait_all(&fleet, &old, SITES);
    let old_token = fleet.token(&[]);
    assert!(sites[0].terminate().success());

    cli(&fleet, &old, &["ca", "add"]).ok();
    let added = wait_for_waiting(&fleet, &old, &["camp-01"]);
    assert_eq!((&added["state"], &*issuing(&added)), (&"added".into(), &*old));
    cli(&fleet, &old, &["ca", "switch"]).ok();
    let switched = wait_for_waiting(&fleet, &old, &["camp-01"]);
    let next = issuing(&switched);
    assert_ne!(next, old);
    assert_eq!(switched["old_tokens"], SITES + 1, "each site joined with a token of its own: {switched}");
    wait_all(&fleet, &next, SITES - 1);
    let refused = cli(&fleet, &old, &["ca", "retire"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("camp-01"), "{}", refused.stderr);

    sites[0].start();
    wait_for_waiting(&fleet, &old, &[]);
    cli(&fleet, &old, &["ca", "retire"]).ok();
    let refused = cli(&fleet, &old, &["site", "ls"]).exits(3);
    assert!(refused.stderr.contains("was replaced") && refused.stderr.contains(&next), "{}", refused.stderr);
    let refused = fleet.try_join("late", &old_token, fleet.server.quic(), &["--timeout", "5s"]).exits(3);
    assert!(refused.stderr.contains("was replaced"), "{}", refused.stderr);
    let token = cli(&fleet, &next, &["token", "create", "-q"]).ok().stdout;
    fleet.try_join("late", token.trim().split('@').next().unwrap_or_default(), fleet.server.quic(), &[]).ok();
    let mut late = fleet.site("late");
    late.start();
    wait_all(&fleet, &next, SITES + 1);

    // The new URL has another host: sites are told the address, and the certificate of the API has the name.
    let url = format!("https://localhost:{}", fleet.server.https().port());
    let drop_ins = fleet.server.data().join("server.d");
    fs::create_dir(&drop_ins).expect("a folder can be made");
    fs::write(drop_ins.join("50-url.toml"), format!("server_url = \"{url}\"\n")).expect("a drop-in can be written");
    fleet.server.signal(Signal::HUP);
    for site in &sites {
        fleet.wait_for("the sites to be told", PATIENCE, || {
            let servers = site.local(&["status", "-o", "json"]).ok().json()["servers"].to_string();
            servers.contains("localhost").then_some(())
        });
    }
    assert!(fleet.server.terminate().success());
    fleet.start_server();
    wait_all(&fleet, &next, SITES + 1);
}

/// The server is killed around each step, and the retirement is forced: the site that slept through it comes back.
#[test]
fn a_site_that_was_offline_during_a_forced_replacement_comes_back_to_a_server_that_was_killed() {
    let mut fleet = Fleet::start();
    let mut site = fleet.join("camp", &[]);
    site.start();
    let old = fleet.pin().to_owned();
    wait_all(&fleet, &old, 1);
    assert!(site.terminate().success());
    let mut pin = old.clone();
    for step in [&["ca", "add"][..], &["ca", "switch"], &["ca", "retire", "--force"]] {
        let done = cli(&fleet, &pin, &[step, &["-o", "json"]].concat()).ok().json();
        pin = issuing(&done);
        fleet.server.kill();
        fleet.start_server();
        assert_eq!(issuing(&status(&fleet, &pin)), pin, "{step:?}");
    }
    assert!(!fleet.server.data().join("ca/key.pem").exists(), "the retired key is removed");
    site.start();
    wait_all(&fleet, &pin, 1);
    wait_for_waiting(&fleet, &pin, &[]);
    let why = site.local(&["why"]).ok().stdout;
    assert!(why.contains("set 3") && why.contains(&pin), "{why}");
    let doctor = fleet.run("linecamp-server", &["doctor", "--data", &fleet.server.data().display().to_string()], &[]);
    assert!(doctor.stdout.contains(&pin), "{}", doctor.stdout);
}

/// The login of the operator who performs the replacement follows it.
#[test]
fn the_login_follows_the_authority() {
    let fleet = Fleet::start();
    let key = fleet.directory().join("key.txt");
    fs::write(&key, fleet.key()).expect("a key file can be written");
    let key = key.display().to_string();
    fleet.run("linecamp", &["login", fleet.url(), "--pin", fleet.pin(), "--key-file", &key], &[]).ok();
    for (step, is_noted) in [("add", false), ("abort", false), ("add", false), ("switch", true), ("retire", false)] {
        let done = fleet.run("linecamp", &["ca", step], &[]).ok();
        assert_eq!(done.stderr.contains("now has the pin"), is_noted, "{step}: {}", done.stderr);
    }
    fleet.run("linecamp", &["site", "ls"], &[]).ok();
    let refused = fleet.run("linecamp", &["ca", "switch"], &[]);
    assert!(refused.stderr.contains("linecamp ca add"), "{}", refused.stderr);
}
