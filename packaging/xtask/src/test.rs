//! `cargo xtask test`: every test of the workspace, with one command, on a machine with git, rustup and a C compiler.
//!
//! The order: targets and tools, one build of everything (the end-to-end tests start the programs of that build), the
//! list of tests, the tests, the doctests if there are any, the documentation of the SDK, the dependencies. A failed
//! step does not prevent the next one; a failed build ends the run.
//!
//! That is the fast tier: everything once, against programs that are quick to build. `--all` adds the slow tier: every
//! end-to-end test again, against the released programs ([`slow`]), and a simulator search with new seeds. A ledger at
//! the end shows the time each part took.
//!
//! Skipped tests are listed last, with the promises of SPECIFICATION.md that are therefore unverified. With `--strict`
//! they fail the run, except for those that `tests/may-skip.toml` lists.

mod skips;
mod slow;
#[path = "../../../tests/tidy/specification.rs"]
mod specification;
mod timings;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, iter};

use anyhow::{Context, anyhow, bail};

use self::skips::{SKIPPED, Skip};
use self::specification::{LIST, SPECIFICATION, Tests, promises};
use self::timings::Ledger;
use crate::arguments::TestOptions;
use crate::commands::{binaries, cargo, program, read, root, say, step, succeeds};
use crate::toolchain::{cargo_tool, target_directory};
use crate::{package, plugins, toolchain};

/// The variable with the directory of the programs that end-to-end tests start.
pub(crate) const BINARIES: &str = "LINECAMP_BINARIES";

/// The variable with the directory of the packages that they install.
const PACKAGES: &str = "LINECAMP_PACKAGES";

/// The variable with the file of the runner's list of tests, and that file, below cargo's target directory.
/// `tests/tidy/promises.rs` uses the same name.
const LIST_FILE: (&str, &str) = ("LINECAMP_TESTS", "tests.json");

/// Variables that weaken tests: expected values would be overwritten or not compared, fewer cases tried, or failures
/// retried. They are removed for the run.
const WEAKENING: [&str; 6] =
    ["LINECAMP_GOLDEN", "INSTA_FORCE_PASS", "INSTA_UPDATE", "PROPTEST_CASES", "NEXTEST_RETRIES", "NEXTEST_PROFILE"];

/// The test runner, installed if missing: each test in a process of its own, with a time limit.
const NEXTEST: (&str, &str) = ("cargo-nextest", "0.9.151");

/// Directories of packages.
const FOLDERS: [&str; 6] = ["daemon", "fleet-sim", "packaging", "plugins", "sdk", "tests"];

/// The crates that authors of plugins use.
const SDK: [&str; 3] = ["linecamp-provider", "linecamp-provider-derive", "linecamp-testkit"];

/// The checker of licenses, sources and advisories.
const DENY: (&str, &str) = ("cargo-deny", "0.20.2");

/// How long a tier may take on two cores, with a warm build directory. A slower run prints a warning.
const FAST_LIMIT: Duration = Duration::from_secs(40 * 60);
const SLOW_LIMIT: Duration = Duration::from_secs(120 * 60);

/// The runner's JUnit report, from the root, regardless of cargo's own target directory. `.config/nextest.toml` sets
/// the file's name.
const JUNIT: &str = "target/nextest/default/junit.xml";

/// Runs all tests.
pub(crate) fn run(options: &TestOptions) -> anyhow::Result<()> {
    let mut ledger = Ledger::begin();
    let missing = |why: String| Skip::of_xtask("target", why);
    let mut skipped: BTreeSet<Skip> = toolchain::add_targets().into_iter().map(missing).collect();
    let path = ledger.part("installing tools", || {
        toolchain::add_test_tools();
        runner_path()
    })?;
    let notes = tempfile::NamedTempFile::new().context("failed to create a temporary file")?;

    // All targets, so that programs and tests come from one build: the features are the same.
    let build = cargo(["build", "--workspace", "--all-targets"]);
    ledger.part("building everything", || step("building everything", build))?;
    let plugins = ledger.part("building the plugins", plugins::build)?;
    let packages = target_directory()?.join("packages");
    ledger.part("building packages", || -> anyhow::Result<()> {
        let programs = package::stripped(&binaries()?, &packages)?;
        let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
        package::for_tests(&programs, &target, &plugins, &packages)
    })?;
    let (list, tests) = ledger.part("listing the tests", || list_tests(&path))?;

    let runner = Runner { path, notes: notes.path().to_owned(), list, plugins };
    let passed_on = &options.passed_on;
    let mut run = runner.command(&binaries()?, &packages);
    if !passed_on.iter().any(|argument| argument.starts_with("-p") || argument.starts_with("--package")) {
        run.arg("--workspace");
    }
    run.args(passed_on);
    let mut failures = vec![ledger.part("the tests", || step("running the tests", run))];
    failures.push(ledger.suites(&root().join(JUNIT)));
    if passed_on.is_empty() {
        if has_doctests()? {
            let doctests = cargo(["test", "--workspace", "--doc"]);
            failures.push(ledger.part("the doctests", || step("running the doctests", doctests)));
        }
        failures.push(ledger.part("the SDK's documentation", || step("documenting the SDK", document_sdk())));
        failures.push(ledger.part("the dependencies", || check_dependencies(&mut skipped)));
    }
    let (tier, limit) = if options.is_all { ("slow", SLOW_LIMIT) } else { ("fast", FAST_LIMIT) };
    if options.is_all {
        failures.extend(slow::run(&runner, &mut ledger));
    }
    skipped.extend(skips::read(notes.path())?);
    ledger.print(tier, limit);
    failures.push(report(&skipped, &tests, options.is_strict));

    let failures: Vec<_> = failures.into_iter().filter_map(Result::err).collect();
    for failure in &failures {
        say(&format!("FAILED: {failure:#}"));
    }
    if !failures.is_empty() {
        bail!("some steps failed");
    }
    let aside = if skipped.is_empty() { "" } else { ", except those SKIPPED above" };
    say(&format!("all tests passed in {:.0} s{aside}", ledger.took().as_secs_f64()));
    Ok(())
}

