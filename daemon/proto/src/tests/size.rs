//! How large a message gets: the limits of the values add up to less than those of the frames.

use std::collections::BTreeMap;

use linecamp_model::limits::{
    EVENTS_PER_MESSAGE_MAX, FIRST_FRAME_BYTES_MAX, FRAME_BYTES_MAX, HOSTS_PER_SITE_MAX, LABEL_KEY_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX, LABELS_PER_OWNER_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX,
};
use linecamp_model::{
    Condition, ConditionKind, Delta, Document, DocumentKey, Event, EventBatch, EventKind, FromServer, FromSite,
    Generation, HeldLabel, HostId, HostSpec, HostStatus, IdentityGrant, JoinRequest, JoinSecret, LabelKey, LabelSet,
    LabelValue, Name, Origin, SiteId, SiteSpec, SiteStatus, SpecBody, StatusBody, Target, Text, TokenId, VersionRange,
    WallTime,
};

use crate::{AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, COUNTER_MAX, encode_from_server, encode_from_site};

const WALL: WallTime = WallTime::from_unix_millis(u64::MAX);

fn name() -> Name {
    Name::parse(&"n".repeat(NAME_BYTES_MAX)).expect("a name")
}

fn text() -> Text {
    Text::parse(&"t".repeat(TEXT_BYTES_MAX)).expect("a text")
}

fn labels() -> LabelSet {
    let held =
        HeldLabel { value: LabelValue::parse(&"v".repeat(LABEL_VALUE_BYTES_MAX)).expect("a value"), since: WALL };
    let key = |index| LabelKey::parse(&format!("{index:0LABEL_KEY_BYTES_MAX$}")).expect("a key");
    let labels: BTreeMap<_, _> = (0..LABELS_PER_OWNER_MAX).map(|index| (key(index), held.clone())).collect();
    LabelSet::from_map(labels).expect("no more than there may be")
}

#[test]
fn the_whole_spec_of_a_full_site_fits_a_frame() {
    let document = |body| Document { generation: Generation(COUNTER_MAX), body: Some(body) };
    let site = SpecBody::Site(SiteSpec {
        name: name(),
        environment: name(),
        description: text(),
        target: Target::Active,
        assigned: labels(),
    });
    let host = SpecBody::Host(HostSpec {
        name: name(),
        origin: Origin::Custom,
        description: text(),
        target: Target::Active,
        assigned: labels(),
    });
    let mut documents = BTreeMap::from([(DocumentKey::Site, document(site))]);
    for index in 0..HOSTS_PER_SITE_MAX {
        let id = HostId::from_bytes([u8::try_from(index).expect("few"); 16]);
        documents.insert(DocumentKey::Host(id), document(host.clone()));
    }
    let delta = Delta { base: Generation::ZERO, to: Generation(COUNTER_MAX), snapshot: true, documents };
    let bytes = encode_from_server(&FromServer::Spec(delta)).len();
    assert!(bytes <= FRAME_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn the_whole_status_of_a_full_site_fits_a_frame() {
    let document = |body| Document { generation: Generation(COUNTER_MAX), body: Some(body) };
    let condition = Condition { kind: ConditionKind::DuplicateIdentity, since: WALL, detail: text() };
    let site = StatusBody::Site(SiteStatus {
        daemon_version: text(),
        applied: Generation(COUNTER_MAX),
        converged: Generation(COUNTER_MAX),
        local: labels(),
        conditions: ConditionKind::ALL.iter().map(|kind| Condition { kind: *kind, ..condition.clone() }).collect(),
    });
    let host = StatusBody::Host(HostStatus { local: labels(), reported: labels() });
    let mut documents = BTreeMap::from([(DocumentKey::Site, document(site))]);
    for index in 0..HOSTS_PER_SITE_MAX {
        let id = HostId::from_bytes([u8::try_from(index).expect("few"); 16]);
        documents.insert(DocumentKey::Host(id), document(host.clone()));
    }
    let delta = Delta { base: Generation::ZERO, to: Generation(COUNTER_MAX), snapshot: true, documents };
    let bytes = encode_from_site(&FromSite::Status(delta)).len();
    assert!(bytes <= FRAME_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn the_longest_other_messages_fit_their_frames() {
    let join = FromSite::Join(JoinRequest {
        versions: VersionRange { min: 1, max: u32::MAX },
        token: TokenId::from_bytes([1; 8]),
        secret: JoinSecret::from_bytes([1; 16]),
        name: name(),
        daemon_version: text(),
    });
    assert!(encode_from_site(&join).len() <= FIRST_FRAME_BYTES_MAX);

    let event =
        Event { at: WALL, kind: EventKind::CertificateRenewed, site: Some(SiteId::from_bytes([1; 16])), text: text() };
    let events = FromSite::Events(EventBatch {
        first: COUNTER_MAX,
        dropped: COUNTER_MAX,
        events: vec![event; EVENTS_PER_MESSAGE_MAX],
    });
    assert!(encode_from_site(&events).len() <= FRAME_BYTES_MAX);

    let grant = FromServer::Identity(IdentityGrant {
        name: name(),
        environment: name(),
        certificate: vec![1; CERTIFICATE_BYTES_MAX],
        authorities: vec![vec![1; CERTIFICATE_BYTES_MAX]; AUTHORITIES_MAX],
    });
    assert!(encode_from_server(&grant).len() <= FRAME_BYTES_MAX);
}
