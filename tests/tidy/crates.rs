//! Which package may depend on which. Any dependency that is not listed is forbidden.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::report::Report;
use crate::tree::{file, files, root};

/// Our packages, and the ones of ours that each may depend on, in code or in tests.
const OURS: [(&str, &[&str]); 31] = [
    ("linecamp-model", &[]),
    ("linecamp-proto", &["linecamp-model"]),
    ("linecamp-core", &["linecamp-model"]),
    ("linecamp-files", &[]),
    ("linecamp-install", &["linecamp-files", "linecamp-model"]),
    ("linecamp-oidc", &["linecamp-model"]),
    ("linecamp-backup", &["linecamp-model"]),
    ("linecamp-service", &["linecamp-files", "linecamp-model", "linecamp-store", "linecamp-transport"]),
    ("linecamp-downlink", &BELOW_DOWNLINK),
    ("linecamp-table", &["linecamp-model"]),
    ("linecamp-doctor", &["linecamp-files", "linecamp-model", "linecamp-table", "linecamp-transport"]),
    ("linecamp-store", &["linecamp-model"]),
    ("linecamp-transport", &["linecamp-files", "linecamp-proto", "linecamp-model"]),
    ("linecamp-plugin-host", &["linecamp-files", "linecamp-model", "linecamp-transport"]),
    ("linecamp-plugin-compiler", &[]),
    ("linecampd", &BELOW_DAEMON),
    ("linecamp-server", &BELOW_SERVER),
    ("linecamp", &BELOW_CLI),
    ("fleet-sim", &BELOW_SIMULATOR),
    ("linecamp-provider", &["linecamp-provider-derive"]),
    ("linecamp-provider-derive", &[]),
    ("linecamp-testkit", &["linecamp-model", "linecamp-plugin-host", "linecamp-provider"]),
    ("dns-fake", &BELOW_PLUGIN),
    ("dns-powerdns", &BELOW_PLUGIN),
    ("dns-rfc2136", &BELOW_PLUGIN),
    ("dns-route53", &BELOW_PLUGIN),
    // A malicious plugin does not use the SDK.
    ("malicious-plugin", &[]),
    ("linecamp-pages", &[]),
    ("xtask", &["linecamp-table"]),
    // For the fuzz targets, which call decoders directly, for plugins tested with real name servers, and for a database
    // of a large fleet.
    ("linecamp-tests", &["linecamp-model", "linecamp-plugin-host", "linecamp-proto", "linecamp-store"]),
    ("linecamp-bench", &BELOW_BENCH),
];

/// What accepts members decides nothing and stores nothing.
const BELOW_DOWNLINK: [&str; 5] =
    ["linecamp-core", "linecamp-model", "linecamp-proto", "linecamp-service", "linecamp-transport"];
const BELOW_CLI: [&str; 8] = [
    "linecamp-doctor",
    "linecamp-files",
    "linecamp-model",
    "linecamp-pages",
    "linecamp-proto",
    "linecamp-table",
    "linecamp-testkit",
    "linecamp-transport",
];
const BELOW_SERVER: [&str; 14] = [
    "linecamp-backup",
    "linecamp-core",
    "linecamp-doctor",
    "linecamp-downlink",
    "linecamp-files",
    "linecamp-install",
    "linecamp-model",
    "linecamp-oidc",
    "linecamp-pages",
    "linecamp-proto",
    "linecamp-service",
    "linecamp-store",
    "linecamp-table",
    "linecamp-transport",
];
/// The bench measures the server's parts, and plugins.
const BELOW_BENCH: [&str; 8] = [
    "linecamp-core",
    "linecamp-model",
    "linecamp-plugin-host",
    "linecamp-proto",
    "linecamp-service",
    "linecamp-store",
    "linecamp-table",
    "linecamp-transport",
];
const BELOW_PLUGIN: [&str; 2] = ["linecamp-provider", "linecamp-testkit"];
const BELOW_DAEMON: [&str; 13] = [
    "linecamp-core",
    "linecamp-doctor",
    "linecamp-downlink",
    "linecamp-files",
    "linecamp-install",
    "linecamp-model",
    "linecamp-pages",
    "linecamp-plugin-host",
    "linecamp-proto",
    "linecamp-service",
    "linecamp-store",
    "linecamp-table",
    "linecamp-transport",
];

