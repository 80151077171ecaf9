//! Centrally managed DNS: a plugin is uploaded, a provider names it by digest, and the sites matching a selector fetch
//! it over the link and manage records at a real PowerDNS.

use std::fs;
use std::path::Path;

use linecamp_tests::{Fleet, NameServer, PATIENCE, PowerDns, ProviderSetup, Site, plugin};
use rustix::process::Signal;
use serde_json::Value;

use crate::cli_json::{condition, entry, show, wait_no_condition};

const ZONE: &str = "example.org";
const NAME: &str = "camp.camp.default.example.org";
const ADDRESS: &str = "io.linecamp.host.external_dns_ip";

/// An empty custom section named `x`: gives a component with the same behavior another digest.
const CUSTOM_SECTION: [u8; 4] = [0, 2, 1, b'x'];

/// Joins and starts a site with the name server's secrets in files, for the provider that the server will configure.
fn start_site(fleet: &Fleet, name: &str, setup: &ProviderSetup) -> Site {
    start_site_with(fleet, name, &setup.secret_tables(fleet.directory(), &["main-dns"]))
}

fn start_site_with(fleet: &Fleet, name: &str, config: &str) -> Site {
    let mut site = fleet.join(name, &["--host-label", &format!("{ADDRESS}=192.0.2.1")]);
    site.configure(config);
    site.start();
    site
}

/// Uploads a component and returns its digest.
fn push(fleet: &Fleet, file: &Path, name: &str) -> String {
    let pushed = fleet.json(&["plugin", "push", file.to_str().expect("text"), "--name", name]);
    pushed["digest"].as_str().expect("a digest").to_owned()
}

/// Adds or changes the provider, for the sites with the label `dns=main`.
#[track_caller]
fn provide(fleet: &Fleet, setup: &ProviderSetup, digest: &str, more: &[&str]) {
    let reach = setup.reach.to_string();
    let mut line = ["provider", "add", "main-dns", "--replace", "--sites", "dns=main"].map(str::to_owned).to_vec();
    line.extend(["--plugin", setup.plugin, "--digest", digest, "--owner", "acme", "--zone", ZONE].map(str::to_owned));
    line.extend(["--reach-private", &reach, "--plain-http"].map(str::to_owned));
    for (key, value) in setup.config.as_object().expect("an object") {
        line.extend(["--set".to_owned(), format!("{key}:={value}")]);
    }
    for secret in &setup.secrets {
        line.extend(["--secret".to_owned(), format!("{0}={0}", secret.name)]);
    }
    let line: Vec<_> = line.iter().map(String::as_str).chain(more.iter().copied()).collect();
    fleet.cli(&line).ok();
}

/// Waits until the name server returns these addresses.
#[track_caller]
fn wait_answer(fleet: &Fleet, server: &PowerDns, expected: &[&str]) {
    fleet.wait_for(&format!("{NAME} to be {expected:?}"), PATIENCE * 2, || {
        (server.query(NAME, "A") == expected).then_some(())
    });
}

/// Waits until `linecamp dns plan camp` shows a record that matches.
#[track_caller]
fn wait_planned(fleet: &Fleet, holds: impl Fn(&Value) -> bool) -> Value {
    fleet.wait_for("the plan", PATIENCE * 2, || Some(fleet.json(&["dns", "plan", "camp"])).filter(|plan| holds(plan)))
}

/// Returns the component that a site has fetched, if any.
fn fetched(site: &Site, digest: &str) -> Option<Vec<u8>> {
    let file = format!("{}.wasm", digest.trim_start_matches("sha256:"));
    fs::read(site.data().join("plugins/pushed").join(file)).ok()
}

#[test]
fn a_central_provider_with_a_pushed_plugin_is_added_changed_and_removed() {
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone(ZONE);
    let (before, setup) = (server.dump(ZONE), server.provider());
    let fleet = Fleet::start();
    let site = start_site(&fleet, "camp", &setup);
    let other = start_site(&fleet, "other", &setup);

    // Uploaded once, it is available; a dry run shows what would be done at the selected site, and changes nothing.
    let component = fs::read(plugin(setup.plugin)).expect("the plugin");
    let digest = push(&fleet, &plugin(setup.plugin), setup.plugin);
    provide(&fleet, &setup, &digest, &["--dry-run", "--allow-deletes"]);
    fleet.cli(&["site", "label", "camp", "dns=main"]).ok();
    // Before it is observed, its state is `unknown`.
    let plan = wait_planned(&fleet, |plan| {
        entry(&plan["records"], "name", NAME).is_some_and(|record| record["state"] == "create")
    });
    let record = entry(&plan["records"], "name", NAME).expect("it was there");
    assert_eq!(record["provider"], "main-dns", "{plan}");
    assert_eq!(fetched(&site, &digest).as_ref(), Some(&component), "it was transferred over the link");
    assert_eq!(server.dump(ZONE), before, "a dry run changes nothing");

    provide(&fleet, &setup, &digest, &["--allow-deletes"]);
    wait_answer(&fleet, &server, &["192.0.2.1"]);
    let plan = wait_planned(&fleet, |plan| plan["in_sync"] == 1);
    assert_eq!(plan["records"], Value::Array(Vec::new()), "no changes are pending");
    let listed = fleet.json(&["dns", "ls", "--provider", "main-dns"])["items"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "one site was selected: {listed}");
    assert_eq!((&listed[0]["site"], &listed[0]["state"]), (&"camp".into(), &"in-sync".into()), "{listed}");

    // Another build replaces it by digest, and the first is no longer needed.
    let newer = fleet.directory().join("newer.wasm");
    fs::write(&newer, [&*component, &CUSTOM_SECTION].concat()).expect("a file");
    let second = push(&fleet, &newer, setup.plugin);
    assert_ne!(digest, second);
    provide(&fleet, &setup, &second, &["--allow-deletes"]);
    let in_use = format!("digest={second}");
    fleet.wait_for("the second build to be in use", PATIENCE * 2, || site.log().contains(&in_use).then_some(()));
    fleet.cli(&["host", "label", "camp", &format!("{ADDRESS}=192.0.2.2")]).ok();
    wait_answer(&fleet, &server, &["192.0.2.2"]);
    fleet.cli(&["plugin", "rm", &digest]).ok();

    // Removal: first the records, then the provider.
    fleet.cli(&["provider", "rm", "main-dns"]).ok();
    wait_answer(&fleet, &server, &[]);
    fleet.wait_for("the provider to be removed from the site", PATIENCE, || {
        (site.local(&["provider", "ls", "-o", "json"]).ok().json() == Value::Array(Vec::new())).then_some(())
    });
    assert_eq!(server.dump(ZONE), before, "nothing remains");
    assert_eq!(fleet.json(&["dns", "ls"])["items"], Value::Array(Vec::new()));
    fleet.cli(&["plugin", "rm", &second]).ok();
    assert!(!other.data().join("plugins/pushed").exists(), "a site that was not selected downloaded nothing");
}

