//! Shrinking: finds the smallest run that still fails in the same way.
//!
//! It tries fewer sites, then fewer days, then whole kinds of acts, then single acts by halves (Zeller and Hildebrandt,
//! "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 2002). A step is kept if the same checker still reports
//! a violation. The number of runs is limited, because a long scenario has thousands of acts.

use std::collections::BTreeSet;

use crate::act_kind::ActKind;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::run::{Observer, run};
use crate::scenario::ScenarioError;

/// Maximum number of runs.
const RUNS_MAX: u32 = 400;

/// Shrinks `recipe` while it still fails as `failed` did. `say` is called for each step that is kept.
///
/// # Errors
/// [`ScenarioError`] if the recipe is invalid.
pub fn shrink(
    recipe: &Recipe,
    failed: &Outcome,
    observer: &mut dyn Observer,
    say: &mut dyn FnMut(&Recipe, &Outcome),
) -> Result<(Recipe, Outcome), ScenarioError> {
    let checker = failed.violations.first().map(|violation| violation.checker.clone()).unwrap_or_default();
    let best = (recipe.clone(), failed.clone());
    let mut search = Search { checker, best, runs_left: RUNS_MAX, observer, say };
    search.fewer_sites()?;
    search.fewer_days()?;
    search.fewer_kinds()?;
    search.fewer_acts()?;
    Ok(search.best)
}

struct Search<'a> {
    checker: String,
    best: (Recipe, Outcome),
    runs_left: u32,
    observer: &'a mut dyn Observer,
    say: &'a mut dyn FnMut(&Recipe, &Outcome),
}

impl Search<'_> {
    /// Keeps `candidate` if it fails in the same way. Returns whether it does.
    fn still_fails(&mut self, candidate: Recipe) -> Result<bool, ScenarioError> {
        if self.runs_left == 0 || self.observer.should_stop() {
            return Ok(false);
        }
        self.runs_left -= 1;
        let outcome = run(&candidate, self.observer)?;
        let is_same = outcome.violations.first().is_some_and(|violation| violation.checker == self.checker);
        if is_same {
            (self.say)(&candidate, &outcome);
            self.best = (candidate, outcome);
        }
        Ok(is_same)
    }

    fn fewer_sites(&mut self) -> Result<(), ScenarioError> {
        loop {
            let sites = self.best.1.sites;
            let smaller = [1, sites / 4, sites / 2, sites * 3 / 4, sites.saturating_sub(1)];
            let smaller: BTreeSet<_> = smaller.into_iter().filter(|count| 0 < *count && *count < sites).collect();
            let mut has_shrunk = false;
            for count in smaller {
                let candidate = Recipe { sites: Some(count), ..self.best.0.clone() };
                if self.still_fails(candidate)? {
                    has_shrunk = true;
                    break;
                }
            }
            if !has_shrunk {
                return Ok(());
            }
        }
    }

    fn fewer_days(&mut self) -> Result<(), ScenarioError> {
        let (scenario, _) = self.best.0.resolve()?;
        let mut days = scenario.days;
        for _ in 0..8 {
            let shorter = (days * 500.0).floor() / 1000.0;
            if shorter < 0.001 || !self.still_fails(Recipe { days: Some(shorter), ..self.best.0.clone() })? {
                return Ok(());
            }
            days = shorter;
        }
        Ok(())
    }

    fn fewer_kinds(&mut self) -> Result<(), ScenarioError> {
        let (scenario, seed) = self.best.0.resolve()?;
        let plan = Plan::new(&scenario, seed, &self.best.0.without);
        let kinds: BTreeSet<ActKind> = plan.acts.iter().map(|act| act.kind).collect();
        for kind in kinds {
            let mut candidate = self.best.0.clone();
            candidate.without.kinds.insert(kind);
            self.still_fails(candidate)?;
        }
        Ok(())
    }

    fn fewer_acts(&mut self) -> Result<(), ScenarioError> {
        let (scenario, seed) = self.best.0.resolve()?;
        let mut all = self.best.0.without.clone();
        all.acts.clear();
        let count = Plan::new(&scenario, seed, &all).acts.len();
        let mut chunk = count.div_ceil(2);
        while 0 < chunk && 0 < self.runs_left {
            for first in (0..count).step_by(chunk) {
                let of_chunk: Vec<_> = (first..(first + chunk).min(count)).collect();
                if of_chunk.iter().all(|act| self.best.0.without.acts.contains(act)) {
                    continue;
                }
                let mut candidate = self.best.0.clone();
                candidate.without.acts.extend(of_chunk);
                self.still_fails(candidate)?;
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
        Ok(())
    }
}
