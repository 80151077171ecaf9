//! False status: extreme generations, unlimited documents, values at their limits.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::{
    CONDITION_DETAIL_BYTES_MAX, DOCUMENTS_PER_DELTA_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX,
    LABELS_PER_OWNER_MAX, TEXT_BYTES_MAX,
};
use linecamp_model::{
    Condition, ConditionKind, Delta, DnsStatus, Document, DocumentKey, DomainName, FromMember, Generation, HostDaemon,
    HostId, HostLink, HostMembership, HostStatus, Incarnation, KeyFingerprint, LabelKey, LabelSet, LabelValue, Name,
    ProviderId, ProviderStatus, RecordKey, RecordState, RecordStatus, RecordType, SiteStatus, StatusBody, Text,
    TokenId,
};
use linecamp_proto::COUNTER_MAX;

use super::{MemberState, name, number};
use crate::sim_rng::SimRng;

/// Maximum number of extra deltas in one flood of documents: more than twenty thousand documents.
const FLOOD_DELTAS_MAX: u64 = 60;

/// Maximum number of extra snapshots in one flood.
const FLOOD_SNAPSHOTS_MAX: u64 = 40;

/// Record sets that fill one provider's report, at 512 bytes each.
const RECORDS: usize = 240;

type Documents = BTreeMap<DocumentKey, Document<StatusBody>>;

/// Returns a few deltas with extreme generations.
pub(super) fn wild(known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    let count = 1 + chance.below(6);
    (0..count)
        .map(|_| {
            let is_snapshot = chance.happens(500);
            let held = number(known.status_held.0, chance);
            let base = if is_snapshot { 0 } else { held };
            let to = number(base, chance).max(base);
            let mut documents = Documents::new();
            // A document must be above the delta's base; the decoder rejects any other.
            if base < to {
                let generation = Generation(if chance.happens(500) { to } else { base + 1 });
                let body = chance.happens(800).then(|| site_status(known, chance));
                documents.insert(DocumentKey::Site, Document { generation, body });
            }
            delta(base, to, is_snapshot, documents)
        })
        .collect()
}

/// Returns a delta about another site's host.
pub(super) fn of_another(known: &MemberState, chance: &mut SimRng) -> FromMember {
    let key = DocumentKey::Host(HostId::from_bytes(chance.bytes()));
    let base = known.status_held.0.min(COUNTER_MAX - 1);
    let document = Document { generation: Generation(base + 1), body: Some(StatusBody::Host(HostStatus::default())) };
    delta(base, base + 1, false, BTreeMap::from([(key, document)]))
}

/// Returns a snapshot, then thousands of provider documents and tombstones, one delta at a time.
pub(super) fn documents(known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    let of_delta = DOCUMENTS_PER_DELTA_MAX as u64;
    let first = Document { generation: Generation(1), body: Some(site_status(known, chance)) };
    let mut all = vec![delta(0, 1, true, BTreeMap::from([(DocumentKey::Site, first)]))];
    let (is_big, family) = (chance.happens(300), chance.below(1_000));
    for index in 0..10 + chance.below(FLOOD_DELTAS_MAX) {
        let base = 1 + index * of_delta;
        let number_of = |place: u64| index * of_delta + place;
        let document = |place: u64| {
            let name = name(&format!("p{family}-{}", number_of(place)));
            let body = (!place.is_multiple_of(3)).then(|| provider_status(&name, is_big));
            (DocumentKey::Provider(ProviderId::of(&name)), Document { generation: Generation(base + 1 + place), body })
        };
        let documents = (0..of_delta).map(document).collect();
        all.push(delta(base, base + of_delta, false, documents));
    }
    all
}

/// How many hosts each full snapshot invents.
const INVENTED_HOSTS: u32 = 3;

/// Returns repeated full snapshots, with each value at its limit.
pub(super) fn snapshots(known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    let count = 5 + chance.below(FLOOD_SNAPSHOTS_MAX);
    (0..count)
        .map(|index| {
            let generation = Generation(1 + known.status_held.0.min(COUNTER_MAX / 2) + index);
            let provider = name(&format!("big-{index}"));
            let status =
                ProviderStatus { kind: DnsStatus { records: records(chance) }.into(), ..provider_of(&provider, true) };
            let bodies = [
                (DocumentKey::Site, StatusBody::Site(full_site(known, chance))),
                (DocumentKey::Host(known.gateway), StatusBody::Host(full_host(known, chance))),
                (DocumentKey::Provider(ProviderId::of(&provider)), StatusBody::Provider(status)),
            ];
            let document = |(key, body)| (key, Document { generation, body: Some(body) });
            let hosts: Vec<_> = (0..INVENTED_HOSTS).map(|_| invented_host(known, chance)).collect();
            delta(0, generation.0, true, bodies.into_iter().chain(hosts).map(document).collect())
        })
        .collect()
}

