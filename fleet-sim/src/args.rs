//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
#[cfg(feature = "transport")]
use fleet_sim::real::RealOptions;
use fleet_sim::recipe::{Mode, Recipe};
use fleet_sim::scenario::BUILT_IN;

/// Simulate hundreds of sites and their server under weeks of faults, in seconds, from one seed.
#[derive(Debug, Parser)]
#[command(name = "linecamp-sim", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a scenario
    #[command(
        after_help = "Examples:\n  linecamp-sim run smoke\n  linecamp-sim run soak --seed 7 --html soak.html\n  \
                            linecamp-sim run --sites 500 --days 2 --mode quic -o json\n  \
                            linecamp-sim run clone-attack --shrink\n  linecamp-sim run --all"
    )]
    Run(RunArgs),
    /// Search for failing seeds on all cores
    #[command(after_help = "Examples:\n  linecamp-sim search --minutes 10\n  \
                            linecamp-sim search --minutes 60 --first-seed 1000 smoke revoke-under-fire")]
    Search(SearchArgs),
    /// Replay one recipe, or all regression seeds
    #[command(after_help = "Examples:\n  linecamp-sim replay\n  \
                            linecamp-sim replay 'smoke seed=7 sites=12 without=cut skip=3-17'")]
    Replay(ReplayArgs),
    /// Write reports from saved outcomes
    #[command(after_help = "Example:\n  linecamp-sim report outcome.json --html outcome.html --junit outcome.xml")]
    Report(ReportArgs),
    /// List the built-in scenarios
    Scenarios,
    #[cfg(feature = "transport")]
    /// Start a real server and real daemons on loopback, and measure them
    #[command(after_help = "Examples:\n  linecamp-sim real --sites 100\n  \
                            linecamp-sim real --sites 24 --quick -o json")]
    Real(RealArgs),
    #[cfg(feature = "transport")]
    /// Host daemons of a real run in this process
    #[command(hide = true)]
    RealHost {
        /// The directory with a subdirectory for each daemon
        #[arg(long)]
        dir: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text
    #[default]
    Text,
    /// JSON
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// The production machines, over modeled links
    #[default]
    Model,
    #[cfg(feature = "transport")]
    /// The production machines, over the production transport
    Quic,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Model => Self::Model,
            #[cfg(feature = "transport")]
            ModeArg::Quic => Self::Quic,
        }
    }
}

/// Files to write.
#[derive(Debug, clap::Args)]
pub(crate) struct Reports {
    /// Write one self-contained page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the outcome as JSON, for `report`
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// A built-in scenario, or a file
    #[arg(default_value = "smoke", conflicts_with = "all")]
    scenario: String,
    /// Run all built-in scenarios, one after the other
    #[arg(long)]
    all: bool,
    /// The seed, which determines the whole run [default: the scenario's]
    #[arg(long)]
    seed: Option<u64>,
    /// The number of sites [default: the scenario's]
    #[arg(long)]
    sites: Option<u32>,
    /// The number of days with faults [default: the scenario's]
    #[arg(long)]
    days: Option<f64>,
    /// What connects the machines
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    /// If a violation is found, search for the smallest run that shows it
    #[arg(long)]
    pub(crate) shrink: bool,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) reports: Reports,
}

impl RunArgs {
    /// Returns the recipes to run.
    pub(crate) fn recipes(&self) -> Vec<Recipe> {
        let recipe = |scenario: &str| Recipe {
            scenario: scenario.to_owned(),
            seed: self.seed,
            sites: self.sites,
            days: self.days,
            mode: self.mode.into(),
            ..Recipe::default()
        };
        match self.all {
            true => BUILT_IN.iter().map(|(name, _)| recipe(name)).collect(),
            false => vec![recipe(&self.scenario)],
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct SearchArgs {
    /// The scenarios, in turn
    #[arg(default_values = ["chaos", "hostile", "smoke", "clone-attack", "revoke-under-fire", "rolling-partition"])]
    scenarios: Vec<String>,
    /// The duration in minutes
    #[arg(long, default_value_t = 1.0)]
    pub(crate) minutes: f64,
    /// The first seed to try
    #[arg(long, default_value_t = 1)]
    pub(crate) first_seed: u64,
    /// The number of sites [default: the scenario's]
    #[arg(long)]
    sites: Option<u32>,
    /// The number of days with faults [default: the scenario's]
    #[arg(long)]
    days: Option<f64>,
    /// What connects the machines
    #[arg(long, value_enum, default_value_t)]
    mode: ModeArg,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) reports: Reports,
}

impl SearchArgs {
    /// Returns the recipes to run with each seed.
    pub(crate) fn recipes(&self) -> anyhow::Result<Vec<Recipe>> {
        anyhow::ensure!(
            (0.0..=100_000.0).contains(&self.minutes),
            "--minutes is {}, and must be 0 to 100000",
            self.minutes
        );
        let recipe = |scenario: &String| Recipe {
            scenario: scenario.clone(),
            sites: self.sites,
            days: self.days,
            mode: self.mode.into(),
            ..Recipe::default()
        };
        Ok(self.scenarios.iter().map(recipe).collect())
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// One recipe [default: all regression seeds]
    pub(crate) recipe: Vec<String>,
    /// A file of recipes, one per line
    #[arg(long, value_name = "FILE", conflicts_with = "recipe")]
    pub(crate) seeds: Option<PathBuf>,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) reports: Reports,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Outcomes, as `run -o json` and `run --json` write them
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) reports: Reports,
}

#[cfg(feature = "transport")]
#[derive(Debug, clap::Args)]
pub(crate) struct RealArgs {
    /// The number of sites
    #[arg(long, default_value_t = 24)]
    sites: u32,
    /// Use short waits, and skip the storm over bad links
    #[arg(long)]
    quick: bool,
    /// The seed of the links' losses
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep all files in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[cfg(feature = "transport")]
impl RealArgs {
    /// Returns the options of the real run.
    pub(crate) fn options(&self) -> RealOptions {
        RealOptions { sites: self.sites, quick: self.quick, seed: self.seed, keep: self.keep.clone() }
    }
}
