//! `cargo xtask bench`: builds what is measured as it ships, and lets the bench program measure it.
//!
//! The server is built for speed, the daemon static and small, for musl: the numbers in the documents are of these.
//! The bench program finds the daemon by `LINECAMP_BENCH_DAEMON`.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::run::{cargo, program, read, root, step};
use crate::toolchain;

/// Measures the link.
pub(crate) fn link(passed_on: &[String]) -> anyhow::Result<()> {
    if !root().join("tests/bench/Cargo.toml").exists() {
        bail!("there is no bench program: tests/bench is missing");
    }
    let musl = toolchain::musl();
    let installed = read(program("rustup", ["target", "list", "--installed"])).unwrap_or_default();
    if !installed.lines().any(|line| line == musl) {
        toolchain::add_target(&musl)?;
    }
    toolchain::need_musl_gcc()?;
    step("building the static daemon", cargo(["build", "--release", "--target", &musl, "--package", "linecampd"]))?;
    let daemon = target_directory()?.join(&musl).join("release/linecampd");
    let mut bench = cargo(["run", "--profile", "server", "--package", "linecamp-bench", "--", "link"]);
    bench.args(passed_on).env("LINECAMP_BENCH_DAEMON", daemon);
    step("measuring the link", bench)
}

/// Returns cargo's build directory, which an environment or a user's own config may have moved.
fn target_directory() -> anyhow::Result<PathBuf> {
    let text = read(cargo(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("failed to read cargo's metadata")?;
    let path = metadata["target_directory"].as_str().context("cargo's metadata names no target directory")?;
    Ok(path.into())
}
