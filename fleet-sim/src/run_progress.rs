//! One execution of a run, in either mode: progress reports and the result.

use std::time::Duration;

use crate::outcome::{Outcome, Verdict, Violation};
use crate::recipe::Mode;
use crate::scenario::Scenario;
use crate::transport::{NodeId, Transport};
use crate::world::World;

/// Steps between two progress reports.
const STEPS_PER_PROGRESS: u64 = 4_096;

/// The progress of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunProgress {
    /// The fraction done, from 0 to 1.
    pub done: f64,
    /// Elapsed virtual time.
    pub elapsed: Duration,
    /// Maximum virtual time of the run.
    pub total: Duration,
    /// Events so far.
    pub events: u64,
    /// Connected sites in the last sample, as the server reports them.
    pub connected: u32,
    /// Converged sites in the last sample.
    pub converged: u32,
    /// All sites.
    pub sites: u32,
}

/// An observer of a run.
pub trait Observer {
    /// Receives the run's progress, every few thousand events.
    fn on_progress(&mut self, progress: &RunProgress);
    /// Returns whether the run is to be stopped.
    fn should_stop(&self) -> bool;
}

/// The result of one execution.
pub(crate) struct Execution {
    pub(crate) outcome: Outcome,
    /// The machines that the violation concerns.
    pub(crate) nodes: Vec<NodeId>,
    /// The log of the selected machines.
    pub(crate) log_lines: Vec<String>,
}

/// Reports progress to the observer from time to time. Returns whether the observer stops the run.
pub(crate) fn is_stopped<C: Transport>(world: &World<C>, observer: &mut dyn Observer) -> bool {
    if !world.steps().is_multiple_of(STEPS_PER_PROGRESS) {
        return false;
    }
    let last = world.counters.samples.last().copied().unwrap_or_default();
    observer.on_progress(&RunProgress {
        done: world.progress(),
        elapsed: world.elapsed(),
        total: world.total(),
        events: world.steps(),
        connected: last.connected,
        converged: last.converged,
        sites: world.sites(),
    });
    observer.should_stop()
}

pub(crate) fn finish<C: Transport>(mut world: World<C>, scenario: &Scenario, seed: u64, mode: Mode) -> Execution {
    let was_over = world.is_over();
    world.complete_figures();
    world.digest_disks();
    let found = world.found().cloned();
    let violation = found.as_ref().map(|found| Violation {
        checker: found.checker.to_owned(),
        step: world.steps(),
        at_seconds: world.elapsed().as_secs_f64(),
        sites: found.nodes.iter().map(|node| world.name(*node)).collect(),
        what: found.what.clone(),
        ..Violation::default()
    });
    let verdict = match (&violation, was_over) {
        (Some(_), _) => Verdict::Failed,
        (None, true) => Verdict::Passed,
        (None, false) => Verdict::Interrupted,
    };
    let mut figures = world.counters.figures.clone();
    figures.memory_bytes = peak_memory();
    let outcome = Outcome {
        scenario: scenario.name.clone(),
        about: scenario.about.clone(),
        mode: mode.as_str().to_owned(),
        seed,
        sites: scenario.sites,
        virtual_seconds: world.elapsed().as_secs_f64(),
        wall_seconds: 0.0,
        events: world.steps(),
        trace_hash: format!("{:016x}", world.trace.hash()),
        wire_hash: world.transport.wire_hash().map(|hash| format!("{hash:016x}")),
        outcome: verdict,
        violations: violation.into_iter().collect(),
        figures,
        samples: std::mem::take(&mut world.counters.samples),
        storms: world.counters.storms(),
        slowest: world.counters.take_slowest(),
    };
    let log_lines = world.trace.logs().flat_map(|(node, lines)| {
        let name = world.name(node);
        lines.iter().map(move |line| format!("{name} {line}")).collect::<Vec<_>>()
    });
    Execution { outcome, nodes: found.map(|found| found.nodes).unwrap_or_default(), log_lines: log_lines.collect() }
}

/// Returns the peak memory of this process in bytes, or zero if the system does not report it.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
