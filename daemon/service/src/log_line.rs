//! An event of `tracing` as one line of text and as fields of a journal entry.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

use crate::journal::{Entry, Journal, Priority};
use crate::log_limit::LineLimit;

/// The message and the fields of an event, or the fields of a span.
#[derive(Debug, Default)]
pub struct LogLine {
    message: String,
    /// The fields formatted for a line.
    shown: String,
    /// The fields formatted for the journal, with their names in the code.
    pub fields: Vec<(String, String)>,
}

impl LogLine {
    /// Reads an event.
    pub fn of(event: &Event<'_>) -> Self {
        let mut line = Self::default();
        event.record(&mut line);
        line
    }

    /// Returns the message, and each of the event's fields as ` NAME=VALUE`.
    pub fn text(&self) -> String {
        format!("{}{}", self.message, self.shown)
    }

    /// Writes the event to the journal, with all of `fields`. Returns false if the journal no longer exists.
    pub fn send(&self, journal: &Journal, metadata: &Metadata<'_>) -> bool {
        let (priority, target) = (Priority::of(*metadata.level()), metadata.target());
        let message = LineLimit::of(metadata).apply(&self.text());
        journal.send(&Entry { priority, target, message: &message, fields: &self.fields })
    }

    fn add(&mut self, name: &str, shown: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.shown, " {name}={shown}");
        self.fields.push((name.to_owned(), value.to_owned()));
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.message = value,
            name => self.add(name, &value, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            // Text on a line needs delimiters; a journal field does not.
            name => self.add(name, &format!("{value:?}"), value),
        }
    }
}
