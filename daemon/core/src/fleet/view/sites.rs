//! Views of sites and hosts.

use linecamp_model::{
    DocumentKey, HostView, LinkState, LinkView, Now, OwnedLabels, Registration, SiteId, SiteView, StatusBody, Text,
    effective, effective_of_site,
};

use super::{FleetView, SeenLabels, SiteFilter};
use crate::downlink::Link;
use crate::fleet::command::FleetCommandError;
use crate::fleet::conditions::{conditions_of, waits_for};
use crate::fleet::decision::find;
use crate::fleet::labels::{owned, placement_labels};
use crate::fleet::site_record::SiteRecord;
use crate::fleet::subject::{SiteRef, Subject};

impl<'a> FleetView<'a> {
    /// Returns the sites that `filter` selects, by environment and name.
    pub fn sites(self, filter: &SiteFilter, now: Now) -> Vec<SiteView> {
        let mut sites: Vec<_> = self.selected(filter).filter_map(|id| self.site_view(id, now)).collect();
        sites.retain(|site| self.is_selected(site, filter));
        sites.sort_by(|a, b| (&a.environment, &a.name).cmp(&(&b.environment, &b.name)));
        sites
    }

    /// Returns the hosts that `filter` selects, by environment and name.
    pub fn hosts(self, filter: &SiteFilter) -> Vec<HostView> {
        let is_of_site = |host: &HostView| filter.site.as_ref().is_none_or(|site| *site == host.site);
        let mut hosts: Vec<_> = self.selected(filter).filter_map(|id| self.host_view(id)).collect();
        hosts.retain(|host| is_of_site(host) && filter.selector.matches(&host.labels));
        hosts.sort_by(|a, b| (&a.environment, &a.name).cmp(&(&b.environment, &b.name)));
        hosts
    }

    /// Returns a site.
    ///
    /// # Errors
    /// No site or several sites have the name.
    pub fn site(self, site: &SiteRef, now: Now) -> Result<SiteView, FleetCommandError> {
        let id = find(self.state, Subject::Site, site)?;
        self.site_view(id, now).ok_or_else(|| FleetCommandError::NotFound(format!("there is no site {}", site.name)))
    }

    /// Returns a host.
    ///
    /// # Errors
    /// No host or several hosts have the name.
    pub fn host(self, host: &SiteRef) -> Result<HostView, FleetCommandError> {
        let id = find(self.state, Subject::Gateway, host)?;
        self.host_view(id).ok_or_else(|| FleetCommandError::NotFound(format!("there is no host {}", host.name)))
    }

    /// Returns a site by its id.
    pub fn site_by_id(self, id: SiteId, now: Now) -> Option<SiteView> {
        self.site_view(id, now)
    }

    fn is_selected(self, site: &SiteView, filter: &SiteFilter) -> bool {
        let matches_facts = match filter.labels {
            SeenLabels::Effective => return filter.selector.matches(&site.labels),
            SeenLabels::Assigned => false,
            SeenLabels::AssignedAndReported => true,
        };
        let record = self.state.sites.get(&site.id);
        record.is_some_and(|record| filter.selector.matches(&placement_labels(record, matches_facts)))
    }

    /// Returns the sites of the environment that `filter` names.
    pub(super) fn selected(self, filter: &SiteFilter) -> impl Iterator<Item = SiteId> {
        let is_meant = |of: &Registration| filter.environment.as_ref().is_none_or(|wanted| *wanted == of.environment);
        self.state.registered().filter(move |(_, _, of)| is_meant(of)).map(|(id, _, _)| id)
    }

    fn site_view(self, id: SiteId, now: Now) -> Option<SiteView> {
        let (record, registration) = self.state.site(id)?;
        let spec = record.site_spec()?;
        let incarnation = self.state.spec_incarnation(id);
        let link = self.link_view(id, registration);
        let status = match record.status.body(DocumentKey::Site) {
            Some(StatusBody::Site(status)) => Some(status),
            Some(StatusBody::Host(_) | StatusBody::Provider(_)) | None => None,
        };
        let conditions = conditions_of(status, self.links.get(id), (registration.life, &link), now);
        Some(SiteView {
            id,
            name: spec.name.clone(),
            environment: registration.environment.clone(),
            description: spec.description.clone(),
            phase: registration.life.phase,
            phase_since: registration.life.since,
            waits_for: waits_for(registration.life.phase, &link),
            labels: effective_of_site(owned(record, DocumentKey::Site), self.gateway_labels(id, record)),
            spec_generation: record.spec.head(),
            applied_generation: record.applied(incarnation),
            converged_generation: record.converged(incarnation),
            daemon_version: status.map(|status| status.daemon_version.clone()).unwrap_or_default(),
            joined_at: registration.joined_at,
            token: registration.token,
            recoveries: registration.recoveries,
            hosts: self.host_view(id).into_iter().collect(),
            conditions,
            link,
        })
    }

    fn host_view(self, site: SiteId) -> Option<HostView> {
        let (record, registration) = self.state.site(site)?;
        let spec = record.gateway_spec()?;
        let life = record.hosts.get(&registration.gateway)?.life;
        let link = self.link_view(site, registration);
        Some(HostView {
            id: registration.gateway,
            name: spec.name.clone(),
            site: record.site_spec()?.name.clone(),
            environment: registration.environment.clone(),
            origin: spec.origin,
            description: spec.description.clone(),
            phase: life.phase,
            phase_since: life.since,
            waits_for: waits_for(life.phase, &link),
            labels: effective(owned(record, DocumentKey::Site), self.gateway_labels(site, record)),
            link,
        })
    }

    /// Returns the labels of a site's gateway; while the site is pending, the facts from its handshake.
    fn gateway_labels(self, site: SiteId, record: &'a SiteRecord) -> OwnedLabels<'a> {
        let owned = record.gateway().map(|gateway| owned(record, gateway)).unwrap_or_default();
        let facts = self.links.get(site).map(Link::facts).filter(|facts| !facts.is_empty());
        OwnedLabels { reported: owned.reported.or(facts), ..owned }
    }

    fn link_view(self, site: SiteId, registration: &Registration) -> LinkView {
        match self.links.get(site) {
            Some(link) => LinkView { state: link.state(), since: link.since(), address: link.address().clone() },
            None => {
                LinkView { state: LinkState::Disconnected, since: registration.life.since, address: Text::default() }
            }
        }
    }
}
