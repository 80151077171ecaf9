//! Where the programs are that a journey starts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The variable with which `cargo xtask test` says that the programs are built, and where.
const BINARIES: &str = "LINECAMP_BINARIES";

/// The packages of the programs.
const PACKAGES: [&str; 4] = ["linecamp-server", "linecampd", "linecamp", "fleet-sim"];

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
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet"]).current_dir(Path::new(&manifest));
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    assert!(cargo.status().is_ok_and(|status| status.success()), "the programs do not build");
    let own = std::env::current_exe().expect("a test knows its own executable");
    own.ancestors().nth(2).expect("a test's executable stands in target/debug/deps").to_owned()
}
