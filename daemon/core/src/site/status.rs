//! A site's status: computed from its state, never written directly.

use std::collections::BTreeMap;

use linecamp_model::{
    ConditionKind, Document, DocumentKey, Generation, HostStatus, LabelError, LabelKey, LabelPatch, LabelSet, Level,
    Now, ProviderId, SiteChange, SiteOrigin, SiteStatus, SpecBody, StatusBody, Text,
};

use super::Site;
use super::labels::{LabelLayer, merged};
use crate::mutants::{Mutant, planted};

impl Site {
    /// Returns the labels set by hand as they would be after `patch`.
    pub(super) fn patched(&self, level: Level, patch: &LabelPatch, now: Now) -> Result<LabelSet, LabelError> {
        let by_hand = self.ledger.state().local.get(&level).cloned().unwrap_or_default().patched(patch, now.wall)?;
        merged(level, self.layers(), Some(&by_hand))?;
        Ok(by_hand)
    }

    /// Writes a new document for each part of the status that changed.
    pub(super) fn refresh_status(&mut self, now: Now) {
        let Some(identity) = self.identity else { return };
        let gateway = DocumentKey::Host(identity.site.gateway());
        let (mut site_labels, host_labels) = (self.local(Level::Site, now), self.local(Level::Host, now));
        let state = self.ledger.state();
        if let (true, Some(SpecBody::Site(spec))) =
            (planted(Mutant::LabelWriterMixedUp), state.spec.body(DocumentKey::Site))
        {
            site_labels.clone_from(&spec.assigned);
        }
        let reported = self.held_reported();
        // Until the first facts are collected, an older report is kept.
        let reported = match self.facts.reported(&reported) {
            Some(facts) => reported.replaced(&facts, now.wall).unwrap_or(reported),
            None => reported,
        };
        let spec = state.spec.head();
        let incarnation = state.origin.unwrap_or_default().spec_incarnation;
        let converged_before = match state.status.body(DocumentKey::Site) {
            Some(StatusBody::Site(site)) if site.spec_incarnation == incarnation => site.converged,
            Some(_) | None => Generation::ZERO,
        };
        let site = StatusBody::Site(SiteStatus {
            daemon_version: self.config.daemon_version.clone(),
            spec_incarnation: incarnation,
            applied: spec,
            converged: if self.providers.is_settled() { spec } else { converged_before },
            local: site_labels,
            conditions: self.conditions.of_status(),
        });
        let host = StatusBody::Host(HostStatus { local: host_labels, reported });
        let providers = self.reported_providers().into_iter();
        let providers =
            providers.map(|status| (DocumentKey::Provider(ProviderId::of(&status.name)), StatusBody::Provider(status)));
        let bodies: BTreeMap<_, _> =
            [(DocumentKey::Site, site), (gateway, host)].into_iter().chain(providers).collect();
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
        if !changes.is_empty() {
            self.stage(&changes, Vec::new());
        }
    }

    /// Returns the local labels of `level`; if they exceed the limit, the last ones that fitted.
    fn local(&mut self, level: Level, now: Now) -> LabelSet {
        let held = self.held_local(level);
        let by_hand = self.ledger.state().local.get(&level);
        match merged(level, self.layers(), by_hand).and_then(|labels| held.replaced(&labels, now.wall)) {
            Ok(labels) => {
                if level == Level::Site {
                    self.conditions.clear(ConditionKind::LabelsTooMany);
                }
                labels
            }
            Err(error) => {
                self.conditions.raise(
                    ConditionKind::LabelsTooMany,
                    Text::lossy(&format!("{level} labels: {error}")),
                    now.wall,
                );
                held
            }
        }
    }

    /// Returns the layers below the labels set by hand, in ascending precedence.
    const fn layers(&self) -> [&LabelLayer; 3] {
        [&self.kept_labels, &self.config.labels, &self.drop_ins.labels]
    }

    /// Keeps the labels from the last run that were not set by hand: a drop-in file cannot be read, and its last
    /// contents are unknown.
    pub(super) fn keep_labels(&mut self) {
        for level in [Level::Site, Level::Host] {
            let by_hand = self.ledger.state().local.get(&level);
            let is_by_hand = |key: &LabelKey| by_hand.is_some_and(|labels| labels.value(key.as_str()).is_some());
            let held = self.held_local(level);
            let kept = held.iter().filter(|(key, _)| !is_by_hand(key));
            let kept = kept.map(|(key, label)| (key.clone(), label.value.clone())).collect();
            self.kept_labels.insert(level, kept);
        }
    }

    fn held_local(&self, level: Level) -> LabelSet {
        let Some(identity) = self.identity else {
            return LabelSet::default();
        };
        let key = match level {
            Level::Site => DocumentKey::Site,
            Level::Host => DocumentKey::Host(identity.site.gateway()),
        };
        match self.ledger.state().status.body(key) {
            Some(StatusBody::Site(site)) => site.local.clone(),
            Some(StatusBody::Host(host)) => host.local.clone(),
            Some(StatusBody::Provider(_)) | None => LabelSet::default(),
        }
    }
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
