//! Counters for the reports and for a scenario's expectations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_core::LinkCounts;

use crate::outcome::{Figures, Sample, SlowSite, Storm};
use crate::scenario::Expect;
use crate::transport::{NodeId, Traffic};

/// Number of samples per run.
const SAMPLES: u32 = 600;

/// How long dials are recorded after a storm starts.
const STORM_FOR: Duration = Duration::from_secs(300);

/// Maximum number of storms recorded; later ones are ignored.
const STORMS_MAX: usize = 50;

/// Minimum number of sites that must have lost their link for a storm.
const STORM_SITES_MIN: usize = 10;

/// The server's counts of its links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) links: LinkCounts,
    pub(crate) converged: usize,
}

/// All counters.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) figures: Figures,
    pub(crate) samples: Vec<Sample>,
    sample_interval: Duration,
    last_sample: (u64, Traffic),
    linked: BTreeSet<NodeId>,
    /// The sites that were linked when the server went down.
    linked_before_outage: Option<BTreeSet<NodeId>>,
    /// The sites that were linked when the partition started.
    linked_before_partition: Option<BTreeSet<NodeId>>,
    storms: Vec<StormRecorder>,
    converged_after: BTreeMap<NodeId, Duration>,
    /// Why a site had not converged at the last check.
    why_unconverged: BTreeMap<NodeId, String>,
    all_converged_after: Option<Duration>,
    checks_converged: u32,
    slowest: Vec<SlowSite>,
}

#[derive(Debug)]
struct StormRecorder {
    storm: Storm,
    at: Duration,
    is_server_outage: bool,
    missing: BTreeSet<NodeId>,
    back: Vec<Duration>,
}

impl Counters {
    pub(crate) fn new(total: Duration) -> Self {
        Self {
            figures: Figures::default(),
            samples: Vec::new(),
            sample_interval: (total / SAMPLES).max(Duration::from_secs(1)),
            last_sample: (0, Traffic::default()),
            linked: BTreeSet::new(),
            linked_before_outage: None,
            linked_before_partition: None,
            storms: Vec::new(),
            converged_after: BTreeMap::new(),
            why_unconverged: BTreeMap::new(),
            all_converged_after: None,
            checks_converged: 0,
            slowest: Vec::new(),
        }
    }

    pub(crate) fn message(&mut self) {
        self.figures.messages += 1;
    }

    /// A site's session was accepted.
    pub(crate) fn linked(&mut self, node: NodeId, elapsed: Duration) {
        self.linked.insert(node);
        if let Some(recorder) = self.storms.last_mut()
            && recorder.missing.remove(&node)
        {
            recorder.back.push(elapsed.saturating_sub(recorder.at));
        }
    }

    /// A site lost its link.
    pub(crate) fn lost(&mut self, node: NodeId) {
        self.linked.remove(&node);
    }

    /// A site has ended permanently.
    pub(crate) fn ended(&mut self, node: NodeId) {
        self.linked.remove(&node);
        if let Some(recorder) = self.storms.last_mut() {
            recorder.missing.remove(&node);
        }
    }

    /// The server went down.
    pub(crate) fn server_down(&mut self) {
        self.linked_before_outage.get_or_insert_with(|| self.linked.clone());
    }

    /// A partition started.
    pub(crate) fn partition_started(&mut self) {
        self.linked_before_partition.get_or_insert_with(|| self.linked.clone());
    }

    /// The server is back.
    pub(crate) fn server_up(&mut self, elapsed: Duration, what: &str) {
        if let Some(missing) = self.linked_before_outage.take() {
            self.begin_storm(elapsed, what, missing, true);
        }
    }

    /// A line is restored; if this ends a partition, the sites that lost their link start to reconnect.
    pub(crate) fn line_restored(&mut self, elapsed: Duration) {
        if let Some(mut missing) = self.linked_before_partition.take() {
            missing.retain(|node| !self.linked.contains(node));
            self.begin_storm(elapsed, "network partition", missing, false);
        }
    }

