//! Status in several messages, up to the largest that a member may have.

use linecamp_model::limits::{DOCUMENTS_BYTES_MAX, FRAME_BYTES_MAX, HOSTS_PER_SITE_MAX};
use linecamp_model::{HostId, HostStatus, LabelKey, LabelSet, LabelValue};

use super::*;
use crate::document_sync::Source;

/// Labels of one owner, so that all hosts together have a little less than the largest status.
const LABELS: usize = 37;

fn host(number: usize) -> DocumentKey {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    DocumentKey::Host(HostId::from_bytes(id))
}

/// Returns the status of a host, with values of `bytes` bytes.
fn host_status(bytes: usize) -> StatusBody {
    let label = |number: usize| {
        let key = LabelKey::parse(&format!("label-{number:02}")).expect("a key");
        (key, LabelValue::parse(&"v".repeat(bytes)).expect("a value"))
    };
    let labels: BTreeMap<_, _> = (0..LABELS).map(label).collect();
    let labels = LabelSet::default().replaced(&labels, START.wall).expect("few");
    StatusBody::Host(HostStatus { local: labels.clone(), reported: labels, ..HostStatus::default() })
}

/// Returns the status of a member with hosts whose labels have values of `bytes` bytes.
fn status_of_hosts(hosts: usize, bytes: usize) -> Documents<StatusBody> {
    let mut status = Documents::default();
    for number in 0..hosts {
        let generation = Generation(1 + number as u64);
        status.set(host(number), Some(Document { generation, body: Some(host_status(bytes)) }));
    }
    status
}

fn parts(status: &Documents<StatusBody>) -> Vec<StatusDelta> {
    Source::new(Generation::ZERO).poll(status)
}

/// Sends messages on a session and returns everything they cause.
fn send(downlink: &mut Downlink, table: &Table, parts: impl IntoIterator<Item = StatusDelta>) -> Vec<Output> {
    let received = |part| SessionEvent::Received(FromMember::Status(part));
    parts.into_iter().flat_map(|part| session(downlink, table, 1, received(part), START)).collect()
}

/// Stores what a write adds to the status of the member.
fn store(table: &mut Table, outputs: &[Output]) -> usize {
    let record = table.members.get_mut(&member()).expect("registered");
    let changes = outputs.iter().filter_map(|output| match output {
        Output::Stage(write) => Some(&write.changes),
        _ => None,
    });
    let mut stored = 0;
    for change in changes.flatten() {
        if let MemberChange::Status(key, document) = change {
            record.status.set(*key, document.clone());
            stored += 1;
        }
    }
    stored
}

/// Checks that parts end the session with a refusal that contains `text`, and that nothing of them is stored.
fn check_refused(parts: impl IntoIterator<Item = StatusDelta>, text: &str) {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    let outputs = send(&mut downlink, &table, parts);
    let refusals = outputs.iter().filter_map(|output| match output {
        Output::Hangup { refusal, .. } => Some(refusal),
        Output::Stage(write) => panic!("nothing is stored: {write:?}"),
        _ => None,
    });
    let [refusal] = refusals.collect::<Vec<_>>()[..] else { panic!("one refusal: {outputs:?}") };
    assert_eq!(refusal.code, RefusalCode::Protocol);
    assert!(refusal.text.as_str().contains(text), "{refusal}");
    // The member can come back with what it may send.
    connect(&mut downlink, &table, 2, 1);
    assert_eq!(current(&downlink), Some(2));
    let event = SessionEvent::Received(status());
    assert!(matches!(
        session(&mut downlink, &table, 2, event, START)[..],
        [Output::Stage(_), Output::StatusChanged(_)]
    ));
}

