//! What lists are made of, and a copy of it for another thread.
//!
//! A list of all sites takes long to build, so the driver builds it on another thread, from a [`FleetSnapshot`]. Taking
//! one is cheap whatever the size of the fleet: it shares the records with the machine, which copies a record only when
//! it changes it. A snapshot has everything that was decided before it was taken, so a client that was told of a change
//! finds it in the next list.

use std::collections::BTreeMap;
use std::sync::Arc;

use linecamp_model::{
    BulkAction, BulkActionId, FleetOrigin, FleetProvider, HeldSite, LinkState, Name, Phase, PluginDigest, PluginFile,
    Registration, SiteId,
};
use rpds::RedBlackTreeMapSync;

use super::{FleetView, LinkCounts};
use crate::downlink::{Link, Links};
use crate::fleet::authorization::Authorization;
use crate::fleet::restore::Contacts;
use crate::fleet::site_record::SiteRecord;
use crate::fleet::state::FleetState;

/// What lists are made of, as it was at one moment.
#[derive(Clone, Debug)]
pub struct FleetSnapshot {
    origin: Option<FleetOrigin>,
    sites: RedBlackTreeMapSync<SiteId, SiteRecord>,
    links: Links,
    providers: Arc<BTreeMap<(Name, Name), Box<FleetProvider>>>,
    plugins: Arc<BTreeMap<PluginDigest, PluginFile>>,
    held: Arc<BTreeMap<SiteId, HeldSite>>,
    bulk_actions: Arc<BTreeMap<BulkActionId, Arc<BulkAction>>>,
    contacts: Arc<Contacts>,
}

/// Lists of a fleet: of its sites, hosts, records, providers and bulk actions.
#[derive(Clone, Copy, Debug)]
pub struct ListView<'a> {
    pub(super) origin: Option<FleetOrigin>,
    pub(super) sites: &'a RedBlackTreeMapSync<SiteId, SiteRecord>,
    pub(super) links: &'a Links,
    pub(super) providers: &'a BTreeMap<(Name, Name), Box<FleetProvider>>,
    pub(super) plugins: &'a BTreeMap<PluginDigest, PluginFile>,
    pub(super) held: &'a BTreeMap<SiteId, HeldSite>,
    pub(super) bulk_actions: &'a BTreeMap<BulkActionId, Arc<BulkAction>>,
    pub(super) contacts: &'a Contacts,
    /// Whose view it is; `None` for the server itself, which sees everything.
    pub(super) caller: Option<&'a Authorization>,
}

impl FleetSnapshot {
    /// Copies what lists are made of.
    pub(in crate::fleet) fn new(state: &FleetState, links: &Links, contacts: &Arc<Contacts>) -> Self {
        Self {
            origin: state.origin,
            sites: state.sites.clone(),
            links: links.clone(),
            providers: Arc::clone(&state.providers),
            plugins: Arc::clone(&state.plugins),
            held: Arc::clone(&state.held.sites),
            bulk_actions: Arc::clone(&state.bulk_actions),
            contacts: Arc::clone(contacts),
        }
    }

    /// Returns the lists that a caller may see.
    pub fn lists<'a>(&'a self, caller: &'a Authorization) -> ListView<'a> {
        ListView {
            origin: self.origin,
            sites: &self.sites,
            links: &self.links,
            providers: &self.providers,
            plugins: &self.plugins,
            held: &self.held,
            bulk_actions: &self.bulk_actions,
            contacts: &self.contacts,
            caller: Some(caller),
        }
    }
}

impl<'a> ListView<'a> {
    pub(super) fn new(state: &'a FleetState, links: &'a Links, contacts: &'a Contacts) -> Self {
        Self {
            origin: state.origin,
            sites: &state.sites,
            links,
            providers: &state.providers,
            plugins: &state.plugins,
            held: &state.held.sites,
            bulk_actions: &state.bulk_actions,
            contacts,
            caller: None,
        }
    }

    /// Whether the environment is in this view.
    pub(super) fn sees(self, environment: &Name) -> bool {
        self.caller.is_none_or(|caller| caller.sees(environment))
    }

    /// Returns a registered site, whether it is in this view or not.
    pub(super) fn registered_site(self, id: SiteId) -> Option<(&'a SiteRecord, &'a Registration)> {
        let record = self.sites.get(&id)?;
        Some((record, record.registration.as_ref()?))
    }

    /// Returns the registered sites in this view.
    pub(super) fn registered(self) -> impl Iterator<Item = (SiteId, &'a SiteRecord, &'a Registration)> {
        let registered =
            self.sites.iter().filter_map(|(id, record)| Some((*id, record, record.registration.as_ref()?)));
        registered.filter(move |(_, _, of)| self.sees(&of.environment))
    }

    /// Returns the number of links of sites in each state.
    pub fn link_counts(self) -> LinkCounts {
        if self.caller.is_some_and(|caller| !caller.sees_everything()) {
            let states = self.registered().filter_map(|(id, _, _)| self.links.get(id)).map(Link::state);
            let [mut connected, mut reconnecting, mut disconnected] = [0; 3];
            for state in states {
                match state {
                    LinkState::Connected => connected += 1,
                    LinkState::Reconnecting => reconnecting += 1,
                    LinkState::Disconnected => disconnected += 1,
                }
            }
            return LinkCounts { connected, reconnecting, disconnected };
        }
        let [connected, reconnecting, disconnected] = self.links.counts_of_sites();
        LinkCounts { connected, reconnecting, disconnected }
    }

    /// Returns the number of sites by environment, phase and link state.
    pub fn site_counts(self) -> BTreeMap<(Name, Phase, LinkState), usize> {
        let mut counts = BTreeMap::new();
        for (id, _, of) in self.registered() {
            let link = self.links.get(id).map_or(LinkState::Disconnected, Link::state);
            *counts.entry((of.environment.clone(), of.life.phase, link)).or_default() += 1;
        }
        counts
    }
}

/// A view of the fleet has its lists.
impl<'a> std::ops::Deref for FleetView<'a> {
    type Target = ListView<'a>;

    fn deref(&self) -> &ListView<'a> {
        &self.lists
    }
}