    fn begin_storm(&mut self, at: Duration, what: &str, missing: BTreeSet<NodeId>, is_server_outage: bool) {
        if missing.len() < STORM_SITES_MIN || STORMS_MAX <= self.storms.len() {
            return;
        }
        let lost = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        let storm = Storm { what: what.to_owned(), at_seconds: at.as_secs_f64(), lost, ..Storm::default() };
        self.storms.push(StormRecorder { storm, at, is_server_outage, missing, back: Vec::new() });
    }

    /// A dial reached the server.
    pub(crate) fn dial_arrived(&mut self, elapsed: Duration) {
        self.figures.sessions += 1;
        if let Some(recorder) = self.storms.last_mut()
            && let Some(since) = elapsed.checked_sub(recorder.at).filter(|since| *since < STORM_FOR)
        {
            let second = usize::try_from(since.as_secs()).unwrap_or(usize::MAX);
            let dials = &mut recorder.storm.dials_per_second;
            dials.resize(dials.len().max(second + 1), 0);
            dials[second] += 1;
        }
    }

    /// A site converged; `after` counts from the end of the faults.
    pub(crate) fn site_converged(&mut self, node: NodeId, after: Duration) {
        self.converged_after.entry(node).or_insert(after);
    }

    /// A site has not converged.
    pub(crate) fn site_unconverged(&mut self, node: NodeId, why: &str) {
        self.converged_after.remove(&node);
        self.why_unconverged.insert(node, why.to_owned());
    }

    /// All sites have converged.
    pub(crate) fn all_converged(&mut self, after: Duration) {
        self.all_converged_after.get_or_insert(after);
        self.checks_converged += 1;
    }

    /// Some site has not converged.
    pub(crate) fn not_all_converged(&mut self) {
        self.all_converged_after = None;
        self.checks_converged = 0;
    }

    /// Returns how many consecutive checks found all sites converged.
    pub(crate) const fn checks_converged(&self) -> u32 {
        self.checks_converged
    }

    pub(crate) const fn sample_interval(&self) -> Duration {
        self.sample_interval
    }

    /// Records a sample.
    pub(crate) fn sample(&mut self, elapsed: Duration, counts: Option<Counts>, traffic: Traffic) {
        let (messages, last_sample) = self.last_sample;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut sample = Sample {
            at_seconds: elapsed.as_secs_f64(),
            messages: self.figures.messages - messages,
            bytes: traffic.bytes.saturating_sub(last_sample.bytes),
            dials: traffic.dials_arrived.saturating_sub(last_sample.dials_arrived),
            ..Sample::default()
        };
        if let Some(counts) = counts {
            sample.connected = count(counts.links.connected);
            sample.reconnecting = count(counts.links.reconnecting);
            sample.disconnected = count(counts.links.disconnected);
            sample.converged = count(counts.converged);
        }
        self.samples.push(sample);
        self.last_sample = (self.figures.messages, traffic);
    }

