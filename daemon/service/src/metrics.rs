//! Metrics in the Prometheus text exposition format 0.0.4.
//!
//! The code that counts something owns its counter; this module only formats the values when they are requested. A
//! family has its name, help and type written once, before its samples. Names and labels are constants or values of a
//! closed list: nothing that grows with the number of sites may become a label, because a large fleet would overwhelm
//! the metrics collector.

use std::fmt::{Display, Write as _};
use std::path::Path;

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only increases, and starts at 0 with the process.
    Counter,
    /// May go up and down.
    Gauge,
}

/// The content type of [`Metrics::into_text`].
pub const METRICS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics being formatted.
#[derive(Debug, Default)]
pub struct Metrics {
    text: String,
    names: Vec<&'static str>,
}

impl Metrics {
    /// Starts a family: all samples of this name.
    ///
    /// # Panics
    /// In debug builds, if the name is invalid in Prometheus or already used.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        debug_assert!(is_name(name), "invalid metric name {name}");
        debug_assert!(!self.names.contains(&name), "duplicate metric {name}");
        self.names.push(name);
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { name, text: &mut self.text }
    }

    /// Writes a family of one sample without labels.
    pub fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// Writes the metrics of every process: its memory and open files, as far as the system reports them.
    pub fn process(&mut self) {
        if let Some(bytes) = resident_bytes() {
            let help = "Resident memory of the process, in bytes.";
            self.one("process_resident_memory_bytes", Kind::Gauge, help, bytes);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            // One of them is the descriptor that reads the directory.
            self.one("process_open_fds", Kind::Gauge, "Open files of the process.", files.count().saturating_sub(1));
        }
    }

    /// Returns the complete text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A family being formatted.
#[derive(Debug)]
pub struct Family<'a> {
    name: &'static str,
    text: &'a mut String,
}

impl Family<'_> {
    /// Writes one sample. Each combination of labels must be unique.
    ///
    /// # Panics
    /// In debug builds, if the labels were already used.
    pub fn sample(&mut self, labels: &[(&'static str, &str)], value: impl Display) -> &mut Self {
        let begin = self.text.len();
        self.text.push_str(self.name);
        for (at, (label, word)) in labels.iter().enumerate() {
            let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{word}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let (before, series) = self.text.split_at(begin);
        let is_duplicate =
            |line: &str| line.rsplit_once(' ').is_some_and(|(found, _)| found == format!("{series}{end}"));
        debug_assert!(!before.lines().any(is_duplicate), "duplicate series {series}");
        let _ = writeln!(self.text, "{end} {value}");
        self
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    name.starts_with(|letter: char| letter.is_ascii_lowercase()) && name.chars().all(is_letter)
}

/// Bytes of the kernel's description of this process, with ample headroom.
const STATUS_BYTES_MAX: u64 = 64 * 1024;

/// Returns `VmRSS` in bytes.
fn resident_bytes() -> Option<u64> {
    let status = linecamp_files::read_text(Path::new("/proc/self/status"), STATUS_BYTES_MAX).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let mut metrics = Metrics::default();
        metrics.family("linecamp_x_total", Kind::Counter, "Some\nhelp.").sample(&[("a", "b\"\\"), ("c", "d")], 3);
        metrics.one("linecamp_y_seconds", Kind::Gauge, "Time.", 0.5);
        assert_eq!(
            metrics.into_text(),
            "# HELP linecamp_x_total Some\\nhelp.\n# TYPE linecamp_x_total counter\n\
             linecamp_x_total{a=\"b\\\"\\\\\",c=\"d\"} 3\n\
             # HELP linecamp_y_seconds Time.\n# TYPE linecamp_y_seconds gauge\nlinecamp_y_seconds 0.5\n"
        );
    }

    #[test]
    fn a_process_knows_its_memory_and_its_open_files() {
        let mut metrics = Metrics::default();
        metrics.process();
        let text = metrics.into_text();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
            line.trim().parse::<u64>().unwrap()
        };
        assert!(100_000 < value("process_resident_memory_bytes "));
        assert!(2 < value("process_open_fds "));
    }
}
