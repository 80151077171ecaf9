//! `cargo xtask bench`: builds the released programs and runs the bench program on them.
//!
//! The documents quote numbers of released programs. To measure plugins, the bench program itself is built like the
//! daemon, because it loads and calls them with the daemon's own code. It finds the rest through
//! `LINECAMP_BENCH_SERVER`, `LINECAMP_BENCH_DAEMON`, `LINECAMP_BENCH_COMPILER` and `LINECAMP_PLUGINS`.

use crate::arguments::Arch;
use crate::commands::{cargo, step};
use crate::{plugins, release, toolchain};

/// Benchmarks the link, compared with two brokers.
pub(crate) fn link(passed_on: &[String]) -> anyhow::Result<()> {
    toolchain::add_brokers();
    of_released_programs("link", passed_on)
}

/// Benchmarks a server with a large fleet.
pub(crate) fn server(passed_on: &[String]) -> anyhow::Result<()> {
    of_released_programs("server", passed_on)
}

/// Runs benchmarks that need no plugins.
fn of_released_programs(what: &str, passed_on: &[String]) -> anyhow::Result<()> {
    let (daemon, server) = (release::program("linecampd")?, release::program("linecamp-server")?);
    // Without the plugin benchmarks: they would compile a WebAssembly runtime once more.
    let arguments = ["run", "--profile", "server", "--package", "linecamp-bench", "--no-default-features", "--", what];
    let mut bench = cargo(arguments);
    bench.args(passed_on).env("LINECAMP_BENCH_DAEMON", daemon).env("LINECAMP_BENCH_SERVER", server);
    step(&format!("benchmarking the {what}"), bench)
}

/// Benchmarks plugins, and a daemon that runs some.
pub(crate) fn plugins(passed_on: &[String]) -> anyhow::Result<()> {
    let plugins = plugins::build()?;
    let (daemon, server) = (release::program("linecampd")?, release::program("linecamp-server")?);
    let compiler = release::program("linecamp-plugin-compiler")?;
    let mut bench = cargo(["run", "--release", "--package", "linecamp-bench"]);
    release::as_released(&mut bench, Arch::native()?, "release")?;
    bench.args(["--", "plugins"]).args(passed_on);
    bench.env("LINECAMP_BENCH_DAEMON", daemon).env("LINECAMP_BENCH_SERVER", server);
    bench.env("LINECAMP_BENCH_COMPILER", compiler);
    bench.env(plugins::VARIABLE, plugins);
    step("benchmarking plugins", bench)
}
