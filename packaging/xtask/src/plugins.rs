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
    build_these("building the plugins", &PACKAGES)
}

/// Builds one of them and returns its component.
pub(crate) fn build_only(package: &str) -> anyhow::Result<PathBuf> {
    let directory = build_these(&format!("building the plugin {package}"), &[package])?;
    Ok(directory.join(format!("{}.wasm", package.replace('-', "_"))))
}

fn build_these(what: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    // One that means harm is an example of its package, because it is refused before it runs.
    let mut build = cargo(["build", "--release", "--lib", "--examples", "--target", TARGET]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    step(what, build)?;
    let target = binaries()?.parent().context("cargo's directory has no parent")?.to_owned();
    Ok(target.join(TARGET).join("release"))
}
