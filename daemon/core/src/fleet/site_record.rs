//! All records of one site.

use std::collections::BTreeMap;

use linecamp_model::{
    DocumentKey, FleetOrigin, Generation, HostDaemon, HostId, HostMember, HostMemberChange, HostMembership,
    HostRegistration, HostSpec, HostStatus, Incarnation, KeyFingerprint, LinkGap, ProviderStatus, RecordStatus,
    Registration, ReplicationCursor, SiteSpec, SiteStatus, SiteTrust, SpecBody, StatusBody, WallTime,
};

use crate::convergence::{converged_in, status_in};
use crate::document_sync::Documents;
use crate::host_member::daemon_in;
use crate::host_record::HostRecord;

/// All records of one site.
#[derive(Clone, Debug, Default)]
pub(crate) struct SiteRecord {
    pub(crate) registration: Option<Registration>,
    /// The keys that the site may present, and when each was added.
    pub(crate) keys: BTreeMap<KeyFingerprint, WallTime>,
    pub(crate) hosts: BTreeMap<HostId, HostRegistration>,
    /// What is stored of the hosts that joined the server directly.
    pub(crate) direct_hosts: BTreeMap<HostId, HostRecord>,
    pub(crate) spec: Documents<SpecBody>,
    pub(crate) status: Documents<StatusBody>,
    pub(crate) cursor: Option<ReplicationCursor>,
    /// The times without a session, by when they began.
    pub(crate) gaps: BTreeMap<WallTime, LinkGap>,
    /// The authorities it has stored; `None` if it has not said.
    pub(crate) trust: Option<SiteTrust>,
}

impl SiteRecord {
    /// Changes what is stored of a host that joined the server directly. Returns the inverse.
    pub(super) fn change_direct_host(&mut self, host: HostId, change: HostMemberChange) -> HostMemberChange {
        let of = self.direct_hosts.entry(host).or_default();
        let undo = of.apply(change);
        if of.is_empty() {
            self.direct_hosts.remove(&host);
        }
        undo
    }

