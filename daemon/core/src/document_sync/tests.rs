//! Tests of writers and readers together, with documents whose body is the number of their bytes.

mod parts;

use proptest::prelude::*;

use super::*;

impl Body for u32 {
    const DIRECTION: &'static str = "status";

    fn encoded_size_max(&self) -> usize {
        usize::try_from(*self).expect("a number of bytes")
    }
}

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

/// Returns the next delta as the reader collects it.
fn next(source: &mut Source, documents: &Documents<u32>) -> Option<Delta<u32>> {
    let mut collector = Collector::default();
    let collected = source.poll(documents).into_iter().map(|part| collector.add(part).expect("parts of one delta"));
    collected.last().map(|delta| delta.expect("the last part completes it"))
}

#[test]
fn changes_made_while_a_delta_is_under_way_leave_together() {
    let (mut source, mut documents) = (Source::new(Generation::ZERO), Documents::default());
    assert_eq!(next(&mut source, &documents), None, "nothing to say");
    write(&mut documents, DocumentKey::Site, Some(1));
    let first = next(&mut source, &documents).expect("a change");
    assert!(first.snapshot);
    write(&mut documents, DocumentKey::Site, Some(2));
    write(&mut documents, host(1), Some(3));
    assert_eq!(next(&mut source, &documents), None, "one at a time");
    source.handle_ack(first.to);
    let second = next(&mut source, &documents).expect("two changes");
    assert_eq!((second.base, second.to, second.documents.len()), (Generation(1), Generation(3), 2));
    source.handle_ack(second.to);
    assert_eq!(next(&mut source, &documents), None, "steady state says nothing");
}

#[test]
fn what_was_sent_earlier_in_a_session_may_still_be_acknowledged() {
    let mut documents = Documents::default();
    write(&mut documents, DocumentKey::Site, Some(1));
    let mut source = Source::new(Generation::ZERO);
    let delta = next(&mut source, &documents).expect("a change");
    assert_eq!(source.handle_ack(Generation::ZERO), Ack::NotMore, "it could not keep it");
    assert_eq!(source.handle_ack(delta.to), Ack::More, "it was sent, and is held after all");
}

#[test]
fn of_one_delta_a_reader_keeps_one_tombstone() {
    let mut reader = Documents::default();
    let documents =
        (1..=9).map(|number| (host(number), Document { generation: Generation(number.into()), body: None }));
    let delta = Delta {
        base: Generation::ZERO,
        to: Generation(9),
        snapshot: false,
        documents: documents.collect(),
        more: false,
    };
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
        more: false,
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
    let delta = next(&mut source, &documents).expect("a change");
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
            let Some(delta) = next(&mut source, &writer) else { continue };
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
        if let Some(delta) = next(&mut source, &writer) {
            adopt(&mut reader, delta);
        }
        let live = |documents: &Documents<u32>| documents.above(Generation::ZERO).documents;
        prop_assert_eq!(live(&reader), live(&writer));
    }
}
