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
    each: Duration,
    before: (u64, Traffic),
    linked: BTreeSet<NodeId>,
    /// The sites that were linked when the server went down.
    without_server: Option<BTreeSet<NodeId>>,
    /// The sites that were linked when the partition started.
    parted: Option<BTreeSet<NodeId>>,
    storms: Vec<Watched>,
    agreed: BTreeMap<NodeId, Duration>,
    /// Why a site had not converged at the last check.
    why_late: BTreeMap<NodeId, String>,
    settled_after: Option<Duration>,
    still: u32,
    slowest: Vec<SlowSite>,
}

#[derive(Debug)]
struct Watched {
    storm: Storm,
    at: Duration,
    is_server: bool,
    missing: BTreeSet<NodeId>,
    back: Vec<Duration>,
}

impl Counters {
    pub(crate) fn new(total: Duration) -> Self {
        Self {
            figures: Figures::default(),
            samples: Vec::new(),
            each: (total / SAMPLES).max(Duration::from_secs(1)),
            before: (0, Traffic::default()),
            linked: BTreeSet::new(),
            without_server: None,
            parted: None,
            storms: Vec::new(),
            agreed: BTreeMap::new(),
            why_late: BTreeMap::new(),
            settled_after: None,
            still: 0,
            slowest: Vec::new(),
        }
    }

    pub(crate) fn message(&mut self) {
        self.figures.messages += 1;
    }

    /// A site's session was accepted.
    pub(crate) fn linked(&mut self, node: NodeId, elapsed: Duration) {
        self.linked.insert(node);
        if let Some(watched) = self.storms.last_mut()
            && watched.missing.remove(&node)
        {
            watched.back.push(elapsed.saturating_sub(watched.at));
        }
    }

    /// A site lost its link.
    pub(crate) fn lost(&mut self, node: NodeId) {
        self.linked.remove(&node);
    }

    /// A site has ended permanently.
    pub(crate) fn ended(&mut self, node: NodeId) {
        self.linked.remove(&node);
        if let Some(watched) = self.storms.last_mut() {
            watched.missing.remove(&node);
        }
    }

    /// The server went down.
    pub(crate) fn server_goes(&mut self) {
        self.without_server.get_or_insert_with(|| self.linked.clone());
    }

    /// A partition started.
    pub(crate) fn net_parts(&mut self) {
        self.parted.get_or_insert_with(|| self.linked.clone());
    }

    /// The server is back.
    pub(crate) fn server_is_back(&mut self, elapsed: Duration, what: &str) {
        if let Some(missing) = self.without_server.take() {
            self.begin_storm(elapsed, what, missing, true);
        }
    }

    /// A line is restored; if this ends a partition, the sites that lost their link start to reconnect.
    pub(crate) fn line_is_back(&mut self, elapsed: Duration) {
        if let Some(mut missing) = self.parted.take() {
            missing.retain(|node| !self.linked.contains(node));
            self.begin_storm(elapsed, "a part of the net was away", missing, false);
        }
    }

    fn begin_storm(&mut self, at: Duration, what: &str, missing: BTreeSet<NodeId>, is_server: bool) {
        if missing.len() < STORM_SITES_MIN || STORMS_MAX <= self.storms.len() {
            return;
        }
        let lost = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        let storm = Storm { what: what.to_owned(), at_seconds: at.as_secs_f64(), lost, ..Storm::default() };
        self.storms.push(Watched { storm, at, is_server, missing, back: Vec::new() });
    }

    /// A dial reached the server.
    pub(crate) fn opened(&mut self, elapsed: Duration) {
        self.figures.sessions += 1;
        if let Some(watched) = self.storms.last_mut()
            && let Some(since) = elapsed.checked_sub(watched.at).filter(|since| *since < STORM_FOR)
        {
            let second = usize::try_from(since.as_secs()).unwrap_or(usize::MAX);
            let dials = &mut watched.storm.dials_per_second;
            dials.resize(dials.len().max(second + 1), 0);
            dials[second] += 1;
        }
    }

    /// A site converged; `after` counts from the end of the faults.
    pub(crate) fn agreed(&mut self, node: NodeId, after: Duration) {
        self.agreed.entry(node).or_insert(after);
    }

