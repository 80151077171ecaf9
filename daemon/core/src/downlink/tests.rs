//! Tests of the downlink alone, with members that are nothing but records.

mod parts;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    Document, DocumentKey, EventKind, FromMember, FromParent, Generation, Hello, Incarnation, Instant, KeyFingerprint,
    LinkGap, Now, Parent, PluginDigest, PluginWant, Refusal, RefusalCode, ReplicationCursor, RunId, SessionId, SiteId,
    SpecBody, StatusBody, StatusDelta, Text, VersionRange, WallTime,
};

use super::{
    Credential, Downlink, DownlinkTimer, Link, Member, MemberChange, MemberId, Members, Output, PROBE_MAX, Peer,
    Release, SessionEvent, Standing,
};
use crate::DISCONNECTED_AFTER;
use crate::document_sync::{Changed, Documents};
use crate::rng::Rng;

const VERSIONS: VersionRange = VersionRange { min: 1, max: 1 };
const START: Now = Now { instant: Instant::ORIGIN, wall: WallTime::from_unix_millis(1_800_000_000_000) };
const SPEC_INCARNATION: Incarnation = Incarnation(7);

/// Members by key; the door to a state that is always durable.
#[derive(Debug, Default)]
struct Table {
    members: BTreeMap<MemberId, Record>,
    files: BTreeSet<PluginDigest>,
}

#[derive(Debug)]
struct Record {
    standing: Standing,
    spec: Documents<SpecBody>,
    status: Documents<StatusBody>,
    gaps: BTreeMap<WallTime, LinkGap>,
}

impl Members for Table {
    fn id_of_key(&self, key: &KeyFingerprint) -> Option<MemberId> {
        key.as_bytes().first_chunk().map(|id| MemberId::Site(SiteId::from_bytes(*id)))
    }

    fn unavailable(&self, _key: &KeyFingerprint) -> Option<Refusal> {
        None
    }

    fn registered(&self, key: &KeyFingerprint) -> Result<Option<MemberId>, Refusal> {
        Ok(self.id_of_key(key).filter(|id| self.members.contains_key(id)))
    }

    fn member(&self, id: MemberId) -> Option<Member<'_>> {
        self.members.get(&id).map(|record| Member {
            standing: record.standing,
            spec_incarnation: SPEC_INCARNATION,
            status: &record.status,
            cursor: ReplicationCursor::default(),
            offline_since: None,
            joined_at: START.wall,
            gaps: &record.gaps,
        })
    }

    fn spec(&self, id: MemberId) -> Option<Cow<'_, Documents<SpecBody>>> {
        self.members.get(&id).map(|record| Cow::Borrowed(&record.spec))
    }

    fn servers(&self) -> Option<&linecamp_model::ServerSet> {
        None
    }

    fn authorities(&self) -> Option<&linecamp_model::AuthoritySet> {
        None
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn check_status(&self, _id: MemberId, status: &Changed<'_, StatusBody>) -> Result<(), Refusal> {
        match status.live().any(|(key, _)| matches!(key, DocumentKey::Provider(_))) {
            true => Err(Refusal::new(RefusalCode::Protocol, "status of a provider")),
            false => Ok(()),
        }
    }

    fn may_read(&self, _id: MemberId, digest: &PluginDigest) -> bool {
        self.files.contains(digest)
    }
}

fn key() -> KeyFingerprint {
    KeyFingerprint::from_bytes([1; 32])
}

fn member() -> MemberId {
    MemberId::Site(SiteId::from_bytes([1; 16]))
}

fn later(seconds: u64) -> Now {
    let time = std::time::Duration::from_secs(seconds);
    Now { instant: START.instant + time, wall: START.wall + time }
}

fn table(standing: Standing) -> Table {
    let record = Record { standing, spec: Documents::default(), status: Documents::default(), gaps: BTreeMap::new() };
    Table { members: BTreeMap::from([(member(), record)]), ..Table::default() }
}

fn downlink() -> Downlink {
    let mut downlink = Downlink::new(Parent::Server, VERSIONS, Rng::new(1), START);
    downlink.expect(member(), None, START);
    downlink
}

/// Passes an event and carries out what it causes, as an owner whose store answers at once. Returns the other outputs.
fn session(downlink: &mut Downlink, table: &Table, id: u64, event: SessionEvent, now: Now) -> Vec<Output> {
    downlink.handle_session(SessionId(id), event, table, now);
    drain(downlink, table, now)
}

