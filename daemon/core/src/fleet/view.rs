//! Views for operators: what is read from the records and the links, and never changes them.

mod accounts;
mod bulk_actions;
mod events;
mod filter;
mod host_link;
mod link_history;
mod lists;
mod placement;
mod providers;
mod restore;
mod sites;
mod states;
mod tokens;

use linecamp_model::{KeyFingerprint, LinkState, LoggedEvent, SessionId, SiteId};

pub use self::accounts::{ApiKeyView, UserSessionView, UserView};
pub use self::bulk_actions::{BulkProgress, BulkSiteState, BulkSiteView};
pub use self::filter::{HostOrder, LinkFilter, SeenLabels, SiteFilter, SiteOrder};
pub use self::lists::{FleetSnapshot, ListView};
pub use self::placement::{Candidate, Obstacle};
pub use self::providers::{ListedRecord, ProviderSummary, RecordFilter};
pub use self::restore::HeldCounts;

use super::authentication::Activity;
use super::authorization::Authorization;
use super::restore::Contacts;
use super::state::FleetState;
use crate::convergence::is_converged;
use crate::downlink::Links;

/// Selects events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The site; `None` for all.
    pub site: Option<SiteId>,
    /// `true` for events reported by sites, `false` for events of the server; `None` for both.
    pub is_reported: Option<bool>,
}

impl EventFilter {
    fn matches(&self, logged: &LoggedEvent) -> bool {
        (self.site.is_none() || logged.event.site == self.site)
            && self.is_reported.is_none_or(|is_reported| is_reported == logged.received_at.is_some())
    }
}

/// The number of links in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkCounts {
    /// Links with a session.
    pub connected: usize,
    /// Links lost recently.
    pub reconnecting: usize,
    /// Links lost for longer.
    pub disconnected: usize,
}

/// What drivers and operators read of a fleet: views of its records and links.
#[derive(Clone, Copy, Debug)]
pub struct FleetView<'a> {
    state: &'a FleetState,
    activity: &'a Activity,
    lists: ListView<'a>,
}

impl<'a> FleetView<'a> {
    /// Creates the view.
    pub(super) fn new(state: &'a FleetState, links: &'a Links, contacts: &'a Contacts, activity: &'a Activity) -> Self {
        Self { state, activity, lists: ListView::new(state, links, contacts) }
    }

    /// Returns what a caller may see of it.
    #[must_use]
    pub const fn for_caller(self, caller: &'a Authorization) -> Self {
        Self { lists: ListView { caller: Some(caller), ..self.lists }, ..self }
    }

    /// Returns whose view it is.
    const fn caller_or_console(self) -> &'a Authorization {
        const CONSOLE: &Authorization = &Authorization::console();
        match self.lists.caller {
            Some(caller) => caller,
            None => CONSOLE,
        }
    }

    /// Returns the state of a site's link and its session; `None` for a site that never connected.
    pub fn link(self, id: SiteId) -> Option<(LinkState, Option<SessionId>)> {
        self.links.get(id).map(|link| (link.state(), link.session()))
    }

    /// Returns the number of converged sites, without removed ones.
    pub fn converged_count(self) -> usize {
        let here = self.state.registered().filter(|(_, _, of)| !of.life.phase.is_gone());
        let incarnation = |id| self.state.spec_incarnation(id);
        here.filter(|(id, record, _)| is_converged(record.spec.head(), record.converged(incarnation(*id)))).count()
    }

    /// Returns the number of sites whose last report contains a storage condition.
    pub fn storage_failure_count(self) -> usize {
        self.links.storage_failures()
    }

    /// Whether a key was revoked.
    pub fn is_revoked(self, key: &KeyFingerprint) -> bool {
        self.state.revoked_keys.contains_key(key)
    }
}
