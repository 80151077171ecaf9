//! The plugins: components for the sandbox, in the release profile, because that is what their size and speed are
//! about.

use std::path::PathBuf;

use anyhow::Context;

use crate::run::{binaries, cargo, step};

/// The variable naming the directory of the built components.
pub(crate) const VARIABLE: &str = "LINECAMP_PLUGINS";

/// The target of components.
const TARGET: &str = "wasm32-wasip2";

/// The packages that are components; the last one is for tests of the host, and means harm.
const PACKAGES: [&str; 5] = ["dns-fake", "dns-powerdns", "dns-rfc2136", "dns-route53", "malicious-plugin"];

/// Builds all of them and returns where they are.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    // One that means harm is an example of its package, because it is refused before it runs.
    let mut build = cargo(["build", "--release", "--lib", "--examples", "--target", TARGET]);
    build.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    step("building the plugins", build)?;
    let target = binaries()?.parent().context("cargo's directory has no parent")?.to_owned();
    Ok(target.join(TARGET).join("release"))
}
