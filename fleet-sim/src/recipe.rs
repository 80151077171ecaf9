//! Recipes: everything needed to repeat a run, in one line.
//!
//! `smoke seed=7 sites=12 days=0.5 mode=quic without=cut,clone skip=3,17` uses every field; only the scenario's name is
//! required. The same syntax is used for the arguments of `linecamp-sim replay` and the lines of `seeds.txt`.

use std::collections::BTreeSet;
use std::fmt;

use crate::act_kind::ActKind;
use crate::plan::Without;
use crate::scenario::{Scenario, ScenarioError};

/// Which parts are real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Real state machines; links are modeled.
    #[default]
    Model,
    /// Real state machines and the real transport.
    #[cfg(feature = "transport")]
    Quic,
}

impl Mode {
    const ALL: &[Self] = &[
        Self::Model,
        #[cfg(feature = "transport")]
        Self::Quic,
    ];

    /// Returns the mode's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            #[cfg(feature = "transport")]
            Self::Quic => "quic",
        }
    }

    /// Returns the mode with this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.as_str() == word)
    }
}

/// Everything needed to repeat a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// A scenario's name or file.
    pub scenario: String,
    /// If `None`, the scenario's own.
    pub seed: Option<u64>,
    /// If `None`, the scenario's own.
    pub sites: Option<u32>,
    /// If `None`, the scenario's own.
    pub days: Option<f64>,
    /// Which parts are real.
    pub mode: Mode,
    /// What is left out.
    pub without: Without,
}

/// Why a line is not a valid recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// A word is invalid.
    #[error(
        "{place}: invalid `{word}`; expected `SCENARIO [seed=N] [sites=N] [days=N] [mode=model|quic] [without=KIND,…] [skip=N,…]`"
    )]
    Word {
        /// The file and line.
        place: String,
        /// The word.
        word: String,
    },
    /// The scenario is invalid.
    #[error("{place}")]
    Scenario {
        /// The file and line.
        place: String,
        /// The cause.
        source: ScenarioError,
    },
}

impl Recipe {
    /// Parses one line; text after a `#` is a comment. `place` is the line's location, for errors.
    ///
    /// # Errors
    /// [`RecipeError`] names the place and the word.
    pub fn parse(place: &str, line: &str) -> Result<Self, RecipeError> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let mut recipe = Self { scenario: words.next().unwrap_or_default().to_owned(), ..Self::default() };
        for word in words {
            let bad = || RecipeError::Word { place: place.to_owned(), word: word.to_owned() };
            let (key, value) = word.split_once('=').ok_or_else(bad)?;
            match key {
                "seed" => recipe.seed = Some(value.parse().map_err(|_| bad())?),
                "sites" => recipe.sites = Some(value.parse().map_err(|_| bad())?),
                "days" => recipe.days = Some(value.parse().map_err(|_| bad())?),
                "mode" => recipe.mode = Mode::parse(value).ok_or_else(bad)?,
                "without" => {
                    let kinds = value.split(',').map(|kind| kind_named(kind).ok_or_else(bad));
                    recipe.without.kinds = kinds.collect::<Result<_, _>>()?;
                }
                "skip" => recipe.without.acts = numbers(value).ok_or_else(bad)?,
                _ => return Err(bad()),
            }
        }
        recipe.resolve().map_err(|source| RecipeError::Scenario { place: place.to_owned(), source })?;
        Ok(recipe)
    }

    /// Parses a file of recipes, ignoring empty lines and comments.
    ///
    /// # Errors
    /// [`RecipeError`] names the file, the line and the word.
    pub fn parse_list(file: &str, text: &str) -> Result<Vec<Self>, RecipeError> {
        let lines = (1..).zip(text.lines());
        let lines = lines.filter(|(_, line)| !line.split('#').next().unwrap_or_default().trim().is_empty());
        lines.map(|(number, line)| Self::parse(&format!("{file}:{number}"), line)).collect()
    }

    /// Returns the recipe's scenario and seed.
    ///
    /// # Errors
    /// [`ScenarioError`] if the scenario does not exist, or a number is out of range.
    pub fn resolve(&self) -> Result<(Scenario, u64), ScenarioError> {
        let scenario = Scenario::find(&self.scenario)?.with(self.sites, self.days)?;
        let seed = self.seed.unwrap_or(scenario.seed);
        Ok((scenario, seed))
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scenario)?;
        if let Some(seed) = self.seed {
            write!(f, " seed={seed}")?;
        }
        if let Some(sites) = self.sites {
            write!(f, " sites={sites}")?;
        }
        if let Some(days) = self.days {
            write!(f, " days={days}")?;
        }
        if self.mode != Mode::Model {
            write!(f, " mode={}", self.mode.as_str())?;
        }
        if !self.without.kinds.is_empty() {
            let kinds: Vec<_> = self.without.kinds.iter().map(ToString::to_string).collect();
            write!(f, " without={}", kinds.join(","))?;
        }
        if !self.without.acts.is_empty() {
            write!(f, " skip={}", ranges(&self.without.acts))?;
        }
        Ok(())
    }
}

fn kind_named(word: &str) -> Option<ActKind> {
    use serde::Deserialize as _;
    let word: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        serde::de::IntoDeserializer::into_deserializer(word);
    ActKind::deserialize(word).ok()
}

/// Parses `3,17-20`.
fn numbers(text: &str) -> Option<BTreeSet<usize>> {
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || 10_000_000 < last {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

/// Formats `3,17-20`.
fn ranges(numbers: &BTreeSet<usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            Some(_) | None => ranges.push((*number, *number)),
        }
    }
    let words = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formatted_recipe_parses_to_itself() {
        let line = "smoke seed=7 sites=12 days=0.5 mode=quic without=cut,clone skip=3,17-20";
        let recipe = Recipe::parse("here", line).expect("valid");
        assert_eq!(recipe.to_string(), line);
        assert_eq!(Recipe::parse("here", "smoke # a comment").expect("valid").to_string(), "smoke");
    }

    #[test]
    fn an_invalid_recipe_is_rejected_with_its_location() {
        let check = |line: &str, expected: &str| {
            let error = Recipe::parse_list("seeds.txt", &format!("# a comment\n\n{line}\n")).expect_err(line);
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let message = format!("{error}: {source}");
            assert!(message.contains("seeds.txt:3") && message.contains(expected), "{message}");
        };
        check("smoke seed=x", "`seed=x`");
        check("smoke 7", "`7`");
        check("smoke without=cutt", "`without=cutt`");
        check("smoke skip=9-3", "`skip=9-3`");
        check("smok", "no scenario `smok`");
        check("smoke sites=0", "`--sites` is 0, and must be 1 to 20000");
    }
}
