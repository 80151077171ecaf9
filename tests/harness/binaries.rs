//! Paths of the programs that the tests start.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Set by `cargo xtask test` to the directory of the built programs.
const BINARIES: &str = "LINECAMP_BINARIES";

const PACKAGES: [&str; 8] = [
    "linecamp-server",
    "linecampd",
    "linecamp",
    "fleet-sim",
    "linecamp-plugin-compiler",
    "linecamp-testkit",
    "linecamp-tests",
    "xtask",
];

/// Set by `cargo xtask test` to the directory of the built plugins.
const PLUGINS: &str = "LINECAMP_PLUGINS";

const PLUGIN_PACKAGES: [&str; 4] = ["dns-fake", "dns-powerdns", "dns-rfc2136", "dns-route53"];

/// Returns the path of a plugin's component, by a name such as `dns-powerdns`.
///
/// # Panics
/// If the component does not exist.
pub fn plugin(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let path = DIRECTORY.get_or_init(find_plugins).join(format!("{}.wasm", name.replace('-', "_")));
    assert!(path.exists(), "{} does not exist: run the tests with `cargo xtask test`", path.display());
    path
}

fn find_plugins() -> PathBuf {
    if let Some(directory) = std::env::var_os(PLUGINS) {
        return directory.into();
    }
    let mut cargo = cargo(&["build", "--quiet", "--release", "--target", "wasm32-wasip2"]);
    cargo.args(PLUGIN_PACKAGES.iter().flat_map(|package| ["--package", package]));
    assert!(cargo.status().is_ok_and(|status| status.success()), "failed to build the plugins");
    target_directory().join("wasm32-wasip2/release")
}

/// Returns cargo's target directory, derived from this test's executable and not from the programs it starts.
///
/// # Panics
/// If cargo did not build this test.
pub fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test executable is known");
    own.ancestors().nth(3).expect("the test executable is in target/debug/deps").to_owned()
}

fn cargo(arguments: &[&str]) -> Command {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(Path::new(&manifest));
    cargo
}

/// Returns the path of a program.
///
/// # Panics
/// If the program does not exist.
pub fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let path = DIRECTORY.get_or_init(find).join(name);
    assert!(path.exists(), "{} does not exist: run the tests with `cargo xtask test`", path.display());
    path
}

fn find() -> PathBuf {
    if let Some(directory) = std::env::var_os(BINARIES) {
        return directory.into();
    }
    // The tests were started by hand: programs older than the sources would give outdated results.
    let mut cargo = cargo(&["build", "--quiet"]);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    assert!(cargo.status().is_ok_and(|status| status.success()), "failed to build the programs");
    target_directory().join("debug")
}
