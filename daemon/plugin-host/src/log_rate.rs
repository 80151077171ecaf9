//! The rate of a provider's lines in the daemon's log, across all of its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use linecamp_model::Name;

use crate::limits::{LOG_LINE_INTERVAL, LOG_LINES_AT_ONCE, LOG_PROVIDERS_MAX};

/// The rates of all providers of a host.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogRates(Arc<Mutex<BTreeMap<Name, LogRate>>>);

/// The rate of one provider: a token bucket, stored as the time at which it will be full.
#[derive(Debug)]
struct LogRate {
    full_at: Instant,
    /// Lines that were dropped and not reported yet.
    dropped: u64,
}

impl LogRates {
    /// Takes room for one line. Returns how many lines were dropped before it, to be reported first; `None` if this
    /// line is to be dropped too.
    pub(crate) fn take(&self, provider: &Name, now: Instant) -> Option<u64> {
        self.with(provider, now, |rate| match rate.has_room(now) {
            true => Some(rate.take_dropped(now)),
            false => {
                rate.dropped += 1;
                None
            }
        })
    }

    /// Adds lines that were dropped for another reason. Returns the number to report, if there is room for the report.
    pub(crate) fn report_dropped(&self, provider: &Name, dropped: u64, now: Instant) -> Option<u64> {
        self.with(provider, now, |rate| {
            rate.dropped += dropped;
            (0 < rate.dropped && rate.has_room(now)).then(|| rate.take_dropped(now))
        })
    }

    fn with<T>(&self, provider: &Name, now: Instant, change: impl FnOnce(&mut LogRate) -> T) -> T {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if LOG_PROVIDERS_MAX <= rates.len() && !rates.contains_key(provider) {
            // A full bucket is the same as none. If none is full, the one that is full first is forgotten.
            let first = rates.iter().min_by_key(|(_, rate)| rate.full_at).map(|(name, _)| name.clone());
            first.and_then(|name| rates.remove(&name));
        }
        change(rates.entry(provider.clone()).or_insert(LogRate { full_at: now, dropped: 0 }))
    }
}

impl LogRate {
    fn has_room(&self, now: Instant) -> bool {
        self.full_at.saturating_duration_since(now) <= LOG_LINE_INTERVAL * (LOG_LINES_AT_ONCE - 1)
    }

    /// Charges one line, and returns the dropped lines to report.
    fn take_dropped(&mut self, now: Instant) -> u64 {
        self.full_at = self.full_at.max(now) + LOG_LINE_INTERVAL;
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_provider_writes_a_burst_and_then_a_few_lines_a_minute() {
        let (rates, dns, other, start) =
            (LogRates::default(), Name::parse("dns").unwrap(), Name::parse("other").unwrap(), Instant::now());
        let written = |provider: &Name, lines: u32, now| (0..lines).filter_map(|_| rates.take(provider, now)).count();
        assert_eq!(written(&dns, 1_000, start), 120);
        assert_eq!(written(&other, 1, start), 1, "each provider has its own");
        assert_eq!(rates.report_dropped(&dns, 5, start), None, "no room for the report either");
        let later = start + Duration::from_secs(60);
        assert_eq!(rates.take(&dns, later), Some(885), "the drops are reported with the next line");
        assert_eq!(written(&dns, 1_000, later), 9);
        assert_eq!(rates.report_dropped(&dns, 0, later + Duration::from_secs(6)), Some(991));
        assert_eq!(rates.report_dropped(&dns, 0, later + Duration::from_secs(60)), None, "reported once");
    }

    #[test]
    fn the_number_of_providers_is_limited() {
        let (rates, now) = (LogRates::default(), Instant::now());
        for number in 0..2 * LOG_PROVIDERS_MAX {
            rates.take(&Name::parse(&format!("p{number}")).unwrap(), now);
        }
        assert_eq!(rates.0.lock().unwrap().len(), LOG_PROVIDERS_MAX);
    }
}
