//! Running one program to its end, and where things are.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    // The variable first: a build directory that several clones share may hold another clone's xtask.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(manifest).ancestors().nth(2).expect("xtask lives two levels below the root").to_owned()
}

/// Returns where cargo puts the programs of the dev profile: where this one stands.
pub(crate) fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find xtask's own path")?;
    Ok(own.parent().context("xtask's own path has no parent")?.to_owned())
}

/// What `cargo run` tells xtask about xtask. A cargo below it must not hear it: build scripts that look at such
/// variables would run again, and all that depends on them be compiled again, whenever cargo is called now by xtask,
/// now by hand.
const ABOUT_XTASK: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// A call of cargo in the workspace, to be completed.
pub(crate) fn cargo<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if ABOUT_XTASK.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.args(arguments).current_dir(root());
    command
}

/// Another program in the workspace, to be completed.
pub(crate) fn program<I: IntoIterator<Item: AsRef<OsStr>>>(name: &str, arguments: I) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    command
}

/// Says what is about to happen, lets the program speak for itself, and says how long it took.
pub(crate) fn step(what: &str, mut command: Command) -> anyhow::Result<()> {
    say(what);
    let started = Instant::now();
    let status = command.status().with_context(|| format!("failed to start {}", name_of(&command)))?;
    if !status.success() {
        bail!("{what}: {} ended with {status}", name_of(&command));
    }
    say(&format!("{what}: done in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Whether a program can be run and says yes; what it prints is dropped.
pub(crate) fn succeeds(mut command: Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn read(mut command: Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {}", name_of(&command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", name_of(&command), output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed something other than text", name_of(&command)))
}

/// A line of progress.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

fn name_of(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let first = command.get_args().next().map(OsStr::to_string_lossy).unwrap_or_default();
    format!("`{} {first}`", program.rsplit('/').next().unwrap_or(&program))
}
