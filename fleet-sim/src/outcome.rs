//! The result of a run: the single input of all reports.
//!
//! Its JSON is what `linecamp-sim run -o json` prints and what `linecamp-sim report` reads back. Field names are
//! stable.

use serde::{Deserialize, Serialize};

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The name of the scenario.
    pub scenario: String,
    /// A one-sentence description of the scenario.
    pub about: String,
    /// `model` or `quic`.
    pub mode: String,
    /// The seed of the run.
    pub seed: u64,
    /// The number of sites, not counting clones.
    pub sites: u32,
    /// Elapsed virtual time, in seconds.
    pub virtual_seconds: f64,
    /// Elapsed wall-clock time, in seconds.
    pub wall_seconds: f64,
    /// The number of events: inputs of machines, and faults.
    pub events: u64,
    /// A digest of all events in order, in hex: equal for identical runs.
    pub trace_hash: String,
    /// A digest of every datagram and its time, in hex. Only in `quic` mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire_hash: Option<String>,
    /// How it ended.
    pub outcome: Verdict,
    /// The violations found. Empty in a run that passed.
    pub violations: Vec<Violation>,
    /// Summary figures.
    pub figures: Figures,
    /// The fleet's state over time, evenly spaced.
    pub samples: Vec<Sample>,
    /// The reconnect storm after each loss of the server or of a network.
    pub storms: Vec<Storm>,
    /// The sites that took longest to converge after the faults ended, slowest first.
    pub slowest: Vec<SlowSite>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No violation was found.
    #[default]
    Passed,
    /// A violation was found.
    Failed,
    /// The run was stopped, and no violation had been found by then.
    Interrupted,
}

/// A violated invariant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// The checker that found it.
    pub checker: String,
    /// The number of the event at which it was found, counted from one.
    pub step: u64,
    /// When it was found, in seconds of virtual time.
    pub at_seconds: f64,
    /// The names of the sites concerned.
    pub sites: Vec<String>,
    /// A one-sentence description.
    pub what: String,
    /// The command that reproduces it.
    pub replay: String,
    /// The last inputs of the sites concerned, oldest first.
    pub inputs: Vec<String>,
}

/// Summary figures of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Messages on all links, both directions.
    pub messages: u64,
    /// Bytes on all lines, both directions, including headers and keep-alives.
    pub bytes: u64,
    /// The average of `bytes` per site and month of 30 days.
    pub bytes_per_site_month: u64,
    /// The maximum of `bytes` of a single site, per month of 30 days.
    pub bytes_per_site_month_max: u64,
    /// Dials started by sites.
    pub dials: u64,
    /// Sessions established.
    pub sessions: u64,
    /// Writes at sites that changed something.
    pub site_writes: u64,
    /// Writes at the server that changed something.
    pub server_writes: u64,
    /// Faults injected.
    pub faults: u64,
    /// Operator requests.
    pub requests: u64,
    /// Operator requests that were rejected.
    pub requests_refused: u64,
    /// Time from the end of the faults until all reachable sites had converged, in seconds.
    pub converged_after_seconds: f64,
    /// Peak resident memory of this process, in bytes.
    pub memory_bytes: u64,
}

/// The fleet at one moment, and its traffic since the previous sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in seconds of virtual time.
    pub at_seconds: f64,
    /// Sites that the server reports connected.
    pub connected: u32,
    /// Sites that the server reports reconnecting.
    pub reconnecting: u32,
    /// Sites that the server reports disconnected.
    pub disconnected: u32,
    /// Sites that match their spec.
    pub converged: u32,
    /// Messages since the last sample.
    pub messages: u64,
    /// Bytes since the last sample.
    pub bytes: u64,
    /// Dials that reached the server since the last sample.
    pub dials: u64,
}

/// The reconnects after an outage that affected many sites at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// A description of the outage.
    pub what: String,
    /// When the server became reachable again, in seconds of virtual time.
    pub at_seconds: f64,
    /// How many sites had lost their link.
    pub lost: u32,
    /// When 50 % of them were linked again, in seconds after `at_seconds`.
    pub back_50_seconds: Option<f64>,
    /// When 90 % of them were linked again, in seconds after `at_seconds`.
    pub back_90_seconds: Option<f64>,
    /// When 99 % of them were linked again, in seconds after `at_seconds`.
    pub back_99_seconds: Option<f64>,
    /// Dials that reached the server in each second from `at_seconds` on.
    pub dials_per_second: Vec<u32>,
    /// The highest number of dials in one second.
    pub first_peak: u32,
    /// The highest number of dials in one second after dials first fell below a quarter of the first peak.
    pub second_peak: u32,
}

/// A slow site.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlowSite {
    /// Its name.
    pub site: String,
    /// Its line profile.
    pub profile: String,
    /// The time it took to converge, in seconds.
    pub seconds: f64,
    /// The reason, in one sentence.
    pub why: String,
}
