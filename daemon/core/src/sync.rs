//! Sync: one-way replication of small documents, with the same code for both directions (spec down, status up).
//!
//! The writer has one [`Source`] per reader; the reader holds [`Documents`] and applies deltas with [`judge`]. On a new
//! session the reader reports what it holds durably. The source sends everything above that in one [`Delta`] and waits
//! for the acknowledgement, which again reports what the reader holds durably. At most one delta is in flight; changes
//! made meanwhile are batched into the next. A reader that cannot commit re-sends, after a delay, the generation it
//! still holds, and the source sends the rest again. There is no other code path.
//!
//! Invariants: a reader's documents equal the source's at the generation the reader acknowledged; an acknowledgement
//! names only durable data; the source sends only durable data; without changes nothing is sent.

use std::collections::BTreeMap;

use linecamp_model::limits::TOMBSTONES_PER_DELTA_MAX;
use linecamp_model::{Delta, Document, DocumentKey, Generation};

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
        }
    }
}

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

    /// Returns the next delta, or `None` if one is in flight or the reader is up to date. `documents` must be durable.
    pub(crate) fn poll<B: Clone + PartialEq>(&mut self, documents: &Documents<B>) -> Option<Delta<B>> {
        if self.sent.is_some() || documents.head() <= self.held {
            return None;
        }
        let delta = documents.above(self.held);
        self.sent = Some(delta.to);
        self.sent_max = self.sent_max.max(delta.to);
        Some(delta)
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

/// How a reader handles a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<B> {
    /// Persist these changes, then acknowledge; `None` removes a document.
    Adopt(Vec<(DocumentKey, Option<Document<B>>)>),
    /// Nothing to apply: acknowledge what is durable.
    Acknowledge,
}

