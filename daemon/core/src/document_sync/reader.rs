//! The reader's side: whether to apply a delta, and what its documents are afterward.

use std::collections::BTreeSet;

use linecamp_model::{Delta, Document, DocumentKey, Generation};

use super::limits::check;
use super::{Body, DeltaError, Documents};

/// Changes to documents; `None` removes a document.
pub(crate) type Changes<B> = Vec<(DocumentKey, Option<Document<B>>)>;

/// How a reader handles a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<B> {
    /// Persist these changes, then acknowledge.
    Adopt(Changes<B>),
    /// Nothing to apply: acknowledge what is durable.
    Acknowledge,
}

/// Decides how a reader that has `documents` handles `delta`.
///
/// An older delta is never adopted. A delta on a base the reader does not have is answered with the generation it
/// holds, which requests the right one.
pub(crate) fn judge<B: Body>(documents: &Documents<B>, delta: Delta<B>) -> Verdict<B> {
    debug_assert!(!delta.more, "a delta is judged when it is complete");
    let head = documents.head();
    let (is_snapshot, is_next) = (delta.snapshot, head < delta.to && delta.base == head);
    if !is_snapshot && !is_next {
        return Verdict::Acknowledge;
    }
    // A reader needs only one tombstone, the newest: it records the generation reached.
    let newest = delta.documents.values().map(|document| document.generation).max();
    let is_over = |key: &DocumentKey, document: &Document<B>| {
        let is_gone = is_snapshot || (document.body.is_none() && newest.is_some());
        is_gone && !delta.documents.contains_key(key)
    };
    let over = documents.documents.iter().filter(|(key, document)| is_over(key, document)).map(|(key, _)| (*key, None));
    let over: Vec<_> = over.collect();
    let is_kept = |document: &Document<B>| document.body.is_some() || Some(document.generation) == newest;
    let new = delta.documents.into_iter().map(|(key, document)| (key, Some(document).filter(is_kept)));
    Verdict::Adopt(over.into_iter().chain(new).collect())
}

/// The documents of a reader as they are after changes, without a copy of them.
#[derive(Clone, Debug)]
pub(crate) struct Changed<'a, B> {
    documents: &'a Documents<B>,
    changes: &'a Changes<B>,
    changed: BTreeSet<DocumentKey>,
}

impl<'a, B: Body> Changed<'a, B> {
    /// Applies changes to documents. A change that [`judge`] returns names each document once.
    pub(crate) fn new(documents: &'a Documents<B>, changes: &'a Changes<B>) -> Self {
        Self { documents, changes, changed: changes.iter().map(|(key, _)| *key).collect() }
    }

    /// Returns the highest generation.
    pub(crate) fn head(&self) -> Generation {
        self.all().map(|(_, document)| document.generation).max().unwrap_or_default()
    }

    /// Returns the body under `key`.
    pub(crate) fn body(&self, key: DocumentKey) -> Option<&'a B> {
        let changed = self.changes.iter().find(|(of, _)| *of == key);
        changed.map_or_else(|| self.documents.body(key), |(_, document)| document.as_ref()?.body.as_ref())
    }

    /// Returns the documents without tombstones.
    pub(crate) fn live(&self) -> impl Iterator<Item = (DocumentKey, &'a B)> {
        self.all().filter_map(|(key, document)| Some((key, document.body.as_ref()?)))
    }

    /// Checks that the documents stay within the limits of one site.
    ///
    /// # Errors
    /// The limit that they exceed.
    pub(crate) fn check(&self) -> Result<(), DeltaError> {
        check(self.live())
    }

    fn all(&self) -> impl Iterator<Item = (DocumentKey, &'a Document<B>)> {
        let unchanged = self.documents.documents.iter().filter(|(key, _)| !self.changed.contains(key));
        let changed = self.changes.iter().filter_map(|(key, document)| Some((*key, document.as_ref()?)));
        unchanged.map(|(key, document)| (*key, document)).chain(changed)
    }
}
