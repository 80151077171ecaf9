//! The server's log: lines on stderr, or journal entries if systemd started the process.
//!
//! In the journal, the fields of an event and of its enclosing spans become fields of the entry: `journalctl SITE=…`
//! finds the log of a site's sessions. The log filter can be replaced at run time. The lines that clients without a
//! credential can cause are limited ([`linecamp_service::admits_line`]).

use std::io::{self, Write as _};

use linecamp_service::{Journal, LineLimit, LogLine, SPAN_TARGET, admits_line};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use crate::traces::Traces;

/// The `SYSLOG_IDENTIFIER` of journal entries.
const IDENTIFIER: &str = "linecamp-server";

/// A log filter is invalid.
#[derive(Debug, thiserror::Error)]
#[error("invalid log filter `{filter}` ({problem}); use error, warn, info, debug or trace")]
pub struct LogError {
    filter: String,
    problem: String,
}

/// The log of the process, with a replaceable filter.
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
}

/// A layer of the log.
type LogLayer = Box<dyn Layer<Registry> + Send + Sync>;

impl Log {
    /// Initializes logging with `filter` for the whole process, and the export of spans, which no filter affects.
    ///
    /// # Errors
    /// [`LogError`] if the filter is invalid.
    pub fn init(filter: &str, traces: Option<&Traces>) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(parse(filter)?);
        let lines: LogLayer = match Journal::from_environment(IDENTIFIER) {
            Some(journal) => Box::new(JournalLayer { journal }),
            None => Box::new(tracing_subscriber::fmt::layer().with_writer(Stderr).with_ansi(false)),
        };
        let lines: LogLayer = Box::new(lines.with_filter(filter.and(filter_fn(|metadata| !is_exported(metadata)))));
        let spans = traces.map(|traces| -> LogLayer {
            Box::new(tracing_opentelemetry::layer().with_tracer(traces.tracer()).with_filter(filter_fn(is_exported)))
        });
        let layers: Vec<_> = [lines].into_iter().chain(spans).collect();
        tracing_subscriber::registry().with(layers).with(LimitLayer).init();
        Ok(Self { filter: handle })
    }

    /// Replaces the filter.
    ///
    /// # Errors
    /// [`LogError`] if the filter is invalid; the previous one stays active.
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        let parsed = parse(filter)?;
        self.filter.reload(parsed).map_err(|error| LogError { filter: filter.to_owned(), problem: error.to_string() })
    }

    /// Checks whether `filter` is valid.
    ///
    /// # Errors
    /// [`LogError`] with the reason.
    pub fn check(filter: &str) -> Result<(), LogError> {
        parse(filter).map(drop)
    }
}

fn parse(filter: &str) -> Result<Targets, LogError> {
    filter.parse().map_err(|error| LogError { filter: filter.to_owned(), problem: format!("{error}") })
}

/// Whether a span is exported instead of logged.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.target() == SPAN_TARGET
}

/// A layer that drops the lines over the limit.
struct LimitLayer;

impl<S: Subscriber> Layer<S> for LimitLayer {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        admits_line(event.metadata())
    }
}

/// Writes whole lines to stderr, each bounded and without invisible characters.
struct Stderr;

impl MakeWriter<'_> for Stderr {
    type Writer = LineWriter;

    fn make_writer(&self) -> LineWriter {
        LineWriter(None)
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> LineWriter {
        LineWriter(Some(LineLimit::of(metadata)))
    }
}

/// The writer of one event, which is written at once.
struct LineWriter(Option<LineLimit>);

impl io::Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let shown = self.0.map_or_else(|| text.to_string(), |limit| limit.apply(text.trim_end_matches('\n')) + "\n");
        io::stderr().lock().write_all(shown.as_bytes()).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A layer that writes events to the journal.
struct JournalLayer {
    journal: Journal,
}

/// The fields of a span.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JournalLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut line = LogLine::default();
        attributes.record(&mut line);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Fields(line.fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut line = LogLine::default();
        values.record(&mut line);
        if let Some(span) = context.span(id)
            && let Some(Fields(fields)) = span.extensions_mut().get_mut()
        {
            fields.extend(line.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = LogLine::of(event);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(fields)) = span.extensions().get() {
                let outer = fields.iter().filter(|(name, _)| !line.fields.iter().any(|(inner, _)| inner == name));
                let outer: Vec<_> = outer.cloned().collect();
                line.fields.extend(outer);
            }
        }
        let metadata = event.metadata();
        if !line.send(&self.journal, metadata) {
            // If the journal is unavailable, write the line to stderr; there is nobody to report an error of that to.
            let line = format!("{} {}\n", metadata.level(), LineLimit::of(metadata).apply(&line.text()));
            drop(io::stderr().lock().write_all(line.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_journal_entry_has_the_fields_of_the_event_and_its_spans() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (filter, handle) = reload::Layer::new(parse("info").unwrap());
        let journal = Journal::at(&path, IDENTIFIER).unwrap();
        let log = Log { filter: handle };
        let subscriber = tracing_subscriber::registry().with(filter).with(JournalLayer { journal });
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("too fine");
            log.set("debug").unwrap();
            let span = tracing::info_span!("session", session = 7, site = "ab12");
            span.in_scope(|| tracing::info!(target: "part", site = "camp", call = "POST /x", "link up"));
        });
        let mut bytes = [0; 4096];
        let count = socket.recv(&mut bytes).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&bytes[..count]),
            "MESSAGE=link up site=\"camp\" call=\"POST /x\"\nPRIORITY=6\nSYSLOG_IDENTIFIER=linecamp-server\nTARGET=part\n\
             SITE=camp\nCALL=POST /x\nSESSION=7\n"
        );
    }

    #[test]
    fn an_invalid_log_filter_is_rejected() {
        let error = Log::check("linecamp=loud").unwrap_err().to_string();
        assert!(error.contains("`linecamp=loud`") && error.contains("use error, warn, info"), "{error}");
    }
}
