//! Link gaps: the times in which a site had no session with its server, and why.
//!
//! The site observes the causes and reports a gap ([`GapReport`]) when it is back; the server knows when the site was
//! gone, and keeps the history ([`LinkGap`]).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::condition::words;
use crate::limits::LINK_ERROR_BYTES_MAX;
use crate::name::Text;
use crate::refusal::RefusalCode;
use crate::time::WallTime;

words! {
    /// Why a site had no session with its server. The list is closed.
    GapCause {
        /// The site's machine was off, or restarted.
        PowerOff = "power-off",
        /// The daemon ended without being stopped.
        DaemonCrash = "daemon-crash",
        /// The daemon was stopped, and another version of it was started.
        DaemonUpdate = "daemon-update",
        /// The daemon was stopped, and started again.
        DaemonRestart = "daemon-restart",
        /// The site's machine has no route to the server.
        NoRoute = "no-route",
        /// The server's name could not be resolved.
        NameResolution = "name-resolution",
        /// The name and the route are fine, and nothing answers: UDP is blocked on the way, or the server is down.
        NoAnswer = "no-answer",
        /// The TLS handshake failed: another server answers, or a clock is wrong.
        Tls = "tls",
        /// The server refused the site.
        Refused = "refused",
        /// The server was overloaded and told the site when to retry.
        Paced = "paced",
        /// The server was stopped, or it was not running.
        ServerStopped = "server-stopped",
        /// Nothing observed explains it.
        Unknown = "unknown",
    }
}

impl GapCause {
    /// Returns whether this cause ended a run of the daemon: the time until the next run started.
    pub const fn is_between_runs(self) -> bool {
        matches!(self, Self::PowerOff | Self::DaemonCrash | Self::DaemonUpdate | Self::DaemonRestart)
    }
}

/// How long each cause of a gap lasted, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CauseTimes(BTreeMap<GapCause, Duration>);

impl CauseTimes {
    /// Adds time to a cause. A cause may be present with no time: its length is not known.
    pub fn add(&mut self, cause: GapCause, time: Duration) {
        let sum = self.0.entry(cause).or_default();
        let whole = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        *sum = sum.saturating_add(whole).min(Duration::from_millis(u64::MAX));
    }

    /// Adds all times of another gap.
    pub fn add_all(&mut self, other: &Self) {
        for (cause, time) in other.iter() {
            self.add(cause, time);
        }
    }

    /// Returns the causes in the order of their declaration.
    pub fn iter(&self) -> impl Iterator<Item = (GapCause, Duration)> {
        self.0.iter().map(|(cause, time)| (*cause, *time))
    }

    /// Returns the causes, the one that lasted longest first.
    pub fn longest_first(&self) -> Vec<(GapCause, Duration)> {
        let mut times: Vec<_> = self.iter().collect();
        times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        times
    }

    /// Returns the cause that lasted longest; of equal ones, the first in the order of declaration.
    pub fn longest(&self) -> GapCause {
        self.longest_first().first().map_or(GapCause::Unknown, |(cause, _)| *cause)
    }

    /// Returns the sum of all times.
    pub fn total(&self) -> Duration {
        self.iter().fold(Duration::ZERO, |sum, (_, time)| sum.saturating_add(time))
    }

    /// Returns the number of causes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no cause.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(GapCause, Duration)> for CauseTimes {
    fn from_iter<I: IntoIterator<Item = (GapCause, Duration)>>(times: I) -> Self {
        let mut sums = Self::default();
        times.into_iter().for_each(|(cause, time)| sums.add(cause, time));
        sums
    }
}

/// A gap as its site reports it, by the site's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GapReport {
    /// When the session was lost. `None`: the run of the daemon that had the session could not note it.
    pub began_at: Option<WallTime>,
    /// When the next session came up. `None`: it is the one that this report opens.
    pub ended_at: Option<WallTime>,
    /// The causes.
    pub times: CauseTimes,
    /// How the server last refused the site, if it did.
    pub refusal: Option<RefusalCode>,
    /// The last error of an attempt to connect, at most [`LINK_ERROR_BYTES_MAX`] bytes.
    pub last_error: Text,
    /// How many gaps this one stands for besides itself.
    pub merged: u32,
}

