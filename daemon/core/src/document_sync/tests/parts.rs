//! Deltas in several parts: split, collected, interrupted, and invalid.

use linecamp_model::HostId;
use linecamp_model::limits::{
    DOCUMENT_OVERHEAD_BYTES_MAX, DOCUMENTS_BYTES_MAX, DOCUMENTS_PER_DELTA_MAX, FRAME_BYTES_MAX, HOSTS_PER_SITE_MAX,
    PROVIDERS_PER_SITE_MAX,
};

use super::*;
use crate::document_sync::source::parts;

/// The size of a body, so that three documents fit one message.
const THIRD: u32 = 300_000;

fn key(number: usize) -> DocumentKey {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    DocumentKey::Host(HostId::from_bytes(id))
}

fn documents(bodies: impl IntoIterator<Item = u32>) -> Documents<u32> {
    let mut documents = Documents::default();
    for (number, body) in bodies.into_iter().enumerate() {
        write(&mut documents, key(number), Some(body));
    }
    documents
}

fn snapshot(bodies: impl IntoIterator<Item = u32>) -> Vec<Delta<u32>> {
    parts(documents(bodies).above(Generation::ZERO))
}

/// Adds parts until one is not accepted, and returns the error.
fn error(parts: impl IntoIterator<Item = Delta<u32>>) -> Option<String> {
    let mut collector = Collector::default();
    let error = parts.into_iter().find_map(|part| collector.add(part).err())?;
    assert!(collector.is_empty(), "what was collected is dropped");
    Some(error.to_string())
}

/// Checks the documents that a reader would have after a delta.
fn check_adopted(delta: Delta<u32>) -> Result<(), String> {
    let reader = Documents::default();
    let Verdict::Adopt(changes) = judge(&reader, delta) else { panic!("a snapshot is adopted") };
    Changed::new(&reader, &changes).check().map_err(|error| error.to_string())
}

#[test]
fn a_delta_that_fits_one_message_is_sent_in_one() {
    let [part] = &snapshot([THIRD; 3])[..] else { panic!("one part") };
    assert!(!part.more);
    assert_eq!(
        snapshot([THIRD; 4]).iter().map(|part| (part.documents.len(), part.more)).collect::<Vec<_>>(),
        [(3, true), (1, false)]
    );
}

#[test]
fn nothing_is_applied_before_the_last_part() {
    let mut collector = Collector::default();
    let all = snapshot([THIRD; 10]);
    let (last, before) = all.split_last().expect("parts");
    for part in before {
        assert_eq!(collector.add(part.clone()), Ok(None));
    }
    let delta = collector.add(last.clone()).expect("valid").expect("complete");
    assert_eq!((delta.documents.len(), delta.more, collector.is_empty()), (10, false, true));
}

#[test]
fn a_part_that_does_not_belong_to_the_parts_before_it_is_rejected() {
    let parts = snapshot([THIRD; 4]);
    let changes: [fn(&mut Delta<u32>); 3] = [
        |part| (part.base, part.snapshot) = (Generation(1), false),
        |part| part.to = part.to.next(),
        |part| part.snapshot = false,
    ];
    for change in changes {
        let mut parts = parts.clone();
        change(&mut parts[1]);
        assert_eq!(error(parts).as_deref(), Some("a part of a delta does not belong to the parts before it"));
    }
}

#[test]
fn a_document_in_two_parts_is_rejected() {
    let first = Delta { more: true, ..snapshot([1]).remove(0) };
    let text = "two parts of a delta have a document under the same key";
    assert_eq!(error([first.clone(), first]).as_deref(), Some(text));
}

#[test]
fn parts_without_end_reach_a_bound_of_documents_and_of_bytes() {
    let to = Generation(1);
    let part = |number, body| Delta {
        base: Generation::ZERO,
        to,
        snapshot: true,
        documents: BTreeMap::from([(key(number), Document { generation: to, body })]),
        more: true,
    };
    let found = error((0..).map(|number| part(number, None))).expect("an error");
    let documents = DOCUMENTS_PER_DELTA_MAX + 1;
    assert_eq!(found, format!("status of {documents} documents; a site has at most {DOCUMENTS_PER_DELTA_MAX}"));
    let found = error((0..).map(|number| part(number, Some(THIRD)))).expect("an error");
    let bytes = 14 * (300_000 + DOCUMENT_OVERHEAD_BYTES_MAX);
    assert_eq!(found, format!("status of {bytes} bytes; a site has at most {DOCUMENTS_BYTES_MAX}"));
}

