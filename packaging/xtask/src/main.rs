//! `cargo xtask`: the project's one automation entry.
//!
//! Few verbs, for ever: a new part of the product joins an old verb. Each verb sets up what it needs, says what it
//! does while it takes long, and ends with an exit code that can be trusted. There is no second script.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | something failed; the last lines say what |
//! | 2 | bad arguments |
//!
//! It depends on nothing of ours, so that it builds while the rest does not.

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
