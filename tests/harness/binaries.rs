//! Where the programs are that a journey starts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The variable with which `cargo xtask test` says that the programs are built, and where.
const BINARIES: &str = "LINECAMP_BINARIES";

/// The packages of the programs.
const PACKAGES: [&str; 6] =
    ["linecamp-server", "linecampd", "linecamp", "fleet-sim", "linecamp-plugin-compiler", "linecamp-tests"];

/// The variable with which `cargo xtask test` says that the plugins are built, and where.
const PLUGINS: &str = "LINECAMP_PLUGINS";

/// The packages of the plugins.
const PLUGIN_PACKAGES: [&str; 4] = ["dns-fake", "dns-powerdns", "dns-rfc2136", "dns-route53"];

/// Returns the component of a plugin, by its name such as `dns-powerdns`.
///
/// # Panics
/// If it is not there.
pub fn plugin(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let path = DIRECTORY.get_or_init(find_plugins).join(format!("{}.wasm", name.replace('-', "_")));
    assert!(path.exists(), "{} is not there: run the tests with `cargo xtask test`", path.display());
    path
}

fn find_plugins() -> PathBuf {
    if let Some(directory) = std::env::var_os(PLUGINS) {
        return directory.into();
    }
    let mut cargo = cargo(&["build", "--quiet", "--release", "--target", "wasm32-wasip2"]);
    cargo.args(PLUGIN_PACKAGES.iter().flat_map(|package| ["--package", package]));
    assert!(cargo.status().is_ok_and(|status| status.success()), "the plugins do not build");
    target_directory().join("wasm32-wasip2/release")
}

/// Returns cargo's target directory: where this test stands, wherever the programs are that it starts.
///
/// # Panics
/// If no cargo built it.
pub fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own executable");
    own.ancestors().nth(3).expect("a test's executable stands in target/debug/deps").to_owned()
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
/// If it is not there.
pub fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let path = DIRECTORY.get_or_init(find).join(name);
    assert!(path.exists(), "{} is not there: run the tests with `cargo xtask test`", path.display());
    path
}

fn find() -> PathBuf {
    if let Some(directory) = std::env::var_os(BINARIES) {
        return directory.into();
    }
    // Somebody runs the tests by hand: programs older than the sources would test yesterday's work.
    let mut cargo = cargo(&["build", "--quiet"]);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    assert!(cargo.status().is_ok_and(|status| status.success()), "the programs do not build");
    target_directory().join("debug")
}