#[test]
fn a_reader_accepts_as_much_as_a_site_may_have_and_no_more() {
    let size = u32::try_from(DOCUMENTS_BYTES_MAX / HOSTS_PER_SITE_MAX - DOCUMENT_OVERHEAD_BYTES_MAX).expect("small");
    let full = || std::iter::repeat_n(size, HOSTS_PER_SITE_MAX);
    assert_eq!(check_adopted(documents(full()).above(Generation::ZERO)), Ok(()));
    let text = format!("status of {} bytes; a site has at most {DOCUMENTS_BYTES_MAX}", DOCUMENTS_BYTES_MAX + 1);
    let bodies = full().skip(1).chain([size + 1]);
    assert_eq!(check_adopted(documents(bodies.clone()).above(Generation::ZERO)), Err(text.clone()));
    assert_eq!(error(snapshot(bodies)), Some(text), "it is not even collected");

    let text = format!("status of {} hosts; a site has at most {HOSTS_PER_SITE_MAX}", HOSTS_PER_SITE_MAX + 1);
    assert_eq!(check_adopted(documents([1; HOSTS_PER_SITE_MAX + 1]).above(Generation::ZERO)), Err(text));
    let mut providers = Documents::default();
    for number in 0..=PROVIDERS_PER_SITE_MAX {
        let name = linecamp_model::Name::parse(&format!("p{number}")).expect("a name");
        write(&mut providers, DocumentKey::Provider(linecamp_model::ProviderId::of(&name)), Some(1));
    }
    let text = "status of 17 providers; a site has at most 16".to_owned();
    assert_eq!(check_adopted(providers.above(Generation::ZERO)), Err(text));
}

#[test]
fn documents_after_changes_are_those_a_reader_stores() {
    let mut reader = documents([1, 2, 3]);
    let mut writer = reader.clone();
    write(&mut writer, key(1), None);
    write(&mut writer, key(5), Some(5));
    write(&mut writer, key(2), Some(9));
    let Verdict::Adopt(changes) = judge(&reader, writer.above(reader.head())) else { panic!("it is the next delta") };
    let after = Changed::new(&reader, &changes);
    let mut live: Vec<_> = after.live().map(|(key, body)| (key, *body)).collect();
    live.sort_unstable();
    let (head, bodies) = (after.head(), [1, 2, 0].map(|number| after.body(key(number)).copied()));
    for (key, document) in changes {
        reader.set(key, document);
    }
    assert_eq!(live, reader.live().map(|(key, body)| (key, *body)).collect::<Vec<_>>());
    assert_eq!((head, bodies), (reader.head(), [None, Some(9), Some(1)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Hundreds of hosts arrive as they are, in messages that fit the link, whenever a session ends in between.
    #[test]
    fn hundreds_of_hosts_arrive_however_often_the_session_ends_between_two_parts(
        bodies in prop::collection::vec(0_u32..16_000, 0..=HOSTS_PER_SITE_MAX),
        cuts in prop::collection::vec((0_usize..6, 0..HOSTS_PER_SITE_MAX, prop::option::of(0_u32..16_000)), 0..4),
    ) {
        let (mut writer, mut reader) = (documents(bodies), Documents::default());
        // Before each cut, the writer changes another document; the last session is not cut.
        let cuts = cuts.into_iter().map(|(cut, number, body)| (Some(cut), number, body));
        for (cut, number, body) in cuts.chain([(None, 0, None)]) {
            write(&mut writer, key(number), body);
            let before = reader.clone();
            let parts = Source::new(reader.head()).poll(&writer);
            for part in &parts {
                let bytes: usize = part.documents.values().map(size_of).sum();
                prop_assert!(bytes < FRAME_BYTES_MAX);
            }
            // The session and its collector end with the cut.
            let mut collector = Collector::default();
            let is_complete = cut.is_none_or(|cut| parts.len() <= cut);
            for part in parts.into_iter().take(cut.unwrap_or(usize::MAX)) {
                if let Some(delta) = collector.add(part).expect("an honest writer") {
                    adopt(&mut reader, delta);
                }
            }
            match is_complete {
                true => prop_assert_eq!(live(&reader), live(&writer)),
                false => prop_assert_eq!(&reader, &before, "no part of a delta is visible"),
            }
        }
    }
}

fn live(documents: &Documents<u32>) -> Vec<(DocumentKey, u32)> {
    documents.live().map(|(key, body)| (key, *body)).collect()
}
