//! Typed reads of a site's spec and status, so that callers need no document keys.

use linecamp_model::{
    Condition, DocumentKey, EffectiveLabels, Generation, HostId, HostMember, HostSpec, HostStatus, LabelSet, Level,
    LocalHostView, MemberKind, Name, Origin, OwnedLabels, Parent, SiteSpec, SiteStatus, SpecBody, StatusBody, Target,
    effective, effective_of_site,
};

use super::state::SiteState;
use crate::convergence::converged_in;

/// The documents of a site, read-only.
#[derive(Clone, Copy, Debug)]
pub(super) struct SiteDocuments<'a> {
    state: &'a SiteState,
    /// What has joined; `None` before it has.
    kind: Option<MemberKind>,
    /// The document of the host that runs the daemon: of a site, its gateway. `None` before it has joined.
    own_host: Option<DocumentKey>,
}

impl<'a> SiteDocuments<'a> {
    /// Reads the documents of the daemon with this identity.
    pub(super) fn new(state: &'a SiteState, identity: Option<(MemberKind, HostId)>) -> Self {
        let (kind, own_host) = identity.unzip();
        Self { state, kind, own_host: own_host.map(DocumentKey::Host) }
    }

    /// Returns the target state of what has joined.
    pub(super) fn target(&self) -> Option<Target> {
        match self.kind {
            Some(MemberKind::Host) => self.own_spec().map(|spec| spec.target),
            Some(MemberKind::Site) | None => self.site_spec().map(|spec| spec.target),
        }
    }

    /// Returns the name of what has joined.
    pub(super) fn name(&self) -> Option<&'a Name> {
        match self.kind {
            Some(MemberKind::Host) => self.own_spec().map(|spec| &spec.name),
            Some(MemberKind::Site) | None => self.site_spec().map(|spec| &spec.name),
        }
    }

    /// Returns the spec of the host that runs the daemon.
    pub(super) fn own_spec(&self) -> Option<&'a HostSpec> {
        self.host_spec(self.own_host?)
    }

    /// Returns the site's spec.
    pub(super) fn site_spec(&self) -> Option<&'a SiteSpec> {
        match self.state.spec.body(DocumentKey::Site) {
            Some(SpecBody::Site(spec)) => Some(spec),
            Some(SpecBody::Host(_) | SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => None,
        }
    }

    /// Returns the site's status as last written.
    pub(super) fn site_status(&self) -> Option<&'a SiteStatus> {
        match self.state.status.body(DocumentKey::Site) {
            Some(StatusBody::Site(status)) => Some(status),
            Some(StatusBody::Host(_) | StatusBody::Provider(_)) | None => None,
        }
    }

    /// Returns the conditions of this daemon, as last written.
    pub(super) fn conditions(&self) -> &'a [Condition] {
        let own = self.state.status.live().find_map(|(_, body)| match body {
            StatusBody::Site(status) => Some(&status.conditions),
            StatusBody::Host(HostStatus { daemon: Some(daemon), membership: None, .. }) => Some(&daemon.conditions),
            StatusBody::Host(_) | StatusBody::Provider(_) => None,
        });
        own.map_or(&[], Vec::as_slice)
    }

    /// Returns the generation of the spec up to which everything has converged, as last written. A host has nothing
    /// that takes time.
    pub(super) fn converged(&self) -> Generation {
        if self.kind == Some(MemberKind::Host) {
            return self.state.spec.head();
        }
        converged_in(self.site_status(), self.state.origin.unwrap_or_default().spec_incarnation)
    }

    /// Returns the facts reported last.
    pub(super) fn reported_facts(&self) -> LabelSet {
        match self.own_host.and_then(|gateway| self.state.status.body(gateway)) {
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
        let Some(gateway) = self.own_host else { return LabelSet::default() };
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

    /// Returns the effective labels of the site, or of the host that has joined. Before it has joined there is no
    /// status, but labels set by hand are shown.
    pub(super) fn site_labels(&self) -> EffectiveLabels {
        match self.own_host {
            Some(host) if self.kind == Some(MemberKind::Host) => {
                effective(self.owned(DocumentKey::Site), self.owned(host))
            }
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

    /// Returns the hosts that this daemon knows: itself, those that joined it, and those of its site that joined the
    /// server.
    pub(super) fn hosts(&self) -> Vec<LocalHostView> {
        let joined = self.state.lan.hosts.keys().map(|host| DocumentKey::Host(*host));
        let is_direct = |key: &DocumentKey| self.direct_member(*key).is_some();
        let direct = self.state.spec.keys().filter(|key| Some(*key) != self.own_host).filter(is_direct);
        self.own_host.into_iter().chain(joined).chain(direct).filter_map(|key| self.host(key)).collect()
    }

    /// Returns how a host of this site is registered that joined the server.
    fn direct_member(&self, key: DocumentKey) -> Option<&'a HostMember> {
        self.host_spec(key)?.member.as_ref().filter(|member| member.parent == Parent::Server)
    }

    fn host_spec(&self, key: DocumentKey) -> Option<&'a HostSpec> {
        match self.state.spec.body(key) {
            Some(SpecBody::Host(spec)) => Some(spec),
            Some(SpecBody::Site(_) | SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => None,
        }
    }

    fn host(&self, key: DocumentKey) -> Option<LocalHostView> {
        let DocumentKey::Host(id) = key else { return None };
        let spec = self.host_spec(key);
        let registration = self.state.lan.hosts.get(&id).and_then(|record| record.registration.as_ref());
        let is_gateway = self.kind == Some(MemberKind::Site) && self.own_host == Some(key);
        Some(LocalHostView {
            id,
            name: spec.map(|spec| &spec.name).or_else(|| registration.map(|of| &of.name)).cloned(),
            origin: spec.map_or(if is_gateway { Origin::Gateway } else { Origin::Custom }, |spec| spec.origin),
            target: match registration.and_then(|of| of.removed_at) {
                Some(_) => Some(Target::Removed),
                None => spec.map(|spec| spec.target),
            },
            labels: effective(self.owned(DocumentKey::Site), self.owned(key)),
            link: None,
        })
    }

    fn owned(&self, key: DocumentKey) -> OwnedLabels<'a> {
        let assigned = match self.state.spec.body(key) {
            Some(SpecBody::Site(spec)) => Some(&spec.assigned),
            Some(SpecBody::Host(spec)) => Some(&spec.assigned),
            Some(SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => None,
        };
        match self.state.status.body(key) {
            Some(StatusBody::Site(status)) => OwnedLabels { reported: None, local: Some(&status.local), assigned },
            Some(StatusBody::Host(status)) => {
                OwnedLabels { reported: Some(&status.reported), local: Some(&status.local), assigned }
            }
            Some(StatusBody::Provider(_)) | None => match self.direct_member(key) {
                Some(member) => OwnedLabels { reported: Some(&member.reported), local: Some(&member.local), assigned },
                None => OwnedLabels { assigned, ..OwnedLabels::default() },
            },
        }
    }
}
