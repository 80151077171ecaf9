//! What a run came to: the one thing that all reports are made of.
//!
//! Its JSON is what `linecamp-sim run -o json` prints and what `linecamp-sim report` reads back. Field names are
//! stable.

use serde::{Deserialize, Serialize};

/// Everything a run has to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The name of the scenario.
    pub scenario: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// `model` or `quic`.
    pub mode: String,
    /// The seed that decided everything.
    pub seed: u64,
    /// How many sites took part, without their copies.
    pub sites: u32,
    /// How much time passed in the simulated world, in seconds.
    pub virtual_seconds: f64,
    /// How much time passed in ours, in seconds.
    pub wall_seconds: f64,
    /// Everything that happened: inputs of machines, and faults.
    pub events: u64,
    /// A digest of everything that happened, in order, in hex: equal for equal runs.
    pub trace_hash: String,
    /// A digest of every datagram with its time, in hex. Only in `quic` mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire_hash: Option<String>,
    /// How it ended.
    pub outcome: Verdict,
    /// What must never happen, and did. Empty in a run that passed.
    pub violations: Vec<Violation>,
    /// Numbers worth a line each.
    pub figures: Figures,
    /// How the fleet did over time, evenly spaced.
    pub samples: Vec<Sample>,
    /// What followed each loss of the server or of a network.
    pub storms: Vec<Storm>,
    /// The sites that took longest to agree with the server after they could reach it, the slowest first.
    pub slowest: Vec<SlowSite>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing happened that must not.
    #[default]
    Passed,
    /// Something did.
    Failed,
    /// Somebody stopped it; nothing had happened until then that must not.
    Interrupted,
}

/// A promise that was broken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// Which checker saw it.
    pub checker: String,
    /// At which event, counted from one.
    pub step: u64,
    /// When, in seconds of the simulated world.
    pub at_seconds: f64,
    /// Whom it concerns, by name.
    pub sites: Vec<String>,
    /// What was seen, in a sentence.
    pub what: String,
    /// The one command that shows it again.
    pub replay: String,
    /// The last things that happened to those it concerns, oldest first.
    pub inputs: Vec<String>,
}

/// Numbers worth a line each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Messages on all links, both directions.
    pub messages: u64,
    /// Bytes on all lines, headers and keep-alive included, both directions.
    pub bytes: u64,
    /// The same for one site and a month of 30 days, on average.
    pub bytes_per_site_month: u64,
    /// The same for the site with the most.
    pub bytes_per_site_month_max: u64,
    /// Dials that sites began.
    pub dials: u64,
    /// Sessions that came up.
    pub sessions: u64,
    /// Writes that changed something, at sites.
    pub site_writes: u64,
    /// Writes that changed something, at the server.
    pub server_writes: u64,
    /// Faults that were done to the fleet.
    pub faults: u64,
    /// Requests of operators.
    pub requests: u64,
    /// Those of them that were refused.
    pub requests_refused: u64,
    /// From the end of the faults until everything reachable agreed, in seconds.
    pub converged_after_seconds: f64,
    /// The most resident memory of this process, in bytes.
    pub memory_bytes: u64,
}

/// The fleet at one moment, and what went on since the moment before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in seconds of the simulated world.
    pub at_seconds: f64,
    /// Sites the server calls connected.
    pub connected: u32,
    /// Sites the server calls reconnecting.
    pub reconnecting: u32,
    /// Sites the server calls disconnected.
    pub disconnected: u32,
    /// Sites that match everything they were asked for.
    pub converged: u32,
    /// Messages since the last sample.
    pub messages: u64,
    /// Bytes since the last sample.
    pub bytes: u64,
    /// Dials that reached the server since the last sample.
    pub dials: u64,
}

/// What followed a loss that many sites felt at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// What happened, in words.
    pub what: String,
    /// When the server could be reached again, in seconds of the simulated world.
    pub at_seconds: f64,
    /// How many sites had lost their link.
    pub lost: u32,
    /// When half, nine tenths and 99 in 100 of them were linked again, in seconds after `at_seconds`.
    pub back_50_seconds: Option<f64>,
    /// See above.
    pub back_90_seconds: Option<f64>,
    /// See above.
    pub back_99_seconds: Option<f64>,
    /// Dials that reached the server, for each second from `at_seconds` on.
    pub dials_per_second: Vec<u32>,
    /// The highest second.
    pub first_peak: u32,
    /// The highest second after the dials had once fallen below a quarter of the first peak.
    pub second_peak: u32,
}

/// A site that was slow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlowSite {
    /// Its name.
    pub site: String,
    /// The kind of line it is on.
    pub profile: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Why, in a sentence.
    pub why: String,
}
