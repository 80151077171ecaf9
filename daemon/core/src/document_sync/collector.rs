//! The parts of one delta, collected until it is complete.

use linecamp_model::limits::{DOCUMENTS_BYTES_MAX, DOCUMENTS_PER_DELTA_MAX};
use linecamp_model::{Delta, Document};

use super::{Body, DeltaError, size_of};

/// Collects the parts of one delta in memory, for one session and one direction.
///
/// It holds at most one unfinished delta, of at most [`DOCUMENTS_PER_DELTA_MAX`] documents and [`DOCUMENTS_BYTES_MAX`]
/// bytes as encoded. It is dropped with the session, and the next session starts with a new delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector<B> {
    unfinished: Option<Box<Unfinished<B>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Unfinished<B> {
    delta: Delta<B>,
    /// The bytes of its documents without tombstones.
    bytes: usize,
}

impl<B> Default for Collector<B> {
    fn default() -> Self {
        Self { unfinished: None }
    }
}

impl<B: Body> Collector<B> {
    /// Whether no delta is unfinished, so that the next part is the first of another.
    pub(crate) const fn is_empty(&self) -> bool {
        self.unfinished.is_none()
    }

    /// Adds the next part, and returns the delta if it is the last one.
    ///
    /// # Errors
    /// The part does not belong to the parts before it, or the delta exceeds a limit. The session has to end.
    pub(crate) fn add(&mut self, part: Delta<B>) -> Result<Option<Delta<B>>, DeltaError> {
        let is_last = !part.more;
        let unfinished = match self.unfinished.take() {
            // A delta in one part is within the limits of a message.
            None if is_last => return Ok(Some(part)),
            None => Box::new(Unfinished { bytes: bytes_of(&part), delta: part }),
            Some(mut unfinished) => {
                unfinished.append(part)?;
                unfinished
            }
        };
        if DOCUMENTS_BYTES_MAX < unfinished.bytes {
            let (found, max) = (unfinished.bytes, DOCUMENTS_BYTES_MAX);
            return Err(DeltaError::TooMuch { direction: B::DIRECTION, found, unit: "bytes", max });
        }
        if is_last {
            return Ok(Some(Delta { more: false, ..unfinished.delta }));
        }
        self.unfinished = Some(unfinished);
        Ok(None)
    }
}

impl<B: Body> Unfinished<B> {
    fn append(&mut self, part: Delta<B>) -> Result<(), DeltaError> {
        let all = &mut self.delta;
        if (part.base, part.to, part.snapshot) != (all.base, all.to, all.snapshot) {
            return Err(DeltaError::OtherDelta);
        }
        let found = all.documents.len() + part.documents.len();
        if DOCUMENTS_PER_DELTA_MAX < found {
            return Err(DeltaError::TooMuch {
                direction: B::DIRECTION,
                found,
                unit: "documents",
                max: DOCUMENTS_PER_DELTA_MAX,
            });
        }
        self.bytes += bytes_of(&part);
        for (key, document) in part.documents {
            if all.documents.insert(key, document).is_some() {
                return Err(DeltaError::RepeatedKey);
            }
        }
        Ok(())
    }
}

/// Returns the bytes of a delta's documents without tombstones: what counts for [`DOCUMENTS_BYTES_MAX`].
fn bytes_of<B: Body>(delta: &Delta<B>) -> usize {
    let is_live = |document: &&Document<B>| document.body.is_some();
    delta.documents.values().filter(is_live).map(size_of).sum()
}
