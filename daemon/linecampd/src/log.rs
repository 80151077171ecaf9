//! What the daemon says on stderr: one line for each event, as people and `journald` read it.
//!
//! ```text
//! 2026-11-22T02:27:04Z INFO  link up server=camp.example:443 session=12
//! ```
//!
//! It is this small on purpose. The usual subscriber brings a filter language and a regular-expression engine with
//! it, a tenth of the daemon's size, to do what one level does. Spans are not followed. Our own events are shown
//! from the level that is asked for; those of libraries from `WARN`, or all from `DEBUG` on. Control characters
//! that a text brings along are shown as `?`, so that nobody can forge a line.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use linecamp_model::WallTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Begins to write events of `level` and above to stderr, for the whole process. A second call changes nothing.
pub fn init(level: LevelFilter) {
    let _ = tracing::subscriber::set_global_default(Stderr { level });
}

struct Stderr {
    level: LevelFilter,
}

impl Stderr {
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().starts_with("linecamp");
        let level =
            if is_ours || LevelFilter::DEBUG <= self.level { self.level } else { self.level.min(LevelFilter::WARN) };
        metadata.is_event() && *metadata.level() <= level
    }
}

impl Subscriber for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let wall = WallTime::EPOCH + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = Line::default();
        event.record(&mut line);
        let mut text = format!("{wall} {:5} {}{}", word(*event.metadata().level()), line.message, line.fields);
        text = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        text.push('\n');
        // If nobody reads it, there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    // Spans are never enabled, so none of these is asked for anything that matters.
    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_its_word() {
        let words = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE].map(word);
        assert_eq!(words, ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]);
    }
}
