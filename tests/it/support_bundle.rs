//! Support bundles: they contain what is needed, and no secret.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use linecamp_tests::{Fleet, PATIENCE};

use crate::cli_json::{connected_site, wait_facts, wait_label_at_site};

/// Unpacks a bundle with `tar`, and returns its files by name.
fn unpack(fleet: &Fleet, bundle: &Path) -> BTreeMap<String, String> {
    let into = fleet.directory().join(format!("{}-unpacked", bundle.file_stem().expect("a name").display()));
    fs::create_dir(&into).expect("a directory can be made");
    let done = Command::new("tar").arg("-xzf").arg(bundle).arg("-C").arg(&into).status();
    assert!(done.is_ok_and(|status| status.success()), "tar unpacks it");
    let entries = fs::read_dir(into.join("linecamp-support")).expect("it has one folder").flatten();
    let read = |path: &Path| {
        let mut text = String::new();
        File::open(path).and_then(|mut file| file.read_to_string(&mut text)).expect("texts only");
        text
    };
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path()))).collect()
}

#[track_caller]
fn assert_private(bundle: &Path) {
    let mode = fs::metadata(bundle).expect("it was written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", bundle.display());
}

/// A unique secret, planted under `name`.
fn sample_secret(name: &str) -> String {
    format!("plant-{name}-5EcReT")
}

