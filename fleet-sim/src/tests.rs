//! The simulator's own tests: the violations it finds, the runs that pass, and that every checker can fail.

mod mutants;
mod regression_seeds;
mod seeds;

use std::sync::atomic::AtomicBool;

use crate::outcome::{Outcome, Verdict};
use crate::recipe::Recipe;
use crate::report::summary;
use crate::run::{NoObserver, run};

/// Runs a recipe without an observer.
fn run_alone(line: &str) -> Outcome {
    let recipe = Recipe::parse("a test", line).expect("valid");
    run(&recipe, &mut NoObserver(&AtomicBool::new(false))).expect("a parsed recipe is valid")
}

/// Runs a recipe that must pass.
fn check_passes(line: &str) -> Outcome {
    let outcome = run_alone(line);
    assert_eq!(outcome.outcome, Verdict::Passed, "{}", summary(&outcome, false));
    outcome
}
