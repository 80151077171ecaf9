//! Counters of writes to a store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::metrics::{Kind, Metrics};

/// The writes of one store since the process started.
#[derive(Debug, Default)]
pub struct Commits {
    /// Uncompleted writes, with the time they were submitted. As many as the store's queue holds.
    pending: BTreeMap<u64, Instant>,
    durable: u64,
    failed: u64,
    bytes: u64,
    wait_total: Duration,
}

impl Commits {
    /// Counts a write of `bytes` bytes that was submitted to the store.
    pub fn submitted(&mut self, write: u64, bytes: usize) {
        self.pending.insert(write, Instant::now());
        self.bytes += bytes as u64;
    }

    /// Counts a write that the store completed or rejected.
    pub fn completed(&mut self, write: u64, is_durable: bool) {
        if let Some(submitted) = self.pending.remove(&write) {
            self.wait_total += submitted.elapsed();
        }
        match is_durable {
            true => self.durable += 1,
            false => self.failed += 1,
        }
    }

    /// Writes the counters as metrics.
    pub fn write(&self, metrics: &mut Metrics) {
        metrics
            .family("linecamp_store_writes_total", Kind::Counter, "Database writes, by result.")
            .sample(&[("result", "durable")], self.durable)
            .sample(&[("result", "failed")], self.failed);
        let help = "Bytes of keys and values submitted to the database.";
        metrics.one("linecamp_store_written_bytes_total", Kind::Counter, help, self.bytes);
        let help = "Total time between submission and completion of database writes.";
        metrics.one("linecamp_store_wait_seconds_total", Kind::Counter, help, self.wait_total.as_secs_f64());
        metrics.one("linecamp_store_waiting_writes", Kind::Gauge, "Database writes in progress.", self.pending.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_result() {
        let mut commits = Commits::default();
        commits.submitted(1, 10);
        commits.submitted(2, 5);
        commits.completed(1, true);
        commits.completed(3, false);
        let mut metrics = Metrics::default();
        commits.write(&mut metrics);
        let text = metrics.into_text();
        for line in [
            "linecamp_store_writes_total{result=\"durable\"} 1",
            "linecamp_store_writes_total{result=\"failed\"} 1",
            "linecamp_store_written_bytes_total 15",
            "linecamp_store_waiting_writes 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }
}
