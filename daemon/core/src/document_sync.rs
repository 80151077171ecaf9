//! Document sync: one-way replication of small documents, with the same code for both directions (spec down, status
//! up).
//!
//! The writer has one [`Source`] per reader; the reader holds [`Documents`] and applies deltas with [`judge`]. On a new
//! session the reader reports what it holds durably. The source sends everything above that in one [`Delta`] and waits
//! for the acknowledgement, which again reports what the reader holds durably. At most one delta is in flight; changes
//! made meanwhile are batched into the next. A reader that cannot commit re-sends, after a delay, the generation it
//! still holds, and the source sends the rest again. There is no other code path.
//!
//! A delta that does not fit one message is sent in parts. The reader keeps them in its [`Collector`] and applies and
//! acknowledges the delta once, with its last part: a partial snapshot is never visible. The parts follow each other on
//! the one stream of the session, so they need no numbers and no acknowledgements of their own. An unfinished delta is
//! dropped with its session.
//!
//! Invariants: a reader's documents equal the source's at the generation the reader acknowledged; an acknowledgement
//! names only durable data; the source sends only durable data; without changes nothing is sent.

mod collector;
mod limits;
mod reader;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use linecamp_model::limits::{DOCUMENT_OVERHEAD_BYTES_MAX, TOMBSTONES_PER_DELTA_MAX};
use linecamp_model::{Delta, Document, DocumentKey, Generation, SpecBody, StatusBody};

pub(crate) use self::collector::Collector;
pub(crate) use self::limits::DeltaError;
pub(crate) use self::reader::{Changed, Verdict, judge};
pub(crate) use self::source::{Ack, Source};

/// The body of a document, of either direction.
pub(crate) trait Body: Clone + PartialEq {
    /// What the documents of this direction are called together.
    const DIRECTION: &'static str;

    /// Returns the maximum number of bytes of the body on the link.
    fn encoded_size_max(&self) -> usize;
}

impl Body for SpecBody {
    const DIRECTION: &'static str = "spec";

    fn encoded_size_max(&self) -> usize {
        self.encoded_size_max()
    }
}

impl Body for StatusBody {
    const DIRECTION: &'static str = "status";

    fn encoded_size_max(&self) -> usize {
        self.encoded_size_max()
    }
}

/// Returns the maximum number of bytes of a document on the link.
fn size_of<B: Body>(document: &Document<B>) -> usize {
    DOCUMENT_OVERHEAD_BYTES_MAX + document.body.as_ref().map_or(0, Body::encoded_size_max)
}

/// The documents of one direction. The writer keeps a deleted document as a tombstone; beyond
/// [`TOMBSTONES_PER_DELTA_MAX`] tombstones, the next change drops the oldest. A reader keeps only the newest tombstone,
/// and only if it is the newest document of its delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Documents<B> {
    documents: BTreeMap<DocumentKey, Document<B>>,
    /// The newest deletion whose tombstone was dropped.
    floor: Generation,
}

impl<B> Default for Documents<B> {
    fn default() -> Self {
        Self { documents: BTreeMap::new(), floor: Generation::ZERO }
    }
}

impl<B> Documents<B> {
    /// Whether there are no documents, not even tombstones.
    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }
}

impl<B: Clone + PartialEq> Documents<B> {
    /// Returns the highest generation.
    pub(crate) fn head(&self) -> Generation {
        self.documents.values().map(|document| document.generation).max().unwrap_or_default()
    }

    /// Returns the keys, including those of tombstones.
    pub(crate) fn keys(&self) -> impl Iterator<Item = DocumentKey> {
        self.documents.keys().copied()
    }

    /// Returns the generation of the document under `key`, or zero.
    pub(crate) fn generation(&self, key: DocumentKey) -> Generation {
        self.documents.get(&key).map(|document| document.generation).unwrap_or_default()
    }

    /// Returns the body under `key`.
    pub(crate) fn body(&self, key: DocumentKey) -> Option<&B> {
        self.documents.get(&key)?.body.as_ref()
    }

    /// Inserts or removes a document and returns the previous one.
    pub(crate) fn set(&mut self, key: DocumentKey, document: Option<Document<B>>) -> Option<Document<B>> {
        match document {
            Some(document) => self.documents.insert(key, document),
            None => self.documents.remove(&key),
        }
    }

    /// Returns the documents without tombstones.
    pub(crate) fn live(&self) -> impl Iterator<Item = (DocumentKey, &B)> {
        self.documents.iter().filter_map(|(key, document)| Some((*key, document.body.as_ref()?)))
    }

    /// Sets the newest deletion whose tombstone was dropped. A reader below this floor gets a snapshot.
    pub(crate) const fn set_floor(&mut self, floor: Generation) {
        self.floor = floor;
    }

    /// Returns the oldest tombstones beyond [`TOMBSTONES_PER_DELTA_MAX`], and the floor that replaces them.
    pub(crate) fn surplus_tombstones(&self) -> Option<(Vec<DocumentKey>, Generation)> {
        let tombstones = self.documents.iter().filter(|(_, document)| document.body.is_none());
        let mut tombstones: Vec<_> = tombstones.map(|(key, document)| (document.generation, *key)).collect();
        let surplus = tombstones.len().checked_sub(TOMBSTONES_PER_DELTA_MAX).filter(|surplus| 0 < *surplus)?;
        tombstones.sort_unstable();
        tombstones.truncate(surplus);
        let floor = tombstones.last().map(|(generation, _)| *generation)?;
        Some((tombstones.into_iter().map(|(_, key)| key).collect(), floor))
    }

    /// Returns the delta for a reader that holds `base`: a snapshot if it holds nothing or is below the floor.
    pub(crate) fn above(&self, base: Generation) -> Delta<B> {
        let tombstones =
            self.documents.values().filter(|document| document.body.is_none() && base < document.generation);
        // A message has room for a limited number of deletions; a snapshot implies them all.
        let is_far_behind = base == Generation::ZERO || base < self.floor;
        let snapshot = is_far_behind || TOMBSTONES_PER_DELTA_MAX < tombstones.count();
        let base = if snapshot { Generation::ZERO } else { base };
        let lacks = |document: &Document<B>| base < document.generation && !(snapshot && document.body.is_none());
        let documents = self.documents.iter().filter(|(_, document)| lacks(document));
        Delta {
            base,
            to: self.head(),
            snapshot,
            documents: documents.map(|(key, document)| (*key, document.clone())).collect(),
            more: false,
        }
    }
}
