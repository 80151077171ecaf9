//! Executes a run, from its recipe to its outcome.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::carrier::NodeId;
use crate::net::Net;
use crate::outcome::Outcome;
pub use crate::pass::{Audience, Glance};
use crate::pass::{Ended, is_stopped, sum_up};
use crate::plan::Plan;
use crate::recipe::{Mode, Recipe};
use crate::scenario::{Scenario, ScenarioError};
use crate::trace::Trace;
use crate::world::World;

/// An audience that ignores progress; a flag can still stop the run.
#[derive(Debug)]
pub struct Nobody<'a>(pub &'a AtomicBool);

impl Audience for Nobody<'_> {
    fn glance(&mut self, _glance: &Glance) {}

    fn wants_out(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a recipe. If a violation is found, the run is repeated up to that moment to record its inputs as text.
///
/// # Errors
/// [`ScenarioError`] if the recipe is invalid.
pub fn run(recipe: &Recipe, audience: &mut dyn Audience) -> Result<Outcome, ScenarioError> {
    let (scenario, seed) = recipe.resolve()?;
    let began = Instant::now();
    let mut ended = run_once(&scenario, seed, recipe, &[], audience);
    if let Some(violation) = ended.outcome.violations.first_mut() {
        let again = run_once(&scenario, seed, recipe, &ended.nodes, audience);
        violation.inputs = again.words;
        violation.replay = format!("linecamp-sim replay '{}'", exact(recipe, &scenario, seed));
    }
    ended.outcome.wall_seconds = began.elapsed().as_secs_f64();
    Ok(ended.outcome)
}

/// Returns the recipe with every value that a scenario file could change.
fn exact(recipe: &Recipe, scenario: &Scenario, seed: u64) -> Recipe {
    Recipe { seed: Some(seed), sites: Some(scenario.sites), days: Some(scenario.days), ..recipe.clone() }
}

fn run_once(scenario: &Scenario, seed: u64, recipe: &Recipe, asked: &[NodeId], audience: &mut dyn Audience) -> Ended {
    let plan = Plan::new(scenario, seed, &recipe.without);
    let trace = Trace::of(asked);
    match recipe.mode {
        Mode::Model => {
            let mut world = World::new(scenario.clone(), seed, plan, Net::new(seed), trace);
            while let Some(now) = world.next_at() {
                world.step(now);
                if world.is_over() || is_stopped(&world, audience) {
                    break;
                }
            }
            sum_up(world, scenario, seed, recipe.mode)
        }
        #[cfg(feature = "transport")]
        Mode::Quic => crate::quic::run(scenario, seed, plan, trace, audience),
    }
}
