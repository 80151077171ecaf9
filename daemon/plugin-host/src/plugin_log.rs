//! A plugin's lines in the daemon's log: bounded, and with secrets redacted.

use std::time::Instant;

use linecamp_model::{Name, printable};
use tracing::Level;

use crate::limits::Limits;
use crate::log_rate::LogRates;
use crate::redact::Redactor;

/// The level of a line, as set by the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// The log lines of one call.
pub(crate) struct PluginLog {
    provider: Name,
    lines_left: u32,
    lines_dropped: u64,
    line_bytes_max: usize,
    redactor: Redactor,
    rates: LogRates,
}

impl PluginLog {
    pub(crate) fn new(provider: &Name, limits: &Limits, redactor: Redactor, rates: LogRates) -> Self {
        Self {
            provider: provider.clone(),
            lines_left: limits.log_lines,
            lines_dropped: 0,
            line_bytes_max: limits.log_line_bytes,
            redactor,
            rates,
        }
    }

    /// Writes a line. A plugin's error is logged as a warning, because it is not an error of the daemon. A line below
    /// the daemon's log level does not count.
    pub(crate) fn write(&mut self, level: LogLevel, message: &str) {
        let is_shown = match level {
            LogLevel::Error | LogLevel::Warn => tracing::enabled!(target: "plugin", Level::WARN),
            LogLevel::Info => tracing::enabled!(target: "plugin", Level::INFO),
            LogLevel::Debug => tracing::enabled!(target: "plugin", Level::DEBUG),
        };
        if !is_shown {
            return;
        }
        match self.lines_left.checked_sub(1) {
            Some(left) => self.lines_left = left,
            None => return self.lines_dropped += 1,
        }
        match self.rates.take(&self.provider, Instant::now()) {
            Some(0) => {}
            Some(dropped) => self.log_dropped(dropped),
            None => return,
        }
        let line = self.line(message);
        let provider = self.provider.as_str();
        match level {
            LogLevel::Error | LogLevel::Warn => tracing::warn!(target: "plugin", provider, "{line}"),
            LogLevel::Info => tracing::info!(target: "plugin", provider, "{line}"),
            LogLevel::Debug => tracing::debug!(target: "plugin", provider, "{line}"),
        }
    }

    fn log_dropped(&self, lines: u64) {
        let provider = self.provider.as_str();
        tracing::warn!(target: "plugin", provider, lines, "dropped log lines: the plugin wrote too many");
    }

    fn line(&self, message: &str) -> String {
        printable(&self.redactor.redact_text(message, self.line_bytes_max)).into_owned()
    }
}

impl Drop for PluginLog {
    fn drop(&mut self) {
        if let Some(dropped) = self.rates.report_dropped(&self.provider, self.lines_dropped, Instant::now()) {
            self.log_dropped(dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::SecretName;

    use super::*;

    #[test]
    fn a_line_is_short_and_has_no_secret_and_no_control() {
        let redactor = Redactor::default();
        redactor.add_secret(&SecretName::parse("key").unwrap(), b"s3cret");
        let limits = Limits { log_line_bytes: 20, ..Limits::default() };
        let plugin_log = PluginLog::new(&Name::parse("dns").unwrap(), &limits, redactor, LogRates::default());
        assert_eq!(plugin_log.line("a\u{1b}[31m\nb"), "a\u{fffd}[31m b");
        assert_eq!(plugin_log.line(&format!("{}s3cret", "a".repeat(15))), format!("{}[s…", "a".repeat(15)));
        assert_eq!(plugin_log.line(&"é".repeat(1_000_000)).len(), 19);
    }
}
