//! Which sites and hosts a list has, and in which order.

use linecamp_model::{
    Condition, ConditionKind, DocumentKey, HostId, HostSpec, LabelKey, LabelValue, LinkState, Name, Now, Phase,
    Registration, Selector, SiteId, SiteSpec, effective_value, effective_value_of_site,
};

use super::ListView;
use super::host_link::HostLink;
use crate::downlink::Link;
use crate::fleet::labels::{owned, placement_labels};
use crate::fleet::site_record::SiteRecord;
use crate::page::ItemKey;

/// Selects sites or hosts.
#[derive(Clone, Debug, Default)]
pub struct SiteFilter {
    /// The environment; `None` for all.
    pub environment: Option<Name>,
    /// The label selector.
    pub selector: Selector,
    /// The labels of a site that the selector matches. For hosts, always the effective ones.
    pub labels: SeenLabels,
    /// The site, for hosts; `None` for all.
    pub site: Option<Name>,
    /// The phase of the site or the host; `None` for all.
    pub phase: Option<Phase>,
    /// The state of the link of the site or the host; `None` for all.
    pub link: Option<LinkFilter>,
    /// A condition that the site or the host has; `None` for all.
    pub condition: Option<ConditionKind>,
    /// A text in the name or the description, in lower case; `None` for all.
    pub text: Option<String>,
}

/// The labels of a site that a selector matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeenLabels {
    /// All effective labels, of every owner: for lists and views.
    #[default]
    Effective,
    /// The assigned labels: for placing a provider.
    Assigned,
    /// The assigned labels and those its gateway reports: for placing a provider that matches facts.
    AssignedAndReported,
}

/// Selects sites or hosts by their link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFilter {
    /// The link is in this state.
    In(LinkState),
    /// It has no session.
    Offline,
}

impl LinkFilter {
    fn matches(self, state: LinkState) -> bool {
        match self {
            Self::In(wanted) => wanted == state,
            Self::Offline => state != LinkState::Connected,
        }
    }
}

/// By what a list of sites is sorted. Equal ones are sorted by environment and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SiteOrder {
    /// Environment and name.
    #[default]
    Name,
    /// The phase, in the order of a life.
    Phase,
    /// The state of the link: connected sites first.
    Link,
    /// Since when the link is in its state.
    LinkSince,
    /// When the site joined.
    Joined,
}

/// By what a list of hosts is sorted. Equal ones are sorted by environment, name and site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostOrder {
    /// Environment, name and site.
    #[default]
    Name,
    /// Environment, site and name.
    Site,
    /// The phase, in the order of a life.
    Phase,
    /// The state of the link: connected hosts first.
    Link,
    /// Since when the link is in its state.
    LinkSince,
}

/// A site with what lists read of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedSite<'a> {
    pub(super) id: SiteId,
    pub(super) record: &'a SiteRecord,
    pub(super) registration: &'a Registration,
    pub(super) spec: &'a SiteSpec,
    link: Option<&'a Link>,
}

/// A host with what lists read of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedHost<'a> {
    pub(super) site: ListedSite<'a>,
    pub(super) id: HostId,
    pub(super) spec: &'a HostSpec,
    pub(super) phase: Phase,
    pub(super) link: HostLink,
}

impl ListedHost<'_> {
    /// Whether the host has no session.
    pub(super) fn is_offline(&self) -> bool {
        self.link.state != LinkState::Connected
    }
}

impl ListedSite<'_> {
    fn link_state(&self) -> LinkState {
        self.link.map_or(LinkState::Disconnected, Link::state)
    }

    /// Whether the site has no session.
    pub(super) fn is_offline(&self) -> bool {
        self.link_state() != LinkState::Connected
    }

    fn link_since(&self) -> u64 {
        self.link.map_or(self.registration.life.since, Link::since).unix_millis()
    }
}