    /// Returns the spec of the site.
    pub(crate) fn site_spec(&self) -> Option<&SiteSpec> {
        match self.spec.body(DocumentKey::Site) {
            Some(SpecBody::Site(spec)) => Some(spec),
            Some(SpecBody::Host(_) | SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => None,
        }
    }

    /// Returns the incarnation of the site's spec: the fleet's, unless the site once claimed more spec than there was.
    pub(crate) fn spec_incarnation(&self, origin: Option<FleetOrigin>) -> Incarnation {
        let own = self.cursor.and_then(|cursor| cursor.spec_incarnation);
        own.unwrap_or_else(|| origin.unwrap_or_default().spec_incarnation)
    }

    /// Returns the document key of its gateway; `None` while it is not registered.
    pub(crate) fn gateway(&self) -> Option<DocumentKey> {
        self.registration.as_ref().map(|registration| DocumentKey::Host(registration.gateway))
    }

    /// Returns the spec of a host.
    pub(crate) fn host_spec(&self, host: HostId) -> Option<&HostSpec> {
        match self.spec.body(DocumentKey::Host(host)) {
            Some(SpecBody::Host(spec)) => Some(spec),
            Some(SpecBody::Site(_) | SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => None,
        }
    }

    /// Returns what is reported of a host, by its parent or by itself.
    pub(crate) fn host_status(&self, host: HostId) -> Option<&HostStatus> {
        if let Some(direct) = self.direct_hosts.get(&host) {
            return direct.reported();
        }
        match self.status.body(DocumentKey::Host(host)) {
            Some(StatusBody::Host(status)) => Some(status),
            Some(StatusBody::Site(_) | StatusBody::Provider(_)) | None => None,
        }
    }

    /// Returns what a host reports about its daemon. What it has applied counts in `incarnation`, that of the site's
    /// spec.
    pub(crate) fn host_daemon(&self, host: HostId, incarnation: Incarnation) -> Option<HostDaemon> {
        match self.direct_hosts.get(&host) {
            Some(direct) => daemon_in(direct, incarnation),
            None => self.host_status(host)?.daemon.clone(),
        }
    }

    /// Returns the hosts that joined the gateway of the site, as last reported. What a site says of a host that joined
    /// the server is ignored.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = (HostId, &HostMembership)> {
        self.status.live().filter_map(|(key, body)| match (key, body) {
            (DocumentKey::Host(host), StatusBody::Host(status)) if !self.direct_hosts.contains_key(&host) => {
                Some((host, status.membership.as_ref()?))
            }
            _ => None,
        })
    }

    /// Whether the site knows that a host is removed, or does not know the host.
    pub(crate) fn has_let_go(&self, host: HostId) -> bool {
        let membership = self.host_status(host).and_then(|status| status.membership.as_ref());
        membership.is_none_or(|membership| membership.removed_at.is_some())
    }

    /// Returns how a host that joined by itself is registered; `None` for a gateway, which has joined with its site.
    pub(crate) fn host_member(&self, host: HostId) -> Option<&HostMember> {
        self.host_spec(host)?.member.as_ref()
    }

    /// Returns the hosts that have a spec, with it.
    pub(crate) fn host_specs(&self) -> impl Iterator<Item = (HostId, &HostSpec)> {
        self.hosts.keys().filter_map(|host| Some((*host, self.host_spec(*host)?)))
    }

    /// Returns the newest spec generation of `incarnation` that the site reported as converged.
    pub(crate) fn converged(&self, incarnation: Incarnation) -> Generation {
        converged_in(self.site_status(incarnation), incarnation)
    }

    /// Returns the newest spec generation of `incarnation` that the site reported as applied.
    pub(crate) fn applied(&self, incarnation: Incarnation) -> Generation {
        self.site_status(incarnation).map_or(Generation::ZERO, |status| status.applied)
    }

    fn site_status(&self, incarnation: Incarnation) -> Option<&SiteStatus> {
        match self.status.body(DocumentKey::Site) {
            Some(StatusBody::Site(status)) => status_in(Some(status), incarnation),
            Some(_) | None => None,
        }
    }

    /// Returns the status of the site's providers.
    pub(crate) fn providers(&self) -> impl Iterator<Item = &ProviderStatus> {
        self.status.keys().filter_map(|key| match self.status.body(key) {
            Some(StatusBody::Provider(status)) => Some(status),
            Some(StatusBody::Site(_) | StatusBody::Host(_)) | None => None,
        })
    }

    /// Describes, for each provider, the DNS records of the site it has not deleted, and why, as last reported.
    pub(crate) fn records_left(&self) -> Vec<String> {
        self.providers().filter_map(records_of).collect()
    }

    /// Whether there are no records.
    pub(super) fn is_empty(&self) -> bool {
        self.registration.is_none()
            && self.keys.is_empty()
            && self.hosts.is_empty()
            && self.direct_hosts.is_empty()
            && self.cursor.is_none()
            && self.trust.is_none()
            && self.spec.is_empty()
            && self.status.is_empty()
            && self.gaps.is_empty()
    }
}

/// Describes the DNS records of a site that a provider has, and the provider's failure; `None` if it has none.
pub(crate) fn records_of(provider: &ProviderStatus) -> Option<String> {
    let ours = provider.records().iter().filter(|record: &&RecordStatus| record.state.is_ours());
    let mut zones = BTreeMap::<_, Vec<String>>::new();
    for record in ours {
        zones.entry(&record.zone).or_default().push(record.key.to_string());
    }
    let ours: Vec<_> = zones.iter().map(|(zone, keys)| format!("zone {zone}: {}", keys.join(", "))).collect();
    let failure = provider.failure.as_ref().map_or_else(String::new, |failure| format!(" ({failure})"));
    (!ours.is_empty()).then(|| format!("provider {}, {}{failure}", provider.name, ours.join("; ")))
}
