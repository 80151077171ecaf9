//! Every promise names its test, and the test runs.
//!
//! The tests are those that the test runner lists. `cargo xtask test` provides the list; without it, this test
//! generates the list, which compiles every test of the workspace.

use std::fs;
use std::process::{Command, Stdio};

use crate::crates::metadata;
use crate::report::Report;
use crate::specification::{LIST, Promise, SPECIFICATION, Tests, promises};
use crate::tree::{file, root};

/// The variable with the file of the list of tests. `packaging/xtask/src/test.rs` uses the same name.
const VARIABLE: &str = "LINECAMP_TESTS";

/// Variables that cargo and the runner set for a test. They are removed for nested cargo calls, which would otherwise
/// recompile what reads them.
const ABOUT_THIS_TEST: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "NEXTEST"];

#[test]
fn every_promise_names_a_test_that_exists() {
    let specification = file(SPECIFICATION).expect("SPECIFICATION.md exists: it is what we promise");
    let tests = Tests::read(&list(), &metadata(&["--no-deps"])).unwrap_or_else(|problem| panic!("{problem}"));
    let mut report = Report::default();
    let promises = promises(&specification.text);
    for promise in &promises {
        check(promise, &tests).unwrap_or_else(|what| report.add(SPECIFICATION, promise.line, what));
    }
    if promises.is_empty() {
        report.add(SPECIFICATION, 1, "there is no table `| promise | number | test | status |` with a row");
    }
    report.finish("write the test, or name the one that shows it; a promise without a test is *pending*.");
}

fn check(promise: &Promise<'_>, tests: &Tests) -> Result<(), String> {
    if promise.cells != 4 {
        return Err(format!("a row has four cells, this one has {}", promise.cells));
    }
    if promise.is_pending {
        return Ok(());
    }
    if promise.tests.is_empty() {
        return Err("no test is named".into());
    }
    for name in &promise.tests {
        let test = tests.named(name).next().ok_or_else(|| format!("there is no test `{name}`"))?;
        if !test.runs {
            return Err(format!("the test `{name}` is ignored, or filtered out"));
        }
    }
    Ok(())
}

/// Returns the runner's list of tests.
fn list() -> String {
    match std::env::var_os(VARIABLE) {
        Some(path) => {
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{VARIABLE}={}: {error}", path.display()))
        }
        None => make_list(),
    }
}

#[expect(clippy::print_stderr, reason = "the user sees why the test takes minutes")]
fn make_list() -> String {
    eprintln!("listing the tests of the workspace, which compiles all of them: the first run takes minutes");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(LIST).current_dir(root()).stderr(Stdio::inherit());
    for (name, _) in std::env::vars_os() {
        if ABOUT_THIS_TEST.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().expect("cargo can be run");
    assert!(
        output.status.success(),
        "the tests could not be listed. Run `cargo xtask test`, which installs cargo-nextest and lists them itself"
    );
    String::from_utf8(output.stdout).expect("cargo nextest prints text")
}
