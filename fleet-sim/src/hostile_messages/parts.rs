//! Status in parts that an honest site would not send: every one ends its session, or is left unfinished.

use std::collections::BTreeMap;

use linecamp_model::limits::{DOCUMENTS_BYTES_MAX, HOSTS_PER_SITE_MAX};
use linecamp_model::{
    Delta, DnsStatus, Document, DocumentKey, FromMember, Generation, HostId, HostStatus, ProviderId, ProviderStatus,
    StatusBody, StatusDelta,
};
use linecamp_proto::COUNTER_MAX;

use super::status::{provider_of, records};
use super::{MemberState, name};
use crate::sim_rng::SimRng;

/// Documents in one part of the largest size: almost a frame.
const LARGE_DOCUMENTS: u64 = 7;

/// Parts of the largest size that exceed the bytes of a site's status together.
const LARGE_PARTS: u64 = DOCUMENTS_BYTES_MAX.div_ceil(800 * 1024) as u64;

/// Returns a delta in parts that breaks a rule.
pub(super) fn invalid(known: &MemberState, chance: &mut SimRng) -> Vec<FromMember> {
    let base = known.status_held.0.min(COUNTER_MAX / 2);
    let first = part(base, chance.below(100), 1, None);
    let parts = match chance.below(6) {
        0 => vec![first],
        1 => vec![first.clone(), part(base + 1, 200, 1, None)],
        2 => vec![first.clone(), first],
        3 => {
            let other = Delta { base: Generation::ZERO, snapshot: true, ..part(base, 200, 1, None) };
            vec![first, Delta { more: false, ..other }]
        }
        4 => vec![hosts(base, known)],
        _ => (0..LARGE_PARTS)
            .map(|number| part(base, 1_000 + number * LARGE_DOCUMENTS, LARGE_DOCUMENTS, Some(chance)))
            .collect(),
    };
    parts.into_iter().map(FromMember::Status).collect()
}

/// Returns an unfinished part with the status of providers: without records, or with as many as fit one.
fn part(base: u64, first: u64, count: u64, mut chance: Option<&mut SimRng>) -> StatusDelta {
    let documents = (first..first + count).map(|number| {
        let name = name(&format!("part-{number}"));
        let records = chance.as_deref_mut().map(records).unwrap_or_default();
        let status = ProviderStatus { kind: DnsStatus { records }.into(), ..provider_of(&name, true) };
        let body = Some(StatusBody::Provider(status));
        (DocumentKey::Provider(ProviderId::of(&name)), Document { generation: Generation(base + 1), body })
    });
    let documents = documents.collect();
    Delta { base: Generation(base), to: Generation(base + 1), snapshot: false, documents, more: true }
}

/// Returns a status of more hosts than a site may have, its gateway among them.
fn hosts(base: u64, known: &MemberState) -> StatusDelta {
    let host = |number: usize| {
        let mut id = *known.gateway.as_bytes();
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        HostId::from_bytes(id)
    };
    let (generation, body) = (Generation(base + 1), Some(StatusBody::Host(HostStatus::default())));
    let document = |id| (DocumentKey::Host(id), Document { generation, body: body.clone() });
    let documents: BTreeMap<_, _> = (0..HOSTS_PER_SITE_MAX).map(host).chain([known.gateway]).map(document).collect();
    Delta { base: Generation(base), to: generation, snapshot: false, documents, more: false }
}
