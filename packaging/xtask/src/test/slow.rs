//! The slow tier: every end-to-end test against the released programs, and a long search with the simulator.
//!
//! In the fast tier, the end-to-end tests start programs of the workspace's one build, with the features of all
//! packages and a dynamic C library. Here each program is built alone, static and optimized, like `cargo xtask dist`
//! builds it, and machines install packages of these.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;

use super::Runner;
use super::timings::Ledger;
use crate::arguments::Arch;
use crate::commands::{binaries, cargo, step};
use crate::{package, release};

/// The end-to-end tests that set a program's clock with a preloaded library, which a static program does not load. All
/// others run.
const OTHER_CLOCK: [&str; 3] = [
    "startup_errors::a_site_that_booted_in_1970_connects_and_reports_its_clock",
    "startup_errors::a_site_whose_clock_is_far_ahead_connects_and_reports_its_clock",
    "doctor::a_wrong_clock_is_reported_in_both_directions",
];

/// Programs of the workspace that end-to-end tests start beside the released ones.
const TEST_PROGRAMS: [&str; 4] = ["linecamp-sim", "linecamp-zone", "hold-packets", "xtask"];

/// How long new seeds are tried, in minutes.
const SEARCH_MINUTES: &str = "10";

/// Seeds per day: every day has seeds of its own.
const SEEDS_PER_DAY: u64 = 100_000;

/// Runs the slow tier, and returns the result of each part.
pub(super) fn run(runner: &Runner, ledger: &mut Ledger) -> Vec<anyhow::Result<()>> {
    vec![end_to_end_tests(runner, ledger), search(ledger)]
}

fn end_to_end_tests(runner: &Runner, ledger: &mut Ledger) -> anyhow::Result<()> {
    let arch = Arch::native()?;
    let programs = ledger.part("building released programs", || release::programs(arch))?;
    let packages = release::work()?.join("tested");
    ledger
        .part("building their packages", || package::for_tests(&programs, arch.target(), &runner.plugins, &packages))?;
    let directory = with_test_programs(&programs, &packages.join("bin"))?;
    let mut run = runner.command(&directory, &packages);
    let others = OTHER_CLOCK.map(|name| format!("test(={name})")).join(" | ");
    run.args(["--package", "linecamp-tests", "--test", "it", "--test", "providers"]);
    run.args(["--filterset", &format!("not ({others})")]);
    ledger.part("end-to-end tests of released programs", || {
        step("running the end-to-end tests of released programs", run)
    })
}

/// Links the released programs and the test programs into one directory.
fn with_test_programs(programs: &[PathBuf], directory: &Path) -> anyhow::Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("failed to empty {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
    let built = binaries()?;
    for path in programs.iter().cloned().chain(TEST_PROGRAMS.iter().map(|name| built.join(name))) {
        let link = directory.join(path.file_name().context("a program has a name")?);
        symlink(&path, &link).with_context(|| format!("failed to link {}", link.display()))?;
    }
    Ok(directory.to_owned())
}

fn search(ledger: &mut Ledger) -> anyhow::Result<()> {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs() / 86_400);
    let first = (days * SEEDS_PER_DAY).to_string();
    let mut search = cargo(["run", "--quiet", "--profile", "server", "--package", "fleet-sim", "--", "search"]);
    search.args(["--minutes", SEARCH_MINUTES, "--first-seed", &first]);
    ledger.part("simulator search with new seeds", || step("searching with new seeds", search))
}
