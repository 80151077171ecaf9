//! What the kernel says that a process holds in memory.

use std::fs;

use anyhow::Context as _;

use super::outcome::Spread;

/// What one process holds, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// All of it that is in memory (`VmRSS`).
    pub(super) resident: u64,
    /// Of that, what belongs to no file (`RssAnon`): the kernel cannot drop it.
    pub(super) anonymous: u64,
}

/// Asks the kernel.
pub(super) fn held_by(process: u32) -> anyhow::Result<Held> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    read(&text).with_context(|| format!("{path} does not say what the process holds"))
}

fn read(status: &str) -> Option<Held> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Held { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// Returns the least, the middle and the most of them; zeros if there are none.
pub(super) fn spread(values: impl Iterator<Item = u64>) -> Spread {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_unstable();
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    Spread { min: at(0), median: at(sorted.len() / 2), max: at(sorted.len().saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let held = read("Name:\tx\nVmRSS:\t    7312 kB\nRssAnon:\t    2104 kB\n");
        assert_eq!(held, Some(Held { resident: 7312, anonymous: 2104 }));
        assert_eq!(read("Name:\tx\n"), None);
        assert!(held_by(std::process::id()).is_ok());
    }

    #[test]
    fn a_spread_has_three_numbers() {
        assert_eq!(spread([3, 1, 2].into_iter()), Spread { min: 1, median: 2, max: 3 });
        assert_eq!(spread([7].into_iter()), Spread { min: 7, median: 7, max: 7 });
        assert_eq!(spread(std::iter::empty()), Spread::default());
    }
}