/// Decides how a reader that has `documents` handles `delta`.
///
/// An older delta is never adopted. A delta on a base the reader does not have is answered with the generation it
/// holds, which requests the right one.
pub(crate) fn judge<B: Clone + PartialEq>(documents: &Documents<B>, delta: Delta<B>) -> Verdict<B> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(number: u8) -> DocumentKey {
        DocumentKey::Host(linecamp_model::HostId::from_bytes([number; 16]))
    }

    fn write(documents: &mut Documents<u32>, key: DocumentKey, body: Option<u32>) {
        let generation = documents.head().next();
        documents.set(key, Some(Document { generation, body }));
    }

    fn adopt(documents: &mut Documents<u32>, delta: Delta<u32>) {
        if let Verdict::Adopt(changes) = judge(documents, delta) {
            for (key, document) in changes {
                documents.set(key, document);
            }
        }
    }

    #[test]
    fn changes_made_while_a_delta_is_under_way_leave_together() {
        let (mut source, mut documents) = (Source::new(Generation::ZERO), Documents::default());
        assert_eq!(source.poll(&documents), None, "nothing to say");
        write(&mut documents, DocumentKey::Site, Some(1));
        let first = source.poll(&documents).expect("a change");
        assert!(first.snapshot);
        write(&mut documents, DocumentKey::Site, Some(2));
        write(&mut documents, host(1), Some(3));
        assert_eq!(source.poll(&documents), None, "one at a time");
        source.handle_ack(first.to);
        let second = source.poll(&documents).expect("two changes");
        assert_eq!((second.base, second.to, second.documents.len()), (Generation(1), Generation(3), 2));
        source.handle_ack(second.to);
        assert_eq!(source.poll(&documents), None, "steady state says nothing");
    }

    #[test]
    fn what_was_sent_earlier_in_a_session_may_still_be_acknowledged() {
        let mut documents = Documents::default();
        write(&mut documents, DocumentKey::Site, Some(1));
        let mut source = Source::new(Generation::ZERO);
        let delta = source.poll(&documents).expect("a change");
        assert_eq!(source.handle_ack(Generation::ZERO), Ack::NotMore, "it could not keep it");
        assert_eq!(source.handle_ack(delta.to), Ack::More, "it was sent, and is held after all");
    }

    #[test]
    fn of_one_delta_a_reader_keeps_one_tombstone() {
        let mut reader = Documents::default();
        let documents =
            (1..=9).map(|number| (host(number), Document { generation: Generation(number.into()), body: None }));
        let delta =
            Delta { base: Generation::ZERO, to: Generation(9), snapshot: false, documents: documents.collect() };
        adopt(&mut reader, delta);
        assert_eq!(reader.keys().collect::<Vec<_>>(), [host(9)]);
    }

    #[test]
    fn an_older_or_foreign_delta_is_not_adopted() {
        let mut writer = Documents::default();
        for value in 1..=4 {
            write(&mut writer, DocumentKey::Site, Some(value));
        }
        let mut reader = Documents::default();
        adopt(&mut reader, writer.above(Generation::ZERO));
        let delta = |base, to| Delta {
            base: Generation(base),
            to: Generation(to),
            snapshot: false,
            documents: BTreeMap::new(),
        };
        assert_eq!(judge(&reader, delta(2, 3)), Verdict::Acknowledge, "older");
        assert_eq!(judge(&reader, delta(3, 4)), Verdict::Acknowledge, "the same");
        assert_eq!(judge(&reader, delta(5, 6)), Verdict::Acknowledge, "a gap");
    }

    #[test]
    fn a_snapshot_takes_away_what_it_does_not_name() {
        let (mut writer, mut reader) = (Documents::default(), Documents::default());
        write(&mut reader, host(9), Some(9));
        write(&mut writer, DocumentKey::Site, Some(1));
        adopt(&mut reader, writer.above(Generation::ZERO));
        assert_eq!(reader, writer);
    }

    #[test]
    fn more_deletions_than_one_message_holds_make_a_snapshot() {
        let (mut writer, mut reader) = (Documents::default(), Documents::default());
        write(&mut writer, DocumentKey::Site, Some(1));
        adopt(&mut reader, writer.above(Generation::ZERO));
        for number in 0..=u8::try_from(TOMBSTONES_PER_DELTA_MAX).unwrap() {
            write(&mut writer, host(number), Some(1));
            write(&mut writer, host(number), None);
        }
        let delta = writer.above(reader.head());
        assert!(delta.snapshot && delta.documents.len() == 1);
        adopt(&mut reader, delta);
        assert_eq!(reader.body(DocumentKey::Site), Some(&1));
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_changes_nothing() {
        let mut documents = Documents::default();
        write(&mut documents, DocumentKey::Site, Some(1));
        let mut source = Source::new(Generation::ZERO);
        assert_eq!(source.handle_ack(Generation(1)), Ack::NeverSent, "nothing was sent yet");
        let delta = source.poll(&documents).expect("a change");
        assert_eq!(source.handle_ack(Generation(2)), Ack::NeverSent);
        assert_eq!(source.handle_ack(delta.to), Ack::More);
        assert_eq!(source.handle_ack(delta.to), Ack::NotMore);
    }

    #[test]
    fn a_flood_of_deletions_reaches_a_bound_at_both_ends_and_a_reader_from_before_gets_a_snapshot() {
        let (mut writer, mut reader) = (Documents::default(), Documents::default());
        write(&mut writer, DocumentKey::Site, Some(1));
        write(&mut writer, host(0), Some(1));
        adopt(&mut reader, writer.above(Generation::ZERO));
        let before = reader.clone();
        for number in 0..250 {
            write(&mut writer, host(number), Some(1));
            write(&mut writer, host(number), None);
            if let Some((keys, floor)) = writer.surplus_tombstones() {
                for key in keys {
                    writer.set(key, None);
                }
                writer.set_floor(floor);
            }
            assert!(writer.keys().count() <= 2 + TOMBSTONES_PER_DELTA_MAX, "{number}");
            let delta = writer.above(reader.head());
            adopt(&mut reader, delta);
            assert!(reader.keys().count() <= 2 && reader.head() == writer.head(), "{number}");
        }
        // A document whose tombstone was dropped is recreated and deleted again: the floor stays.
        let delta = writer.above(before.head());
        assert!(delta.snapshot, "what it missed is not noted any more");
        let mut late = before;
        adopt(&mut late, delta);
        assert_eq!(late.body(host(0)), None);
    }

    proptest! {
        /// Whatever is written, lost in transit or sent again, both sides agree after one undisturbed exchange.
        #[test]
        fn a_reader_always_catches_up(
            steps in prop::collection::vec((0_u8..4, prop::option::of(0_u32..9), 0_u8..4), 0..60)
        ) {
            let (mut writer, mut reader) = (Documents::default(), Documents::default());
            let mut source = Source::new(Generation::ZERO);
            for (key, body, fate) in steps {
                write(&mut writer, host(key), body);
                let Some(delta) = source.poll(&writer) else { continue };
                match fate {
                    0 => source = Source::new(reader.head()),
                    1 => { adopt(&mut reader, delta); source = Source::new(reader.head()); }
                    2 => {
                        adopt(&mut reader, delta.clone());
                        adopt(&mut reader, delta);
                        source.handle_ack(reader.head());
                    }
                    _ => { adopt(&mut reader, delta); source.handle_ack(reader.head()); }
                }
            }
            source.handle_ack(reader.head());
            if let Some(delta) = source.poll(&writer) {
                adopt(&mut reader, delta);
            }
            let live = |documents: &Documents<u32>| documents.above(Generation::ZERO).documents;
            prop_assert_eq!(live(&reader), live(&writer));
        }
    }
}
