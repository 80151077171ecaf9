//! Output for people and programs.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fleet_sim::outcome::Outcome;
use fleet_sim::recipe::Recipe;
use fleet_sim::report::{Progress, junit, page, summary};
use fleet_sim::run::{Observer, RunProgress};

use crate::args::{Output, Reports};

/// How often the progress line is redrawn.
const DRAW_EACH: Duration = Duration::from_millis(100);

/// The assumed terminal width.
const WIDTH: usize = 78;

/// Standard error, which may or may not be a terminal.
#[derive(Debug)]
pub(crate) struct Terminal<'a> {
    stop: &'a AtomicBool,
    is_terminal: bool,
    drawn_at: Option<Instant>,
}

impl<'a> Terminal<'a> {
    pub(crate) fn new(stop: &'a AtomicBool) -> Self {
        Self { stop, is_terminal: std::io::stderr().is_terminal(), drawn_at: None }
    }

    /// Prints what is starting, if there is no progress line.
    pub(crate) fn begin(&self, recipe: &Recipe) {
        if !self.is_terminal {
            say(&format!("running {recipe}"));
        }
    }

    /// Clears the progress line.
    pub(crate) fn clear(&self) {
        if self.drawn_at.is_some() {
            draw(&" ".repeat(WIDTH));
            draw("");
        }
    }
}

impl Observer for Terminal<'_> {
    fn on_progress(&mut self, progress: &RunProgress) {
        if !self.is_terminal || self.drawn_at.is_some_and(|at| at.elapsed() < DRAW_EACH) {
            return;
        }
        self.drawn_at = Some(Instant::now());
        let progress = Progress {
            done: progress.done,
            virtual_seconds: progress.elapsed.as_secs_f64(),
            total_seconds: progress.total.as_secs_f64(),
            events: progress.events,
            connected: progress.connected,
            converged: progress.converged,
            sites: progress.sites,
            violations: 0,
        };
        draw(&progress.line(WIDTH));
    }

    fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn draw(line: &str) {
    let mut stderr = std::io::stderr();
    // A write to a closed terminal is ignored.
    let _ = write!(stderr, "\r{line}\r").and_then(|()| stderr.flush());
}

/// Prints a message to standard error.
pub(crate) fn say(line: &str) {
    // A write to a closed standard error is ignored.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line of the outcome.
pub(crate) fn print_line(line: &str) {
    // The reader may have closed the pipe.
    let _ = writeln!(std::io::stdout(), "{line}");
}

pub(crate) fn print_outcomes(outcomes: &[Outcome], output: Output) {
    match (output, outcomes) {
        (Output::Json, [outcome]) => print_line(&json(outcome)),
        (Output::Json, several) => print_line(&json(&several)),
        (Output::Text, several) => {
            let paint = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            for outcome in several {
                print_line(&summary(outcome, paint));
            }
        }
    }
}

/// Writes the requested files.
pub(crate) fn write_reports(outcomes: &[Outcome], reports: &Reports) -> anyhow::Result<()> {
    let write = |file: &Path, text: String| {
        std::fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
    };
    if let Some(file) = &reports.html {
        write(file, page(outcomes))?;
    }
    if let Some(file) = &reports.junit {
        write(file, junit(outcomes))?;
    }
    if let Some(file) = &reports.json {
        write(file, json(&outcomes))?;
    }
    Ok(())
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("an outcome is serializable")
}
