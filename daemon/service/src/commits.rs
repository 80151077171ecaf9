//! Counters of writes to a store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::metrics::{Kind, Metrics};

/// The writes of one store since the process started.
#[derive(Debug, Default)]
pub struct Commits {
    /// Unanswered writes, with the time they were submitted. As many as the store's queue holds.
    waiting: BTreeMap<u64, Instant>,
    durable: u64,
    failed: u64,
    bytes: u64,
    waited: Duration,
}

impl Commits {
    /// Counts a write of `bytes` bytes that was submitted to the store.
    pub fn given(&mut self, write: u64, bytes: usize) {
        self.waiting.insert(write, Instant::now());
        self.bytes += bytes as u64;
    }

    /// Counts a write that the store answered or rejected.
    pub fn answered(&mut self, write: u64, is_durable: bool) {
        if let Some(given) = self.waiting.remove(&write) {
            self.waited += given.elapsed();
        }
        match is_durable {
            true => self.durable += 1,
            false => self.failed += 1,
        }
    }

    /// Writes the counters as metrics.
    pub fn write(&self, metrics: &mut Metrics) {
        metrics
            .family("linecamp_store_writes_total", Kind::Counter, "Writes that the database answered, by result.")
            .sample(&[("result", "durable")], self.durable)
            .sample(&[("result", "failed")], self.failed);
        let help = "Bytes of keys and bodies in writes given to the database.";
        metrics.one("linecamp_store_written_bytes_total", Kind::Counter, help, self.bytes);
        let help = "Time from giving a write to its answer, summed over all writes.";
        metrics.one("linecamp_store_wait_seconds_total", Kind::Counter, help, self.waited.as_secs_f64());
        metrics.one("linecamp_store_waiting_writes", Kind::Gauge, "Writes without an answer.", self.waiting.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_what_became_of_them() {
        let mut commits = Commits::default();
        commits.given(1, 10);
        commits.given(2, 5);
        commits.answered(1, true);
        commits.answered(3, false);
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
