//! The writer's side: what to send next.

use std::collections::BTreeMap;

use linecamp_model::limits::{DELTA_OVERHEAD_BYTES_MAX, FRAME_BYTES_MAX};
use linecamp_model::{Delta, Generation};

use super::limits::check;
use super::{Body, Documents, size_of};

/// Maximum bytes of the documents in one part.
const PART_BYTES_MAX: usize = FRAME_BYTES_MAX - DELTA_OVERHEAD_BYTES_MAX;

/// The writer's replication state for one reader, for one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    held: Generation,
    /// The generation the delta in flight leads to.
    sent: Option<Generation>,
    /// The newest generation sent in this session, in flight or not: it may be acknowledged late.
    sent_max: Generation,
}

impl Source {
    /// Starts with a reader that durably holds `held` of this incarnation.
    pub(crate) const fn new(held: Generation) -> Self {
        Self { held, sent: None, sent_max: held }
    }

    /// Returns the parts of the next delta, or none if a delta is in flight or the reader is up to date. `documents`
    /// must be durable.
    pub(crate) fn poll<B: Body>(&mut self, documents: &Documents<B>) -> Vec<Delta<B>> {
        if self.sent.is_some() || documents.head() <= self.held {
            return Vec::new();
        }
        debug_assert_eq!(check(documents.live()), Ok(()), "a writer keeps its documents within the limits");
        let delta = documents.above(self.held);
        self.sent = Some(delta.to);
        self.sent_max = self.sent_max.max(delta.to);
        parts(delta)
    }

    /// Handles the reader's acknowledgement of `held`. A generation that was never sent changes nothing.
    pub(crate) fn handle_ack(&mut self, held: Generation) -> Ack {
        if self.sent_max < held {
            return Ack::NeverSent;
        }
        let is_more = self.held < held;
        self.held = held;
        self.sent = None;
        if is_more { Ack::More } else { Ack::NotMore }
    }

    /// Whether a delta is in flight and waits for its acknowledgement.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.sent.is_some()
    }

    /// Returns the generation the reader last acknowledged.
    pub(crate) const fn held(&self) -> Generation {
        self.held
    }
}

/// The outcome of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The reader holds more than before.
    More,
    /// The reader holds the same as before or less: it could not persist the delta.
    NotMore,
    /// The reader claims a generation that was never sent: a protocol violation that ends the session.
    NeverSent,
}

/// Splits a delta into as few parts as fit the messages, in the order of their documents. A delta that fits one message
/// is its only part.
pub(super) fn parts<B: Body>(delta: Delta<B>) -> Vec<Delta<B>> {
    let (base, to, snapshot) = (delta.base, delta.to, delta.snapshot);
    let part = |documents, more| Delta { base, to, snapshot, documents, more };
    let (mut parts, mut documents, mut bytes) = (Vec::new(), BTreeMap::new(), 0);
    for (key, document) in delta.documents {
        let size = size_of(&document);
        debug_assert!(size <= PART_BYTES_MAX, "a document has {size} bytes");
        if PART_BYTES_MAX < bytes + size && !documents.is_empty() {
            parts.push(part(std::mem::take(&mut documents), true));
            bytes = 0;
        }
        bytes += size;
        documents.insert(key, document);
    }
    parts.push(part(documents, false));
    parts
}