#[test]
fn the_largest_status_arrives_in_parts_and_is_stored_and_acknowledged_once() {
    let (mut downlink, mut table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    let status = status_of_hosts(HOSTS_PER_SITE_MAX, 190);
    let bytes: usize = status.live().map(|(_, body)| body.encoded_size_max()).sum();
    assert!((DOCUMENTS_BYTES_MAX / 100 * 95..DOCUMENTS_BYTES_MAX).contains(&bytes), "{bytes} bytes");
    let mut parts = parts(&status);
    assert_eq!(parts.len(), DOCUMENTS_BYTES_MAX.div_ceil(FRAME_BYTES_MAX));

    let last = parts.pop().expect("parts");
    assert_eq!(send(&mut downlink, &table, parts), [], "no part is stored or acknowledged alone");
    let outputs = send(&mut downlink, &table, [last]);
    let [Output::Stage(write), Output::StatusChanged(_)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(matches!(write.releases[..], [Release::Acknowledge { .. }]));
    assert_eq!(store(&mut table, &outputs), HOSTS_PER_SITE_MAX);
    assert_eq!(table.members[&member()].status, status);
}

#[test]
fn a_session_that_ends_between_two_parts_leaves_nothing_and_the_next_starts_again() {
    let (mut downlink, mut table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    let status = status_of_hosts(HOSTS_PER_SITE_MAX, 100);
    let parts = parts(&status);
    assert_eq!(send(&mut downlink, &table, parts.iter().take(parts.len() - 1).cloned()), []);
    session(&mut downlink, &table, 1, SessionEvent::Closed(Text::default()), START);
    connect(&mut downlink, &table, 1, 1);
    let last = parts.last().expect("parts").documents.len();
    assert!(last < HOSTS_PER_SITE_MAX);
    let outputs = send(&mut downlink, &table, parts);
    assert_eq!(store(&mut table, &outputs), HOSTS_PER_SITE_MAX);
    assert_eq!(table.members[&member()].status, status);
}

#[test]
fn a_delta_that_begins_while_another_is_in_flight_is_ignored_with_all_its_parts() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    let outputs = session(&mut downlink, &table, 1, SessionEvent::Received(status()), START);
    let [Output::Stage(write), Output::StatusChanged(_)] = &outputs[..] else { panic!("{outputs:?}") };
    let parts = parts(&status_of_hosts(HOSTS_PER_SITE_MAX, 100));
    let (first, rest) = parts.split_first().expect("parts");
    let ignored = downlink.ignored();
    assert_eq!(send(&mut downlink, &table, [first.clone()]), []);
    // The acknowledgement is sent between two parts. The rest without the first part would not be the whole status.
    downlink.release(write.releases[0].clone(), &table, START);
    drain(&mut downlink, &table, START);
    assert_eq!(send(&mut downlink, &table, rest.to_vec()), []);
    assert_eq!(downlink.ignored() - ignored, parts.len() as u64);
    let outputs = send(&mut downlink, &table, parts);
    assert!(matches!(outputs[..], [Output::Stage(_), Output::StatusChanged(_)]), "the next delta is accepted");
}

#[test]
fn a_part_that_does_not_belong_to_the_parts_before_it_ends_the_session() {
    let parts = || parts(&status_of_hosts(HOSTS_PER_SITE_MAX, 100));
    let [first, second, ..] = &parts()[..] else { panic!("two parts") };
    let other = StatusDelta { base: Generation(1), snapshot: false, ..second.clone() };
    check_refused([first.clone(), other], "does not belong to the parts before it");
    check_refused([first.clone(), first.clone()], "a document under the same key");
}

#[test]
fn a_status_of_more_hosts_or_bytes_than_a_site_may_have_ends_the_session() {
    check_refused(parts_of(status_of_hosts(HOSTS_PER_SITE_MAX + 1, 1)), "257 hosts; a site has at most 256");
    check_refused(parts_of(status_of_hosts(HOSTS_PER_SITE_MAX, 210)), "bytes; a site has at most 4194304");
    let endless = (0..).map(|number| StatusDelta {
        base: Generation::ZERO,
        to: Generation(1),
        snapshot: true,
        documents: BTreeMap::from([(host(number), Document { generation: Generation(1), body: None })]),
        more: true,
    });
    check_refused(endless.take(1_000), "402 documents; a site has at most 401");
}

/// Splits a status that an honest writer would not have.
fn parts_of(status: Documents<StatusBody>) -> Vec<StatusDelta> {
    let all = status.above(Generation::ZERO);
    let (base, to, snapshot) = (all.base, all.to, all.snapshot);
    let documents: Vec<_> = all.documents.into_iter().collect();
    let count = documents.len().div_ceil(50);
    let part = |(number, documents): (usize, &[(DocumentKey, Document<StatusBody>)])| StatusDelta {
        base,
        to,
        snapshot,
        documents: documents.iter().cloned().collect(),
        more: number + 1 < count,
    };
    documents.chunks(50).enumerate().map(part).collect()
}