/// The environment of every run of the tests.
#[derive(Debug)]
struct Runner {
    /// The search path that contains the runner.
    path: OsString,
    /// The file in which tests record what they skip.
    notes: PathBuf,
    /// The list of tests.
    list: PathBuf,
    /// The directory of the plugins.
    plugins: PathBuf,
}

impl Runner {
    /// Returns the command that runs tests against the programs in `binaries` and the packages in `packages`.
    fn command(&self, binaries: &Path, packages: &Path) -> Command {
        let mut run = cargo(["nextest", "run"]);
        run.env("PATH", &self.path).env(SKIPPED, &self.notes).env(LIST_FILE.0, &self.list).env(BINARIES, binaries);
        run.env(plugins::VARIABLE, &self.plugins).env(PACKAGES, packages);
        WEAKENING.iter().for_each(|name| {
            run.env_remove(name);
        });
        run
    }
}

/// Prints what was skipped, the promises left unverified by it, and, in a strict run, the skips that are not allowed.
fn report(skipped: &BTreeSet<Skip>, tests: &Tests, is_strict: bool) -> anyhow::Result<()> {
    let text = fs::read_to_string(root().join(SPECIFICATION)).context("failed to read SPECIFICATION.md")?;
    let mut lines = skips::lines(skipped);
    lines.extend(skips::unverified(skipped, &promises(&text), tests));
    lines.iter().for_each(|line| say(line));
    if is_strict {
        let forbidden = skips::forbidden(skipped)?;
        forbidden.iter().for_each(|line| say(line));
        if !forbidden.is_empty() {
            bail!("{} skip(s) above are not allowed in a strict run", forbidden.len());
        }
    }
    Ok(())
}

/// Returns the search path that contains the test runner, which it installs if missing.
fn runner_path() -> anyhow::Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    if succeeds(cargo(["nextest", "--version"])) {
        return Ok(path);
    }
    let tool = cargo_tool(NEXTEST.0, NEXTEST.1)?;
    let own = tool.parent().context("the path of the test runner has no parent")?.to_owned();
    env::join_paths(iter::once(own).chain(env::split_paths(&path)))
        .context("the path of the test runner contains a colon")
}

/// Runs the runner's `list`; returns the file, and its contents.
fn list_tests(path: &OsStr) -> anyhow::Result<(PathBuf, Tests)> {
    say("listing the tests");
    let mut list = cargo(LIST);
    list.env("PATH", path);
    let list = read(list)?;
    let metadata = read(cargo(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    let metadata = serde_json::from_str(&metadata).context("cargo metadata did not print JSON")?;
    let file = target_directory()?.join(LIST_FILE.1);
    fs::write(&file, &list).with_context(|| format!("failed to write {}", file.display()))?;
    Ok((file, Tests::read(&list, &metadata).map_err(|problem| anyhow!(problem))?))
}

/// Returns the command that builds the documentation of the crates that authors of plugins use. A warning fails it.
fn document_sdk() -> Command {
    let mut document = cargo(["doc", "--no-deps"]);
    document.args(SDK.iter().flat_map(|package| ["--package", package])).env("RUSTDOCFLAGS", "-D warnings");
    document
}

/// cargo-deny needs the network only for the advisories.
fn check_dependencies(skipped: &mut BTreeSet<Skip>) -> anyhow::Result<()> {
    let tool = cargo_tool(DENY.0, DENY.1)?;
    let deny = |arguments: &[&str]| program(&tool.to_string_lossy(), arguments);
    step("checking the dependencies", deny(&["check", "bans", "licenses", "sources"]))?;
    if !succeeds(deny(&["fetch", "db"])) {
        skipped.insert(Skip::of_xtask("advisories", "the advisory database could not be fetched"));
        return Ok(());
    }
    step("checking for advisories", deny(&["check", "advisories"]))
}

/// Whether any package has a doctest.
fn has_doctests() -> anyhow::Result<bool> {
    for folder in FOLDERS {
        if holds_doctests(&root().join(folder))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a doc comment below a directory contains Rust that rustdoc would run.
fn holds_doctests(directory: &Path) -> anyhow::Result<bool> {
    let entries = fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let found = if path.is_dir() {
            holds_doctests(&path)?
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
    // Every other fence closes a block; an opening fence is followed by its language.
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
