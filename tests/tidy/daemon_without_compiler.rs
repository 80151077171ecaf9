//! The resident daemon contains no compiler: one takes megabytes of memory, and its input would be untrusted programs.
//!
//! The test asks cargo what it would build for the daemon alone, static, as released. In a build of several packages
//! cargo unifies their features, so the daemon and the compiling program are built separately.

use std::process::Command;

use crate::report::Report;
use crate::tree::root;

/// Crates that compile WebAssembly to native code, by the prefix of their names. The other cranelift crates are plain
/// data structures, which the runtime shares.
const COMPILERS: [&str; 5] =
    ["cranelift-codegen", "cranelift-frontend", "wasmtime-internal-cranelift", "wasmtime-internal-winch", "winch"];

/// Features of wasmtime that add a compiler.
const FEATURES: [&str; 5] = ["all-arch", "compile", "cranelift", "default", "winch"];

/// The released target.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// A crate in a package's dependency tree.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    name: String,
    features: Vec<String>,
}

impl Part {
    /// Parses a line of `NAME VERSION FEATURE,FEATURE`.
    fn of(line: &str) -> Self {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let features = words.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
        Self { name, features }
    }

    /// Returns why it is a compiler or includes one; `None` if it does not.
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
    report.finish("only linecamp-plugin-compiler compiles; it is a separate program, and no package depends on it.");
}

/// If a compiler were not detected where there is one, the test above would prove nothing.
#[test]
fn a_compiler_is_seen_where_there_is_one() {
    let found: Vec<_> = parts_of("linecamp-plugin-compiler").iter().filter_map(Part::compiles).collect();
    for expected in ["cranelift-codegen", "wasmtime-internal-cranelift", "the feature cranelift of wasmtime"] {
        assert!(found.iter().any(|found| found == expected), "{expected} is not among {found:?}");
    }
}

/// Asks cargo, offline, for a package's dependency tree.
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
