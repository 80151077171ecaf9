//! One-line progress of a running simulation.

use crate::report::units::{count, duration, short};

/// Maximum width of the bar: a wider one adds nothing.
const BAR_CHARS_MAX: usize = 30;
/// Minimum width of the bar: below this the percentage says more.
const BAR_CHARS_MIN: usize = 8;

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// The fraction done, from 0 to 1.
    pub done: f64,
    /// Elapsed virtual time, in seconds.
    pub virtual_seconds: f64,
    /// Total virtual time of the run, in seconds.
    pub total_seconds: f64,
    /// Events so far.
    pub events: u64,
    /// Connected sites.
    pub connected: u32,
    /// Sites that match their spec.
    pub converged: u32,
    /// All sites.
    pub sites: u32,
    /// Violations so far.
    pub violations: usize,
}

impl Progress {
    /// Returns the progress as one line of exactly `width` characters, so that it overwrites the previous line.
    ///
    /// If not everything fits, the bar is dropped first, then events, connected, converged and time; the rest is
    /// truncated. The caller prints it after a `\r`.
    pub fn line(&self, width: usize) -> String {
        let done = if self.done.is_finite() { self.done.clamp(0.0, 1.0) } else { 0.0 };
        let of_sites = |sites: u32, state| format!("{}/{} {state}", sites, self.sites);
        // The number is the priority: parts with 0 are never dropped.
        let mut parts = vec![
            (0, format!("{:>3.0} %", (done * 100.0).floor())),
            (
                0,
                if self.violations == 0 {
                    String::new()
                } else {
                    format!("{} VIOLATED", count(self.violations as u64))
                },
            ),
            (1, format!("{} of {}", duration(self.virtual_seconds), duration(self.total_seconds))),
            (2, of_sites(self.converged, "converged")),
            (3, of_sites(self.connected, "connected")),
            (4, format!("{} events", short(self.events as f64))),
        ];
        parts.retain(|(_, text)| !text.is_empty());
        let fitting = (0..=4).rev().map(|most| joined(&parts, most)).find(|text| text.chars().count() <= width);
        let text = fitting.unwrap_or_else(|| joined(&parts, 0));
        let left = width.saturating_sub(text.chars().count() + 2).min(BAR_CHARS_MAX);
        let line = if left < BAR_CHARS_MIN { text } else { format!("{}  {text}", bar(done, left)) };
        format!("{:<width$}", line.chars().take(width).collect::<String>())
    }
}

fn joined(parts: &[(u8, String)], most: u8) -> String {
    let kept: Vec<&str> = parts.iter().filter(|(rank, _)| *rank <= most).map(|(_, text)| text.as_str()).collect();
    kept.join("  ")
}

fn bar(done: f64, chars: usize) -> String {
    let is_full = |at: usize| (at as f64 + 0.5) / chars as f64 <= done;
    (0..chars).map(|at| if is_full(at) { '━' } else { '┄' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halfway() -> Progress {
        Progress {
            done: 0.5,
            virtual_seconds: 15.0 * 86_400.0,
            total_seconds: 30.0 * 86_400.0,
            events: 1_234_567,
            connected: 498,
            converged: 497,
            sites: 500,
            violations: 0,
        }
    }

    #[test]
    fn the_line_shows_the_progress_and_the_state_of_the_fleet() {
        let expected = " 50 %  15 d of 30 d  497/500 converged  498/500 connected  1.23 M events";
        assert_eq!(halfway().line(84), format!("━━━━━┄┄┄┄┄  {expected}"));
    }

    #[test]
    fn the_line_has_the_requested_width_and_keeps_the_violations() {
        for width in 0..200 {
            assert_eq!(halfway().line(width).chars().count(), width);
        }
        let broken = Progress { violations: 2, ..halfway() };
        assert!(broken.line(24).contains(" 50 %  2 VIOLATED"));
        assert_eq!(Progress { done: f64::NAN, ..halfway() }.line(5), "  0 %");
    }
}