    /// A site has not converged.
    pub(crate) fn late(&mut self, node: NodeId, why: &str) {
        self.agreed.remove(&node);
        self.why_late.insert(node, why.to_owned());
    }

    /// All sites have converged.
    pub(crate) fn settled(&mut self, after: Duration) {
        self.settled_after.get_or_insert(after);
        self.still += 1;
    }

    /// Some site has not converged.
    pub(crate) fn unsettled(&mut self) {
        self.settled_after = None;
        self.still = 0;
    }

    /// Returns how many consecutive checks found all sites converged.
    pub(crate) const fn still(&self) -> u32 {
        self.still
    }

    pub(crate) const fn sample_each(&self) -> Duration {
        self.each
    }

    /// Records a sample.
    pub(crate) fn sample(&mut self, elapsed: Duration, counts: Option<Counts>, traffic: Traffic) {
        let (messages, before) = self.before;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut sample = Sample {
            at_seconds: elapsed.as_secs_f64(),
            messages: self.figures.messages - messages,
            bytes: traffic.bytes.saturating_sub(before.bytes),
            dials: traffic.dials_arrived.saturating_sub(before.dials_arrived),
            ..Sample::default()
        };
        if let Some(counts) = counts {
            sample.connected = count(counts.links.connected);
            sample.reconnecting = count(counts.links.reconnecting);
            sample.disconnected = count(counts.links.disconnected);
            sample.converged = count(counts.converged);
        }
        self.samples.push(sample);
        self.before = (self.figures.messages, traffic);
    }

    /// Compares the storms with the scenario's expectations.
    pub(crate) fn check(&self, expect: &Expect, _elapsed: Duration) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for storm in self.storms.iter().filter(|watched| watched.is_server).map(Watched::finished) {
            let at = storm.at_seconds;
            if let Some(bound) = expect.back_99_seconds
                && storm.back_99_seconds.is_none_or(|back| bound < back)
            {
                let back =
                    storm.back_99_seconds.map_or_else(|| "never".to_owned(), |back| format!("after {back:.1} s"));
                let lost = storm.lost;
                found.push((
                    "storm",
                    format!(
                        "at {at:.0} s the server was back, and 99 in 100 of {lost} sites {back}; {bound} s are allowed"
                    ),
                ));
            }
            if let Some(percent) = expect.second_peak_percent
                && u64::from(storm.first_peak) * u64::from(percent) < u64::from(storm.second_peak) * 100
            {
                let (first, second) = (storm.first_peak, storm.second_peak);
                found.push((
                    "storm",
                    format!("after {at:.0} s dials had a peak of {first} a second, and then one of {second}"),
                ));
            }
        }
        found
    }

    /// Fills in the figures that are known only at the end.
    pub(crate) fn close(&mut self, bytes: &[u64], elapsed: Duration) {
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
        self.figures.converged_after_seconds = self.settled_after.unwrap_or_default().as_secs_f64();
    }

    /// Returns the sites that took longest to converge, slowest first.
    pub(crate) fn slowest(&self, count: usize) -> Vec<(NodeId, SlowSite)> {
        let was_late = self.agreed.iter().filter(|(node, _)| self.why_late.contains_key(node));
        let mut all: Vec<_> = was_late.map(|(node, after)| (*after, *node)).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let slow = |(after, node): (Duration, NodeId)| {
            let why = self.why_late.get(&node).cloned().unwrap_or_default();
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
        self.storms.iter().map(Watched::finished).collect()
    }
}

impl Watched {
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
    let (mut first, mut second, mut has_fallen) = (0, 0, false);
    for count in dials {
        if has_fallen {
            second = second.max(*count);
        } else {
            first = first.max(*count);
            has_fallen = lost <= first * 50 && *count * 4 < first;
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
        assert_eq!(peaks(&[3, 100, 80, 90, 30], 500), (100, 0), "it has not fallen yet");
        assert_eq!(peaks(&[100, 10, 40, 5], 500), (100, 40));
        assert_eq!(peaks(&[40, 5, 100], 500), (40, 100), "a second wave may be the higher one");
        assert_eq!(peaks(&[2, 0, 100, 5], 500), (100, 0), "two early ones are no wave");
    }
}
