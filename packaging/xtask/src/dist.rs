//! `cargo xtask dist`: builds the release with one command.
//!
//! The release has static programs for each architecture, packages of both kinds, an SBOM of each program, and the
//! checksums of all files. Builds are reproducible: paths are rewritten as if the project were in `/linecamp`,
//! timestamps are the commit's, and the C library and the compiler have pinned versions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::arguments::{Arch, DistOptions};
use crate::commands::{program, read, say, step};
use crate::package::{self, PLUGINS, PROGRAMS, Stage};
use crate::reproducible::check_reproducible;
use crate::toolchain::{EMULATOR, add_emulator, add_lintian};
use crate::{plugins, release, sbom};

/// The command that tests whether a program starts. The plugin compiler has none: its only input is a component.
const VERSION_COMMANDS: [(&str, &str); 3] =
    [("linecampd", "version"), ("linecamp-server", "version"), ("linecamp", "--version")];

/// Builds everything.
pub(crate) fn run(options: &DistOptions) -> anyhow::Result<()> {
    let work = release::work()?;
    let out = options.out.clone().unwrap_or_else(|| work.join("packages"));
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("failed to empty {}", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("failed to create {}", out.display()))?;
    let out = out.canonicalize().context("failed to resolve the package directory")?;
    let archs = options.arch.map_or_else(|| Arch::ALL.to_vec(), |arch| vec![arch]);

    let pages = work.join("pages");
    package::write_pages(&pages)?;
    let components = plugins::build_for_release(&PLUGINS, &work)?;
    for plugin in PLUGINS {
        check_reproducible(&components.join(plugins::file(plugin)), &work)?;
    }
    let stage = Stage::new(work.join("stage"))?;
    for arch in &archs {
        let programs = release::programs(*arch)?;
        start(*arch, &programs)?;
        stage.put(arch.target(), &programs, &pages, &components)?;
    }
    let mut sites = Vec::new();
    for arch in &archs {
        sites.push(stage.daemon_deb(arch.target(), &out)?);
    }
    for arch in &archs {
        stage.debs(arch.target(), &sites, &out)?;
        stage.rpms(arch.target(), &out)?;
        for package in PROGRAMS {
            let parts = sbom::of(package, arch.target())?;
            let path = out.join(format!("{package}_{}_{}.cdx.json", env!("CARGO_PKG_VERSION"), arch.name()));
            fs::write(&path, parts).with_context(|| format!("failed to write {}", path.display()))?;
        }
    }
    check(&out)?;
    finish(&out)
}

/// Runs `lintian`.
fn check(out: &Path) -> anyhow::Result<()> {
    add_lintian()?;
    let mut check = program("sh", ["-c", "lintian --allow-root --fail-on error \"$0\"/*.deb"]);
    check.arg(out);
    step("checking the packages", check)
}

/// Starts the built programs, under an emulator if they are for another architecture.
fn start(arch: Arch, programs: &[PathBuf]) -> anyhow::Result<()> {
    let is_native = arch.target().starts_with(std::env::consts::ARCH);
    if !is_native {
        add_emulator()?;
    }
    for path in programs {
        let name = path.file_name().context("a program has a name")?.to_string_lossy().into_owned();
        let Some((_, argument)) = VERSION_COMMANDS.iter().find(|(program, _)| *program == name) else { continue };
        let path = path.to_string_lossy();
        let command = if is_native { program(&path, [argument]) } else { program(EMULATOR, [&*path, argument]) };
        say(&format!("{}: {}", arch.target(), read(command)?.trim()));
    }
    Ok(())
}

/// Writes the checksums, and prints the files and their sizes.
fn finish(out: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(out).with_context(|| format!("failed to list {}", out.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut sums = program("sha256sum", &names);
    sums.current_dir(out);
    fs::write(out.join("SHA256SUMS"), read(sums)?).context("failed to write the checksums")?;
    for name in &names {
        let bytes = fs::metadata(out.join(name))?.len();
        say(&format!("{:>9.1} KB  {name}", bytes as f64 / 1000.0));
    }
    say(&format!("release written to {}", out.display()));
    Ok(())
}
