//! `cargo xtask bench`: builds what is measured as it ships, and lets the bench program measure it.
//!
//! The server is built for speed, the daemon static and small, for musl: the numbers in the documents are of these. To
//! measure plugins the bench program itself is built as the daemon is, because it loads and calls them with the
//! daemon's own parts. It finds the rest by `LINECAMP_BENCH_DAEMON`, `LINECAMP_BENCH_COMPILER` and `LINECAMP_PLUGINS`.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::run::{cargo, program, read, root, step};
use crate::{plugins, toolchain};

/// Measures the link.
pub(crate) fn link(passed_on: &[String]) -> anyhow::Result<()> {
    let daemon = build_static("the static daemon", "linecampd")?;
    // Without what measures plugins: that would compile a WebAssembly runtime once more.
    let words = ["run", "--profile", "server", "--package", "linecamp-bench", "--no-default-features", "--", "link"];
    let mut bench = cargo(words);
    bench.args(passed_on).env("LINECAMP_BENCH_DAEMON", daemon);
    step("measuring the link", bench)
}

/// Measures plugins, and a daemon that has some.
pub(crate) fn plugins(passed_on: &[String]) -> anyhow::Result<()> {
    let plugins = plugins::build()?;
    let daemon = build_static("the static daemon", "linecampd")?;
    // By itself, so that cargo does not turn the compiler on for the daemon as well.
    let compiler = build_static("the compiler of plugins", "linecamp-plugin-compiler")?;
    let words = ["run", "--release", "--target", &toolchain::musl(), "--package", "linecamp-bench", "--", "plugins"];
    let mut bench = cargo(words);
    bench.args(passed_on).env("LINECAMP_BENCH_DAEMON", daemon).env("LINECAMP_BENCH_COMPILER", compiler);
    bench.env(plugins::VARIABLE, plugins);
    step("measuring plugins", bench)
}

/// Builds a program static, as it ships, and returns where it is.
fn build_static(what: &str, package: &str) -> anyhow::Result<PathBuf> {
    if !root().join("tests/bench/Cargo.toml").exists() {
        bail!("there is no bench program: tests/bench is missing");
    }
    let musl = toolchain::musl();
    let installed = read(program("rustup", ["target", "list", "--installed"])).unwrap_or_default();
    if !installed.lines().any(|line| line == musl) {
        toolchain::add_target(&musl)?;
    }
    toolchain::need_musl_gcc()?;
    step(&format!("building {what}"), cargo(["build", "--release", "--target", &musl, "--package", package]))?;
    Ok(target_directory()?.join(&musl).join("release").join(package))
}

/// Returns cargo's build directory, which an environment or a user's own config may have moved.
fn target_directory() -> anyhow::Result<PathBuf> {
    let text = read(cargo(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("failed to read cargo's metadata")?;
    let path = metadata["target_directory"].as_str().context("cargo's metadata names no target directory")?;
    Ok(path.into())
}
