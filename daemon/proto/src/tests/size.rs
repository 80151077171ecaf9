//! Message sizes: every document and every other message at its limit fits a frame, and none is larger than `core`
//! counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_model::limits::{
    CONDITIONS_MAX, DELTA_OVERHEAD_BYTES_MAX, DOCUMENT_OVERHEAD_BYTES_MAX, DOCUMENTS_BYTES_MAX, EVENTS_PER_MESSAGE_MAX,
    FIRST_FRAME_BYTES_MAX, FRAME_BYTES_MAX, GATEWAY_CHAIN_MAX, KEYS_PER_HOST_MAX, LABEL_KEY_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX, LABELS_PER_OWNER_MAX, LINK_ERROR_BYTES_MAX, LINK_GAPS_WAITING_MAX, NAME_BYTES_MAX,
    PLUGIN_BYTES_MAX, PLUGIN_PIECE_BYTES_MAX, PROVIDER_SPEC_BYTES_MAX, PROVIDERS_PER_SITE_MAX,
    REPORTED_RECORDS_BYTES_MAX, TEXT_BYTES_MAX, TOKEN_USES_MAX, reported_record_bytes,
};
use linecamp_model::{
    Condition, ConditionKind, Delta, DnsStatus, Document, DocumentKey, DomainName, Event, EventBatch, EventKind,
    FromMember, FromParent, GapCause, GapReport, Generation, Hello, HostDaemon, HostId, HostLink, HostMember,
    HostMembership, HostSpec, HostStatus, HostToken, IdentityGrant, Incarnation, JoinRequest, JoinSecret,
    KeyFingerprint, LabelEntry, LabelKey, LabelSet, LabelValue, MemberKind, Name, Observed, Origin, Parent,
    PluginDigest, PluginPiece, ProviderId, ProviderSpec, ProviderStatus, RecordKey, RecordState, RecordStatus,
    RecordType, RefusalCode, RunId, SecretHash, SiteId, SiteSpec, SiteStatus, SpecBody, StatusBody, Target, Text,
    TokenId, Ttl, VersionRange, WallTime,
};
use prost::Message;

use super::sample;
use crate::convert::Wire;
use crate::wire::link::v1 as wire;
use crate::{AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, COUNTER_MAX, encode_from_member, encode_from_parent};

const WALL: WallTime = WallTime::from_unix_millis(u64::MAX);

fn name() -> Name {
    Name::parse(&"n".repeat(NAME_BYTES_MAX)).expect("a name")
}

fn text() -> Text {
    Text::parse(&"t".repeat(TEXT_BYTES_MAX)).expect("a text")
}

fn labels() -> LabelSet {
    let held =
        LabelEntry { value: LabelValue::parse(&"v".repeat(LABEL_VALUE_BYTES_MAX)).expect("a value"), since: WALL };
    let key = |index| LabelKey::parse(&format!("{index:0LABEL_KEY_BYTES_MAX$}")).expect("a key");
    let labels: BTreeMap<_, _> = (0..LABELS_PER_OWNER_MAX).map(|index| (key(index), held.clone())).collect();
    LabelSet::from_map(labels).expect("no more than there may be")
}

fn host_keys() -> BTreeSet<KeyFingerprint> {
    (0..KEYS_PER_HOST_MAX).map(|index| KeyFingerprint::of(&index.to_be_bytes())).collect()
}

/// Checks that a document fits one message several times over, and takes no more bytes than `core` counts for it.
fn check_document<B: Clone>(key: DocumentKey, body: &B, size_max: usize, encode: impl Fn(Delta<B>) -> usize) {
    let generation = Generation(COUNTER_MAX);
    let delta = |body: Option<B>| {
        let documents = BTreeMap::from([(key, Document { generation, body })]);
        Delta { base: Generation(COUNTER_MAX - 1), to: generation, snapshot: true, documents, more: true }
    };
    let bytes = encode(delta(Some(body.clone())));
    assert!(bytes <= FRAME_BYTES_MAX / 4, "{key:?} has {bytes} bytes");
    let counted = DELTA_OVERHEAD_BYTES_MAX + DOCUMENT_OVERHEAD_BYTES_MAX + size_max;
    assert!(bytes <= counted, "{key:?} has {bytes} bytes, and {counted} are counted");
    let tombstone = encode(delta(None));
    assert!(tombstone <= DELTA_OVERHEAD_BYTES_MAX + DOCUMENT_OVERHEAD_BYTES_MAX, "a tombstone has {tombstone} bytes");
}

