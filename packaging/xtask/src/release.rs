//! Release builds: the one way to build the released programs, for packages, for tests of them, and for benchmarks.
//!
//! They are static. Rust brings its own musl and its own linker; C (SQLite, ring) is compiled by Zig, which includes
//! the headers of every target. Each program is built alone with the features it needs: cargo unifies the features of
//! packages built together, which would add the plugin compiler to the daemon. Everything is in `target/dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::arguments::Arch;
use crate::commands::{cargo, root, step};
use crate::reproducible::{check_reproducible, make_reproducible};
use crate::toolchain::{add_target, c_compiler, target_directory};

/// Packages built together, and their profile: for size, or for speed, since the server serves thousands of sites on
/// one machine.
const BUILDS: [(&str, &[&str]); 3] = [
    ("release", &["linecampd"]),
    ("release", &["linecamp-plugin-compiler", "linecamp"]),
    ("server", &["linecamp-server"]),
];

/// Links with what the compiler includes: a C library of one version on every machine, whose allocator returns memory.
/// The other options reduce size: packed relocations, and identical functions merged.
const LINK: [&str; 5] = [
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Clink-self-contained=yes",
    "-Clink-arg=--pack-dyn-relocs=relr",
    "-Clink-arg=--icf=all",
];

/// The profile whose programs abort on a panic.
const ABORTING_PROFILE: &str = "release";

/// The linker script that places rarely used code last, so that less of a program is resident in memory.
const COLD_CODE_SCRIPT: &str = "packaging/link/seldom.ld";

/// The linker script that leaves out what unwinding needs, for programs that abort on a panic.
const NO_UNWIND_SCRIPT: &str = "packaging/link/no-unwind.ld";

/// Returns the directory of all release builds.
pub(crate) fn work() -> anyhow::Result<PathBuf> {
    Ok(target_directory()?.join("dist"))
}

/// Builds the programs of one architecture and returns them.
pub(crate) fn programs(arch: Arch) -> anyhow::Result<Vec<PathBuf>> {
    BUILDS
        .iter()
        .map(|(profile, packages)| build(arch, profile, packages))
        .collect::<Result<Vec<_>, _>>()
        .map(|all| all.concat())
}

/// Builds one program of this machine's architecture and returns it.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let (profile, packages) = BUILDS
        .iter()
        .find(|(_, packages)| packages.contains(&name))
        .with_context(|| format!("{name} is not a released program"))?;
    let built = build(Arch::native()?, profile, packages)?;
    built.into_iter().find(|path| path.ends_with(name)).with_context(|| format!("{name} was not built"))
}

/// Configures `cargo` for a release build of one architecture with this profile.
pub(crate) fn as_released(cargo: &mut Command, arch: Arch, profile: &str) -> anyhow::Result<()> {
    let target = arch.target();
    add_target(target)?;
    let compiler = c_compiler(target)?;
    let suffix = target.replace('-', "_");
    cargo
        .args(["--target", target])
        .env(format!("CC_{suffix}"), &compiler.cc)
        .env(format!("AR_{suffix}"), &compiler.ar);
    let script = |path: &str| format!("-Clink-arg=-T{}", root().join(path).display());
    let mut flags: Vec<String> = LINK.map(String::from).into();
    flags.push(script(COLD_CODE_SCRIPT));
    if profile == ABORTING_PROFILE {
        flags.extend([script(NO_UNWIND_SCRIPT), "-Clink-arg=--no-eh-frame-hdr".to_owned()]);
    }
    make_reproducible(cargo, &work()?, &flags)
}

fn build(arch: Arch, profile: &str, packages: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut build = cargo(["build", "--locked", "--profile", profile]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    as_released(&mut build, arch, profile)?;
    step(&format!("building {} for {}", packages.join(", "), arch.target()), build)?;
    let work = work()?;
    let built: Vec<_> = packages.iter().map(|package| work.join(arch.target()).join(profile).join(package)).collect();
    built.iter().try_for_each(|path| check_reproducible(path, &work))?;
    built.iter().filter(|path| path.ends_with("linecampd")).try_for_each(|path| check_no_compiler(path))?;
    Ok(built)
}

/// Rejects a daemon that contains the plugin compiler.
fn check_no_compiler(daemon: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(daemon).with_context(|| format!("failed to read {}", daemon.display()))?;
    let compiler = b"cranelift-codegen";
    if bytes.windows(compiler.len()).any(|window| window == compiler) {
        bail!("{} contains the plugin compiler", daemon.display());
    }
    Ok(())
}