fn delta(base: u64, to: u64, snapshot: bool, documents: Documents) -> FromMember {
    FromMember::Status(Delta { base: Generation(base), to: Generation(to), snapshot, documents, more: false })
}

fn site_status(known: &MemberState, chance: &mut SimRng) -> StatusBody {
    StatusBody::Site(SiteStatus {
        daemon_version: Text::lossy("0.1.0"),
        spec_incarnation: incarnation(known, chance),
        applied: Generation(number(known.spec_head.0, chance)),
        converged: Generation(number(known.spec_head.0, chance)),
        local: LabelSet::default(),
        conditions: Vec::new(),
    })
}

fn full_site(known: &MemberState, chance: &mut SimRng) -> SiteStatus {
    let condition = |kind: &ConditionKind| Condition {
        kind: *kind,
        since: known.wall,
        detail: Text::lossy(&"d".repeat(CONDITION_DETAIL_BYTES_MAX)),
    };
    SiteStatus {
        daemon_version: Text::lossy(&"9".repeat(TEXT_BYTES_MAX)),
        spec_incarnation: incarnation(known, chance),
        applied: Generation(number(known.spec_head.0, chance)),
        converged: Generation(number(known.spec_head.0, chance)),
        local: full_labels(known, chance),
        conditions: ConditionKind::ALL.iter().map(condition).collect(),
    }
}

fn incarnation(known: &MemberState, chance: &mut SimRng) -> Incarnation {
    if chance.happens(800) { known.spec_incarnation } else { Incarnation(chance.bits()) }
}

fn full_host(known: &MemberState, chance: &mut SimRng) -> HostStatus {
    let (local, reported) = (full_labels(known, chance), full_labels(known, chance));
    HostStatus { local, reported, ..HostStatus::default() }
}

/// Returns the status of a host that never joined the gateway.
fn invented_host(known: &MemberState, chance: &mut SimRng) -> (DocumentKey, StatusBody) {
    let membership = HostMembership {
        name: name(&format!("host-{}", chance.below(20))),
        token: TokenId::from_bytes(chance.bytes()),
        keys: BTreeSet::from([KeyFingerprint::from_bytes(chance.bytes())]),
        joined_at: known.wall,
        removed_at: chance.happens(200).then_some(known.wall),
        link: HostLink { is_disconnected: chance.happens(500), since: known.wall },
    };
    let daemon = HostDaemon { applied: Generation(number(known.spec_head.0, chance)), ..HostDaemon::default() };
    let status = HostStatus { daemon: Some(daemon), membership: Some(membership), ..full_host(known, chance) };
    (DocumentKey::Host(HostId::from_bytes(chance.bytes())), StatusBody::Host(status))
}

fn full_labels(known: &MemberState, chance: &mut SimRng) -> LabelSet {
    LabelSet::default().replaced(&labels(chance), known.wall).expect("no more than there may be")
}

/// Returns the maximum number of labels of one owner, each of maximum length.
pub(super) fn labels(chance: &mut SimRng) -> BTreeMap<LabelKey, LabelValue> {
    let family = chance.below(1_000_000);
    let label = |number: usize| {
        let key = format!("k{number:02}-{family:06}-");
        let key = format!("{key}{}", "k".repeat(LABEL_KEY_BYTES_MAX - key.len()));
        let value = LabelValue::parse(&"v".repeat(LABEL_VALUE_BYTES_MAX)).expect("letters are a value");
        (LabelKey::parse(&key).expect("letters are a key"), value)
    };
    (0..LABELS_PER_OWNER_MAX).map(label).collect()
}

fn provider_status(name: &Name, is_big: bool) -> StatusBody {
    StatusBody::Provider(provider_of(name, is_big))
}

pub(super) fn provider_of(name: &Name, is_big: bool) -> ProviderStatus {
    let words = if is_big { "t".repeat(TEXT_BYTES_MAX) } else { String::new() };
    ProviderStatus {
        name: name.clone(),
        is_local: true,
        plugin: Text::lossy(&words),
        failure: is_big.then(|| Text::lossy(&words)),
        converged: Generation::ZERO,
        kind: DnsStatus::default().into(),
    }
}

/// Returns record sets that fill one provider's report.
pub(super) fn records(chance: &mut SimRng) -> Vec<RecordStatus> {
    let zone = DomainName::parse("example.org").expect("a zone");
    let family = chance.below(1_000);
    let record = |number: usize| RecordStatus {
        zone: zone.clone(),
        key: RecordKey { name: zone.below(&format!("r{family}-{number:03}")).expect("a name"), rtype: RecordType::Txt },
        values: BTreeSet::from([format!("\"{}\"", "t".repeat(400)).into_boxed_str()]),
        state: RecordState::InSync,
        ttl: None,
        observed: None,
        detail: Text::default(),
    };
    (0..RECORDS).map(record).collect()
}