fn drain(downlink: &mut Downlink, table: &Table, now: Now) -> Vec<Output> {
    let mut rest = Vec::new();
    for output in downlink.take_outputs() {
        match output {
            Output::WhenDurable(releases) => {
                for release in releases {
                    downlink.release(release, table, now);
                    rest.extend(drain(downlink, table, now));
                }
            }
            Output::WhenSpecDurable(member) => {
                downlink.spec_settled(member);
                downlink.send_spec(member, table);
                rest.extend(drain(downlink, table, now));
            }
            output => rest.push(output),
        }
    }
    rest
}

fn hello(run: u8) -> SessionEvent {
    SessionEvent::Received(FromMember::Hello(Hello {
        versions: VERSIONS,
        run: RunId::from_bytes([run; 8]),
        daemon_version: Text::default(),
        wall: START.wall,
        spec_incarnation: SPEC_INCARNATION,
        spec_held: Generation::ZERO,
        status_incarnation: Incarnation(1),
        target: None,
        facts: BTreeMap::new(),
        gaps: Vec::new(),
    }))
}

fn open(downlink: &mut Downlink, table: &Table, id: u64) {
    let peer = Peer { fingerprint: key(), credential: Credential::Issued, address: Text::lossy("192.0.2.1:4433") };
    assert_eq!(session(downlink, table, id, SessionEvent::Opened(peer), START), []);
}

fn connect(downlink: &mut Downlink, table: &Table, id: u64, run: u8) -> Vec<Output> {
    open(downlink, table, id);
    session(downlink, table, id, hello(run), START)
}

fn refusal(outputs: &[Output], id: u64) -> Option<RefusalCode> {
    outputs.iter().find_map(|output| match output {
        Output::Hangup { session, refusal } if *session == SessionId(id) => Some(refusal.code),
        _ => None,
    })
}

fn current(downlink: &Downlink) -> Option<u64> {
    downlink.links().get(member()).and_then(Link::session).map(|session| session.0)
}

#[test]
fn a_link_is_announced_before_the_welcome_and_its_end_after_the_hangup() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    let outputs = connect(&mut downlink, &table, 1, 1);
    let up = Output::LinkUp { session: SessionId(1), member: member() };
    assert!(matches!(&outputs[..], [first, Output::Send { message: FromParent::Welcome(_), .. }] if *first == up));
    let outputs = session(&mut downlink, &table, 1, SessionEvent::Received(FromMember::Hello(plain_hello())), START);
    let down = Output::LinkDown { session: SessionId(1), member: member() };
    assert!(matches!(&outputs[..], [Output::Hangup { .. }, last] if *last == down), "{outputs:?}");
    assert_eq!(session(&mut downlink, &table, 1, SessionEvent::Closed(Text::default()), START), []);
}

fn plain_hello() -> Hello {
    match hello(1) {
        SessionEvent::Received(FromMember::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_of_the_same_run_takes_over_and_another_waits_for_the_probe() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    assert_eq!(refusal(&connect(&mut downlink, &table, 2, 1), 1), Some(RefusalCode::Superseded));
    assert_eq!(current(&downlink), Some(2));
    let probe = Output::Send { session: SessionId(2), message: FromParent::Probe };
    assert_eq!(connect(&mut downlink, &table, 3, 9), [probe]);
    let outputs = session(&mut downlink, &table, 2, SessionEvent::Received(FromMember::Alive), START);
    assert_eq!(refusal(&outputs, 3), Some(RefusalCode::DuplicateIdentity));
    let notes = outputs.iter().filter_map(|output| match output {
        Output::Stage(write) => write.note.as_ref().map(|(kind, _)| *kind),
        _ => None,
    });
    assert_eq!(notes.collect::<Vec<_>>(), [EventKind::DuplicateRefused]);
    assert_eq!(current(&downlink), Some(2));
}

#[test]
fn a_session_that_does_not_answer_the_probe_is_replaced() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    connect(&mut downlink, &table, 2, 9);
    let now = later(PROBE_MAX.as_secs());
    assert_eq!(downlink.next_deadline(), Some((now.instant, DownlinkTimer::ProbeLate(SessionId(2)))));
    downlink.handle_timeout(&table, now);
    assert_eq!(refusal(&drain(&mut downlink, &table, now), 1), Some(RefusalCode::Superseded));
    assert_eq!(current(&downlink), Some(2));
}

#[test]
fn a_disconnected_member_is_recorded_as_offline_once() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    session(&mut downlink, &table, 1, SessionEvent::Closed(Text::default()), START);
    let now = later(DISCONNECTED_AFTER.as_secs());
    downlink.handle_timeout(&table, now);
    let outputs = drain(&mut downlink, &table, now);
    let [Output::Stage(write)] = &outputs[..] else { panic!("one write: {outputs:?}") };
    assert_eq!(write.changes, [MemberChange::OfflineSince(Some(START.wall))]);
    assert_eq!(downlink.next_deadline(), None);
}