    /// Compares the storms with the scenario's expectations.
    pub(crate) fn check(&self, expect: &Expect, _elapsed: Duration) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for storm in self.storms.iter().filter(|recorder| recorder.is_server_outage).map(StormRecorder::finished) {
            let at = storm.at_seconds;
            if let Some(bound) = expect.back_99_seconds
                && storm.back_99_seconds.is_none_or(|back| bound < back)
            {
                let found_after = storm
                    .back_99_seconds
                    .map_or_else(|| "they did not".to_owned(), |back| format!("it took {back:.1} s"));
                let lost = storm.lost;
                found.push((
                    "storm",
                    format!(
                        "server up at {at:.0} s: 99 % of {lost} sites must reconnect within {bound} s; {found_after}"
                    ),
                ));
            }
            if let Some(percent) = expect.second_peak_percent
                && u64::from(storm.first_peak) * u64::from(percent) < u64::from(storm.second_peak) * 100
            {
                let (first, second) = (storm.first_peak, storm.second_peak);
                found.push((
                    "storm",
                    format!(
                        "server up at {at:.0} s: the second peak is {second} dials/s after a first of {first}; \
                         at most {percent} % of the first is allowed"
                    ),
                ));
            }
        }
        found
    }

    /// Fills in the figures that are known only at the end.
    pub(crate) fn complete(&mut self, bytes: &[u64], elapsed: Duration) {
        let month = Duration::from_secs(30 * 24 * 3600).as_secs_f64() / elapsed.as_secs_f64().max(1.0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a figure"
        )]
        let of_month = |bytes: u64| (bytes as f64 * month) as u64;
        let all: u64 = bytes.iter().sum();
        self.figures.bytes = all;
        self.figures.bytes_per_site_month = of_month(all / (bytes.len() as u64).max(1));
        self.figures.bytes_per_site_month_max = of_month(bytes.iter().copied().max().unwrap_or(0));
        self.figures.converged_after_seconds = self.all_converged_after.unwrap_or_default().as_secs_f64();
    }

    /// Returns the sites that took longest to converge, slowest first.
    pub(crate) fn slowest(&self, count: usize) -> Vec<(NodeId, SlowSite)> {
        let was_late = self.converged_after.iter().filter(|(node, _)| self.why_unconverged.contains_key(node));
        let mut all: Vec<_> = was_late.map(|(node, after)| (*after, *node)).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let slow = |(after, node): (Duration, NodeId)| {
            let why = self.why_unconverged.get(&node).cloned().unwrap_or_default();
            (node, SlowSite { seconds: after.as_secs_f64(), why, ..SlowSite::default() })
        };
        all.into_iter().take(count).map(slow).collect()
    }

    pub(crate) fn set_slowest(&mut self, slowest: Vec<SlowSite>) {
        self.slowest = slowest;
    }

    pub(crate) fn take_slowest(&mut self) -> Vec<SlowSite> {
        std::mem::take(&mut self.slowest)
    }

    pub(crate) fn storms(&self) -> Vec<Storm> {
        self.storms.iter().map(StormRecorder::finished).collect()
    }
}

impl StormRecorder {
    fn finished(&self) -> Storm {
        // Sites that ended permanently in the meantime are not counted as missing.
        let lost = self.back.len() + self.missing.len();
        let back = |percent: usize| {
            let needed = (lost * percent).div_ceil(100);
            needed.checked_sub(1).and_then(|place| self.back.get(place)).map(Duration::as_secs_f64)
        };
        let (first_peak, second_peak) = peaks(&self.storm.dials_per_second, self.storm.lost);
        Storm {
            back_50_seconds: back(50),
            back_90_seconds: back(90),
            back_99_seconds: back(99),
            first_peak,
            second_peak,
            ..self.storm.clone()
        }
    }
}

/// Returns the highest second, and the highest second after dials first fell below a quarter of the peak so far. A few
/// early dials are not a peak: a peak is at least a fiftieth of the missing sites.
fn peaks(dials: &[u32], lost: u32) -> (u32, u32) {
    let (mut first, mut second, mut has_dropped) = (0, 0, false);
    for count in dials {
        if has_dropped {
            second = second.max(*count);
        } else {
            first = first.max(*count);
            has_dropped = lost <= first * 50 && *count * 4 < first;
        }
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_peak_requires_a_drop_after_the_first() {
        assert_eq!(peaks(&[], 500), (0, 0));
        assert_eq!(peaks(&[3, 100, 80, 90, 30], 500), (100, 0), "no drop yet");
        assert_eq!(peaks(&[100, 10, 40, 5], 500), (100, 40));
        assert_eq!(peaks(&[40, 5, 100], 500), (40, 100), "the second peak may be the higher one");
        assert_eq!(peaks(&[2, 0, 100, 5], 500), (100, 0), "two early dials are not a peak");
    }
}
