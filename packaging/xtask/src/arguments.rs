//! Command-line parsing, by hand: five verbs do not justify compiling a parser first.

use std::path::PathBuf;

use anyhow::Context;

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
Usage: cargo xtask COMMAND

  dev [--sites N] [--keep DIR]   Build everything, start a server, an in-memory DNS zone and N sites (default 1), print
                                 what to try, and run until Ctrl-C; --keep stores the data in DIR and reuses it
  test [--all] [--strict] [-- ARGS]
                                 Install what the tests need and run the fast tier, which runs every test once; ARGS are
                                 passed to `cargo nextest run`. --all also runs the slow tier: the end-to-end tests
                                 against released programs, and a simulator search with new seeds. --strict fails the
                                 run if a test is skipped that tests/may-skip.toml does not list
  bench [link] [-- ARGS]         Build the release profiles and benchmark the link
  bench server [-- ARGS]         Benchmark a server with a large fleet
  bench plugins [-- ARGS]        Benchmark plugins, and a daemon that runs some
  bench sim                      Benchmark the simulator
  sim [ARGS]                     Build the optimized simulator and run every scenario, or what ARGS select
  dist [--arch amd64|arm64] [--out DIR]
                                 Build the release: programs, packages, SBOMs and checksums in DIR (default:
                                 target/dist/packages), for both architectures unless --arch selects one";

/// The most sites `dev` starts: each is a process, and a developer's machine is small.
const SITES_MAX: u32 = 50;

/// A parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Dev(DevOptions),
    Test(TestOptions),
    Bench { passed_on: Vec<String> },
    BenchServer { passed_on: Vec<String> },
    BenchPlugins { passed_on: Vec<String> },
    BenchSim,
    Sim { passed_on: Vec<String> },
    Dist(DistOptions),
}

/// Options of `test`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Whether to run the slow tier, too.
    pub(crate) is_all: bool,
    /// Whether a skipped test fails the run.
    pub(crate) is_strict: bool,
    /// Arguments for the test runner; without any, everything runs.
    pub(crate) passed_on: Vec<String>,
}

/// Options of `dev`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DevOptions {
    /// The number of sites: `camp-001` and on.
    pub(crate) sites: u32,
    /// Where to keep their data; by default a temporary directory.
    pub(crate) keep: Option<PathBuf>,
}

/// Options of `dist`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DistOptions {
    /// The architecture to build; by default all.
    pub(crate) arch: Option<Arch>,
    /// The output directory of the packages; by default below cargo's target directory.
    pub(crate) out: Option<PathBuf>,
}

/// Architectures of the packages, by Debian's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Returns this machine's architecture.
    pub(crate) fn native() -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|arch| arch.target().starts_with(std::env::consts::ARCH));
        found.with_context(|| format!("no release for architecture {}", std::env::consts::ARCH))
    }

    /// Returns its name in Debian.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns the Rust target of its static programs.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }
}

impl DistOptions {
    fn parse(arguments: Vec<String>) -> Result<Self, Usage> {
        let mut options = Self { arch: None, out: None };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| Usage(format!("{name} requires a value")));
            match name.as_str() {
                "--arch" => {
                    let text = value()?;
                    let found = Arch::ALL.into_iter().find(|arch| arch.name() == text);
                    let unknown = || Usage(format!("--arch: unknown architecture `{text}`; use amd64 or arm64"));
                    options.arch = Some(found.ok_or_else(unknown)?);
                }
                "--out" => options.out = Some(value()?.into()),
                _ => return Err(Usage(format!("dist: unknown argument `{name}`"))),
            }
        }
        Ok(options)
    }
}

/// Why a command line is invalid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) String);

impl Task {
    /// Parses the arguments after `cargo xtask`.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Usage> {
        let mut arguments = arguments.into_iter();
        let verb = arguments.next().ok_or_else(|| Usage("missing command".into()))?;
        let rest: Vec<String> = arguments.collect();
        match verb.as_str() {
            "help" | "-h" | "--help" => Ok(Self::Help),
            "dev" => DevOptions::parse(rest).map(Self::Dev),
            "test" => TestOptions::parse(rest).map(Self::Test),
            "bench" => bench(rest),
            "sim" => Ok(Self::Sim { passed_on: passed_on(rest) }),
            "dist" => DistOptions::parse(rest).map(Self::Dist),
            _ => Err(Usage(format!("unknown command `{verb}`"))),
        }
    }
}