impl<'a> ListView<'a> {
    /// Returns the sites that `filter` selects, in any order.
    pub(super) fn listed_sites(self, filter: &SiteFilter, now: Now) -> impl Iterator<Item = ListedSite<'a>> {
        self.sites_in(filter).filter(move |site| {
            let text =
                |text: &String| is_in(text, site.spec.name.as_str()) || is_in(text, site.spec.description.as_str());
            filter.phase.is_none_or(|phase| phase == site.registration.life.phase)
                && filter.link.is_none_or(|link| link.matches(site.link_state()))
                && filter.text.as_ref().is_none_or(text)
                && (filter.selector.is_all() || self.is_selected(site, filter))
                && filter.condition.is_none_or(|kind| has(&self.conditions_of_site(site.id, now), kind))
        })
    }

    /// Returns the hosts that `filter` selects, in any order.
    pub(super) fn listed_hosts(self, filter: &SiteFilter, now: Now) -> impl Iterator<Item = ListedHost<'a>> {
        let is_meant = |site: &ListedSite<'_>| filter.site.as_ref().is_none_or(|wanted| *wanted == site.spec.name);
        let sites = self.sites_in(filter).filter(move |site| is_meant(site));
        let hosts = sites.flat_map(move |site| {
            site.record.hosts.iter().filter_map(move |(id, registration)| {
                let spec = site.record.host_spec(*id)?;
                let link = self.host_link(site.id, (site.record, site.registration), *id);
                Some(ListedHost { site, id: *id, spec, phase: registration.life.phase, link })
            })
        });
        hosts.filter(move |host| {
            let text =
                |text: &String| is_in(text, host.spec.name.as_str()) || is_in(text, host.spec.description.as_str());
            filter.phase.is_none_or(|phase| phase == host.phase)
                && filter.link.is_none_or(|link| link.matches(host.link.state))
                && filter.text.as_ref().is_none_or(text)
                && (filter.selector.is_all() || self.is_host_selected(host, &filter.selector))
                && filter.condition.is_none_or(|kind| has(&self.conditions_of_host(host.site.id, host.id, now), kind))
        })
    }

    /// Returns the sites of the environment that `filter` selects.
    fn sites_in(self, filter: &SiteFilter) -> impl Iterator<Item = ListedSite<'a>> {
        let is_meant = |of: &Registration| filter.environment.as_ref().is_none_or(|wanted| *wanted == of.environment);
        let sites = self.registered().filter(move |(_, _, of)| is_meant(of));
        sites.filter_map(move |(id, record, registration)| {
            let (spec, link) = (record.site_spec()?, self.links.get(id));
            Some(ListedSite { id, record, registration, spec, link })
        })
    }

    fn is_selected(self, site: &ListedSite<'a>, filter: &SiteFilter) -> bool {
        let matches_facts = match filter.labels {
            SeenLabels::Effective => {
                let own = owned(site.record, DocumentKey::Site);
                let gateway = self.host_labels(site.id, site.record, site.registration.gateway);
                let value = |key: &LabelKey| -> Option<&'a LabelValue> { effective_value_of_site(own, gateway, key) };
                return filter.selector.matches_values(value);
            }
            SeenLabels::Assigned => false,
            SeenLabels::AssignedAndReported => true,
        };
        filter.selector.matches(&placement_labels(site.record, matches_facts))
    }

    fn is_host_selected(self, host: &ListedHost<'a>, selector: &Selector) -> bool {
        let site = owned(host.site.record, DocumentKey::Site);
        let own = self.host_labels(host.site.id, host.site.record, host.id);
        selector.matches_values(|key| effective_value(site, own, key))
    }

    /// Describes the first term of a selector that a host does not match; `None` if it matches all.
    pub(super) fn unmet_term(self, host: &ListedHost<'a>, selector: &Selector) -> Option<String> {
        let site = owned(host.site.record, DocumentKey::Site);
        let own = self.host_labels(host.site.id, host.site.record, host.id);
        selector.unmet(|key| effective_value(site, own, key))
    }
}

impl SiteOrder {
    /// Returns the key of a site in a list with this order.
    pub(super) fn key<'a>(self, site: &ListedSite<'a>) -> ItemKey<'a> {
        let rank = match self {
            Self::Name => 0,
            Self::Phase => phase_rank(site.registration.life.phase),
            Self::Link => link_rank(site.link_state()),
            Self::LinkSince => site.link_since(),
            Self::Joined => site.registration.joined_at.unix_millis(),
        };
        let names = [site.registration.environment.as_str(), site.spec.name.as_str()];
        ItemKey::new(rank, names).with_id(site.id.as_bytes())
    }
}

impl HostOrder {
    /// Returns the key of a host in a list with this order.
    pub(super) fn key<'a>(self, host: &ListedHost<'a>) -> ItemKey<'a> {
        let rank = match self {
            Self::Name | Self::Site => 0,
            Self::Phase => phase_rank(host.phase),
            Self::Link => link_rank(host.link.state),
            Self::LinkSince => host.link.since.unix_millis(),
        };
        let (environment, site) = (host.site.registration.environment.as_str(), host.site.spec.name.as_str());
        let names = match self {
            Self::Site => [environment, site, host.spec.name.as_str()],
            _ => [environment, host.spec.name.as_str(), site],
        };
        ItemKey::new(rank, names).with_id(host.id.as_bytes())
    }
}

fn has(conditions: &[Condition], kind: ConditionKind) -> bool {
    conditions.iter().any(|condition| condition.kind == kind)
}

fn link_rank(state: LinkState) -> u64 {
    LinkState::ALL.iter().position(|one| *one == state).unwrap_or_default() as u64
}

fn phase_rank(phase: Phase) -> u64 {
    Phase::ALL.iter().position(|one| *one == phase).unwrap_or_default() as u64
}

/// Whether `text`, in lower case, is in a name or a description.
fn is_in(text: &str, shown: &str) -> bool {
    shown.to_lowercase().contains(text)
}
