//! Commands for plugin authors: those of the guide, and `linecamp plugin check`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use linecamp_tests::{plugin, program, target_directory};
use serde_json::Value;

/// The project in the guide.
const PROJECT: &str = "dns-plainzone";

/// Seconds within which the guide must complete. Nearly all of it is compiling, and most of that happens once.
const GUIDE_SECONDS_MAX: &str = "330";

/// The tables in the guide without a failure: the template's, the provider's, the component's.
const TABLES: usize = 3;

#[test]
fn every_command_of_the_plugin_guide_works_as_written() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let root = Path::new(&root).join("..").canonicalize().expect("the workspace exists");
    let guide = fs::read_to_string(root.join("sdk/GUIDE.md")).expect("the guide exists");
    let place = place();
    // Left from an earlier run.
    let _ = fs::remove_dir_all(place.join(PROJECT));
    fs::create_dir_all(&place).expect("a directory can be made");
    // It compiles into the workspace's target directory, and finds half of its dependencies there.
    let enter = format!("cd {PROJECT}\n");
    let commands = commands(&guide).replace(&enter, &format!("{enter}ln -s ../.. target\n"));
    let programs = program("linecamp");
    let programs = programs.parent().expect("programs are in a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let said = Command::new("timeout")
        .args([GUIDE_SECONDS_MAX, "bash", "-e", "-c", &commands])
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
    for words in ["FAIL", "dns-plainzone 0.1.0, as a component"] {
        assert!(all.contains(words), "the guide shows {words}: {all}");
    }
}

/// Returns the directory in which the guide is followed: always the same, so that the next run reuses the build.
fn place() -> PathBuf {
    target_directory().join("guide")
}

/// Returns the guide's commands up to the real service, except the one that locates the programs.
fn commands(guide: &str) -> String {
    let (guide, _) = guide.split_once("\n## 8.").expect("the guide ends with the real service");
    let blocks = guide.split("```sh\n").skip(1).filter_map(|block| block.split("\n```\n").next());
    let lines = blocks.flat_map(str::lines).filter(|line| !line.starts_with("export PATH"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn plugin_check_runs_the_conformance_tests() {
    let component = plugin("dns-fake");
    let component = component.to_str().expect("text");
    let said = linecamp(&["plugin", "check", component, "--zone", "example.net", "-o", "json"], 0);
    let report: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let tests = report["tests"].as_array().expect("tests");
    assert!(tests.iter().any(|test| test["name"] == "loads in the host" && test["verdict"] == "pass"), "{report}");

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
    check(&["plugin", "check", empty.path().to_str().expect("text")], 1, "loads in the host");
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