impl TestOptions {
    fn parse(mut rest: Vec<String>) -> Result<Self, Usage> {
        let mut options = Self { is_all: false, is_strict: false, passed_on: Vec::new() };
        while let Some(flag) = rest.first() {
            match flag.as_str() {
                "--all" => options.is_all = true,
                "--strict" => options.is_strict = true,
                _ => break,
            }
            rest.remove(0);
        }
        options.passed_on = passed_on(rest);
        if options.is_all && !options.passed_on.is_empty() {
            return Err(Usage("test: --all runs everything and accepts no arguments for `cargo nextest run`".into()));
        }
        Ok(options)
    }
}

impl DevOptions {
    fn parse(arguments: Vec<String>) -> Result<Self, Usage> {
        let mut options = Self { sites: 1, keep: None };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| Usage(format!("{name} requires a value")));
            match name.as_str() {
                "--sites" => {
                    let text = value()?;
                    let sites = text.parse().ok().filter(|sites| *sites <= SITES_MAX);
                    options.sites = sites
                        .ok_or_else(|| Usage(format!("--sites: `{text}` is not a number from 0 to {SITES_MAX}")))?;
                }
                "--keep" => options.keep = Some(value()?.into()),
                _ => return Err(Usage(format!("dev: unknown argument `{name}`"))),
            }
        }
        Ok(options)
    }
}

/// The first argument names the benchmark; the default is `link`.
fn bench(mut rest: Vec<String>) -> Result<Task, Usage> {
    let what = match rest.first().map(String::as_str) {
        Some("--") | None => "link".to_owned(),
        Some(_) => rest.remove(0),
    };
    match what.as_str() {
        "link" => Ok(Task::Bench { passed_on: passed_on(rest) }),
        "server" => Ok(Task::BenchServer { passed_on: passed_on(rest) }),
        "plugins" => Ok(Task::BenchPlugins { passed_on: passed_on(rest) }),
        "sim" => Ok(Task::BenchSim),
        other => Err(Usage(format!("bench: unknown benchmark `{other}`; use link, server, plugins or sim"))),
    }
}

fn passed_on(mut rest: Vec<String>) -> Vec<String> {
    if rest.first().is_some_and(|first| first == "--") {
        rest.remove(0);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<Task, &str>) {
        let parsed = Task::parse(line.split_whitespace().map(String::from));
        assert_eq!(parsed, expected.map_err(|problem| Usage(problem.into())), "{line}");
    }

    #[test]
    fn a_command_line_is_parsed_or_rejected_with_the_reason() {
        let dev = |sites, keep: Option<&str>| Ok(Task::Dev(DevOptions { sites, keep: keep.map(PathBuf::from) }));
        let passed_on = || vec!["-E".to_owned(), "x".to_owned()];
        check("dev", dev(1, None));
        check("dev --sites 3 --keep d", dev(3, Some("d")));
        let test = |is_strict, passed_on| Ok(Task::Test(TestOptions { is_all: false, is_strict, passed_on }));
        let all = |is_strict| Ok(Task::Test(TestOptions { is_all: true, is_strict, passed_on: vec![] }));
        check("test --all", all(false));
        check("test --strict --all", all(true));
        check(
            "test --all -- -E x",
            Err("test: --all runs everything and accepts no arguments for `cargo nextest run`"),
        );
        check("test -- -E x", test(false, passed_on()));
        check("test --strict", test(true, vec![]));
        check("test --strict -- -E x", test(true, passed_on()));
        check("bench link -- -E x", Ok(Task::Bench { passed_on: passed_on() }));
        check("bench -- -E x", Ok(Task::Bench { passed_on: passed_on() }));
        check("sim", Ok(Task::Sim { passed_on: vec![] }));
        check("sim run smoke", Ok(Task::Sim { passed_on: vec!["run".into(), "smoke".into()] }));
        check("bench sim", Ok(Task::BenchSim));
        check("bench server -- -E x", Ok(Task::BenchServer { passed_on: passed_on() }));
        check("bench plugins -- -E x", Ok(Task::BenchPlugins { passed_on: passed_on() }));
        let dist = |arch, out: Option<&str>| Ok(Task::Dist(DistOptions { arch, out: out.map(PathBuf::from) }));
        check("dist", dist(None, None));
        check("dist --arch arm64 --out d", dist(Some(Arch::Arm64), Some("d")));
        check("dist --arch sparc", Err("--arch: unknown architecture `sparc`; use amd64 or arm64"));
        check("", Err("missing command"));
        check("tset", Err("unknown command `tset`"));
        check("dev --sites", Err("--sites requires a value"));
        check("dev --sites 51", Err("--sites: `51` is not a number from 0 to 50"));
        check("bench disk", Err("bench: unknown benchmark `disk`; use link, server, plugins or sim"));
    }
}