impl GapReport {
    /// Appends a later gap, so that this one stands for both.
    pub fn merge(&mut self, later: &Self) {
        self.ended_at = later.ended_at;
        self.times.add_all(&later.times);
        self.refusal = later.refusal.or(self.refusal);
        if !later.last_error.as_str().is_empty() {
            self.last_error = later.last_error.clone();
        }
        self.merged = self.merged.saturating_add(later.merged).saturating_add(1);
    }
}

/// A gap as the server keeps it, by the server's clock. When it began is its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkGap {
    /// When the site was back.
    pub ended_at: WallTime,
    /// The causes. Their sum is about the length of the gap.
    pub times: CauseTimes,
    /// How the server last refused the site, if it did.
    pub refusal: Option<RefusalCode>,
    /// The last error of the site's attempts to connect.
    pub last_error: Text,
    /// How many gaps this one stands for besides itself.
    pub merged: u32,
}

/// What a site's link recorder keeps on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRecord {
    /// The boot of the machine in which it was written, if the machine tells.
    pub boot: Option<BootId>,
    /// The version of the daemon that wrote it.
    pub daemon_version: Text,
    /// When it was written, by the site's clock.
    pub noted_at: WallTime,
    /// Whether the daemon wrote it because it was being stopped.
    pub is_stopped: bool,
    /// The gap that was in progress, if it had lasted long enough to be noted.
    pub current: Option<GapReport>,
    /// The gaps that no server has acknowledged, oldest first.
    pub waiting: Vec<GapReport>,
}

/// Identifies one boot of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// Parses the form that Linux shows: hexadecimal, with hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

/// Cuts the text of an error to [`LINK_ERROR_BYTES_MAX`] bytes.
pub fn link_error(text: &Text) -> Text {
    let text = text.as_str();
    match text.len() {
        ..=LINK_ERROR_BYTES_MAX => Text::lossy(text),
        _ => {
            const CUT: &str = "...";
            let end = text.floor_char_boundary(LINK_ERROR_BYTES_MAX - CUT.len());
            Text::lossy(&format!("{}{CUT}", text[..end].trim_end()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_cause_that_lasted_longest_comes_first() {
        let mut times: CauseTimes =
            [(GapCause::NoRoute, secs(60)), (GapCause::NameResolution, secs(50))].into_iter().collect();
        assert_eq!(times.longest(), GapCause::NoRoute);
        times.add(GapCause::NameResolution, secs(20));
        assert_eq!(times.longest_first(), [(GapCause::NameResolution, secs(70)), (GapCause::NoRoute, secs(60))]);
        assert_eq!((times.total(), CauseTimes::default().longest()), (secs(130), GapCause::Unknown));
    }

    #[test]
    fn merged_gaps_are_counted() {
        let report = |cause, text| GapReport {
            times: [(cause, secs(9))].into_iter().collect(),
            last_error: Text::lossy(text),
            ..GapReport::default()
        };
        let mut first = report(GapCause::NoRoute, "no route");
        first.merge(&report(GapCause::Tls, ""));
        first.merge(&report(GapCause::NoRoute, ""));
        assert_eq!((first.merged, first.last_error.as_str()), (2, "no route"));
        assert_eq!(first.times.longest_first(), [(GapCause::NoRoute, secs(18)), (GapCause::Tls, secs(9))]);
    }

    #[test]
    fn a_boot_id_is_read_as_linux_shows_it() {
        let id = BootId::parse("3f2504e0-4f89-41d3-9a0c-0305e82c3301\n").unwrap();
        assert_eq!((id.0[0], id.0[15]), (0x3f, 0x01));
        assert_eq!(BootId::parse("unknown"), None);
    }

    #[test]
    fn a_long_error_is_cut() {
        let cut = link_error(&Text::lossy(&"ä".repeat(200)));
        assert!(cut.as_str().len() <= LINK_ERROR_BYTES_MAX && cut.as_str().ends_with("..."), "{cut}");
        assert_eq!(link_error(&Text::lossy("short")).as_str(), "short");
    }
}
