//! Searching: new seeds, one after the other, on all cores, for as long as somebody wants to wait.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::outcome::{Outcome, Verdict};
use crate::recipe::Recipe;
use crate::run::{Nobody, run};
use crate::scenario::ScenarioError;

/// Runs with findings that are kept whole. More are told and counted in the search's own lines.
const FOUND_MAX: usize = 100;

/// What a search has done so far.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    /// Runs that came to their end.
    pub runs: u64,
    /// Simulated days, each site counted.
    pub site_days: f64,
    /// Events in all of them.
    pub events: u64,
    /// Runs in which something was found.
    pub found: Vec<(Recipe, Outcome)>,
}

/// Runs `recipes` in turn with fresh seeds from `first_seed` on, until `time` is over or `stop` says so; runs that
/// have begun come to their end, or stop with `stop`. `say` is told of each run.
///
/// # Errors
/// [`ScenarioError`] if a recipe makes no sense.
pub fn search(
    recipes: &[Recipe],
    first_seed: u64,
    time: Duration,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&Searched, &Recipe, &Outcome),
) -> Result<Searched, ScenarioError> {
    for recipe in recipes {
        recipe.resolve()?;
    }
    let ends_at = Instant::now() + time;
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (sender, outcomes) = mpsc::sync_channel(workers);
    let mut searched = Searched::default();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while Instant::now() < ends_at && !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let count = recipes.len() as u64;
                    let place = usize::try_from(number % count).unwrap_or(0);
                    let recipe =
                        Recipe { seed: Some(first_seed.wrapping_add(number / count)), ..recipes[place].clone() };
                    let outcome = run(&recipe, &mut Nobody(stop));
                    if outcome.is_ok_and(|outcome| sender.send((recipe, outcome)).is_err()) {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (recipe, outcome) in outcomes {
            if outcome.outcome == Verdict::Interrupted {
                continue;
            }
            searched.runs += 1;
            searched.site_days += f64::from(outcome.sites) * outcome.virtual_seconds / 86_400.0;
            searched.events += outcome.events;
            say(&searched, &recipe, &outcome);
            if outcome.outcome == Verdict::Failed && searched.found.len() < FOUND_MAX {
                searched.found.push((recipe, outcome));
            }
        }
    });
    Ok(searched)
}