/// The simulator runs both ends, as libraries.
const BELOW_SIMULATOR: [&str; 6] =
    ["linecamp-core", "linecamp-model", "linecamp-proto", "linecamp-server", "linecamp-transport", "linecampd"];

/// Packages with a fixed set of external dependencies, except in tests.
const EXACTLY: [(&str, &[&str]); 3] = [
    ("linecamp-model", &["data-encoding", "serde_json", "sha2", "shlex", "thiserror"]),
    ("linecamp-core", &["rpds"]),
    ("linecamp-downlink", &["tokio", "tracing"]),
];

/// External crates that only a few packages may use: the crates, and those packages.
const DOORS: [(&[&str], &[&str]); 11] = [
    (
        &["quinn", "quinn-proto", "quinn-udp", "rustls", "rustls-pki-types", "rcgen", "tokio-rustls"],
        &["linecamp-transport", "linecamp-bench"],
    ),
    (&["x25519-dalek"], &["linecamp-transport", "linecamp-backup"]),
    (&["scrypt"], &["linecamp-backup"]),
    (&["rusqlite", "libsqlite3-sys"], &["linecamp-store"]),
    (&["sd-notify"], &["linecamp-service"]),
    (&["wasmtime", "wasmtime-wasi"], &["linecamp-plugin-host", "linecamp-plugin-compiler"]),
    (&["wit-bindgen"], &["linecamp-provider", "malicious-plugin"]),
    (&["async-nats", "rumqttc"], &["linecamp-bench"]),
    (&["maud"], &["fleet-sim"]),
    (&["clap", "anyhow"], &PROGRAMS),
    (&["serde", "serde_json", "toml"], &BOUNDARIES),
];

const PROGRAMS: [&str; 8] = [
    "linecampd",
    "linecamp-server",
    "linecamp",
    "linecamp-pages",
    "xtask",
    "linecamp-tests",
    "linecamp-bench",
    "fleet-sim",
];
const BOUNDARIES: [&str; 18] = [
    "linecamp-model",
    "linecamp-doctor",
    "linecamp-oidc",
    "linecamp-proto",
    "linecamp-service",
    "linecamp-provider",
    "linecamp-testkit",
    "dns-fake",
    "dns-powerdns",
    "dns-rfc2136",
    "dns-route53",
    "linecampd",
    "linecamp-server",
    "linecamp",
    "xtask",
    "linecamp-tests",
    "linecamp-bench",
    "fleet-sim",
];

/// A package of the workspace, as cargo describes it.
pub(crate) struct Package {
    pub(crate) name: String,
    /// The manifest's path from the root.
    pub(crate) manifest: String,
    /// The name and the kind (`normal`, `dev`, `build`) of each dependency.
    dependencies: Vec<(String, String)>,
}

/// Returns the packages of the workspace.
pub(crate) fn packages() -> Vec<Package> {
    let metadata = metadata(&["--no-deps"]);
    let text = |value: &Value| value.as_str().expect("cargo gives a text").to_owned();
    let dependency = |value: &Value| (text(&value["name"]), value["kind"].as_str().unwrap_or("normal").to_owned());
    let package = |value: &Value| {
        let path = text(&value["manifest_path"]);
        Package {
            name: text(&value["name"]),
            manifest: path.strip_prefix(&format!("{}/", root().display())).unwrap_or(&path).to_owned(),
            dependencies: array(&value["dependencies"]).iter().map(dependency).collect(),
        }
    };
    array(&metadata["packages"]).iter().map(package).collect()
}