#[test]
fn a_pending_member_that_reports_is_refused() {
    let (mut downlink, table) = (downlink(), table(Standing::Pending));
    connect(&mut downlink, &table, 1, 1);
    let outputs = session(&mut downlink, &table, 1, SessionEvent::Received(status()), START);
    assert_eq!(refusal(&outputs, 1), Some(RefusalCode::Protocol));
}

fn status() -> FromMember {
    FromMember::Status(StatusDelta {
        base: Generation::ZERO,
        to: Generation(1),
        snapshot: true,
        documents: BTreeMap::from([(DocumentKey::Site, Document { generation: Generation(1), body: None })]),
        more: false,
    })
}

#[test]
fn status_is_acknowledged_when_it_is_durable_and_one_delta_is_in_flight() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    let outputs = session(&mut downlink, &table, 1, SessionEvent::Received(status()), START);
    let [Output::Stage(write), Output::StatusChanged(_)] = &outputs[..] else { panic!("{outputs:?}") };
    let ignored = downlink.ignored();
    assert_eq!(session(&mut downlink, &table, 1, SessionEvent::Received(status()), START), []);
    assert_eq!(downlink.ignored(), ignored + 1);
    let [release @ Release::Acknowledge { .. }] = &write.releases[..] else { panic!("{write:?}") };
    downlink.release(release.clone(), &table, START);
    let message = FromParent::StatusAck(Generation(1));
    assert_eq!(drain(&mut downlink, &table, START), [Output::Send { session: SessionId(1), message }]);
}

#[test]
fn only_what_a_member_waits_for_is_acknowledged() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    connect(&mut downlink, &table, 1, 1);
    downlink.acknowledge_held(SessionId(1), &table);
    assert_eq!(drain(&mut downlink, &table, START), [], "a status may be in transit");
    session(&mut downlink, &table, 1, SessionEvent::Received(status()), START);
    downlink.acknowledge_held(SessionId(1), &table);
    let message = FromParent::StatusAck(Generation::ZERO);
    assert_eq!(drain(&mut downlink, &table, START), [Output::Send { session: SessionId(1), message }]);
}

#[test]
fn a_member_reads_only_permitted_files() {
    let (mut downlink, mut table) = (downlink(), table(Standing::Accepted));
    let want = |number| PluginWant { digest: PluginDigest::from_bytes([number; 32]), offset: 0 };
    table.files.insert(want(1).digest);
    connect(&mut downlink, &table, 1, 1);
    let mut request = |want| {
        let event = SessionEvent::Received(FromMember::WantPlugin(want));
        session(&mut downlink, &table, 1, event, START)
    };
    assert_eq!(request(want(1)), [Output::ReadPiece { session: SessionId(1), want: want(1) }]);
    let outputs = request(want(2));
    let [Output::Send { message: FromParent::Plugin(piece), .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((piece.total, piece.bytes.len()), (0, 0));
}

#[test]
fn a_member_that_claims_too_new_a_spec_gets_a_new_incarnation() {
    let (mut downlink, table) = (downlink(), table(Standing::Accepted));
    open(&mut downlink, &table, 1);
    let claim = Hello { spec_held: Generation(u64::MAX / 2), ..plain_hello() };
    let outputs = session(&mut downlink, &table, 1, SessionEvent::Received(FromMember::Hello(claim)), START);
    let [Output::Stage(write), .., Output::Send { message: FromParent::Welcome(welcome), .. }] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    let [MemberChange::Cursor(cursor)] = write.changes[..] else { panic!("{write:?}") };
    assert_eq!(cursor.spec_incarnation, Some(welcome.spec_incarnation));
    assert_ne!(welcome.spec_incarnation, SPEC_INCARNATION);
}
