//! `cargo xtask`: the project's single automation entry point.
//!
//! Its few commands are stable: a new part of the product is added to an existing command. Each command sets up what it
//! needs, reports progress while it takes long, and ends with a reliable exit code. There is no other script.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | success |
//! | 1 | failure; the last lines say what failed |
//! | 2 | invalid arguments |
//!
//! It depends on no other crate of the workspace, so it builds even when they do not.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to the person who ran it")]

mod arguments;
mod bench;
mod child;
mod commands;
mod dev;
mod dist;
mod package;
mod plugins;
mod release;
mod reproducible;
mod sbom;
mod signals;
mod sim;
mod test;
mod toolchain;

use std::process::ExitCode;

use arguments::{Task, Usage};

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let task = match Task::parse(std::env::args().skip(1)) {
        Ok(task) => task,
        Err(Usage(problem)) => {
            eprintln!("xtask: {problem}\n\n{}", arguments::HELP);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let result = match task {
        Task::Help => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Task::Dev(options) => dev::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench { passed_on } => bench::link(&passed_on),
        Task::BenchServer { passed_on } => bench::server(&passed_on),
        Task::BenchPlugins { passed_on } => bench::plugins(&passed_on),
        Task::BenchSim => sim::bench(),
        Task::Sim { passed_on } => sim::run(&passed_on),
        Task::Dist(options) => dist::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
