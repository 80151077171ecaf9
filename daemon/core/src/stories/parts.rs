//! Spec and status in several messages, with a site and a server.

use std::collections::BTreeMap;
use std::time::Duration;

use linecamp_model::limits::HOSTS_PER_SITE_MAX;
use linecamp_model::{
    Document, DocumentKey, FromMember, FromParent, Generation, HostId, HostSpec, LabelSet, Origin, ProviderId,
    SiteChange, SpecBody, SpecDelta, StatusBody, StatusDelta, Target, Text,
};

use super::hostile::provider_status;
use crate::testing::{Pair, name};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns the key of a host of the site that is not its gateway.
pub(super) fn host_key(number: usize) -> DocumentKey {
    let mut id = [0xee; 16];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    DocumentKey::Host(HostId::from_bytes(id))
}

/// Returns the spec of a host.
pub(super) fn host_spec() -> SpecBody {
    SpecBody::Host(HostSpec {
        name: name("host"),
        origin: Origin::Custom,
        description: Text::default(),
        target: Target::Active,
        assigned: LabelSet::default(),
        member: None,
    })
}

/// Returns a spec delta from `base` with a few hosts of a large site, in parts.
fn spec_parts(base: Generation) -> Vec<FromParent> {
    let to = base.next();
    let hosts: Vec<_> = (0..HOSTS_PER_SITE_MAX - 1).collect();
    let count = hosts.len().div_ceil(60);
    let part = |(number, hosts): (usize, &[usize])| {
        let document = |host: &usize| (host_key(*host), Document { generation: to, body: Some(host_spec()) });
        let documents = hosts.iter().map(document).collect();
        FromParent::Spec(SpecDelta { base, to, snapshot: false, documents, more: number + 1 < count })
    };
    hosts.chunks(60).enumerate().map(part).collect()
}

fn spec_documents(pair: &Pair) -> usize {
    pair.nodes[0].disk.values().filter(|change| matches!(change, SiteChange::Spec(..))).count()
}

/// Returns a status delta with the documents of four providers, in two parts.
fn status_parts(base: Generation) -> [FromMember; 2] {
    let to = base.next();
    [false, true].map(|is_last| {
        let numbers = if is_last { [3, 4] } else { [1, 2] };
        let documents = numbers.map(|number| {
            let status = provider_status(number);
            let key = DocumentKey::Provider(ProviderId::of(&status.name));
            (key, Document { generation: to, body: Some(StatusBody::Provider(status)) })
        });
        let documents = BTreeMap::from(documents);
        FromMember::Status(StatusDelta { base, to, snapshot: false, documents, more: !is_last })
    })
}

#[test]
fn a_site_applies_a_spec_in_parts_with_its_last_part() {
    let mut pair = Pair::linked(1);
    let (dial, before) = (pair.dial_of(0), spec_documents(&pair));
    let parts = spec_parts(pair.view().spec_generation);
    let count = parts.len();
    for (number, part) in parts.into_iter().enumerate() {
        pair.tell(0, part);
        pair.run_for(Duration::from_millis(1));
        let added = if number + 1 < count { 0 } else { HOSTS_PER_SITE_MAX - 1 };
        pair.run_for(Duration::from_millis(200));
        assert_eq!(spec_documents(&pair), before + added, "after part {number}");
    }
    assert_ne!(pair.dial_of(0), dial, "the server never sent this spec, so it rejects the acknowledgement");
}

#[test]
fn a_site_that_loses_its_link_between_two_parts_of_a_spec_keeps_the_spec_it_has() {
    let mut pair = Pair::linked(2);
    let before = spec_documents(&pair);
    let mut parts = spec_parts(pair.view().spec_generation);
    parts.pop();
    for part in parts {
        pair.tell(0, part);
    }
    pair.run_for(Duration::from_millis(1));
    pair.greet_with(0, |_| {});
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    assert_eq!(spec_documents(&pair), before);
    assert_eq!(pair.view().spec_generation, pair.view().converged_generation);
}

#[test]
fn a_server_stores_a_status_in_parts_with_its_last_part() {
    let mut pair = Pair::linked(3);
    pair.impersonate(0);
    let (documents, head) = (pair.status_documents(), pair.status_head());
    let [first, last] = status_parts(head);
    pair.say(0, first.clone());
    pair.run_for(MINUTE);
    assert_eq!((pair.status_documents(), pair.status_head()), (documents, head));
    pair.say(0, last);
    pair.run_for(MINUTE);
    assert_eq!((pair.status_documents(), pair.status_head()), (documents + 4, head.next()));

    // A server that restarts between two parts forgets the first.
    let [first, _] = status_parts(pair.status_head());
    pair.say(0, first);
    pair.run_for(Duration::from_secs(1));
    pair.crash_fleet();
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked());
    pair.assert_readable();
}

#[test]
fn a_member_that_breaks_the_rules_for_parts_costs_its_own_session_only() {
    let mut pair = Pair::linked(4);
    let other = pair.add_node("other");
    pair.run_for(MINUTE);
    let documents = pair.status_documents();
    let [first, _] = status_parts(pair.status_head());
    pair.say(0, first.clone());
    pair.say(0, first);
    pair.run_for(Duration::from_secs(1));
    let refusal = pair.hangup_of(0).unwrap_or_default();
    assert!(refusal.contains("a document under the same key"), "{refusal}");
    assert_eq!(pair.status_documents(), documents);
    pair.run_for(5 * MINUTE);
    assert!(pair.is_linked() && pair.is_linked_node(other));
}
