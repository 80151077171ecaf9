//! Views of sites and hosts.

use linecamp_model::{
    Condition, DocumentKey, EffectiveLabels, HostId, HostView, LinkState, LinkView, MemberId, Now, OwnedLabels,
    Registration, SiteId, SiteView, Text, effective, effective_of_site,
};

use super::host_link::HostLink;
use super::states::site_status;
use super::{FleetView, HostOrder, ListView, SiteFilter, SiteOrder};
use crate::downlink::Link;
use crate::fleet::command::FleetCommandError;
use crate::fleet::conditions::{conditions_of, waits_for};
use crate::fleet::labels::owned;
use crate::fleet::lookup::{find_visible_host, find_visible_site};
use crate::fleet::site_record::SiteRecord;
use crate::fleet::subject::{HostRef, SiteRef, Subject};
use crate::page::{Page, PageRequest};

/// The bytes of a site or a host beside its labels, conditions and description: names, IDs, times and keys.
const ITEM_BYTES: usize = 700;

/// The bytes of a condition beside its detail.
const CONDITION_BYTES: usize = 100;

/// The bytes of a label beside its key and its value.
const LABEL_BYTES: usize = 110;

impl FleetView<'_> {
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
    pub fn host(self, host: &HostRef, now: Now) -> Result<HostView, FleetCommandError> {
        let (site, id) = find_visible_host(self.state, self.caller_or_console(), host)?;
        self.host_view(site, id, now).ok_or_else(|| FleetCommandError::NotFound(format!("there is no host {host}")))
    }

    /// Returns the name of a member: of a host, with its site (`SITE/HOST`).
    pub fn name_of(self, member: MemberId) -> Option<String> {
        let site = self.state.site_of(member)?;
        let subject = match member {
            MemberId::Site(_) => Subject::Site(site),
            MemberId::Host(host) => Subject::Host(site, host),
        };
        Some(subject.address(self.state.sites.get(&site)?))
    }

    /// Returns a host by its id.
    pub fn host_by_id(self, id: HostId, now: Now) -> Option<HostView> {
        let (site, ..) = self.registered().find(|(_, record, _)| record.hosts.contains_key(&id))?;
        self.host_view(site, id, now)
    }

    /// Returns a site by its id.
    pub fn site_by_id(self, id: SiteId, now: Now) -> Option<SiteView> {
        let (_, registration) = self.registered_site(id)?;
        self.site_view(id, now).filter(|_| self.sees(&registration.environment))
    }
}

impl<'a> ListView<'a> {
    /// Returns a page of the sites that `filter` selects.
    pub fn site_page(self, filter: &SiteFilter, order: SiteOrder, page: &PageRequest, now: Now) -> Page<SiteView> {
        let mut offline = 0;
        let counted = self.listed_sites(filter, now).inspect(|site| offline += usize::from(site.is_offline()));
        let entries = counted.map(|site| (order.key(&site), site.id));
        let page = page.page(entries, |id| {
            let view = self.site_view(id, now)?;
            let bytes = bytes_of_site(&view);
            Some((view, bytes))
        });
        Page { offline: Some(offline), ..page }
    }

    /// Returns a page of the hosts that `filter` selects.
    pub fn host_page(self, filter: &SiteFilter, order: HostOrder, page: &PageRequest, now: Now) -> Page<HostView> {
        let mut offline = 0;
        let counted = self.listed_hosts(filter, now).inspect(|host| offline += usize::from(host.is_offline()));
        let entries = counted.map(|host| (order.key(&host), (host.site.id, host.id)));
        let page = page.page(entries, |(site, id)| {
            let view = self.host_view(site, id, now)?;
            let bytes = bytes_of_host(&view);
            Some((view, bytes))
        });
        Page { offline: Some(offline), ..page }
    }

    /// Returns the sites that `filter` selects, by environment and name.
    pub fn sites(self, filter: &SiteFilter, now: Now) -> Vec<SiteView> {
        let mut listed: Vec<_> = self.listed_sites(filter, now).collect();
        listed.sort_by(|a, b| SiteOrder::Name.key(a).cmp(&SiteOrder::Name.key(b)));
        listed.into_iter().filter_map(|site| self.site_view(site.id, now)).collect()
    }

    fn site_view(self, id: SiteId, now: Now) -> Option<SiteView> {
        let (record, registration) = self.registered_site(id)?;
        let spec = record.site_spec()?;
        let incarnation = record.spec_incarnation(self.origin);
        let link = self.link_view(id, registration);
        let status = site_status(record);
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
            recoveries: registration.recoveries.total,
            hosts: self.host_views(id, now),
            conditions: self.conditions_of_site(id, now),
            link,
        })
    }

    /// Returns the conditions of a site; none if it is not registered.
    pub(super) fn conditions_of_site(self, id: SiteId, now: Now) -> Vec<Condition> {
        let Some((record, registration)) = self.registered_site(id) else { return Vec::new() };
        let link = self.link_view(id, registration);
        conditions_of(site_status(record), self.links.get(id), (registration.life, &link), now)
    }

    fn host_views(self, site: SiteId, now: Now) -> Vec<HostView> {
        let hosts = self.sites.get(&site).into_iter().flat_map(|record| record.hosts.keys());
        hosts.filter_map(|host| self.host_view(site, *host, now)).collect()
    }

    fn host_view(self, site: SiteId, host: HostId, now: Now) -> Option<HostView> {
        let (record, registration) = self.registered_site(site)?;
        let spec = record.host_spec(host)?;
        let life = record.hosts.get(&host)?.life;
        let HostLink { via, state, since } = self.host_link(site, (record, registration), host);
        let link = LinkView { state, since, address: self.host_address(site, record, host) };
        let daemon = record.host_status(host).and_then(|status| status.daemon.as_ref());
        let of_site = || site_status(record).map(|status| status.daemon_version.clone());
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
            via,
            joined_at: record.host_member(host).map_or(registration.joined_at, |member| member.joined_at),
            daemon_version: daemon.map(|daemon| daemon.version.clone()).or_else(of_site).unwrap_or_default(),
            conditions: self.conditions_of_host(site, host, now),
            labels: effective(owned(record, DocumentKey::Site), self.host_labels(site, record, host)),
            spec_generation: record.spec.head(),
            link,
        })
    }

    /// Returns the labels of a host by owner. Those of the gateway have the facts from its handshake while the site is
    /// pending.
    pub(super) fn host_labels(self, site: SiteId, record: &'a SiteRecord, host: HostId) -> OwnedLabels<'a> {
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

/// Estimates the bytes of a site on a page.
fn bytes_of_site(site: &SiteView) -> usize {
    let hosts: usize = site.hosts.iter().map(bytes_of_host).sum();
    let conditions = bytes_of_conditions(&site.conditions);
    ITEM_BYTES + site.description.as_str().len() + bytes_of_labels(&site.labels) + hosts + conditions
}

fn bytes_of_host(host: &HostView) -> usize {
    let conditions = bytes_of_conditions(&host.conditions);
    ITEM_BYTES + host.description.as_str().len() + bytes_of_labels(&host.labels) + conditions
}

fn bytes_of_conditions(conditions: &[Condition]) -> usize {
    conditions.iter().map(|condition| CONDITION_BYTES + condition.detail.as_str().len()).sum()
}

fn bytes_of_labels(labels: &EffectiveLabels) -> usize {
    labels.iter().map(|(key, label)| LABEL_BYTES + key.as_str().len() + label.value.as_str().len()).sum()
}
