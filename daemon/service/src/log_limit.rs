//! A limit on the log lines that others can cause without a credential, so that nobody can fill the disk or hide other
//! lines: rejected handshakes and requests, failed connections, a lack of file descriptors.
//!
//! Such an event has a name that begins with [`PEER`]; the rest of the name is its *kind*:
//! `tracing::debug!(name: "peer: handshake failed", %remote, "handshake failed")`. Events of libraries from INFO to
//! ERROR count as well, and the kind is the library's module. Lines of a library at DEBUG and TRACE are written only if
//! the operator requests them, and are not limited.
//!
//! Each kind has a burst and a rate, and so have all of them together. Lines beyond are counted, and reported once a
//! minute: with the next event of any kind, or by [`report_unlogged`]. Requests with an API key, changes on the local
//! socket and links of sites are not limited here: they are limited where they are admitted.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use linecamp_model::excerpt;
use tracing::{Level, Metadata};

use crate::rate_limits::{RateLimit, TokenBucket};

/// The start of the name of an event that a peer can cause without a credential.
pub const PEER: &str = "peer: ";

/// The most that a line may quote of what such a peer sent, or of an error that may quote it, in bytes. A caller cuts
/// it with [`excerpt`](linecamp_model::excerpt).
pub const PEER_TEXT_BYTES_MAX: usize = 256;

/// The longest line of a peer without a credential, in bytes; the rest is cut off.
pub const PEER_LINE_BYTES_MAX: usize = 1024;

/// The longest other line, in bytes; the rest is cut off. Errors with their causes are shorter.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Lines of one kind: enough to see what is happening and who causes it.
const OF_A_KIND: RateLimit = RateLimit { burst: 10, interval: Duration::from_secs(6) };

/// Lines of all kinds together: 5 MB a day at most, in lines of the longest kind.
const OF_ALL: RateLimit = RateLimit { burst: 50, interval: Duration::from_secs(1) };

/// How long lines are counted before their number is reported.
const REPORT_PERIOD: Duration = Duration::from_secs(60);

static LIMITS: LazyLock<Mutex<LogLimits>> = LazyLock::new(|| Mutex::new(LogLimits::new(Instant::now())));

/// Returns whether an event may be logged, and reports the events that were not.
pub fn admits_line(metadata: &'static Metadata<'static>) -> bool {
    report_unlogged();
    kind_of(metadata).is_none_or(|kind| with_limits(|limits| limits.admit(kind, Instant::now())))
}

/// Logs how many lines of each kind were not logged in the last minute, if it is over. A program calls this from time
/// to time, so that the number is reported although nothing else happens.
pub fn report_unlogged() {
    for Unlogged { kind, lines } in with_limits(|limits| limits.take_due(Instant::now())) {
        tracing::warn!("{lines} more lines like this in the last minute were not logged: {kind}");
    }
}

/// The limit on the length of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineLimit {
    bytes_max: usize,
}

impl LineLimit {
    /// The limit for the lines of an event.
    pub fn of(metadata: &Metadata<'_>) -> Self {
        Self { bytes_max: if kind_of(metadata).is_some() { PEER_LINE_BYTES_MAX } else { LINE_BYTES_MAX } }
    }

    /// Returns a line as it is written: without invisible characters, and cut off at the limit.
    pub fn apply(self, line: &str) -> String {
        excerpt(line, self.bytes_max - '…'.len_utf8())
    }
}

fn kind_of<'a>(metadata: &Metadata<'a>) -> Option<&'a str> {
    let is_ours = metadata.target().starts_with("linecamp") || metadata.target() == "plugin";
    match metadata.name().strip_prefix(PEER) {
        None if !is_ours && *metadata.level() <= Level::INFO => Some(metadata.target()),
        kind => kind,
    }
}

