//! The compiler's targets and the C compiler for musl: present, or fetched, or missed aloud.

use std::path::Path;

use anyhow::{Context, bail};

use crate::run::{program, read, say, step, succeeds};

/// What plugins are compiled for.
const WASM: &str = "wasm32-wasip2";

/// Returns the target of the static daemon on this machine.
pub(crate) fn musl() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Adds the targets the tests build for. Returns a line for each one that could not be had.
pub(crate) fn add_targets() -> Vec<String> {
    let wanted = [musl(), WASM.to_owned()];
    let missed = |reason: &str| {
        let line = |target| format!("target {target}: {reason}; what is built for it is not tested");
        wanted.iter().map(line).collect()
    };
    let Ok(installed) = read(program("rustup", ["target", "list", "--installed"])) else {
        return missed("there is no rustup to ask or to add it");
    };
    let mut skipped = Vec::new();
    for target in wanted.iter().filter(|target| !installed.lines().any(|line| line == target.as_str())) {
        if let Err(error) = add_target(target) {
            skipped.push(format!("target {target}: {error:#}; what is built for it is not tested"));
        }
    }
    skipped
}

/// Adds one target.
pub(crate) fn add_target(target: &str) -> anyhow::Result<()> {
    step(&format!("adding the target {target}"), program("rustup", ["target", "add", target]))
        .context("it could not be added (is this machine offline?)")
}

/// Makes sure that C can be compiled for musl, which SQLite and ring need.
pub(crate) fn need_musl_gcc() -> anyhow::Result<()> {
    let is_there = || succeeds(program("musl-gcc", ["--version"]));
    if !is_there() {
        install("musl-tools")?;
    }
    if is_there() {
        return Ok(());
    }
    bail!("musl-gcc is missing, and the static daemon needs it: `apt-get install musl-tools`, or your system's like")
}

/// Installs what the journeys use where it can be had and the machine can install it; a journey that misses it says so.
pub(crate) fn add_journey_tools() {
    let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    if !Path::new(&library).exists()
        && let Err(error) = install("libfaketime")
    {
        say(&format!("libfaketime could not be installed: {error:#}"));
    }
}

/// Installs one package of Debian, as root on Debian; elsewhere it is somebody's decision.
fn install(package: &str) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() || !Path::new("/etc/debian_version").exists() {
        bail!("install {package} with your system's package manager");
    }
    let words = format!("apt-get install {package}");
    let install = || program("apt-get", ["install", "--yes", "--no-install-recommends", package]);
    // A fresh machine has no package lists yet.
    if step(&words, install()).is_err() {
        step("apt-get update", program("apt-get", ["update"]))?;
        step(&words, install())?;
    }
    Ok(())
}
