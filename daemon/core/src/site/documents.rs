//! Typed reads of a site's spec and status, so that callers need no document keys.

use linecamp_model::{
    DocumentKey, EffectiveLabels, Generation, HostId, HostSpec, LabelSet, Level, LocalHostView, Origin, OwnedLabels,
    SiteSpec, SiteStatus, SpecBody, StatusBody, effective, effective_of_site,
};

use super::state::SiteState;
use crate::convergence::converged_in;

/// The documents of a site, read-only.
#[derive(Clone, Copy, Debug)]
pub(super) struct SiteDocuments<'a> {
    state: &'a SiteState,
    /// The host document of the gateway; `None` before the site has joined.
    gateway: Option<DocumentKey>,
}

impl<'a> SiteDocuments<'a> {
    /// Reads the documents of the site whose daemon runs on `gateway`.
    pub(super) fn new(state: &'a SiteState, gateway: Option<HostId>) -> Self {
        Self { state, gateway: gateway.map(DocumentKey::Host) }
    }

    /// Returns the site's spec.
    pub(super) fn site_spec(&self) -> Option<&'a SiteSpec> {
        match self.state.spec.body(DocumentKey::Site) {
            Some(SpecBody::Site(spec)) => Some(spec),
            Some(SpecBody::Host(_) | SpecBody::Provider(_)) | None => None,
        }
    }

    /// Returns the site's status as last written.
    pub(super) fn site_status(&self) -> Option<&'a SiteStatus> {
        match self.state.status.body(DocumentKey::Site) {
            Some(StatusBody::Site(status)) => Some(status),
            Some(StatusBody::Host(_) | StatusBody::Provider(_)) | None => None,
        }
    }

    /// Returns the generation of the spec up to which everything has converged, as last written.
    pub(super) fn converged(&self) -> Generation {
        converged_in(self.site_status(), self.state.origin.unwrap_or_default().spec_incarnation)
    }

    /// Returns the facts reported last.
    pub(super) fn reported_facts(&self) -> LabelSet {
        match self.gateway.and_then(|gateway| self.state.status.body(gateway)) {
            Some(StatusBody::Host(host)) => host.reported.clone(),
            Some(StatusBody::Site(_) | StatusBody::Provider(_)) | None => LabelSet::default(),
        }
    }

    /// Returns the labels of `level` set by hand.
    pub(super) fn labels_by_hand(&self, level: Level) -> Option<&'a LabelSet> {
        self.state.local.get(&level)
    }

    /// Returns the local labels of `level` in the status as last written.
    pub(super) fn local_labels(&self, level: Level) -> LabelSet {
        let Some(gateway) = self.gateway else { return LabelSet::default() };
        let key = match level {
            Level::Site => DocumentKey::Site,
            Level::Host => gateway,
        };
        match self.state.status.body(key) {
            Some(StatusBody::Site(site)) => site.local.clone(),
            Some(StatusBody::Host(host)) => host.local.clone(),
            Some(StatusBody::Provider(_)) | None => LabelSet::default(),
        }
    }

    /// Returns the site's effective labels. Before the site has joined there is no status, but labels set by hand are
    /// shown.
    pub(super) fn site_labels(&self) -> EffectiveLabels {
        match self.gateway {
            Some(gateway) => effective_of_site(self.owned(DocumentKey::Site), self.owned(gateway)),
            None => {
                let local = |level| OwnedLabels { local: self.labels_by_hand(level), ..OwnedLabels::default() };
                effective(local(Level::Site), local(Level::Host))
            }
        }
    }

    /// Returns the value of one of the site's effective labels.
    pub(super) fn label(&self, key: &str) -> Option<String> {
        let labels = self.site_labels();
        labels.iter().find(|(held, _)| held.as_str() == key).map(|(_, label)| label.value.to_string())
    }

    /// Returns the site's hosts.
    pub(super) fn hosts(&self) -> Vec<LocalHostView> {
        self.gateway.into_iter().filter_map(|key| self.host(key)).collect()
    }

    fn host(&self, key: DocumentKey) -> Option<LocalHostView> {
        let DocumentKey::Host(id) = key else { return None };
        let spec: Option<&HostSpec> = match self.state.spec.body(key) {
            Some(SpecBody::Host(spec)) => Some(spec),
            Some(SpecBody::Site(_) | SpecBody::Provider(_)) | None => None,
        };
        Some(LocalHostView {
            id,
            name: spec.map(|spec| spec.name.clone()),
            origin: spec.map_or(Origin::Gateway, |spec| spec.origin),
            target: spec.map(|spec| spec.target),
            labels: effective(self.owned(DocumentKey::Site), self.owned(key)),
        })
    }

    fn owned(&self, key: DocumentKey) -> OwnedLabels<'a> {
        let assigned = match self.state.spec.body(key) {
            Some(SpecBody::Site(spec)) => Some(&spec.assigned),
            Some(SpecBody::Host(spec)) => Some(&spec.assigned),
            Some(SpecBody::Provider(_)) | None => None,
        };
        match self.state.status.body(key) {
            Some(StatusBody::Site(status)) => OwnedLabels { reported: None, local: Some(&status.local), assigned },
            Some(StatusBody::Host(status)) => {
                OwnedLabels { reported: Some(&status.reported), local: Some(&status.local), assigned }
            }
            Some(StatusBody::Provider(_)) | None => OwnedLabels { assigned, ..OwnedLabels::default() },
        }
    }
}
