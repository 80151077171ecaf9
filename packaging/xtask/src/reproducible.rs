//! Reproducible builds: the same commit produces the same bytes on every machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::commands::{program, read, root};

/// The variable that sets the timestamps of a build, in seconds since 1970.
pub(crate) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Returns the timestamp of the build: the last commit's, unless the environment sets another.
pub(crate) fn epoch() -> anyhow::Result<String> {
    if let Ok(epoch) = std::env::var(EPOCH) {
        return Ok(epoch);
    }
    let output = read(program("git", ["log", "-1", "--format=%ct"]));
    let epoch = output.with_context(|| format!("failed to read the time of the last commit from git; set {EPOCH}"))?;
    Ok(epoch.trim().to_owned())
}

/// Configures a reproducible cargo build in `work`, without this machine's paths. `flags` are passed to the compiler.
pub(crate) fn make_reproducible(build: &mut Command, work: &Path, flags: &[String]) -> anyhow::Result<()> {
    // The last matching prefix wins: the build directory may be inside the project's.
    let prefixes = [(root(), "/linecamp"), (cargo_home()?, "/cargo"), (work.to_owned(), "/build")];
    let remap = |(from, to): &(PathBuf, &str)| format!("--remap-path-prefix={}={to}", from.display());
    let flags: Vec<_> = flags.iter().cloned().chain(prefixes.iter().map(remap)).collect();
    build.env("RUSTFLAGS", flags.join(" "));
    // C compilers record source paths, too.
    build.env("CFLAGS", format!("-ffile-prefix-map={}=/linecamp", root().display()));
    build.env("CARGO_TARGET_DIR", work).env(EPOCH, epoch()?);
    Ok(())
}

/// Rejects a file that contains this machine's directories.
pub(crate) fn check_reproducible(path: &Path, work: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    for place in [work.to_owned(), root(), cargo_home()?] {
        let name = place.to_string_lossy();
        if bytes.windows(name.len()).any(|window| window == name.as_bytes()) {
            bail!("{} contains the path {name}, so the build is not reproducible", path.display());
        }
    }
    Ok(())
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    home.map(PathBuf::from).context("neither CARGO_HOME nor HOME is set")
}
