//! `cargo xtask`: the project's single automation entry point.
//!
//! Its few verbs are stable: a new part of the product is added to an existing verb. Each verb sets up what it needs,
//! reports progress while it takes long, and ends with a reliable exit code. There is no other script.
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
mod dev;
mod dist;
mod package;
mod plugins;
mod release;
mod reproducible;
mod run;
mod sbom;
mod sim;
mod stop;
mod test;
mod toolchain;

use std::process::ExitCode;

use arguments::{Usage, Verb};

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let verb = match Verb::parse(std::env::args().skip(1)) {
        Ok(verb) => verb,
        Err(Usage(problem)) => {
            eprintln!("xtask: {problem}\n\n{}", arguments::HELP);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let ended = match verb {
        Verb::Help => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Verb::Dev(options) => dev::run(&options),
        Verb::Test(options) => test::run(&options),
        Verb::Bench { passed_on } => bench::link(&passed_on),
        Verb::BenchPlugins { passed_on } => bench::plugins(&passed_on),
        Verb::BenchSim => sim::bench(),
        Verb::Sim { passed_on } => sim::run(&passed_on),
        Verb::Dist(options) => dist::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
