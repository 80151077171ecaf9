//! A site's status: computed from its state, never written directly.

use std::collections::BTreeMap;

use linecamp_model::{
    ConditionKind, Document, DocumentKey, HostDaemon, HostId, HostStatus, LabelSet, Level, MemberKind, Now, ProviderId,
    ProviderStatus, SiteChange, SiteOrigin, SiteStatus, StatusBody, Text,
};

use super::documents::SiteDocuments;
use super::effects::Effects;
use super::facts::FactCollection;
use super::hosts::{Hosts, host_statuses};
use super::labels::Labels;
use super::state::SiteState;

/// What a status is computed from, beside the state and the conditions.
#[derive(Debug)]
pub(super) struct StatusInputs<'a> {
    /// What has joined, and the host that runs its daemon.
    pub(super) member: (MemberKind, HostId),
    pub(super) daemon_version: &'a Text,
    pub(super) labels: &'a Labels,
    pub(super) facts: &'a FactCollection,
    /// The hosts of the LAN; `None` in tests without any.
    pub(super) hosts: Option<&'a Hosts>,
    pub(super) providers: Vec<ProviderStatus>,
    /// Whether everything the spec asks for is done.
    pub(super) is_settled: bool,
}

/// Writes a new document for each part of the status that changed.
pub(super) fn refresh_status(inputs: StatusInputs<'_>, now: Now, effects: &mut Effects) {
    effects.status_is_fresh();
    let mut changes = inputs.labels.file_label_changes(effects.state(), now.wall);
    let bodies = compute(inputs, now, effects);
    changes.extend(changed_documents(bodies, effects.state()));
    if !changes.is_empty() {
        effects.stage(&changes, Vec::new());
    }
}

fn compute(inputs: StatusInputs<'_>, now: Now, effects: &mut Effects) -> BTreeMap<DocumentKey, StatusBody> {
    let (kind, own_host) = inputs.member;
    let host_labels = local_labels(Level::Host, &inputs, now, effects);
    let site_labels = local_labels(Level::Site, &inputs, now, effects);
    let state = effects.state();
    let documents = SiteDocuments::new(state, Some(inputs.member));
    let reported = documents.reported_facts();
    // Until the first facts are collected, an older report is kept.
    let reported = match inputs.facts.to_report(&reported) {
        Some(facts) => reported.replaced(&facts, now.wall).unwrap_or(reported),
        None => reported,
    };
    let applied = state.spec.head();
    let spec_incarnation = state.origin.unwrap_or_default().spec_incarnation;
    let conditions = effects.conditions().of_status();
    let version = inputs.daemon_version.clone();
    let own = HostStatus { local: host_labels, reported, ..HostStatus::default() };
    if kind == MemberKind::Host {
        let daemon = Some(HostDaemon { version, spec_incarnation, applied, conditions });
        return BTreeMap::from([(DocumentKey::Host(own_host), StatusBody::Host(HostStatus { daemon, ..own }))]);
    }
    let site = StatusBody::Site(SiteStatus {
        daemon_version: version,
        spec_incarnation,
        applied,
        converged: if inputs.is_settled { applied } else { documents.converged() },
        local: site_labels,
        conditions,
    });
    let provider =
        |status: ProviderStatus| (DocumentKey::Provider(ProviderId::of(&status.name)), StatusBody::Provider(status));
    let gateway = (DocumentKey::Host(own_host), StatusBody::Host(own));
    let bodies = [(DocumentKey::Site, site), gateway].into_iter().chain(inputs.providers.into_iter().map(provider));
    let of_link = |host| inputs.hosts.map(|hosts| hosts.conditions_of_link(host)).unwrap_or_default();
    bodies.chain(host_statuses(state, of_link)).collect()
}

