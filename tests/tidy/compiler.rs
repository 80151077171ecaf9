//! The resident daemon has no compiler in it: it takes megabytes, and what it is fed with are programs of strangers.
//!
//! Cargo is asked what it would build for the daemon alone, static, as it ships. In a build of several packages at once
//! cargo turns features on for all of them, so the daemon and the program that compiles are built one by one.

use std::process::Command;

use crate::report::Report;
use crate::tree::root;

/// Crates that make native code of WebAssembly, by how their names begin. What else is called cranelift are plain data
/// structures, which the runtime shares.
const COMPILERS: [&str; 5] =
    ["cranelift-codegen", "cranelift-frontend", "wasmtime-internal-cranelift", "wasmtime-internal-winch", "winch"];

/// Features of wasmtime that bring a compiler along.
const FEATURES: [&str; 5] = ["all-arch", "compile", "cranelift", "default", "winch"];

/// The target that ships.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// A crate that a package is built of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    name: String,
    features: Vec<String>,
}

impl Part {
    /// Reads a line of `NAME VERSION FEATURE,FEATURE`.
    fn of(line: &str) -> Self {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let features = words.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
        Self { name, features }
    }

    /// Says why it is a compiler or brings one along; `None` if it does not.
    fn compiles(&self) -> Option<String> {
        if COMPILERS.iter().any(|compiler| self.name.starts_with(compiler)) {
            return Some(self.name.clone());
        }
        let is_runtime = ["wasmtime", "wasmtime-environ"].contains(&self.name.as_str());
        let on = self.features.iter().find(|feature| is_runtime && FEATURES.contains(&feature.as_str()));
        on.map(|feature| format!("the feature {feature} of {}", self.name))
    }
}

#[test]
fn the_daemon_alone_has_no_compiler_in_it() {
    let mut report = Report::default();
    let parts = parts_of("linecampd");
    assert!(parts.iter().any(|part| part.name == "wasmtime"), "the daemon runs plugins by wasmtime");
    for found in parts.iter().filter_map(Part::compiles) {
        report.add("daemon/linecampd/Cargo.toml", 1, format!("the daemon has {found} in it"));
    }
    report.finish("only linecamp-plugin-compiler compiles; it is a program of its own, and nobody depends on it.");
}

/// If no compiler were seen where one is, the test above would show nothing.
#[test]
fn a_compiler_is_seen_where_there_is_one() {
    let found: Vec<_> = parts_of("linecamp-plugin-compiler").iter().filter_map(Part::compiles).collect();
    for expected in ["cranelift-codegen", "wasmtime-internal-cranelift", "the feature cranelift of wasmtime"] {
        assert!(found.iter().any(|found| found == expected), "{expected} is not among {found:?}");
    }
}

/// Asks cargo, offline, what a package is built of.
fn parts_of(package: &str) -> Vec<Part> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "--package", package, "--target", TARGET])
        .args(["--edges", "normal", "--prefix", "none", "--no-dedupe", "--format", "{p} {f}"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed; build the workspace once, with a network:\n{complaint}");
    let mut parts: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(Part::of).collect();
    parts.sort();
    parts.dedup();
    parts
}
