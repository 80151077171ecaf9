//! `linecamp-bench`: measures what the link and plugins cost, and compares it with their budgets.
//!
//! `linecamp-bench link` measures the real server, the real daemon, and thousands of real site state machines over the
//! real transport, on this machine's loopback. `linecamp-bench server` measures the real server with a large fleet.
//! `linecamp-bench plugins` measures the shipped plugins in the real host. Each prints one table and writes it to
//! `target/bench` as JSON. No timing fails the bench: a missed budget is `MISSED` in the table, and a person judges it
//! with the load in mind. Servers run on core 0 and clients on core 1 where possible; timed bursts run under SCHED_FIFO
//! where allowed.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | everything was measured, `MISSED` or not |
//! | 1 | something could not be measured; the last lines state what and why |
//! | 2 | bad arguments |

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "output is for the person who runs it")]

mod admission;
mod api_client;
mod bench_site;
mod brokers;
mod counting_relay;
mod crypto;
mod daemon;
mod fanout;
mod label_latency;
mod large_fleet;
mod load_generator;
mod machine;
mod memory;
mod numbers;
mod paths;
#[cfg(feature = "plugins")]
mod plugins;
mod progress;
mod results;
mod serve_bare;
mod serve_fleet;
mod server_process;
mod site_disk;
mod store;
mod storm;
mod streams;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::paths::Bench;
use crate::results::Table;

/// Run benchmarks
#[derive(Debug, Parser)]
#[command(name = "linecamp-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the link between sites and their server
    Link {
        /// Run with few sites, only to check that the benchmarks work
        #[arg(long)]
        quick: bool,
        /// Run only this measurement; repeatable
        #[arg(long, value_name = "NAME")]
        only: Vec<Line>,
    },
    /// Measure a server with a large fleet
    Server {
        /// Run with few sites, only to check that the benchmark works
        #[arg(long)]
        quick: bool,
    },
    /// Measure plugins, and a daemon with plugins
    #[cfg(feature = "plugins")]
    Plugins {
        /// Run with few calls, only to check that the benchmarks work
        #[arg(long)]
        quick: bool,
        /// Run only this measurement; repeatable
        #[arg(long, value_name = "NAME")]
        only: Vec<PluginLine>,
    },
    /// Run an accept loop that answers one frame, as the baseline of the server
    #[command(hide = true)]
    ServeBare {
        /// Directory of the certificate authority
        #[arg(long)]
        ca: PathBuf,
    },
    /// Run the server's state machine, store and listener without HTTP, controlled by stdin
    #[command(hide = true)]
    ServeFleet {
        /// Empty data directory
        #[arg(long)]
        data: PathBuf,
    },
}

/// Measurements of the link that can be selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Line {
    Memory,
    Admission,
    Label,
    Fanout,
    Storm,
    Daemon,
    Store,
}

/// Measurements of a server with a large fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ServerLine {
    Fleet,
}

/// Measurements of plugins that can be selected.
#[cfg(feature = "plugins")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PluginLine {
    Size,
    Call,
    Alternatives,
    Resident,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Link { quick, only } => link(quick, &only),
        Command::Server { quick } => server(quick),
        #[cfg(feature = "plugins")]
        Command::Plugins { quick, only } => plugins(quick, &only),
        Command::ServeBare { ca } => serve_bare::run(&ca).map(|()| true),
        Command::ServeFleet { data } => serve_fleet::run(&data).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("linecamp-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the selected measurements of the link. Returns whether all of them succeeded.
fn link(is_quick: bool, only: &[Line]) -> anyhow::Result<bool> {
    let bench = Bench::prepare(is_quick)?;
    let mut run = Run::begin("link", &bench);
    for line in Line::value_variants() {
        if only.is_empty() || only.contains(line) {
            run.measure(line, async |table| line.measure(&bench, table).await)?;
        }
    }
    run.end(&bench)
}

/// Runs the measurements of a server with a large fleet. Returns whether all of them succeeded.
fn server(is_quick: bool) -> anyhow::Result<bool> {
    let bench = Bench::prepare(is_quick)?;
    let mut run = Run::begin("server", &bench);
    run.measure(&ServerLine::Fleet, async |table| large_fleet::measure(&bench, table).await)?;
    run.end(&bench)
}

/// Runs the selected measurements of plugins. Returns whether all of them succeeded.
#[cfg(feature = "plugins")]
fn plugins(is_quick: bool, only: &[PluginLine]) -> anyhow::Result<bool> {
    let bench = Bench::prepare(is_quick)?;
    let mut run = Run::begin("plugins", &bench);
    for line in plugins::lines(only) {
        run.measure(&line, async |table| plugins::measure(line, &bench, table).await)?;
    }
    run.end(&bench)
}

impl Line {
    async fn measure(self, bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
        match self {
            Self::Memory => memory::measure(bench, table).await,
            Self::Admission => admission::measure(bench, table).await,
            Self::Label => label_latency::measure(bench, table).await,
            Self::Fanout => fanout::measure(bench, table).await,
            Self::Storm => storm::measure(bench, table).await,
            Self::Daemon => daemon::measure(bench, table).await,
            Self::Store => store::measure(bench, table).await,
        }
    }
}

/// One run: its name, its table, and the load at its start.
#[derive(Debug)]
struct Run {
    name: &'static str,
    table: Table,
    load: f64,
}

impl Run {
    fn begin(name: &'static str, bench: &Bench) -> Self {
        machine::raise_descriptors();
        machine::pin_self(bench.online);
        Self { name, table: Table::default(), load: machine::load() }
    }

    /// Runs one measurement. A failure becomes a row of the table.
    fn measure(
        &mut self,
        line: &impl ValueEnum,
        measure: impl AsyncFnOnce(&mut Table) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let name = line.to_possible_value().expect("no line is hidden").get_name().to_owned();
        say(&format!("{name}: started, load {:.2}", machine::load()));
        self.table.begin(&name);
        // A separate runtime, so that no measurement affects the next.
        if let Err(error) = runtime()?.block_on(measure(&mut self.table)) {
            self.table.record_missing("remaining lines", &format!("{error:#}"));
        }
        Ok(())
    }

    /// Prints the table. Returns whether everything was measured.
    fn end(self, bench: &Bench) -> anyhow::Result<bool> {
        let Self { name, table, load } = self;
        table.save(bench, name, load)?;
        let pins = match machine::has_pins(bench.online) {
            true => "servers on core 0, clients on core 1",
            false => "server and clients on the same cores (no taskset, or one core)",
        };
        println!("\nload {load:.2} before, {:.2} after; {pins}", machine::load());
        if bench.is_quick {
            println!("quick run: checks that the benchmarks work; the numbers are not meaningful");
        }
        println!("\n{}\n{}", table.text(), bench.results(name).display());
        let missing = table.missing();
        if !missing.is_empty() {
            say("\nNOT MEASURED:");
            missing.iter().for_each(|line| say(&format!("  {line}")));
        }
        Ok(missing.is_empty())
    }
}

/// Returns a single-threaded runtime, as the server uses.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Prints progress.
fn say(text: &str) {
    eprintln!("{text}");
}
