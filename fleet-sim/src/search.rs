//! Search: runs new seeds on all cores until the time is up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::outcome::{Outcome, Verdict};
use crate::recipe::Recipe;
use crate::run::{NoObserver, run};
use crate::scenario::ScenarioError;

/// Maximum failed runs that are kept. More are only reported and counted.
const FOUND_MAX: usize = 100;

/// The progress of a search.
#[derive(Clone, Debug, Default)]
pub struct SearchProgress {
    /// Completed runs.
    pub runs: u64,
    /// Simulated days, summed over all sites.
    pub site_days: f64,
    /// Events of all runs.
    pub events: u64,
    /// Runs with a violation.
    pub found: Vec<(Recipe, Outcome)>,
}

/// Runs `recipes` in turn with new seeds from `first_seed` on, until `time` is up or `stop` is set; runs in progress
/// complete, or are stopped by `stop`. `say` is called after each completed run.
///
/// # Errors
/// [`ScenarioError`] if a recipe is invalid.
pub fn search(
    recipes: &[Recipe],
    first_seed: u64,
    time: Duration,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&SearchProgress, &Recipe, &Outcome),
) -> Result<SearchProgress, ScenarioError> {
    for recipe in recipes {
        recipe.resolve()?;
    }
    let ends_at = Instant::now() + time;
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (sender, outcomes) = mpsc::sync_channel(workers);
    let mut searched = SearchProgress::default();
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
                    let outcome = run(&recipe, &mut NoObserver(stop));
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