/// Plants secrets wherever one could be, and searches every byte of both bundles for them.
#[test]
fn a_support_bundle_contains_no_secret() {
    let fleet = Fleet::start();
    let token = fleet.token(&[]);
    let (in_file, in_setting, in_url) = (sample_secret("file"), sample_secret("setting"), sample_secret("url"));
    let (in_label, in_env, in_comment, in_path) =
        (sample_secret("label"), sample_secret("env"), sample_secret("comment"), sample_secret("query"));
    let secret_file = fleet.directory().join("pdns.key");
    fs::write(&secret_file, format!("{in_file}\n")).expect("a secret");
    let token_file = fleet.directory().join("token");
    fs::write(&token_file, format!("{token}@{}\n", fleet.server.quic())).expect("a token");
    let mut site = fleet.site("camp");
    // The secret of a file also appears under names that do not sound like a secret.
    site.configure(&format!(
        "# the old password was {in_comment}\n[join]\ntoken_file = \"{}\"\nname = \"camp\"\n[secrets]\npdns-key = \
         \"{}\"\n[[provider]]\nname = \"main\"\nplugin = \"dns-powerdns\"\nowner = \"acme\"\nzones = [\"example.org\"]\n\
         reach_private = [\"127.0.0.1:1\"]\n[provider.config]\napi = \"http://127.0.0.1:1/?x={in_path}\"\n\
         password = \"{in_setting}\"\nnote = \"it is {in_file}\"\n[provider.secrets]\napi-key = \"pdns-key\"\n",
        token_file.display(),
        secret_file.display()
    ));
    site.env("LINECAMP_HOST_LABELS", format!("db-password={in_label}&rack=r7"));
    site.start();
    fleet.wait_for("the site to join", PATIENCE, || {
        (fleet.cli(&["site", "show", "camp"]).code == Some(0)).then_some(())
    });
    wait_facts(&fleet, "camp");
    site.local(&["label", "set", &format!("api-token={in_label}")]).ok();
    wait_label_at_site(&fleet, &site, "api-token", Some(&in_label));
    fleet.cli(&["site", "label", "camp", &format!("vpn-secret={in_label}")]).ok();
    fleet.cli(&["site", "edit", "camp", "--description", &format!("ask https://u:{in_url}@wiki/?t={in_path}")]).ok();

    let (api, password) = (format!("api=https://dns/?k={in_path}"), format!("password={in_setting}"));
    let provider =
        ["provider", "add", "central", "--plugin", "dns-powerdns", "--owner", "acme", "--zone", "example.net"];
    fleet.cli(&[&provider[..], &["--set", &api, "--set", &password, "--secret", "api-key=pdns-key"]].concat()).ok();

    let (there, here) = (fleet.directory().join("site.tar.gz"), fleet.directory().join("operator.tar.gz"));
    let (data, config) = (site.data().to_owned(), fleet.directory().join("camp.toml"));
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let line = ["support-bundle", "--data", &text(&data), "--config", &text(&config), "--file", &text(&there)];
    let variables = [("LINECAMP_API_SECRET", &*in_env), ("LINECAMP_HOST_LABELS", &*format!("note={in_env}"))];
    let said = fleet.run("linecampd", &line, &variables).ok();
    assert!(said.stdout.starts_with(&format!("wrote {} (", there.display())), "{}", said.stdout);
    fleet.cli(&["support-bundle", "camp", "--file", &text(&here)]).ok();
    assert_private(&there);
    assert_private(&here);

    let (there, here) = (unpack(&fleet, &there), unpack(&fleet, &here));
    let secrets = [
        &in_file,
        &in_setting,
        &in_url,
        &in_label,
        &in_env,
        &in_comment,
        &in_path,
        &token[16..36],
        fleet.key(),
        &key_of(&data.join("identity/key.pem")),
    ];
    for (name, file) in there.iter().chain(&here) {
        for secret in secrets {
            assert!(!file.contains(secret), "{secret} is in {name}:\n{file}");
        }
    }
    // The information that is needed is there.
    let has = |files: &BTreeMap<String, String>, name: &str, words: &str| {
        let file = files.get(name).unwrap_or_else(|| panic!("there is no {name} in {:?}", files.keys()));
        assert!(file.contains(words), "`{words}` is not in {name}:\n{file}");
    };
    has(&there, "README.txt", "doctor.txt");
    has(&there, "doctor.txt", "checks: ");
    has(&there, "doctor.json", "\"udp\"");
    has(&there, "status.json", "connected");
    has(&there, "why.json", "link");
    has(&there, "labels.json", "r7");
    has(&there, "hosts.json", "gateway");
    has(&there, "providers.json", "example.org");
    has(&there, "configuration.json", "127.0.0.1:1");
    has(&there, "journal.txt", "");
    has(&there, "system.json", "LINECAMP_API_SECRET");
    has(&there, "files.json", "site.db");
    has(&here, "README.txt", "site.json");
    has(&here, "site.json", "camp");
    has(&here, "hosts.json", "gateway");
    has(&here, "events.json", "site-joined");
    has(&here, "server.json", fleet.pin());
    has(&here, "providers.json", "example.net");
    for name in ["plugins.json", "records.json", "environments.json", "versions.json"] {
        has(&here, name, "");
    }
}

/// Returns the longest line of a PEM file: the key itself.
fn key_of(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a key");
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    lines.max_by_key(|line| line.len()).expect("it has lines").to_owned()
}

/// A bundle can be created on a half-broken site, and never overwrites an existing file.
#[test]
fn a_support_bundle_is_written_without_a_daemon_and_overwrites_nothing() {
    let mut fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    site.kill();
    fleet.server.kill();
    let file = fleet.directory().join("b.tar.gz");
    let path = file.to_str().expect("text");
    site.local(&["support-bundle", "--file", path]).ok();
    let files = unpack(&fleet, &file);
    assert!(files["status.json"].contains("not available: no daemon is running"), "{}", files["status.json"]);
    assert!(files["doctor.txt"].contains("FAIL"), "{}", files["doctor.txt"]);
    let said = site.local(&["support-bundle", "--file", path]).exits(1);
    assert!(said.stderr.contains("--file"), "{}", said.stderr);
    fleet.start_server();
    let said = fleet.cli(&["support-bundle", "camp", "--file", path]).exits(1);
    assert!(said.stderr.contains("--file"), "{}", said.stderr);
    fleet.cli(&["support-bundle", "nowhere"]).exits(1);
}
