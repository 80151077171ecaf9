//! Commands for plugin authors: those of the guide, and `linecamp plugin check`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use linecamp_tests::{Port, plugin, program, skip, target_directory};
use serde_json::Value;

/// The project in the guide.
const PROJECT: &str = "dns-plainzone";

/// Seconds within which the guide must complete. Nearly all of it is compiling, and most of that happens once.
const GUIDE_SECONDS_MAX: &str = "330";

/// The ports in the guide; the test uses free ones.
const PORTS: [&str; 2] = ["8443", "8053"];

/// The beginning of a command that builds programs in the checkout: the test has them already.
const BUILD: &str = "(cd \"$LINECAMP\" && cargo build ";

/// What the guide starts in the background ends with the shell.
const TRAP: &str = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n";

/// The tables in the guide without a failure: the template's, the provider's, the component's.
const TABLES: usize = 3;

#[test]
fn every_command_of_the_plugin_guide_works_as_written() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("curl", "curl is not installed");
    }
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let root = Path::new(&root).join("..").canonicalize().expect("the workspace exists");
    let guide = fs::read_to_string(root.join("sdk/GUIDE.md")).expect("the guide exists");
    let place = place();
    // Left from an earlier run.
    let _ = fs::remove_dir_all(place.join(PROJECT));
    fs::create_dir_all(&place).expect("a directory can be made");
    // It compiles into the workspace's target directory, and finds half of its dependencies there.
    let enter = format!("cd {PROJECT}\n");
    let mut commands = commands(&guide).replace(&enter, &format!("{enter}ln -s ../.. target\n"));
    let ports = PORTS.map(|port| (port, Port::take()));
    // What the guide builds in the checkout goes where the tests' own builds are.
    let document = format!("cargo doc --target-dir '{}' ", target_directory().display());
    commands = commands.replace("cargo doc ", &document);
    for (written, port) in &ports {
        commands = commands.replace(written, &port.address().port().to_string());
    }
    let programs = program("linecamp");
    let programs = programs.parent().expect("programs are in a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let said = Command::new("timeout")
        .args([GUIDE_SECONDS_MAX, "bash", "-e", "-c", &format!("{TRAP}{commands}")])
        .current_dir(&place)
        .env("LINECAMP", &root)
        .env("PATH", format!("{programs}:{path}"))
        // It needs no dependencies beyond the workspace's.
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("bash can be run");
    let all = text(&said);
    assert!(said.status.success(), "{all}");
    assert_eq!(all.matches(", 0 failed,").count(), TABLES, "{all}");
    let shown = ["FAIL", "dns-plainzone 0.1.0, as a component", "create", "in-sync", "\"records\":[\"192.0.2.1\"]"];
    for words in shown {
        assert!(all.contains(words), "the guide shows {words}: {all}");
    }
    assert!(!place.join(PROJECT).join("demo").exists(), "it cleans up after itself");
}

/// Returns the directory in which the guide is followed: always the same, so that the next run reuses the build.
fn place() -> PathBuf {
    target_directory().join("guide")
}

/// Returns the guide's commands, except those that build and locate the programs.
fn commands(guide: &str) -> String {
    let blocks = guide.split("```sh\n").skip(1).filter_map(|block| block.split("\n```\n").next());
    let lines = blocks.flat_map(str::lines).filter(|line| !line.starts_with("export PATH") && !line.starts_with(BUILD));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The guide builds what its commands need and no more.
#[test]
fn the_plugin_guide_builds_the_programs_that_it_runs() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let guide = fs::read_to_string(Path::new(&root).join("../sdk/GUIDE.md")).expect("the guide exists");
    let built: Vec<_> = guide
        .lines()
        .filter_map(|line| line.strip_prefix(BUILD)?.strip_suffix(')'))
        .flat_map(|packages| packages.split_whitespace().filter(|word| *word != "-p"))
        .collect();
    assert_eq!(built, ["linecamp", "linecamp-plugin-compiler", "linecamp-server", "linecampd"]);
    let (first_steps, last_step) = guide.split_once("\n## 8.").expect("the guide has eight steps");
    for name in ["linecamp-server", "linecampd"] {
        assert!(!first_steps.contains(&format!("\n{name} ")) && last_step.contains(&format!("\n{name} ")), "{name}");
    }
}

#[test]
fn plugin_check_runs_the_conformance_tests() {
    let component = plugin("dns-fake");
    let component = component.to_str().expect("text");
    let said = linecamp(&["plugin", "check", component, "--zone", "example.net", "-o", "json"], 0);
    let report: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let tests = report["tests"].as_array().expect("tests");
    assert!(tests.iter().any(|test| test["name"] == "loads in the sandbox" && test["verdict"] == "pass"), "{report}");

    let said = linecamp(&["plugin", "check", component, "--config", r#"{"api": "https://a.test", "apy": 1}"#], 1);
    let all = text(&said);
    assert!(all.contains("has a schema that accepts its config") && all.contains("apy"), "{all}");
    assert!(all.contains("conformance test"), "{all}");
}

#[test]
fn plugin_check_rejects_an_unusable_file_and_says_what_to_do() {
    let component = plugin("dns-fake");
    let component = component.to_str().expect("text");
    let check = |line: &[&str], code, words: &str| {
        let all = text(&linecamp(line, code));
        assert!(all.contains(words), "{all}");
    };
    check(&["plugin", "check", "absent.wasm"], 2, "absent.wasm: No such file");
    check(&["plugin", "check", component, "--compiler", "/nowhere"], 2, "--compiler FILE");
    check(&["plugin", "check", component, "--config", "[]"], 2, "not a JSON object");
    check(&["plugin", "check", "/dev/null"], 2, "not a regular file but a device");
    let empty = tempfile::NamedTempFile::new().expect("a file can be made");
    check(&["plugin", "check", empty.path().to_str().expect("text")], 1, "loads in the sandbox");
    check(&["plugin", "new", "Dns"], 2, "column 1 is `D`");
    check(&["plugin", "new", "dns-example"], 2, "--sdk DIR");
}

/// Runs the CLI, without a login and without a checkout, and checks its exit code.
fn linecamp(arguments: &[&str], code: i32) -> Output {
    let mut command = Command::new(program("linecamp"));
    let said = command.args(arguments).env_remove("LINECAMP").env("NO_COLOR", "1").output();
    let said = said.expect("the command line can be run");
    assert_eq!(said.status.code(), Some(code), "{arguments:?}: {}", text(&said));
    said
}

fn text(said: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
}
