//! Sync: one-way replication of small documents, the same at both ends and in both directions.
//!
//! The writer of the documents has a [`Source`] for each reader, the reader a [`Replica`]. On a new session
//! the reader says what it holds durably; the source sends what lies above, in one [`Delta`], and waits
//! for the acknowledgement, which again says what the reader holds durably. One delta is under way at a
//! time: while it is, further changes gather, and leave together in the next. A reader that cannot commit
//! says, after a while, what it still holds, and is sent the rest again. There is no other path.
//!
//! Invariants: a replica's documents are those of the source at the generation it acknowledged; an
//! acknowledgement names only what is durable; nothing is sent that is not durable at the source; without
//! changes nothing is sent.

use std::collections::BTreeMap;

use linecamp_model::limits::TOMBSTONES_PER_DELTA_MAX;
use linecamp_model::{Delta, Document, DocumentKey, Generation};

use crate::mutants::{Mutant, planted};

/// The documents of one direction. At their writer a deleted one stays as a tombstone, up to
/// [`TOMBSTONES_PER_DELTA_MAX`] of them; at their reader the newest one does, if it is the newest of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Documents<B> {
    documents: BTreeMap<DocumentKey, Document<B>>,
    /// The newest deletion whose tombstone is gone.
    floor: Generation,
}

impl<B> Default for Documents<B> {
    fn default() -> Self {
        Self { documents: BTreeMap::new(), floor: Generation::ZERO }
    }
}

impl<B> Documents<B> {
    /// Whether there is nothing, not even a tombstone.
    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }
}

impl<B: Clone + PartialEq> Documents<B> {
    /// Returns the highest generation.
    pub(crate) fn head(&self) -> Generation {
        self.documents.values().map(|document| document.generation).max().unwrap_or_default()
    }

    /// Returns the keys, those of tombstones included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = DocumentKey> {
        self.documents.keys().copied()
    }

    /// Returns the generation of the document under `key`.
    pub(crate) fn generation(&self, key: DocumentKey) -> Generation {
        self.documents.get(&key).map(|document| document.generation).unwrap_or_default()
    }

    /// Returns the body under `key`.
    pub(crate) fn body(&self, key: DocumentKey) -> Option<&B> {
        self.documents.get(&key)?.body.as_ref()
    }

    /// Puts or takes away a document and returns what was there.
    pub(crate) fn set(&mut self, key: DocumentKey, document: Option<Document<B>>) -> Option<Document<B>> {
        match document {
            Some(document) => self.documents.insert(key, document),
            None => self.documents.remove(&key),
        }
    }

    /// Returns the documents, tombstones left out.
    pub(crate) fn live(&self) -> impl Iterator<Item = (DocumentKey, &B)> {
        self.documents.iter().filter_map(|(key, document)| Some((*key, document.body.as_ref()?)))
    }

    /// Notes the newest deletion whose tombstone is gone: a reader that holds less gets a snapshot.
    pub(crate) const fn set_floor(&mut self, floor: Generation) {
        self.floor = floor;
    }

    /// Returns the oldest tombstones, where there are more than [`TOMBSTONES_PER_DELTA_MAX`], and the floor that takes
    /// their place.
    pub(crate) fn surplus_tombstones(&self) -> Option<(Vec<DocumentKey>, Generation)> {
        let tombstones = self.documents.iter().filter(|(_, document)| document.body.is_none());
        let mut tombstones: Vec<_> = tombstones.map(|(key, document)| (document.generation, *key)).collect();
        let surplus = tombstones.len().checked_sub(TOMBSTONES_PER_DELTA_MAX).filter(|surplus| 0 < *surplus)?;
        tombstones.sort_unstable();
        tombstones.truncate(surplus);
        let floor = tombstones.last().map(|(generation, _)| *generation)?;
        Some((tombstones.into_iter().map(|(_, key)| key).collect(), floor))
    }

    /// Returns what a reader lacks that holds `base`; everything, if it holds nothing or less than the floor.
    pub(crate) fn above(&self, base: Generation) -> Delta<B> {
        let tombstones =
            self.documents.values().filter(|document| document.body.is_none() && base < document.generation);
        // One message has room for so many deletions; a snapshot says the same without a word of them.
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

/// The writer's side of one reader, for one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    held: Generation,
    /// The delta that is under way leads here.
    sent: Option<Generation>,
    /// The newest that was sent in this session, under way or not: it may be acknowledged late.
    sent_max: Generation,
}

impl Source {
    /// Starts with a reader that holds `held`, of this history, durably.
    pub(crate) const fn new(held: Generation) -> Self {
        Self { held, sent: None, sent_max: held }
    }

    /// Returns the next delta, unless one is under way or nothing is lacking. `documents` must be durable.
    pub(crate) fn poll<B: Clone + PartialEq>(&mut self, documents: &Documents<B>) -> Option<Delta<B>> {
        if self.sent.is_some() || documents.head() <= self.held {
            return None;
        }
        let delta = documents.above(self.held);
        self.sent = Some(delta.to);
        self.sent_max = self.sent_max.max(delta.to);
        Some(delta)
    }

    /// Takes the reader's word for what it holds. What it was never sent changes nothing.
    pub(crate) fn handle_ack(&mut self, held: Generation) -> Ack {
        if self.sent_max < held {
            return Ack::NeverSent;
        }
        let is_more = self.held < held;
        self.held = held;
        self.sent = None;
        if is_more { Ack::More } else { Ack::NotMore }
    }

    /// Whether a delta is under way: an acknowledgement is asked for.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.sent.is_some()
    }

    /// Returns what the reader holds, as far as it has said.
    pub(crate) const fn held(&self) -> Generation {
        self.held
    }
}

/// What an acknowledgement comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The reader holds more than before.
    More,
    /// It holds what it held, or less: it could not keep what it was sent.
    NotMore,
    /// It claims what it was never sent: the session has come to its end.
    NeverSent,
}

/// What a reader does with a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<B> {
    /// Make these changes durable, then acknowledge; `None` takes a document away.
    Adopt(Vec<(DocumentKey, Option<Document<B>>)>),
    /// Nothing new: acknowledge what is durable.
    Acknowledge,
}

/// Decides what a reader that has `documents` does with `delta`.
///
/// An older delta is never adopted; one whose base is not held is answered with what is held, which asks
/// for the right one.
pub(crate) fn judge<B: Clone + PartialEq>(documents: &Documents<B>, delta: Delta<B>) -> Verdict<B> {
    let head = documents.head();
    let (is_snapshot, is_next) = (delta.snapshot, head < delta.to && delta.base == head);
    if !is_snapshot && !is_next && !planted(Mutant::OlderGeneration) {
        return Verdict::Acknowledge;
    }
    // A reader needs of all tombstones only one that says how far it has come.
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
        // One whose tombstone is gone comes back and goes again: the floor stays.
        let delta = writer.above(before.head());
        assert!(delta.snapshot, "what it missed is not noted any more");
        let mut late = before;
        adopt(&mut late, delta);
        assert_eq!(late.body(host(0)), None);
    }

    proptest! {
        /// Whatever is written, lost on the way, or sent again: after one undisturbed exchange both sides agree.
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
