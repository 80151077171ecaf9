//! A process's memory, as the kernel reports it.

use std::fs;

use anyhow::Context as _;

use super::measurements::Spread;

/// Memory of one process, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryUse {
    /// All resident memory (`VmRSS`).
    pub(super) resident: u64,
    /// The part that is not file-backed (`RssAnon`): the kernel cannot drop it.
    pub(super) anonymous: u64,
}

/// Reads the memory of a process.
pub(super) fn memory_of(process: u32) -> anyhow::Result<MemoryUse> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    read(&text).with_context(|| format!("{path} has no memory figures"))
}

fn read(status: &str) -> Option<MemoryUse> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(MemoryUse { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
}

/// Returns the minimum, the median and the maximum; zeros if there are no values.
pub(super) fn spread(values: impl Iterator<Item = u64>) -> Spread {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_unstable();
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    Spread { min: at(0), median: at(sorted.len() / 2), max: at(sorted.len().saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_parsed_from_the_kernels_status_file() {
        let held = read("Name:\tx\nVmRSS:\t    7312 kB\nRssAnon:\t    2104 kB\n");
        assert_eq!(held, Some(MemoryUse { resident: 7312, anonymous: 2104 }));
        assert_eq!(read("Name:\tx\n"), None);
        assert!(memory_of(std::process::id()).is_ok());
    }

    #[test]
    fn a_spread_is_minimum_median_and_maximum() {
        assert_eq!(spread([3, 1, 2].into_iter()), Spread { min: 1, median: 2, max: 3 });
        assert_eq!(spread([7].into_iter()), Spread { min: 7, median: 7, max: 7 });
        assert_eq!(spread(std::iter::empty()), Spread::default());
    }
}
