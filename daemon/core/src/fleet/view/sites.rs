//! Views of sites and hosts.

use linecamp_model::{
    DocumentKey, HostId, HostView, LinkState, LinkView, Now, OwnedLabels, Registration, SiteId, SiteView, Text,
    effective, effective_of_site,
};

use super::states::site_status;
use super::{FleetView, SeenLabels, SiteFilter};
use crate::downlink::Link;
use crate::fleet::command::FleetCommandError;
use crate::fleet::conditions::{conditions_of, waits_for};
use crate::fleet::labels::{owned, placement_labels};
use crate::fleet::lookup::{find_visible_host, find_visible_site};
use crate::fleet::site_record::SiteRecord;
use crate::fleet::subject::{HostRef, SiteRef};

impl<'a> FleetView<'a> {
    /// Returns the sites that `filter` selects, by environment and name.
    pub fn sites(self, filter: &SiteFilter, now: Now) -> Vec<SiteView> {
        let mut sites: Vec<_> = self.selected(filter).filter_map(|id| self.site_view(id, now)).collect();
        sites.retain(|site| self.is_selected(site, filter));
        sites.sort_by(|a, b| (&a.environment, &a.name).cmp(&(&b.environment, &b.name)));
        sites
    }

    /// Returns the hosts that `filter` selects, by environment, name and site.
    pub fn hosts(self, filter: &SiteFilter) -> Vec<HostView> {
        let is_of_site = |host: &HostView| filter.site.as_ref().is_none_or(|site| *site == host.site);
        let mut hosts: Vec<_> = self.selected(filter).flat_map(|id| self.host_views(id)).collect();
        hosts.retain(|host| is_of_site(host) && filter.selector.matches(&host.labels));
        hosts.sort_by(|a, b| (&a.environment, &a.name, &a.site).cmp(&(&b.environment, &b.name, &b.site)));
        hosts
    }

    /// Returns a site.
    ///
    /// # Errors
    /// No site or several sites have the name.
    pub fn site(self, site: &SiteRef, now: Now) -> Result<SiteView, FleetCommandError> {
        let id = find_visible_site(self.state, self.caller_or_console(), site)?;
        self.site_view(id, now).ok_or_else(|| FleetCommandError::NotFound(format!("there is no site {site}")))
    }

    /// Returns a host.
    ///
    /// # Errors
    /// No host or several hosts have the name.
    pub fn host(self, host: &HostRef) -> Result<HostView, FleetCommandError> {
        let (site, id) = find_visible_host(self.state, self.caller_or_console(), host)?;
        self.host_view(site, id).ok_or_else(|| FleetCommandError::NotFound(format!("there is no host {host}")))
    }

    /// Returns a site by its id.
    pub fn site_by_id(self, id: SiteId, now: Now) -> Option<SiteView> {
        let (_, registration) = self.state.site(id)?;
        self.site_view(id, now).filter(|_| self.sees(&registration.environment))
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
        self.registered().filter(move |(_, _, of)| is_meant(of)).map(|(id, _, _)| id)
    }

    fn site_view(self, id: SiteId, now: Now) -> Option<SiteView> {
        let (record, registration) = self.state.site(id)?;
        let spec = record.site_spec()?;
        let incarnation = self.state.spec_incarnation(id);
        let link = self.link_view(id, registration);
        let status = site_status(record);
        let conditions = conditions_of(status, self.links.get(id), (registration.life, &link), now);
        Some(SiteView {
            id,
            name: spec.name.clone(),
            environment: registration.environment.clone(),
            description: spec.description.clone(),
            phase: registration.life.phase,
            phase_since: registration.life.since,
            waits_for: waits_for(registration.life.phase, &link),
            labels: effective_of_site(
                owned(record, DocumentKey::Site),
                self.host_labels(id, record, registration.gateway),
            ),
            spec_generation: record.spec.head(),
            applied_generation: record.applied(incarnation),
            converged_generation: record.converged(incarnation),
            daemon_version: status.map(|status| status.daemon_version.clone()).unwrap_or_default(),
            joined_at: registration.joined_at,
            token: registration.token,
            recoveries: registration.recoveries,
            hosts: self.host_views(id),
            conditions,
            link,
        })
    }

    fn host_views(self, site: SiteId) -> Vec<HostView> {
        let hosts = self.state.sites.get(&site).into_iter().flat_map(|record| record.hosts.keys());
        hosts.filter_map(|host| self.host_view(site, *host)).collect()
    }

    fn host_view(self, site: SiteId, host: HostId) -> Option<HostView> {
        let (record, registration) = self.state.site(site)?;
        let spec = record.host_spec(host)?;
        let life = record.hosts.get(&host)?.life;
        let link = self.link_view(site, registration);
        Some(HostView {
            id: host,
            name: spec.name.clone(),
            site: record.site_spec()?.name.clone(),
            environment: registration.environment.clone(),
            origin: spec.origin,
            description: spec.description.clone(),
            phase: life.phase,
            phase_since: life.since,
            waits_for: waits_for(life.phase, &link),
            labels: effective(owned(record, DocumentKey::Site), self.host_labels(site, record, host)),
            spec_generation: record.spec.head(),
            link,
        })
    }

    /// Returns the labels of a host by owner. Those of the gateway have the facts from its handshake while the site is
    /// pending.
    fn host_labels(self, site: SiteId, record: &'a SiteRecord, host: HostId) -> OwnedLabels<'a> {
        let owned = owned(record, DocumentKey::Host(host));
        let is_gateway = record.gateway() == Some(DocumentKey::Host(host));
        let link = self.links.get(site).filter(|_| is_gateway);
        let facts = link.map(Link::facts).filter(|facts| !facts.is_empty());
        OwnedLabels { reported: owned.reported.or(facts), ..owned }
    }

    pub(super) fn link_view(self, site: SiteId, registration: &Registration) -> LinkView {
        match self.links.get(site) {
            Some(link) => LinkView { state: link.state(), since: link.since(), address: link.address().clone() },
            None => {
                LinkView { state: LinkState::Disconnected, since: registration.life.since, address: Text::default() }
            }
        }
    }
}