/// Runs `cargo metadata`, offline.
pub(crate) fn metadata(arguments: &[&str]) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--format-version", "1"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed; build the workspace once, with a network:\n{complaint}");
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn a_package_knows_only_the_packages_below_it() {
    let mut report = Report::default();
    let packages = packages();
    let ours: BTreeSet<_> = packages.iter().map(|package| package.name.as_str()).collect();
    for package in &packages {
        let Some((_, may_know)) = OURS.iter().find(|(name, _)| *name == package.name) else {
            report.add(&package.manifest, 1, format!("the list of allowed dependencies lacks {}", package.name));
            continue;
        };
        for (name, _) in &package.dependencies {
            // A package may depend on itself in its tests, to enable a feature.
            if ours.contains(name.as_str()) && *name != package.name && !may_know.contains(&name.as_str()) {
                let line = line_of(&package.manifest, name);
                report.add(&package.manifest, line, format!("{} must not know {name}", package.name));
            }
        }
    }
    report.finish(
        "move the code that needs it to a package that may know both (a decision to core, a value to model). A new \
         package gets its line in OURS, in tests/tidy/crates.rs.",
    );
}

#[test]
fn a_package_with_a_fixed_set_of_dependencies_has_no_others() {
    let mut report = Report::default();
    let packages = packages();
    for (name, allowed) in EXACTLY {
        let package = packages.iter().find(|package| package.name == name).expect("these packages exist");
        let outside = package.dependencies.iter().filter(|(_, kind)| kind != "dev");
        for (dependency, _) in outside.filter(|(dependency, _)| !dependency.starts_with("linecamp-")) {
            if !allowed.contains(&dependency.as_str()) {
                let line = line_of(&package.manifest, dependency);
                report.add(&package.manifest, line, format!("{name} depends on {dependency}"));
            }
        }
    }
    report.finish("pass in what the dependency would have done, as time, chance and I/O come in to core as arguments.");
}

#[test]
fn each_outside_thing_is_named_by_one_crate() {
    let mut report = Report::default();
    for package in packages() {
        for (name, _) in &package.dependencies {
            let door = DOORS.iter().find(|(things, _)| things.contains(&name.as_str()));
            if let Some((_, keepers)) = door.filter(|(_, keepers)| !keepers.contains(&package.name.as_str())) {
                let line = line_of(&package.manifest, name);
                report.add(&package.manifest, line, format!("{name} is only for {}", keepers.join(", ")));
            }
        }
    }
    report.finish("ask the crate that keeps this door for a type of its own that does what you need.");
}

#[test]
fn versions_stand_in_the_root_manifest_only() {
    let mut report = Report::default();
    for package in packages() {
        let text = &file(&package.manifest).expect("cargo knows it from there").text;
        let manifest: toml::Table = text.parse().expect("cargo has read it");
        let mut tables = vec![&manifest];
        tables.extend(
            manifest
                .get("target")
                .and_then(toml::Value::as_table)
                .into_iter()
                .flat_map(|targets| targets.values().filter_map(toml::Value::as_table)),
        );
        for (table, section) in tables.iter().flat_map(|table| SECTIONS.map(|section| (table, section))) {
            for (name, value) in table.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let is_inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                // A package that depends on itself, for a feature in its tests, has only a path.
                let is_self = value.get("path").and_then(toml::Value::as_str) == Some(".");
                if !is_inherited && !is_self {
                    report.add(&package.manifest, line_of(&package.manifest, name), format!("{name} is not inherited"));
                }
            }
        }
        if manifest["package"]["version"].get("workspace").is_none() {
            report.add(&package.manifest, 1, "the package has a version of its own");
        }
    }
    report.finish("write the version to [workspace.dependencies] in Cargo.toml, and `NAME.workspace = true` here.");
}

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

#[test]
fn every_manifest_belongs_to_the_workspace() {
    let mut report = Report::default();
    let packages = packages();
    let members: BTreeSet<_> = packages.iter().map(|package| package.manifest.as_str()).collect();
    for file in files().iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        // Code built for another machine, or by another compiler, has a workspace of its own.
        if !members.contains(file.path.as_str()) && !file.text.contains("\n[workspace]") {
            report.add(&file.path, 1, "is neither a member nor a workspace of its own");
        }
    }
    report.finish("add it to `members` in Cargo.toml.");
}

fn line_of(path: &str, dependency: &str) -> usize {
    let lines = file(path).map(|file| file.text.lines()).into_iter().flatten();
    let is_it = |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    lines.zip(1..).find(|(line, _)| is_it(line)).map_or(1, |(_, number)| number)
}
