//! The daemon's log: one line on stderr per event, or one journal entry if systemd started the daemon.
//!
//! ```text
//! 2026-11-22T02:27:04Z INFO  link up server=camp.example:443 session=12
//! ```
//! It is deliberately small. The usual subscriber brings a filter language and a regular-expression engine, a tenth of
//! the daemon's size, to do what one level does. Spans are ignored. Linecamp's own events and the lines of plugins are
//! logged from the configured level; those of libraries from `WARN`, or at the configured level if it is `DEBUG` or
//! finer. Invisible characters in a line are replaced, so that no text can forge a line. The lines that local users can
//! cause without access are limited (`linecamp_service::admits_line`).
//!
//! In the journal, an event's fields become the entry's fields, and every entry has `SITE` once the site's name is
//! known.

use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

use linecamp_service::{Journal, LineLimit, LogLine, admits_line};
use linecamp_transport::{SystemClock, WallClock as _};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// The syslog identifier in the journal.
const IDENTIFIER: &str = "linecampd";

/// The target of the lines that plugins write.
const PLUGIN: &str = "plugin";

/// The levels by number, which fits an atomic.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// The configured level: the process has one log.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The site's name.
static SITE: RwLock<Option<String>> = RwLock::new(None);

/// Starts to log events of `level` and above, for the whole process. A second call only changes the level.
pub fn init(level: LevelFilter) {
    set_level(level);
    let _ = tracing::subscriber::set_global_default(Log { journal: Journal::from_environment(IDENTIFIER) });
}

/// Logs events of `level` and above from now on.
pub fn set_level(level: LevelFilter) {
    let number = (0..).zip(LEVELS).find_map(|(number, known)| (known == level).then_some(number));
    LEVEL.store(number.unwrap_or_default(), Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

/// Adds the site's name to every journal entry from now on.
pub(crate) fn set_site(name: &str) {
    *SITE.write().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
}

fn level() -> LevelFilter {
    LEVELS[usize::from(LEVEL.load(Ordering::Relaxed)).min(LEVELS.len() - 1)]
}

struct Log {
    journal: Option<Journal>,
}

impl Log {
    fn shows(metadata: &Metadata<'_>) -> bool {
        let configured = level();
        let is_ours = metadata.target().starts_with("linecamp") || metadata.target() == PLUGIN;
        let level =
            if is_ours || LevelFilter::DEBUG <= configured { configured } else { configured.min(LevelFilter::WARN) };
        metadata.is_event() && *metadata.level() <= level
    }

    /// Writes the event to the journal. Returns false if no journal is reachable.
    fn write_to_journal(&self, metadata: &Metadata<'_>, mut line: LogLine) -> bool {
        let Some(journal) = &self.journal else { return false };
        if let Some(site) = SITE.read().unwrap_or_else(PoisonError::into_inner).clone() {
            line.fields.push(("site".to_owned(), site));
        }
        line.send(journal, metadata)
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(level())
    }

    fn event(&self, event: &Event<'_>) {
        if !admits_line(event.metadata()) {
            return;
        }
        let line = LogLine::of(event);
        let text = LineLimit::of(event.metadata()).apply(&line.text());
        if self.write_to_journal(event.metadata(), line) {
            return;
        }
        let text = format!("{} {:5} {text}\n", SystemClock.now(), label(*event.metadata().level()));
        // A failed write to stderr cannot be reported.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    // Spans are never enabled, so these do nothing.
    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

const fn label(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::Mutex;

    use super::*;

    /// Held by a test that sets the level: the process has one.
    static LEVEL_IN_USE: Mutex<()> = Mutex::new(());

    #[test]
    fn every_level_has_a_name() {
        let names = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE].map(label);
        assert_eq!(names, ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]);
    }

    /// Lines of plugins are logged like Linecamp's own; libraries log warnings only.
    #[test]
    fn a_line_of_a_plugin_is_logged_at_the_default_level() {
        let _alone = LEVEL_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let log = Log { journal: Some(Journal::at(&path, IDENTIFIER).unwrap()) };
        set_level(LevelFilter::INFO);
        tracing::subscriber::with_default(log, || {
            tracing::debug!(target: PLUGIN, provider = "dns", "request sent");
            tracing::info!(target: "hyper", "connected");
            tracing::info!(target: PLUGIN, provider = "dns", "zone found");
        });
        let mut bytes = [0; 4096];
        let count = socket.recv(&mut bytes).unwrap();
        let entry = String::from_utf8_lossy(&bytes[..count]);
        assert!(entry.contains("MESSAGE=zone found") && entry.contains("\nPROVIDER=dns\n"), "{entry}");
        assert!(socket.recv(&mut bytes).is_err(), "one entry");
    }

    #[test]
    fn a_journal_entry_has_the_events_fields_and_the_sites_name() {
        let _alone = LEVEL_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let socket = UnixDatagram::bind(&path).unwrap();
        let log = Log { journal: Some(Journal::at(&path, IDENTIFIER).unwrap()) };
        set_level(LevelFilter::INFO);
        set_site("camp-042");
        tracing::subscriber::with_default(log, || {
            tracing::info!(target: "linecampd::daemon", session = 12, reason = "no way", "link down");
            tracing::debug!(target: "linecampd::daemon", "too fine");
            set_level(LevelFilter::DEBUG);
            tracing::debug!(target: "linecampd::daemon", call = "7", "plugin called");
        });
        let mut bytes = [0; 4096];
        let mut received = || {
            let count = socket.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..count]).into_owned()
        };
        assert_eq!(
            received(),
            "MESSAGE=link down session=12 reason=\"no way\"\nPRIORITY=6\nSYSLOG_IDENTIFIER=linecampd\nTARGET=linecampd::daemon\n\
             SESSION=12\nREASON=no way\nSITE=camp-042\n"
        );
        assert!(received().contains("\nCALL=7\nSITE=camp-042\n"), "the level changed in between");
    }
}
