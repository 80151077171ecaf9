//! Running programs, and paths of the workspace.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    // The variable takes precedence: in a build directory shared by several clones, the compiled-in path may be another
    // clone's.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(manifest).ancestors().nth(2).expect("xtask lives two levels below the root").to_owned()
}

/// Returns the directory of the programs of the dev profile: the one this program is in.
pub(crate) fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("failed to determine the path of xtask")?;
    Ok(own.parent().context("the path of xtask has no parent")?.to_owned())
}

/// Variables that `cargo run` sets for xtask. They are removed for nested cargo calls: build scripts that read them
/// would rerun, and everything that depends on them be recompiled, whenever cargo is called alternately by xtask and by
/// hand.
const ABOUT_XTASK: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// Returns a cargo command that runs in the workspace.
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

/// Returns a command that runs in the workspace.
pub(crate) fn program<I: IntoIterator<Item: AsRef<OsStr>>>(name: &str, arguments: I) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    command
}

/// Announces a step, runs its program with inherited output, and prints how long it took.
pub(crate) fn step(what: &str, mut command: Command) -> anyhow::Result<()> {
    say(what);
    let started = Instant::now();
    let status = command.status().with_context(|| format!("failed to start {}", name_of(&command)))?;
    if !status.success() {
        bail!("{what}: {} exited with {status}", name_of(&command));
    }
    say(&format!("{what}: done in {:.1} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Whether a program runs and exits successfully; its output is discarded.
pub(crate) fn succeeds(mut command: Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a program and returns its output.
pub(crate) fn read(mut command: Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {}", name_of(&command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} exited with {}: {}", name_of(&command), output.status, stderr.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed something other than text", name_of(&command)))
}

/// Prints a line of progress.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

fn name_of(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let first = command.get_args().next().map(OsStr::to_string_lossy).unwrap_or_default();
    format!("`{} {first}`", program.rsplit('/').next().unwrap_or(&program))
}