/// A plugin uploaded under another's name is rejected at the site, which reports a condition and continues; the right
/// one clears it.
#[test]
fn a_provider_with_a_wrong_plugin_name_raises_a_condition_until_corrected() {
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone(ZONE);
    let setup = server.provider();
    let fleet = Fleet::start();
    let _site = start_site(&fleet, "camp", &setup);
    fleet.cli(&["site", "label", "camp", "dns=main"]).ok();
    let wrong = push(&fleet, &plugin("dns-fake"), setup.plugin);
    provide(&fleet, &setup, &wrong, &[]);
    // Until it has been transferred, the condition says that it is missing.
    fleet.wait_for("a condition about the wrong name", PATIENCE, || {
        let shown = show(&fleet, "camp");
        let detail = condition(&shown, "plugin-failed")?;
        detail.contains("it is named `dns-fake`, but its file is named `dns-powerdns`").then_some(())
    });
    let right = push(&fleet, &plugin(setup.plugin), setup.plugin);
    provide(&fleet, &setup, &right, &[]);
    wait_answer(&fleet, &server, &["192.0.2.1"]);
    wait_no_condition(&fleet, "camp", "plugin-failed");
}

/// The server's configuration alone does not release a site's secret: the site binds the secret to its destination, and
/// the error says what to add to the site's configuration.
#[test]
fn a_central_provider_gets_a_secret_only_where_the_site_binds_it() {
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone(ZONE);
    let setup = server.provider();
    let fleet = Fleet::start();
    let right = setup.secret_tables(fleet.directory(), &["main-dns"]);
    let (secret, host) = (&setup.secrets[0], setup.reach.to_string());
    let bare = format!("[secrets]\n{} = {:?}\n", secret.name, fleet.directory().join(secret.name));
    let mut site = start_site_with(&fleet, "camp", &bare);
    fleet.cli(&["site", "label", "camp", "dns=main"]).ok();
    let digest = push(&fleet, &plugin(setup.plugin), setup.plugin);
    provide(&fleet, &setup, &digest, &[]);

    let refused = |words: &[&str]| {
        let what = format!("provider main-dns may not use the site's secret `{}` as header for {host}", secret.name);
        let detail = fleet.wait_for(&format!("the refusal: {words:?}"), PATIENCE * 2, || {
            let detail = condition(&show(&fleet, "camp"), "provider-failed")?.to_owned();
            words.iter().all(|word| detail.contains(word)).then_some(detail)
        });
        assert!(detail.contains(&what) && detail.contains(&format!("[secrets.{}]", secret.name)), "{detail}");
        assert!(!detail.contains(&secret.value), "{detail}");
        assert_eq!(server.query(NAME, "A"), [""; 0]);
    };
    refused(&["does not bind it", "`hosts`, `use` and `providers`", "linecampd.toml"]);
    // A secret that is missing in the configuration is rejected with the same message.
    let other_host = right.replace(&host, "127.0.0.1:1");
    let cases = [
        (String::new(), "does not bind it".to_owned()),
        (other_host, format!("add `{host}` to `hosts`")),
        (right.replace("\"main-dns\"", "\"other-dns\""), "add `main-dns` to `providers`".to_owned()),
        (right.replace("\"header\"", "\"bearer\""), "its `use` is bearer, not header".to_owned()),
        (right.replace(&format!("plain_http = [\"{host}\"]"), ""), format!("add `{host}` to `plain_http`")),
    ];
    for (config, words) in cases {
        site.configure(&config);
        site.signal(Signal::HUP);
        refused(&[&words]);
    }
    assert!(site.log().contains("provider may not use this secret"), "{}", site.log());

    site.configure(&right);
    site.signal(Signal::HUP);
    wait_answer(&fleet, &server, &["192.0.2.1"]);
    wait_no_condition(&fleet, "camp", "provider-failed");
    assert!(!site.log().contains(&secret.value), "a secret does not reach the log");
}
