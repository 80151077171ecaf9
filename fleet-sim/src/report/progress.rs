//! One line about a run that goes on.

use crate::report::units::{count, duration, short};

/// The bar is at most this wide: a wider one says nothing more.
const BAR_CHARS_MAX: usize = 30;
/// Below this there is no bar: it would say less than the percentage.
const BAR_CHARS_MIN: usize = 8;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// How much is done, from 0 to 1.
    pub done: f64,
    /// How much time has passed in the simulated world, in seconds.
    pub virtual_seconds: f64,
    /// How much time will have passed there at the end, in seconds.
    pub total_seconds: f64,
    /// Events so far.
    pub events: u64,
    /// Sites that are connected.
    pub connected: u32,
    /// Sites that match everything they were asked for.
    pub converged: u32,
    /// Sites altogether.
    pub sites: u32,
    /// Violations so far.
    pub violations: usize,
}

impl Progress {
    /// Returns the progress as one line of exactly `width` characters, so that it hides the line before it.
    ///
    /// Where not everything fits, the bar goes first, then events, connected, converged and time; what is left is cut.
    /// The caller prints it after a `\r`.
    pub fn line(&self, width: usize) -> String {
        let done = if self.done.is_finite() { self.done.clamp(0.0, 1.0) } else { 0.0 };
        let of_sites = |sites: u32, state| format!("{}/{} {state}", sites, self.sites);
        // The number says how much it matters: 0 is never left out.
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
    fn a_line_says_how_far_it_is_and_how_the_fleet_does() {
        let expected = " 50 %  15 d of 30 d  497/500 converged  498/500 connected  1.23 M events";
        assert_eq!(halfway().line(84), format!("━━━━━┄┄┄┄┄  {expected}"));
    }

    #[test]
    fn a_line_is_as_wide_as_asked_and_keeps_what_matters() {
        for width in 0..200 {
            assert_eq!(halfway().line(width).chars().count(), width);
        }
        let broken = Progress { violations: 2, ..halfway() };
        assert!(broken.line(24).contains(" 50 %  2 VIOLATED"));
        assert_eq!(Progress { done: f64::NAN, ..halfway() }.line(5), "  0 %");
    }
}
