//! Builds the simulator with all known bugs behind conditions, in a copy of the workspace in the target directory.
//!
//! The copy consists of links to the workspace, except for what differs: the sources of `daemon/core`, which get the
//! edits of the table, and the name of the program, because both builds share one target directory (so libraries of
//! others are compiled once). A file is written only if it changes, so a second build has nothing to do.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::table::{self, Mutant};

/// The variable that names the bug to plant in a run of the mutated simulator.
pub(super) const VARIABLE: &str = "LINECAMP_MUTANT";

/// The name of the mutated simulator.
const PROGRAM: &str = "linecamp-sim-mutants";

/// Appended to the copy of `core`: the conditions of the table call it.
const SWITCH: &str = "
pub(crate) fn is_planted(mutant: &str) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var(\"LINECAMP_MUTANT\").ok()).as_deref() == Some(mutant)
}
";

/// What of the workspace is not linked: the version control's directory and cargo's, and the parents of what differs.
const NOT_LINKED: [&str; 4] = [".git", "target", "daemon", "fleet-sim"];

/// Returns the mutated simulator, built from the current sources.
///
/// # Panics
/// If it cannot be built.
pub(super) fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = target_directory();
        let copy = target.join("mutants");
        fs::create_dir_all(&copy).expect("the target directory is writable");
        // Each test may be a process of its own: one of them builds, the others wait.
        let lock = File::create(target.join("mutants.lock")).expect("the target directory is writable");
        lock.lock().expect("the file can be locked");
        copy_workspace(&copy);
        build(&copy, &target);
        target.join("debug").join(PROGRAM)
    })
}

/// Returns this package's directory.
pub(super) fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
}

/// Returns cargo's target directory, derived from this test's executable.
fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test executable is known");
    own.ancestors().nth(3).expect("the test executable is in target/debug/deps").to_owned()
}

fn build(copy: &Path, target: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        // Cargo set these for this test. A build script that reads them would run again.
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_MANIFEST_") || name_text.starts_with("CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    cargo.args(["build", "--quiet", "--locked", "--offline", "--package", "fleet-sim", "--bin", PROGRAM]);
    cargo.arg("--no-default-features").arg("--target-dir").arg(target).current_dir(copy);
    let output = cargo.output().expect("cargo starts");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "failed to build the mutated simulator:\n{message}");
}

fn copy_workspace(copy: &Path) {
    let package = package();
    let root = package.parent().expect("this package is in the root of the workspace");
    let core = Path::new("daemon/core");
    link_entries(root, copy, &NOT_LINKED);
    link_entries(&root.join("daemon"), &copy.join("daemon"), &["core"]);
    link_entries(&root.join(core), &copy.join(core), &["src"]);
    link_entries(&root.join("fleet-sim"), &copy.join("fleet-sim"), &["Cargo.toml"]);
    let manifest = fs::read_to_string(root.join("fleet-sim/Cargo.toml")).expect("the manifest is readable");
    let renamed = manifest.replace("name = \"linecamp-sim\"", &format!("name = {PROGRAM:?}"));
    assert_ne!(manifest, renamed, "the manifest names the program");
    write(&copy.join("fleet-sim/Cargo.toml"), &renamed);
    copy_sources(&root.join(core).join("src"), &copy.join(core).join("src"), &table::mutants());
}

/// Links the entries of a directory, except some. Links to entries that are gone are removed.
fn link_entries(from: &Path, to: &Path, except: &[&str]) {
    fs::create_dir_all(to).expect("the copy is writable");
    for name in entries(from).iter().filter(|name| !except.iter().any(|except| name.as_os_str() == *except)) {
        let (original, link) = (from.join(name), to.join(name));
        if fs::read_link(&link).ok().as_ref() != Some(&original) {
            remove(&link);
            symlink(&original, &link).expect("the copy is writable");
        }
    }
    for name in entries(to).difference(&entries(from)) {
        remove(&to.join(name));
    }
}

/// Copies the sources of `core`, with the edits of the table.
fn copy_sources(from: &Path, to: &Path, mutants: &[Mutant]) {
    let mut sources = BTreeSet::new();
    list_files(from, Path::new(""), &mut sources);
    for file in table::files(mutants) {
        assert!(sources.contains(file), "mutants.toml names daemon/core/src/{}, which does not exist", file.display());
    }
    for file in &sources {
        let text = fs::read_to_string(from.join(file)).expect("sources are text");
        let mut text = table::mutate(file, &text, mutants).unwrap_or_else(|problem| panic!("{problem}"));
        if file == Path::new("lib.rs") {
            text.push_str(SWITCH);
        }
        write(&to.join(file), &text);
    }
}

fn list_files(root: &Path, directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for name in entries(&root.join(directory)) {
        let path = directory.join(name);
        match root.join(&path).is_dir() {
            true => list_files(root, &path, found),
            false => _ = found.insert(path),
        }
    }
}

fn entries(directory: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(directory).expect("the directory is readable");
    entries.map(|entry| entry.expect("the directory is readable").file_name()).collect()
}

/// Writes a file, unless it has this text already.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return;
    }
    remove(path);
    fs::create_dir_all(path.parent().expect("a file has a parent")).expect("the copy is writable");
    fs::write(path, text).expect("the copy is writable");
}

/// Removes a file or link, if there is one.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        assert_eq!(error.kind(), ErrorKind::NotFound, "failed to remove {}: {error}", path.display());
    }
}
