//! `linecamp-sim`: simulates a fleet from the command line.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | no violation found |
//! | 1 | a violation was found, or a real run did not complete |
//! | 2 | invalid arguments, scenario or recipe |
//! | 130 | interrupted by Ctrl-C before any violation was found |

mod args;
mod console;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use fleet_sim::outcome::{Outcome, Verdict};
#[cfg(feature = "transport")]
use fleet_sim::real;
use fleet_sim::recipe::Recipe;
use fleet_sim::run::run;
use fleet_sim::scenario::{BUILT_IN, Scenario};
use fleet_sim::search::search;
use fleet_sim::shrink::shrink;
use tokio::signal::unix::{SignalKind, signal};

use self::args::{Args, Command, ReplayArgs, ReportArgs, RunArgs, SearchArgs};
use self::console::{Terminal, print_line, print_outcomes, say, write_reports};

/// Every seed that has ever failed.
const SEEDS: &str = include_str!("../seeds.txt");

static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Command::Run(args) => run_scenarios(&args),
        Command::Search(args) => search_seeds(&args),
        Command::Replay(args) => replay(&args),
        Command::Report(args) => report(&args),
        Command::Scenarios => scenarios(),
        #[cfg(feature = "transport")]
        Command::Real(args) => return run_real(&args),
        #[cfg(feature = "transport")]
        Command::RealHost { dir } => real::host(&dir).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        say(&format!("linecamp-sim: {}", chain(&error)));
        ExitCode::from(2)
    })
}

fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The first Ctrl-C ends runs gracefully, with their report; the second exits immediately.
fn listen_for_ctrl_c() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("failed to listen for Ctrl-C")?;
    let guard = runtime.enter();
    let mut interrupts = signal(SignalKind::interrupt()).context("failed to listen for Ctrl-C")?;
    drop(guard);
    std::thread::spawn(move || {
        runtime.block_on(async {
            while interrupts.recv().await.is_some() {
                if STOP.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
    });
    Ok(())
}

fn run_scenarios(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let recipes = args.recipes();
    for recipe in &recipes {
        recipe.resolve()?;
    }
    listen_for_ctrl_c()?;
    let mut outcomes = Vec::new();
    for recipe in &recipes {
        let mut terminal = Terminal::new(&STOP);
        terminal.begin(recipe);
        let mut outcome = run(recipe, &mut terminal)?;
        terminal.clear();
        if args.shrink && outcome.outcome == Verdict::Failed {
            let mut report_step = |recipe: &Recipe, _: &Outcome| say(&format!("still fails: {recipe}"));
            (_, outcome) = shrink(recipe, &outcome, &mut Terminal::new(&STOP), &mut report_step)?;
        }
        if 1 < recipes.len() {
            say(&verdict(&outcome));
        }
        outcomes.push(outcome);
        if STOP.load(Ordering::Relaxed) {
            break;
        }
    }
    finish(&outcomes, &args.reports, args.output)
}

/// Summarizes one of several runs in one line.
fn verdict(outcome: &Outcome) -> String {
    let (scenario, sites, events) = (&outcome.scenario, outcome.sites, outcome.events);
    let (days, wall) = (outcome.virtual_seconds / 86_400.0, outcome.wall_seconds);
    format!("{:?}: {scenario}, {sites} sites, {days:.1} days in {wall:.1} s, {events} events", outcome.outcome)
}

fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let recipes = match (&args.seeds, args.recipe.is_empty()) {
        (Some(file), _) => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {name}"))?;
            Recipe::parse_list(&name, &text)?
        }
        (None, true) => Recipe::parse_list("seeds.txt", SEEDS)?,
        (None, false) => vec![Recipe::parse("the command line", &args.recipe.join(" "))?],
    };
    listen_for_ctrl_c()?;
    let mut outcomes = Vec::new();
    for recipe in &recipes {
        let mut terminal = Terminal::new(&STOP);
        let outcome = run(recipe, &mut terminal)?;
        terminal.clear();
        if recipes.len() > 1 && outcome.outcome == Verdict::Passed {
            say(&format!("passed: {recipe}"));
        }
        outcomes.push(outcome);
        if STOP.load(Ordering::Relaxed) {
            break;
        }
    }
    if 1 < outcomes.len() {
        // With several runs, those that passed were already printed.
        outcomes.retain(|outcome| outcome.outcome != Verdict::Passed);
    }
    finish(&outcomes, &args.reports, args.output)
}

fn search_seeds(args: &SearchArgs) -> anyhow::Result<ExitCode> {
    let recipes = args.recipes()?;
    listen_for_ctrl_c()?;
    let time = Duration::from_secs_f64(args.minutes * 60.0);
    let mut reported_at = std::time::Instant::now();
    let searched = search(&recipes, args.first_seed, time, &STOP, &mut |searched, recipe, outcome| {
        if outcome.outcome == Verdict::Failed {
            let what = outcome.violations.first().map(|violation| violation.what.clone()).unwrap_or_default();
            say(&format!("FAILED: {recipe} # {what}"));
        } else if Duration::from_secs(10) < reported_at.elapsed() {
            reported_at = std::time::Instant::now();
            let (runs, site_days, found) = (searched.runs, searched.site_days, searched.found.len());
            say(&format!("{runs} runs, {site_days:.0} site-days, {found} found"));
        }
    })?;
    let (runs, site_days, events) = (searched.runs, searched.site_days, searched.events);
    let found: Vec<_> = searched.found.into_iter().map(|(_, outcome)| outcome).collect();
    let totals = format!("{runs} runs, {site_days:.0} site-days, {events} events, {} found", found.len());
    match found.is_empty() {
        true => {
            print_line(&totals);
            Ok(if STOP.load(Ordering::Relaxed) { ExitCode::from(130) } else { ExitCode::SUCCESS })
        }
        false => {
            say(&totals);
            finish(&found, &args.reports, args.output)
        }
    }
}

fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let mut outcomes = Vec::new();
    for file in &args.files {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {name}"))?;
        let mut loaded: Vec<Outcome> = serde_json::from_str(&text)
            .or_else(|_| serde_json::from_str(&text).map(|outcome| vec![outcome]))
            .with_context(|| format!("{name} is not an outcome; `linecamp-sim run -o json` writes one"))?;
        outcomes.append(&mut loaded);
    }
    finish(&outcomes, &args.reports, args.output)
}

fn scenarios() -> anyhow::Result<ExitCode> {
    for (name, _) in BUILT_IN {
        let scenario = Scenario::find(name)?;
        print_line(&format!("{name:<20}{:>5} sites {:>6} days  {}", scenario.sites, scenario.days, scenario.about));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "transport")]
fn run_real(args: &args::RealArgs) -> ExitCode {
    let options = args.options();
    match real::run(&options, &say) {
        Ok(outcome) => {
            let json = || serde_json::to_string_pretty(&outcome).unwrap_or_default();
            print_line(&if args.output == args::Output::Json { json() } else { outcome.table() });
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("linecamp-sim: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Prints the outcomes, writes the requested reports and returns the exit code.
fn finish(outcomes: &[Outcome], reports: &args::Reports, output: args::Output) -> anyhow::Result<ExitCode> {
    print_outcomes(outcomes, output);
    write_reports(outcomes, reports)?;
    let has = |verdict| outcomes.iter().any(|outcome| outcome.outcome == verdict);
    Ok(if has(Verdict::Failed) {
        ExitCode::FAILURE
    } else if has(Verdict::Interrupted) {
        ExitCode::from(130)
    } else {
        ExitCode::SUCCESS
    })
}
