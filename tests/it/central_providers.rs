//! Centrally managed DNS: a plugin is uploaded, a provider names it by digest, and the sites matching a selector fetch
//! it over the link and manage records at a real PowerDNS.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Uploads a component without its description, under any name.
fn push_undescribed(fleet: &Fleet, file: &Path, name: &str) -> String {
    let file = file.to_str().expect("text");
    let pushed = fleet.json(&["plugin", "push", file, "--no-describe", "--name", name]);
    assert_eq!(pushed["description"], Value::Null, "it is marked: {pushed}");
    pushed["digest"].as_str().expect("a digest").to_owned()
}

/// Writes a component with the same behavior and another digest.
fn rebuilt(fleet: &Fleet, component: &Path) -> PathBuf {
    let (component, newer) = (fs::read(component).expect("the plugin"), fleet.directory().join("newer.wasm"));
    fs::write(&newer, [&*component, &CUSTOM_SECTION].concat()).expect("a file");
    newer
}

/// Returns the options of the provider, for the sites with the label `dns=main`, in groups: what it is, then what its
/// plugin needs.
fn options(setup: &ProviderSetup, digest: &str) -> [Vec<String>; 5] {
    let owned = |line: &[&str]| line.iter().copied().map(str::to_owned).collect::<Vec<_>>();
    let mut line = owned(&["provider", "add", "main-dns", "--replace", "--sites", "dns=main"]);
    line.extend(owned(&["--plugin", setup.plugin, "--digest", digest, "--owner", "acme", "--zone", ZONE]));
    let settings = setup.config.as_object().expect("an object").iter();
    let settings = settings.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}:={value}")]);
    let secrets = setup.secrets.iter().flat_map(|secret| ["--secret".to_owned(), format!("{0}={0}", secret.name)]);
    let reach = owned(&["--reach-private", &setup.reach.to_string()]);
    [line, settings.collect(), secrets.collect(), reach, owned(&["--plain-http"])]
}

/// Adds or changes the provider.
#[track_caller]
fn provide(fleet: &Fleet, setup: &ProviderSetup, digest: &str, more: &[&str]) {
    let line = options(setup, digest).concat();
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
    let second = push(&fleet, &rebuilt(&fleet, &plugin(setup.plugin)), setup.plugin);
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

/// Returns the error in JSON: the last line on stderr, after any warnings.
fn line_of_error(stderr: &str) -> &str {
    stderr.lines().last().unwrap_or_default()
}

/// All mistakes in a provider are reported at once, by the server if it has the description of the plugin, and
/// otherwise by the site; the right settings work.
#[test]
fn a_provider_is_validated_against_the_description_of_its_plugin() {
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone(ZONE);
    let setup = server.provider();
    let fleet = Fleet::start();
    let _site = start_site(&fleet, "camp", &setup);
    fleet.cli(&["site", "label", "camp", "dns=main"]).ok();
    let digest = push(&fleet, &plugin(setup.plugin), setup.plugin);
    let wrong = ["--set", "apy=x"].map(str::to_owned).to_vec();
    let reject = |groups: &[Vec<String>], fields: &[&str]| {
        let line = groups.concat();
        let line: Vec<_> = line.iter().map(String::as_str).chain(["-o", "json"]).collect();
        let failed = fleet.cli(&line).exits(2);
        let error: Value = serde_json::from_str(line_of_error(&failed.stderr)).expect("an error in JSON");
        let problems = error["error"]["problems"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = problems.iter().map(|problem| problem["field"].as_str().expect("a field")).collect();
        assert_eq!(found, fields, "{error}");
    };
    let [what, settings, secrets, reach, plain] = options(&setup, &digest);
    let (unknown, secret) = ("settings.config.apy", "settings.secrets.api-key");
    let with = |groups: &[&Vec<String>]| groups.iter().copied().cloned().collect::<Vec<_>>();
    reject(&with(&[&what, &settings, &wrong, &secrets, &reach, &plain]), &[unknown]);
    reject(&with(&[&what, &secrets, &reach, &plain]), &["settings.config.api"]);
    reject(&with(&[&what, &settings, &reach, &plain]), &[secret]);
    reject(&with(&[&what, &settings, &secrets, &plain]), &["settings.reach_private"]);
    reject(&with(&[&what, &settings, &secrets, &reach]), &["settings.plain_http"]);
    let all = [unknown, secret, "settings.reach_private", "settings.plain_http"];
    reject(&with(&[&what, &settings, &wrong]), &all);
    let preview = vec!["--preview".to_owned()];
    reject(&with(&[&what, &settings, &wrong, &preview]), &all);
    let line = [what, settings, secrets, reach, plain, preview].concat();
    let previewed = fleet.cli(&line.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    assert!(previewed.stderr.contains("nothing changed; omit --preview to apply"), "{}", previewed.stderr);
    assert_eq!(fleet.json(&["provider", "ls"])["items"], Value::Array(Vec::new()), "nothing was added");

    // Without a description the settings reach the site, which names all problems too.
    let undescribed = push_undescribed(&fleet, &rebuilt(&fleet, &plugin(setup.plugin)), setup.plugin);
    let [what, settings, ..] = options(&setup, &undescribed);
    let line = [what, settings, wrong].concat();
    let line: Vec<_> = line.iter().map(String::as_str).collect();
    let warning = fleet.cli(&line).ok().stderr;
    assert!(warning.contains("the settings were not validated: its plugin was pushed without"), "{warning}");
    fleet.wait_for("the site to report all problems", PATIENCE * 2, || {
        let detail = condition(&show(&fleet, "camp"), "provider-failed")?.to_owned();
        let fields = ["config.apy: ", "secrets.api-key: ", "reach_private: ", "plain_http: "];
        fields.iter().all(|field| detail.contains(field)).then_some(())
    });

    provide(&fleet, &setup, &digest, &[]);
    assert_eq!(fleet.json(&["provider", "show", "main-dns"])["validated"], Value::Bool(true));
    wait_answer(&fleet, &server, &["192.0.2.1"]);
    wait_no_condition(&fleet, "camp", "provider-failed");
}

/// A plugin cannot be pushed under another's name. One that was pushed without a description is rejected at the site,
/// which reports a condition and continues; the right one clears it.
#[test]
fn a_provider_with_a_wrong_plugin_name_raises_a_condition_until_corrected() {
    let Some(mut server) = PowerDns::start() else { return };
    server.create_zone(ZONE);
    let setup = server.provider();
    let fleet = Fleet::start();
    let _site = start_site(&fleet, "camp", &setup);
    fleet.cli(&["site", "label", "camp", "dns=main"]).ok();
    let fake = plugin("dns-fake");
    let line = ["plugin", "push", fake.to_str().expect("text"), "--name", setup.plugin];
    let failed = fleet.cli(&line).exits(2);
    assert!(failed.stderr.contains("the component is plugin dns-fake, not dns-powerdns"), "{}", failed.stderr);
    let wrong = push_undescribed(&fleet, &fake, setup.plugin);
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