fn with_limits<T>(action: impl FnOnce(&mut LogLimits) -> T) -> T {
    action(&mut LIMITS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Lines of one kind that were not logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unlogged {
    kind: &'static str,
    lines: u64,
}

/// The state of the limit. Kinds are constants of the program, so their number is bounded.
#[derive(Debug)]
struct LogLimits {
    all: TokenBucket,
    kinds: BTreeMap<&'static str, KindLimit>,
}

#[derive(Debug)]
struct KindLimit {
    bucket: TokenBucket,
    unlogged: u64,
    /// When the first of the unlogged lines was not logged.
    since: Instant,
}

impl LogLimits {
    const fn new(now: Instant) -> Self {
        Self { all: TokenBucket::full(now), kinds: BTreeMap::new() }
    }

    /// Returns whether a line of this kind may be logged, and counts it if not.
    fn admit(&mut self, kind: &'static str, now: Instant) -> bool {
        let full = || KindLimit { bucket: TokenBucket::full(now), unlogged: 0, since: now };
        let limit = self.kinds.entry(kind).or_insert_with(full);
        let before = limit.bucket;
        if limit.bucket.take(1, OF_A_KIND, now).is_ok() {
            if self.all.take(1, OF_ALL, now).is_ok() {
                return true;
            }
            limit.bucket = before;
        }
        if limit.unlogged == 0 {
            limit.since = now;
        }
        limit.unlogged += 1;
        false
    }

    /// Returns the lines to report, and counts from zero again.
    fn take_due(&mut self, now: Instant) -> Vec<Unlogged> {
        let is_due = |limit: &KindLimit| limit.unlogged != 0 && REPORT_PERIOD <= now.duration_since(limit.since);
        let due = self.kinds.iter_mut().filter(|(_, limit)| is_due(limit));
        due.map(|(kind, limit)| Unlogged { kind, lines: std::mem::take(&mut limit.unlogged) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the lines that are logged of 100,000 events within five seconds.
    fn flood(limits: &mut LogLimits, kinds: &[&'static str], start: Instant) -> usize {
        let event = |number: usize| {
            let now = start + Duration::from_micros(50) * u32::try_from(number).unwrap();
            limits.admit(kinds[number % kinds.len()], now)
        };
        (0..100_000).map(event).filter(|is_logged| *is_logged).count()
    }

    #[test]
    fn a_flood_of_one_kind_gets_its_burst_and_then_the_rate() {
        let start = Instant::now();
        let mut limits = LogLimits::new(start);
        assert_eq!(flood(&mut limits, &["request"], start), 10);
        let later = start + Duration::from_secs(61);
        assert_eq!(limits.take_due(later), [Unlogged { kind: "request", lines: 99_990 }]);
        assert_eq!(limits.take_due(later), [], "each line is reported once");
        assert_eq!(flood(&mut limits, &["request"], later), 10);
    }

    #[test]
    fn a_flood_of_all_kinds_is_bounded_and_another_kind_is_still_logged_later() {
        let start = Instant::now();
        let mut limits = LogLimits::new(start);
        let kinds = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let logged = flood(&mut limits, &kinds, start);
        assert!((50..=55).contains(&logged), "{logged}");
        assert!(limits.admit("accept", start + Duration::from_secs(7)));
    }

    #[test]
    fn nothing_is_reported_before_the_minute_is_over_or_without_a_flood() {
        let start = Instant::now();
        let mut limits = LogLimits::new(start);
        assert!((0..10).all(|_| limits.admit("request", start)));
        assert_eq!(limits.take_due(start + REPORT_PERIOD), []);
        assert!(!limits.admit("request", start));
        assert_eq!(limits.take_due(start + REPORT_PERIOD - Duration::from_millis(1)), []);
        assert_eq!(limits.take_due(start + REPORT_PERIOD), [Unlogged { kind: "request", lines: 1 }]);
    }

    #[test]
    fn lines_of_peers_and_libraries_are_limited_and_bounded_in_length() {
        use tracing::Subscriber;
        use tracing::span::{Attributes, Id, Record};

        #[derive(Default)]
        struct Seen(Mutex<Vec<(Option<&'static str>, usize)>>);
        impl Subscriber for &'static Seen {
            fn enabled(&self, _: &Metadata<'_>) -> bool {
                true
            }
            fn event(&self, event: &tracing::Event<'_>) {
                let line = LineLimit::of(event.metadata()).apply(&"\u{202e}x".repeat(100_000));
                assert!(!line.contains('\u{202e}'));
                self.0.lock().unwrap().push((kind_of(event.metadata()), line.len()));
            }
            fn new_span(&self, _: &Attributes<'_>) -> Id {
                Id::from_u64(1)
            }
            fn record(&self, _: &Id, _: &Record<'_>) {}
            fn record_follows_from(&self, _: &Id, _: &Id) {}
            fn enter(&self, _: &Id) {}
            fn exit(&self, _: &Id) {}
        }
        let seen: &'static Seen = Box::leak(Box::default());
        tracing::subscriber::with_default(seen, || {
            tracing::debug!(name: "peer: handshake failed", "x");
            tracing::info!(target: "linecamp_server", "link up");
            tracing::info!(target: "plugin", "x");
            tracing::warn!(target: "rustls::conn", "x");
            tracing::debug!(target: "rustls::conn", "x");
        });
        let seen = seen.0.lock().unwrap();
        let kinds: Vec<_> = seen.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [Some("handshake failed"), None, None, Some("rustls::conn"), None]);
        for (kind, bytes) in seen.iter() {
            assert!(*bytes <= if kind.is_some() { PEER_LINE_BYTES_MAX } else { LINE_BYTES_MAX }, "{bytes}");
        }
    }
}
