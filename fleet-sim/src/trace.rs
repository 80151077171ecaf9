//! A digest of all events, and a text log of selected sites.
//!
//! The digest is 64-bit FNV-1a (Fowler, Noll, Vo; RFC 9923) over numbers: cheap, identical on every machine, and
//! sensitive to any change. Text is produced only for selected sites: a failed run is repeated with its sites selected.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::transport::NodeId;

/// Maximum lines kept for each selected site.
const LINES_MAX: usize = 40;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// An incremental digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(OFFSET)
    }
}

impl Digest {
    /// Adds bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// Adds a number, eight bytes at once.
    pub(crate) const fn number(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(PRIME);
        self.0 ^= self.0 >> 32;
    }

    /// Returns the digest.
    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

/// The trace of a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    digest: Digest,
    /// Selected sites with their log. Lines of the server go to all of them.
    selected: BTreeMap<NodeId, VecDeque<String>>,
}

impl Trace {
    /// Creates a trace that logs these sites as text.
    pub(crate) fn of(nodes: &[NodeId]) -> Self {
        let selected = nodes.iter().map(|node| (*node, VecDeque::new())).collect();
        Self { digest: Digest::default(), selected }
    }

    /// Adds an event of a site, or of the server, to the digest.
    pub(crate) fn note(&mut self, at: Duration, node: Option<NodeId>, tag: &str, numbers: &[u64]) {
        self.digest.number(u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
        self.digest.number(node.map_or(u64::MAX, |node| node as u64));
        self.digest.bytes(tag.as_bytes());
        for number in numbers {
            self.digest.number(*number);
        }
    }

    /// Adds the bytes of a message to the last event.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.digest.bytes(bytes);
    }

    /// Logs a line about a site if it is selected. Without a site, it is about the server.
    pub(crate) fn log(&mut self, at: Duration, node: Option<NodeId>, text: impl FnOnce() -> String) {
        if self.selected.is_empty() || node.is_some_and(|node| !self.selected.contains_key(&node)) {
            return;
        }
        let line = format!("{} {}", moment(at), text());
        let all = self.selected.iter_mut().filter(|(selected, _)| node.is_none_or(|node| node == **selected));
        for (_, lines) in all {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line.clone());
        }
    }

    /// Returns the logged lines by site, oldest first.
    pub(crate) fn logs(&self) -> impl Iterator<Item = (NodeId, &VecDeque<String>)> {
        self.selected.iter().map(|(node, lines)| (*node, lines))
    }

    /// Returns the digest of all events.
    pub(crate) const fn hash(&self) -> u64 {
        self.digest.value()
    }
}

/// Formats a virtual time: `3d 04:05:06.789`.
pub(crate) fn moment(at: Duration) -> String {
    let seconds = at.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}d {hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, at.subsec_millis())
}
