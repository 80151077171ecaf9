//! `cargo xtask test`: every test of the workspace, with one command, on a machine with git, rustup and a C compiler.
//!
//! The order: targets, one build of everything (the end-to-end tests start the programs of that build), the tests, the
//! doctests if there are any, cargo-deny where it is installed. A step that fails does not hide the next one; a build
//! that fails ends the run.
//!
//! What could not be tested here is said at the very end. A test that has to skip something appends a line to the file
//! named by [`SKIPPED`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::run::{binaries, cargo, root, say, step, succeeds};
use crate::{package, plugins, sim, toolchain};

/// The variable naming the file to which a test appends a line for what it skipped, and why.
const SKIPPED: &str = "LINECAMP_SKIPPED";
/// The variable naming the directory of the programs the end-to-end tests start.
const BINARIES: &str = "LINECAMP_BINARIES";

/// The variable naming the directory of the packages they install.
const PACKAGES: &str = "LINECAMP_PACKAGES";

/// Runs all tests; what `passed_on` holds goes to nextest.
pub(crate) fn run(passed_on: &[String]) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut skipped: BTreeSet<String> = toolchain::add_targets().into_iter().collect();
    toolchain::add_journey_tools();
    let notes = tempfile::NamedTempFile::new().context("failed to create a temporary file")?;

    // All targets, so that the programs and the tests come from one build: the features are the same.
    step("building everything", cargo(["build", "--workspace", "--all-targets"]))?;
    let plugins = plugins::build()?;
    let packages = package::for_tests(&binaries()?, &plugins)?;
    let mut failures = vec![run_tests(passed_on, notes.path(), &plugins, &packages)];
    if passed_on.is_empty() {
        failures.push(sim::mutants());
        if has_doctests(&root().join("daemon"))? {
            failures.push(step("running the doctests", cargo(["test", "--workspace", "--doc"])));
        }
        failures.push(check_dependencies(&mut skipped));
    }

    let written = fs::read_to_string(notes.path()).context("failed to read what the tests skipped")?;
    skipped.extend(written.lines().map(str::to_owned).filter(|line| !line.is_empty()));
    for line in &skipped {
        say(&format!("SKIPPED: {line}"));
    }
    let failures: Vec<_> = failures.into_iter().filter_map(Result::err).collect();
    for failure in &failures {
        say(&format!("FAILED: {failure:#}"));
    }
    if !failures.is_empty() {
        bail!("not everything passed");
    }
    let aside = if skipped.is_empty() { String::new() } else { format!(", except {} SKIPPED above", skipped.len()) };
    say(&format!("all tests passed in {:.0} s{aside}", started.elapsed().as_secs_f64()));
    Ok(())
}

fn run_tests(passed_on: &[String], notes: &Path, plugins: &Path, packages: &Path) -> anyhow::Result<()> {
    let has_nextest = succeeds(cargo(["nextest", "--version"]));
    let mut tests =
        if has_nextest { cargo(["nextest", "run"]) } else { cargo(["test", "--all-targets", "--no-fail-fast"]) };
    if !passed_on.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package")) {
        tests.arg("--workspace");
    }
    tests.args(passed_on).env(SKIPPED, notes).env(BINARIES, binaries()?).env(plugins::VARIABLE, plugins);
    tests.env(PACKAGES, packages);
    step(if has_nextest { "running the tests" } else { "running the tests (without cargo-nextest)" }, tests)
}

/// The tidy tests check licences and sources offline; cargo-deny knows more, and needs the network for advisories.
fn check_dependencies(skipped: &mut BTreeSet<String>) -> anyhow::Result<()> {
    if !succeeds(cargo(["deny", "--version"])) {
        skipped.insert("advisories on dependencies: cargo-deny is not installed".into());
        return Ok(());
    }
    step("checking the dependencies", cargo(["deny", "check", "bans", "licenses", "sources"]))?;
    if !succeeds(cargo(["deny", "fetch", "db"])) {
        skipped.insert("advisories on dependencies: their database could not be fetched".into());
        return Ok(());
    }
    step("checking for advisories", cargo(["deny", "check", "advisories"]))
}

/// Whether a doc comment below a directory holds Rust that rustdoc would run.
fn has_doctests(directory: &Path) -> anyhow::Result<bool> {
    let entries = fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let found = if path.is_dir() {
            has_doctests(&path)?
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            holds_doctest(&fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?)
        } else {
            false
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn holds_doctest(source: &str) -> bool {
    let doc = |line: &'_ str| Some(line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))?.trim().to_owned());
    let fences = source.lines().filter_map(|line| doc(line.trim())).filter(|line| line.starts_with("```"));
    // Every other fence closes a block; what stands behind an opening one is its language.
    fences.step_by(2).any(|fence| {
        matches!(&fence[3..], "" | "rust" | "no_run" | "should_panic" | "compile_fail") || fence.starts_with("```rust,")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_of_rust_are_doctests() {
        let check = |source: &str, expected| assert_eq!(holds_doctest(source), expected, "{source}");
        check("/// ```\n/// f();\n/// ```\nfn f() {}", true);
        check("//! ```rust,no_run\n//! ```", true);
        check("/// ```text\n/// picture\n/// ```\nfn f() {}", false);
        check("// ```\n", false);
    }
}
