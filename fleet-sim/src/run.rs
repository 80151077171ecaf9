//! Executes a run, from its recipe to its outcome.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::net::Net;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::recipe::{Mode, Recipe};
use crate::run_progress::{Execution, finish, is_stopped};
pub use crate::run_progress::{Observer, RunProgress};
use crate::scenario::{Scenario, ScenarioError};
use crate::trace::Trace;
use crate::transport::NodeId;
use crate::world::World;

/// An observer that ignores progress; a flag can still stop the run.
#[derive(Debug)]
pub struct NoObserver<'a>(pub &'a AtomicBool);

impl Observer for NoObserver<'_> {
    fn on_progress(&mut self, _progress: &RunProgress) {}

    fn should_stop(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a recipe. If a violation is found, the run is repeated up to that moment to record its inputs as text.
///
/// # Errors
/// [`ScenarioError`] if the recipe is invalid.
pub fn run(recipe: &Recipe, observer: &mut dyn Observer) -> Result<Outcome, ScenarioError> {
    let (scenario, seed) = recipe.resolve()?;
    let began = Instant::now();
    let mut execution = run_once(&scenario, seed, recipe, &[], observer);
    if let Some(violation) = execution.outcome.violations.first_mut() {
        let again = run_once(&scenario, seed, recipe, &execution.nodes, observer);
        violation.inputs = again.log_lines;
        violation.replay = format!("linecamp-sim replay '{}'", exact(recipe, &scenario, seed));
    }
    execution.outcome.wall_seconds = began.elapsed().as_secs_f64();
    Ok(execution.outcome)
}

/// Returns the recipe with every value that a scenario file could change.
fn exact(recipe: &Recipe, scenario: &Scenario, seed: u64) -> Recipe {
    Recipe { seed: Some(seed), sites: Some(scenario.sites), days: Some(scenario.days), ..recipe.clone() }
}

fn run_once(
    scenario: &Scenario,
    seed: u64,
    recipe: &Recipe,
    selected: &[NodeId],
    observer: &mut dyn Observer,
) -> Execution {
    let plan = Plan::new(scenario, seed, &recipe.without);
    let trace = Trace::of(selected);
    match recipe.mode {
        Mode::Model => {
            let mut world = World::new(scenario.clone(), seed, plan, Net::new(seed), trace);
            while let Some(now) = world.next_at() {
                world.step(now);
                if world.is_over() || is_stopped(&world, observer) {
                    break;
                }
            }
            finish(world, scenario, seed, recipe.mode)
        }
        #[cfg(feature = "transport")]
        Mode::Quic => crate::quic::run(scenario, seed, plan, trace, observer),
    }
}