#[test]
fn every_spec_document_at_its_limit_fits_a_message() {
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
        member: Some(HostMember {
            parent: Parent::Gateway,
            token: TokenId::from_bytes([6; 8]),
            keys: host_keys(),
            joined_at: WALL,
            local: labels(),
            reported: labels(),
        }),
    });
    let token = SpecBody::HostToken(HostToken {
        secret: SecretHash::from_bytes([1; 32]),
        created_at: WALL,
        expires_at: WALL,
        uses_max: TOKEN_USES_MAX,
    });
    let token_key = DocumentKey::HostToken(TokenId::from_bytes([1; 8]));
    let (key, provider) = providers().next().expect("a provider");
    let provider = SpecBody::Provider(Box::new(provider));
    let host_key = DocumentKey::Host(HostId::from_bytes([1; 16]));
    for (key, body) in [(DocumentKey::Site, site), (host_key, host), (key, provider), (token_key, token)] {
        check_document(key, &body, body.encoded_size_max(), |delta| encode_from_parent(&FromParent::Spec(delta)).len());
    }
    let bytes: usize = providers().map(|(_, spec)| SpecBody::Provider(Box::new(spec)).encoded_size_max()).sum();
    assert!(bytes <= DOCUMENTS_BYTES_MAX / 7, "{bytes} bytes of all providers");
}

#[test]
fn every_status_document_at_its_limit_fits_a_message() {
    // There may be more kinds of conditions than there are today.
    let condition = Condition { kind: ConditionKind::DuplicateIdentity, since: WALL, detail: text() };
    let site = StatusBody::Site(SiteStatus {
        daemon_version: text(),
        spec_incarnation: Incarnation(u64::MAX),
        applied: Generation(COUNTER_MAX),
        converged: Generation(COUNTER_MAX),
        local: labels(),
        conditions: vec![condition.clone(); CONDITIONS_MAX],
    });
    let host = StatusBody::Host(HostStatus {
        local: labels(),
        reported: labels(),
        daemon: Some(HostDaemon {
            version: text(),
            spec_incarnation: Incarnation(u64::MAX),
            applied: Generation(COUNTER_MAX),
            conditions: vec![condition; CONDITIONS_MAX],
        }),
        membership: Some(HostMembership {
            name: name(),
            token: TokenId::from_bytes([1; 8]),
            keys: host_keys(),
            joined_at: WALL,
            removed_at: Some(WALL),
            link: HostLink { is_disconnected: true, since: WALL },
        }),
    });
    let provider = StatusBody::Provider(ProviderStatus {
        name: name(),
        is_local: true,
        plugin: text(),
        failure: Some(text()),
        converged: Generation(COUNTER_MAX),
        kind: DnsStatus { records: records(REPORTED_RECORDS_BYTES_MAX) }.into(),
    });
    let host_key = DocumentKey::Host(HostId::from_bytes([1; 16]));
    let provider_key = DocumentKey::Provider(ProviderId::of(&name()));
    for (key, body) in [(DocumentKey::Site, site), (host_key, host), (provider_key, provider)] {
        check_document(key, &body, body.encoded_size_max(), |delta| {
            encode_from_member(&FromMember::Status(delta)).len()
        });
    }
}

/// A record takes no more bytes on the link than it counts for in its provider's share of a status.
#[test]
fn a_reported_record_is_no_larger_than_its_accounted_size() {
    let check = |records: Vec<RecordStatus>, counted: usize| {
        let status = ProviderStatus {
            name: name(),
            is_local: true,
            plugin: text(),
            failure: None,
            converged: Generation::ZERO,
            kind: DnsStatus::default().into(),
        };
        let bytes = |status| wire::ProviderStatus::from_model(status).encoded_len();
        let added = bytes(&ProviderStatus { kind: DnsStatus { records }.into(), ..status.clone() }) - bytes(&status);
        assert!(added <= counted, "{added} bytes, and {counted} counted");
    };
    check(vec![record("a.b", &["c"], Text::default())], reported_record_bytes(3 + 3 + 3 + 2, 2));
    let values: Vec<_> = (0..16).map(|index| format!("{index:04096}")).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let long = "a.".repeat(126) + "a";
    check(vec![record(&long, &values, text())], reported_record_bytes(3 + 2 * 253 + 32 * 4096 + TEXT_BYTES_MAX, 32));
}

