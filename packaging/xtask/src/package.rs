//! Packaging of built programs, as Debian packages and as RPMs.
//!
//! The contents of a package are defined in its program's `Cargo.toml`, which the tools read. They find all files in
//! one directory, the stage, which has the layout of cargo's target directory:
//!
//! ```text
//! STAGE/TARGET/release/linecampd            the programs
//! STAGE/TARGET/release/package/pages/…      manual pages and completions, as a test of each program writes them
//! STAGE/TARGET/release/package/{systemd,config,monitoring}/ units, configuration, dashboard and alert rules
//! STAGE/TARGET/release/package/plugins/     the providers
//! STAGE/TARGET/release/package/site/        the daemon's packages, which the server serves to new sites
//! STAGE/TARGET/release/package/changelog.gz in Debian's format
//! ```
//!
//! Packages are reproducible: all timestamps in them are the last commit's.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::commands::{cargo, program, read, root, step};
use crate::plugins::file;
use crate::reproducible::{EPOCH, epoch};
use crate::toolchain::cargo_tool;

/// The packaging tools, with pinned versions.
const CARGO_DEB: &str = "3.8.0";
const CARGO_GENERATE_RPM: &str = "0.21.1";

/// The variable with the directory for a program's manual pages.
const PAGES: &str = "LINECAMP_PAGES";

/// The version that upgrade tests start from. The programs in it are the same: the tests are about the packages.
const PREVIOUS: &str = "0.0.9";

/// The test of each program that writes its pages.
const PAGES_TEST: &str = "every_command_has_a_man_page";

/// The packaged providers.
pub(crate) const PLUGINS: [&str; 3] = ["dns-powerdns", "dns-rfc2136", "dns-route53"];

/// The recipe of each package.
const DAEMON: Recipe = Recipe { folder: "daemon/linecampd", package: "linecampd", variant: None };
const SERVER: Recipe = Recipe { folder: "daemon/server", package: "linecamp-server", variant: None };
const CLI: Recipe = Recipe { folder: "daemon/cli", package: "linecamp", variant: None };
const PROVIDERS: Recipe = Recipe { folder: "daemon/cli", package: "linecamp", variant: Some("plugins") };

/// The packaged programs.
pub(crate) const PROGRAMS: [&str; 4] = ["linecampd", "linecamp-plugin-compiler", "linecamp-server", "linecamp"];

/// The sources of one package.
#[derive(Clone, Copy, Debug)]
struct Recipe {
    folder: &'static str,
    package: &'static str,
    variant: Option<&'static str>,
}

/// The directory in which packages are prepared, and their version.
#[derive(Debug)]
pub(crate) struct Stage {
    directory: PathBuf,
    version: String,
    epoch: String,
    is_for_tests: bool,
}

impl Stage {
    /// Creates an empty stage in `directory`, for released packages.
    pub(crate) fn new(directory: PathBuf) -> anyhow::Result<Self> {
        Self::with_version(directory, env!("CARGO_PKG_VERSION"))
    }

    /// Creates a stage for test packages of any version, which are built quickly.
    fn for_tests(directory: PathBuf, version: &str) -> anyhow::Result<Self> {
        Ok(Self { is_for_tests: true, ..Self::with_version(directory, version)? })
    }

