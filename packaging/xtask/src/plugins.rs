//! The plugins: WebAssembly components, built with the release profile, since their size and speed matter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context;

use crate::commands::{binaries, cargo, program, root, step};
use crate::{reproducible, toolchain};

/// The variable with the directory of the built components.
pub(crate) const VARIABLE: &str = "LINECAMP_PLUGINS";

/// The target of components.
const TARGET: &str = "wasm32-wasip2";

/// The packages that are components; the last one is malicious, for tests of the host.
const PACKAGES: [&str; 5] = ["dns-fake", "dns-powerdns", "dns-rfc2136", "dns-route53", "malicious-plugin"];

/// The JavaScript plugin: its component, its source, and the contract.
const JAVASCRIPT: &str = "dns_zone_js.wasm";
const SOURCE: &str = "sdk/examples/javascript/provider.js";
const CONTRACT: &str = "sdk/wit/v1";

/// Builds all plugins and returns their directory.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let directory = build_these("building the plugins", &PACKAGES)?;
    build_javascript(&directory)?;
    Ok(directory)
}

/// Builds one plugin, with `what` as its progress message, and returns its component.
pub(crate) fn build_only(package: &str, what: &str) -> anyhow::Result<PathBuf> {
    Ok(build_these(what, &[package])?.join(file(package)))
}

/// Builds the plugins in `packages` below `work`, reproducibly, and returns their directory.
pub(crate) fn build_for_release(packages: &[&str], work: &Path) -> anyhow::Result<PathBuf> {
    let mut build = components(packages);
    reproducible::make_reproducible(&mut build, work, &[])?;
    step("building the plugins", build)?;
    Ok(work.join(TARGET).join("release"))
}

/// Returns the file name of a package's component.
pub(crate) fn file(package: &str) -> String {
    format!("{}.wasm", package.replace('-', "_"))
}

fn components(packages: &[&str]) -> Command {
    // One malicious component is an example target of its package, because it is rejected before it runs.
    let mut build = cargo(["build", "--locked", "--release", "--lib", "--examples", "--target", TARGET]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    build
}

fn build_these(what: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    step(what, components(packages))?;
    let target = binaries()?.parent().context("cargo's directory has no parent")?.to_owned();
    Ok(target.join(TARGET).join("release"))
}

/// Builds the JavaScript plugin if its tool could be installed; otherwise its test reports that it is skipped.
fn build_javascript(directory: &Path) -> anyhow::Result<()> {
    let Some(tool) = toolchain::componentize() else { return Ok(()) };
    let component = directory.join(JAVASCRIPT);
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let sources = [root().join(SOURCE), root().join(CONTRACT).join("provider.wit"), tool.clone()];
    if sources.iter().all(|source| changed(source) < changed(&component)) {
        return Ok(());
    }
    // The same as `npm run build` in its directory.
    let mut build = program("node", [tool.as_os_str()]);
    build.args(["--sync", "--stub-wasi", "--minify"]);
    build.args(["--wit", CONTRACT, "--world", "dns-provider", "--js", SOURCE, "--output"]).arg(&component);
    step("building the plugin in JavaScript", build)
}