/// As many providers as a site may have, each with settings of the maximum size.
fn providers() -> impl Iterator<Item = (DocumentKey, ProviderSpec)> {
    let spec = sample::provider_spec();
    let value = || Text::parse(&"v".repeat(500)).expect("a text");
    (0..PROVIDERS_PER_SITE_MAX).map(move |index| {
        let mut spec =
            ProviderSpec { name: Name::parse(&format!("{index:0NAME_BYTES_MAX$}")).expect("a name"), ..spec.clone() };
        while wire::ProviderSpec::from_model(&spec).encoded_len() + 506 <= PROVIDER_SPEC_BYTES_MAX {
            spec.dns_mut().extra[0].values.push(value());
        }
        (DocumentKey::Provider(ProviderId::of(&spec.name)), spec)
    })
}

/// Records of 512 bytes, as many as fit in a share.
fn records(share_bytes: usize) -> Vec<RecordStatus> {
    let value = "v".repeat((512 - reported_record_bytes(9, 2)) / 2);
    (0..share_bytes / 512).map(|index| record(&format!("{index:03}"), &[&value], Text::default())).collect()
}

fn record(place: &str, values: &[&str], detail: Text) -> RecordStatus {
    let domain = DomainName::parse(place).expect("a DNS name");
    RecordStatus {
        zone: domain.clone(),
        key: RecordKey { name: domain, rtype: RecordType::Txt },
        values: values.iter().map(|value| (*value).into()).collect(),
        ttl: Ttl::of(i32::MAX.cast_unsigned()),
        observed: Some(Observed {
            at: WALL,
            values: values.iter().map(|value| (*value).into()).collect(),
            ttl: Ttl::of(i32::MAX.cast_unsigned()),
        }),
        state: RecordState::Retained,
        detail,
    }
}

#[test]
fn the_longest_other_messages_fit_their_frames() {
    let join = FromMember::Join(JoinRequest {
        versions: VersionRange { min: 1, max: u32::MAX },
        token: TokenId::from_bytes([1; 8]),
        secret: JoinSecret::from_bytes([1; 16]),
        kind: MemberKind::Host,
        name: name(),
        site: Some(name()),
        daemon_version: text(),
    });
    assert!(encode_from_member(&join).len() <= FIRST_FRAME_BYTES_MAX);

    let gap = GapReport {
        began_at: Some(WALL),
        ended_at: Some(WALL),
        times: GapCause::ALL.iter().map(|cause| (*cause, Duration::from_millis(u64::MAX))).collect(),
        refusal: Some(RefusalCode::Busy),
        last_error: Text::parse(&"e".repeat(LINK_ERROR_BYTES_MAX)).expect("a text"),
        merged: u32::MAX,
    };
    let hello = FromMember::Hello(Hello {
        versions: VersionRange { min: u32::MAX, max: u32::MAX },
        run: RunId::from_bytes([1; 8]),
        daemon_version: text(),
        wall: WALL,
        spec_incarnation: Incarnation(u64::MAX),
        spec_held: Generation(COUNTER_MAX),
        status_incarnation: Incarnation(u64::MAX),
        facts: labels().iter().map(|(key, held)| (key.clone(), held.value.clone())).collect(),
        gaps: vec![gap; LINK_GAPS_WAITING_MAX],
        target: Some(Target::Removed),
    });
    assert!(encode_from_member(&hello).len() <= FIRST_FRAME_BYTES_MAX);

    let event = Event {
        at: WALL,
        kind: EventKind::CertificateRenewed,
        site: Some(SiteId::from_bytes([1; 16])),
        host: Some(HostId::from_bytes([1; 16])),
        text: text(),
    };
    let events = FromMember::Events(EventBatch {
        first: COUNTER_MAX,
        dropped: COUNTER_MAX,
        events: vec![event; EVENTS_PER_MESSAGE_MAX],
    });
    assert!(encode_from_member(&events).len() <= FRAME_BYTES_MAX);

    let grant = FromParent::Identity(IdentityGrant {
        kind: MemberKind::Host,
        name: name(),
        environment: name(),
        site: SiteId::from_bytes([1; 16]),
        host: HostId::from_bytes([1; 16]),
        certificate: vec![1; CERTIFICATE_BYTES_MAX],
        gateway_chain: vec![vec![1; CERTIFICATE_BYTES_MAX]; GATEWAY_CHAIN_MAX],
        authorities: vec![vec![1; CERTIFICATE_BYTES_MAX]; AUTHORITIES_MAX],
    });
    assert!(encode_from_parent(&grant).len() <= FRAME_BYTES_MAX);

    let piece = FromParent::Plugin(PluginPiece {
        digest: PluginDigest::from_bytes([1; 32]),
        offset: PLUGIN_BYTES_MAX,
        total: PLUGIN_BYTES_MAX,
        bytes: vec![1; PLUGIN_PIECE_BYTES_MAX],
    });
    assert!(encode_from_parent(&piece).len() <= FRAME_BYTES_MAX);
}