    fn with_version(directory: PathBuf, version: &str) -> anyhow::Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("failed to empty {}", directory.display()))?;
        }
        Ok(Self { directory, version: version.to_owned(), epoch: epoch()?, is_for_tests: false })
    }

    /// Copies the programs of one target to the stage, with all files that go with them.
    pub(crate) fn put(&self, target: &str, programs: &[PathBuf], pages: &Path, plugins: &Path) -> anyhow::Result<()> {
        let extra = self.extra(target);
        for directory in ["plugins", "site"] {
            let directory = extra.join(directory);
            fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
        }
        for path in programs {
            copy(path, &self.release(target).join(path.file_name().context("a program has a name")?))?;
        }
        for plugin in PLUGINS.map(file) {
            copy(&plugins.join(&plugin), &extra.join("plugins").join(&plugin))?;
        }
        // Including the project's own files: packages use file times, up to the last commit's time.
        let own = ["systemd", "config", "monitoring"].map(|name| root().join("packaging").join(name));
        for from in [pages.to_owned()].iter().chain(&own) {
            let copied = read(program("cp", ["-r".as_ref(), from.as_os_str(), extra.as_os_str()]));
            copied.with_context(|| format!("failed to copy {} to the staging directory", from.display()))?;
        }
        let path = extra.join("changelog");
        fs::write(&path, changelog(&self.version, &self.epoch)?).context("failed to write the changelog")?;
        // `-n` leaves out the name and time.
        read(program("gzip", ["-9nf".as_ref(), path.as_os_str()])).map(drop)
    }

    /// Builds the daemon's Debian package for `target`. Do so for all targets before [`debs`](Self::debs).
    pub(crate) fn daemon_deb(&self, target: &str, out: &Path) -> anyhow::Result<PathBuf> {
        self.deb(DAEMON, target, out)
    }

    /// Builds the other Debian packages for `target`; the server's includes `sites`, the daemon's packages.
    pub(crate) fn debs(&self, target: &str, sites: &[PathBuf], out: &Path) -> anyhow::Result<()> {
        self.add_site_packages(target, sites)?;
        for recipe in [SERVER, CLI, PROVIDERS] {
            self.deb(recipe, target, out)?;
        }
        Ok(())
    }

    /// Builds all RPM packages for `target`.
    pub(crate) fn rpms(&self, target: &str, out: &Path) -> anyhow::Result<()> {
        [DAEMON, SERVER, CLI, PROVIDERS].into_iter().try_for_each(|recipe| self.rpm(recipe, target, out))
    }

    fn rpm(&self, recipe: Recipe, target: &str, out: &Path) -> anyhow::Result<()> {
        let tool = cargo_tool("cargo-generate-rpm", CARGO_GENERATE_RPM)?;
        let mut make = self.tool(&tool);
        make.args(["--package", recipe.folder, "--target", target]);
        make.args(["--payload-compress", if self.is_for_tests { "none" } else { "zstd" }]);
        make.arg("--target-dir").arg(&self.directory).arg("--output").arg(out);
        make.args(recipe.variant.iter().flat_map(|variant| ["--variant", variant]));
        make.args(["--source-date", &self.epoch, "--set-metadata", &format!("version = \"{}\"", self.version)]);
        step(&format!("building the .rpm of {} for {target}", recipe.name()), make)
    }

    fn add_site_packages(&self, target: &str, sites: &[PathBuf]) -> anyhow::Result<()> {
        let site = self.extra(target).join("site");
        sites.iter().try_for_each(|deb| copy(deb, &site.join(deb.file_name().context("a package has a name")?)))
    }

    fn deb(&self, recipe: Recipe, target: &str, out: &Path) -> anyhow::Result<PathBuf> {
        let tool = cargo_tool("cargo-deb", CARGO_DEB)?;
        let mut make = self.tool(&tool);
        // A cargo subcommand gets its own name as its first argument.
        make.args(["--package", recipe.package, "--target", target, "--no-build", "--no-strip", "--quiet"]);
        make.args(["--deb-version", &self.version]).arg("--output").arg(out);
        make.args(self.is_for_tests.then_some("--fast"));
        make.args(recipe.variant.iter().flat_map(|variant| ["--variant", variant]));
        make.env("CARGO_TARGET_DIR", &self.directory);
        step(&format!("building the .deb of {} for {target}", recipe.name()), make)?;
        let arch = if target.starts_with("aarch64") { "arm64" } else { "amd64" };
        let deb = out.join(format!("{}_{}_{arch}.deb", recipe.name(), self.version));
        if !deb.exists() {
            bail!("cargo-deb did not create {}", deb.display());
        }
        Ok(deb)
    }

    fn tool(&self, tool: &Path) -> Command {
        let mut command = program(&tool.to_string_lossy(), [""; 0]);
        command.env(EPOCH, &self.epoch);
        command
    }

    fn release(&self, target: &str) -> PathBuf {
        self.directory.join(target).join("release")
    }

    fn extra(&self, target: &str) -> PathBuf {
        self.release(target).join("package")
    }
}

impl Recipe {
    fn name(&self) -> String {
        self.variant.map_or_else(|| self.package.to_owned(), |variant| format!("{}-{variant}", self.package))
    }
}

/// Copies each program in `binaries` to `work` without debug information, which is nine tenths of it.
pub(crate) fn stripped(binaries: &Path, work: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let directory = work.join("programs");
    fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
    let strip = |name: &&str| {
        let to = directory.join(name);
        let arguments = ["-o".as_ref(), to.as_os_str(), binaries.join(name).as_os_str()].map(OsStr::to_owned);
        step(&format!("stripping {name}"), program("strip", arguments)).map(|()| to)
    };
    PROGRAMS.iter().map(strip).collect()
}

/// Builds test packages of `programs`, which are for `target`: of the workspace's version in `WORK/current/`, and the
/// daemon's of an older version in `WORK/previous/`.
pub(crate) fn for_tests(programs: &[PathBuf], target: &str, plugins: &Path, work: &Path) -> anyhow::Result<()> {
    let pages = work.join("pages");
    write_pages(&pages)?;
    for (directory, version) in [("previous", PREVIOUS), ("current", env!("CARGO_PKG_VERSION"))] {
        let out = work.join(directory);
        fs::create_dir_all(&out).with_context(|| format!("failed to create {}", out.display()))?;
        let stage = Stage::for_tests(work.join("stage"), version)?;
        stage.put(target, programs, &pages, plugins)?;
        let daemon = stage.daemon_deb(target, &out)?;
        if version == PREVIOUS {
            stage.rpm(DAEMON, target, &out)?;
        } else {
            stage.debs(target, &[daemon], &out)?;
            stage.rpms(target, &out)?;
        }
    }
    Ok(())
}

/// Writes the manual pages and completions of all programs to `directory`.
pub(crate) fn write_pages(directory: &Path) -> anyhow::Result<()> {
    // Remove the pages of deleted commands.
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("failed to empty {}", directory.display()))?;
    }
    let mut test = cargo(["test", "--quiet", "--locked", "--workspace", "--bins", PAGES_TEST]);
    test.env(PAGES, directory);
    step("writing manual pages and completions", test)?;
    // Compressed without name and time, as packages require.
    let script = "find \"$0\" -name '*.1' -exec gzip -9nf {} +";
    read(program("sh", ["-c".as_ref(), script.as_ref(), directory.as_os_str()])).map(drop)
}

/// Returns Debian's changelog, with the version and the contact; the changes are in the project's own.
fn changelog(version: &str, epoch: &str) -> anyhow::Result<String> {
    let date = read(program("date", ["-R", "-u", "-d", &format!("@{epoch}")]))?;
    let maintainer = "Linecamp maintainers <maintainers@linecamp.example>";
    Ok(format!(
        "linecamp ({version}) unstable; urgency=medium\n\n  * Release {version}.\n\n -- {maintainer}  {}\n",
        date.trim()
    ))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = fs::copy(from, to);
    copied.map(drop).with_context(|| format!("failed to copy {} to {}", from.display(), to.display()))
}
