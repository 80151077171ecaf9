//! A digest of everything that happens, and the words for it where somebody wants to read them.
//!
//! The digest is FNV-1a over 64 bits (Fowler, Noll, Vo; RFC 9923), fed with numbers: cheap, the same on every
//! machine, and changed by any change. Words are made only for those sites that somebody asked for: a run that
//! failed is run again, and asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::carrier::NodeId;

/// Lines that are remembered of each site that somebody asked for.
const LINES_MAX: usize = 40;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A digest that grows.
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

    /// Returns the digest of all that was added.
    pub(crate) const fn value(self) -> u64 {
        self.0
    }
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    digest: Digest,
    /// Those whose doings are kept in words. The server is everybody's.
    asked: BTreeMap<NodeId, VecDeque<String>>,
}

impl Trace {
    /// Keeps the doings of these sites in words.
    pub(crate) fn of(nodes: &[NodeId]) -> Self {
        let asked = nodes.iter().map(|node| (*node, VecDeque::new())).collect();
        Self { digest: Digest::default(), asked }
    }

    /// Notes that something happened to a site, or to the server alone.
    pub(crate) fn note(&mut self, at: Duration, node: Option<NodeId>, tag: &str, numbers: &[u64]) {
        self.digest.number(u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
        self.digest.number(node.map_or(u64::MAX, |node| node as u64));
        self.digest.bytes(tag.as_bytes());
        for number in numbers {
            self.digest.number(*number);
        }
    }

    /// Adds the bytes of a message to what was noted last.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.digest.bytes(bytes);
    }

    /// Keeps words about a site, if somebody asked for it. Without a site they are the server's.
    pub(crate) fn say(&mut self, at: Duration, node: Option<NodeId>, words: impl FnOnce() -> String) {
        if self.asked.is_empty() || node.is_some_and(|node| !self.asked.contains_key(&node)) {
            return;
        }
        let line = format!("{} {}", moment(at), words());
        let all = self.asked.iter_mut().filter(|(asked, _)| node.is_none_or(|node| node == **asked));
        for (_, lines) in all {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line.clone());
        }
    }

    /// Returns the words that were kept, by site, oldest first.
    pub(crate) fn words(&self) -> impl Iterator<Item = (NodeId, &VecDeque<String>)> {
        self.asked.iter().map(|(node, lines)| (*node, lines))
    }

    /// Returns the digest of all that happened.
    pub(crate) const fn hash(&self) -> u64 {
        self.digest.value()
    }
}

/// Writes a moment of the simulated world: `3d 04:05:06.789`.
pub(crate) fn moment(at: Duration) -> String {
    let seconds = at.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}d {hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, at.subsec_millis())
}
