//! `linecamp-bench`: what the link costs, held against its budgets.
//!
//! `linecamp-bench link` measures the real server, the real daemon, and thousands of the real site machine over the
//! real transport, on this machine's loopback. It prints one table and writes `target/bench/link.json`. Nothing here
//! asserts a time: a budget that is missed is `SHORT` in the table, and a person reads it beside the load. Servers run
//! on core 0 and clients on core 1 where that can be had; timed bursts run under SCHED_FIFO where that is allowed.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | everything was measured, short or not |
//! | 1 | something could not be measured; the last lines say what and why |
//! | 2 | bad arguments |

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to the person who ran it")]

mod api_client;
mod crypto;
mod daemon;
mod fanout;
mod fleet_client;
mod greet;
mod label;
mod machine;
mod member;
mod memory;
mod numbers;
mod peers;
mod place;
mod serve_bare;
mod serve_fleet;
mod serving;
mod site_disk;
mod store;
mod storm;
mod table;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::place::Bench;
use crate::table::Table;

/// Measures Linecamp
#[derive(Debug, Parser)]
#[command(name = "linecamp-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures the link between sites and their server
    Link {
        /// A short run with few sites, to see that it works
        #[arg(long)]
        quick: bool,
        /// One line of the table only; may be repeated
        #[arg(long, value_name = "NAME")]
        only: Vec<Line>,
    },
    /// Accepts, reads one frame, answers one frame: what the server is compared with
    #[command(hide = true)]
    ServeBare {
        /// The folder of the authority
        #[arg(long)]
        ca: PathBuf,
    },
    /// The server's machine, store and listener without its HTTP, told what to do on stdin
    #[command(hide = true)]
    ServeFleet {
        /// An empty folder
        #[arg(long)]
        data: PathBuf,
    },
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Line {
    Memory,
    Greet,
    Label,
    Fanout,
    Storm,
    Daemon,
    Store,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Link { quick, only } => link(quick, &only),
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

/// Measures what was asked for. Returns whether all of it could be.
fn link(is_quick: bool, only: &[Line]) -> anyhow::Result<bool> {
    let bench = Bench::prepare(is_quick)?;
    machine::raise_descriptors();
    machine::pin_self(bench.online);
    let load = machine::load();
    let mut table = Table::default();
    for line in Line::value_variants() {
        if only.is_empty() || only.contains(line) {
            measure(*line, &bench, &mut table)?;
        }
    }
    table.save(&bench, load)?;
    let pins = match machine::has_pins(bench.online) {
        true => "servers on core 0, clients on core 1",
        false => "server and clients on the same cores (no taskset, or one core)",
    };
    println!("\nload {load:.2} before, {:.2} after; {pins}", machine::load());
    if is_quick {
        println!("a quick run: it shows that the bench works, not how fast anything is");
    }
    println!("\n{}\n{}", table.text(), bench.results().display());
    let missing = table.missing();
    if !missing.is_empty() {
        say("\nNOT MEASURED:");
        missing.iter().for_each(|line| say(&format!("  {line}")));
    }
    Ok(missing.is_empty())
}

fn measure(line: Line, bench: &Bench, table: &mut Table) -> anyhow::Result<()> {
    let name = line.to_possible_value().expect("no line is hidden").get_name().to_owned();
    say(&format!("{name}: begins, load {:.2}", machine::load()));
    table.begin(&name);
    // A runtime of its own, so that nothing of one line is left in the next.
    let runtime = runtime()?;
    let measured = runtime.block_on(async {
        match line {
            Line::Memory => memory::measure(bench, table).await,
            Line::Greet => greet::measure(bench, table).await,
            Line::Label => label::measure(bench, table).await,
            Line::Fanout => fanout::measure(bench, table).await,
            Line::Storm => storm::measure(bench, table).await,
            Line::Daemon => daemon::measure(bench, table).await,
            Line::Store => store::measure(bench, table).await,
        }
    });
    if let Err(error) = measured {
        table.miss("all that is not above", &format!("{error:#}"));
    }
    Ok(())
}

/// Returns a runtime like the server's: one thread.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Tells the person who ran it how it goes.
fn say(text: &str) {
    eprintln!("{text}");
}