/// Returns the local labels of `level`; if they exceed the limit, the last ones that fitted.
fn local_labels(level: Level, inputs: &StatusInputs<'_>, now: Now, effects: &mut Effects) -> LabelSet {
    let documents = SiteDocuments::new(effects.state(), Some(inputs.member));
    match inputs.labels.local(level, &documents, now.wall) {
        Ok(labels) => {
            if level == Level::Site {
                effects.set_condition_silently(ConditionKind::LabelsTooMany, None, now.wall);
            }
            labels
        }
        Err(error) => {
            let held = documents.local_labels(level);
            let detail = Text::lossy(&format!("{level} labels: {error}"));
            effects.set_condition_silently(ConditionKind::LabelsTooMany, Some(detail), now.wall);
            held
        }
    }
}

/// Returns the changes that turn the status documents in `state` into `bodies`.
fn changed_documents(bodies: BTreeMap<DocumentKey, StatusBody>, state: &SiteState) -> Vec<SiteChange> {
    let is_gone = |key: &DocumentKey| !bodies.contains_key(key) && state.status.body(*key).is_some();
    let gone = state.status.keys().filter(is_gone).map(|key| (key, None)).collect::<Vec<_>>();
    let mut generation = state.status.head();
    let mut changes = Vec::new();
    for (key, body) in bodies.into_iter().map(|(key, body)| (key, Some(body))).chain(gone) {
        if is_news(state.status.body(key), body.as_ref()) {
            generation = generation.next();
            changes.push(SiteChange::Status(key, Some(Document { generation, body })));
        }
    }
    if let Some((keys, status_floor)) = state.status.surplus_tombstones() {
        // Placed first, because a dropped key may be written again.
        changes.splice(..0, keys.into_iter().map(|key| SiteChange::Status(key, None)));
        let origin = SiteOrigin { status_floor, ..state.origin.unwrap_or_default() };
        changes.push(SiteChange::Origin(Some(origin)));
    }
    changes
}

/// Whether a document differs from the previous one. A record that was merely observed again does not count: it would
/// cause a write at each observation.
fn is_news(before: Option<&StatusBody>, after: Option<&StatusBody>) -> bool {
    match (before, after) {
        (Some(StatusBody::Provider(before)), Some(StatusBody::Provider(after))) => {
            before != after && after.is_news(before)
        }
        (before, after) => before != after,
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::Generation;

    use super::*;
    use crate::site::labels::EnvironmentLabels;
    use crate::site::testing::{GATEWAY, NOW, effects};

    fn refresh(effects: &mut Effects, providers: Vec<ProviderStatus>) {
        let labels = Labels::new(EnvironmentLabels::default());
        let inputs = StatusInputs {
            member: (MemberKind::Site, GATEWAY),
            daemon_version: &Text::lossy("1.0.0"),
            labels: &labels,
            facts: &FactCollection::default(),
            hosts: None,
            providers,
            is_settled: true,
        };
        refresh_status(inputs, NOW, effects);
    }

    fn provider_status() -> ProviderStatus {
        ProviderStatus {
            name: linecamp_model::Name::parse("dns").unwrap(),
            is_local: true,
            plugin: Text::lossy("p"),
            failure: None,
            converged: Generation::ZERO,
            kind: linecamp_model::DnsStatus::default().into(),
        }
    }

    #[test]
    fn an_unchanged_status_is_not_written() {
        let mut effects = effects();
        refresh(&mut effects, Vec::new());
        assert_eq!((effects.state().status.head(), effects.in_flight()), (Generation(2), 1));
        refresh(&mut effects, Vec::new());
        assert_eq!((effects.state().status.head(), effects.in_flight()), (Generation(2), 1));
    }

    #[test]
    fn the_status_of_a_removed_provider_becomes_a_tombstone() {
        let mut effects = effects();
        refresh(&mut effects, vec![provider_status()]);
        refresh(&mut effects, Vec::new());
        let key = DocumentKey::Provider(ProviderId::of(&provider_status().name));
        let status = &effects.state().status;
        assert_eq!((status.body(key), status.generation(key)), (None, Generation(4)));
    }
}
