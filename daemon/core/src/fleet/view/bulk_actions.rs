//! Views of bulk actions, and their progress.

use linecamp_model::{BulkAction, BulkActionId, BulkActionSite, BulkOutcome, Generation, LinkState};

use super::ListView;
use crate::downlink::Link;

/// A site of a bulk action.
#[derive(Clone, Copy, Debug)]
pub struct BulkSiteView<'a> {
    /// The site, and its outcome.
    pub site: &'a BulkActionSite,
    /// Its state.
    pub state: BulkSiteState,
}

/// The state of a site in a bulk action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkSiteState {
    /// The site has reported that it applied the change, or it was removed.
    Applied,
    /// The site has not reported so yet.
    Waiting {
        /// Whether it is not connected: it applies the change when it reconnects.
        is_offline: bool,
    },
    /// Nothing changed.
    Rejected,
}

/// The number of sites of a bulk action in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkProgress {
    /// All.
    pub sites: usize,
    /// Those that have applied the change.
    pub applied: usize,
    /// Those that have not yet.
    pub waiting: usize,
    /// Those that have not yet, and are not connected.
    pub offline: usize,
    /// Those that were not changed.
    pub rejected: usize,
}

impl BulkProgress {
    fn count(&mut self, state: BulkSiteState) {
        self.sites += 1;
        match state {
            BulkSiteState::Applied => self.applied += 1,
            BulkSiteState::Waiting { is_offline } => {
                self.waiting += 1;
                self.offline += usize::from(is_offline);
            }
            BulkSiteState::Rejected => self.rejected += 1,
        }
    }
}

impl<'a> ListView<'a> {
    /// Returns the bulk actions that have a site in this view, in any order.
    pub fn bulk_actions(self) -> impl Iterator<Item = (BulkActionId, &'a BulkAction)> {
        self.bulk_actions.keys().filter_map(move |id| Some((*id, self.bulk_action(*id)?)))
    }

    /// Returns a bulk action that has a site in this view. It also has the sites that are not.
    pub fn bulk_action(self, id: BulkActionId) -> Option<&'a BulkAction> {
        let action = self.bulk_actions.get(&id)?;
        action.sites.iter().any(|site| self.sees(&site.environment)).then_some(&**action)
    }

    /// Returns the sites of a bulk action that are in this view, by environment and name.
    pub fn bulk_sites(self, action: &'a BulkAction) -> impl Iterator<Item = BulkSiteView<'a>> {
        let seen = action.sites.iter().filter(move |site| self.sees(&site.environment));
        seen.map(move |site| BulkSiteView { site, state: self.bulk_state(action, site) })
    }

    /// Counts the sites of a bulk action that are in this view.
    pub fn bulk_progress(self, action: &BulkAction) -> BulkProgress {
        let mut progress = BulkProgress::default();
        let seen = action.sites.iter().filter(|site| self.sees(&site.environment));
        seen.for_each(|site| progress.count(self.bulk_state(action, site)));
        progress
    }

    fn bulk_state(self, action: &BulkAction, site: &BulkActionSite) -> BulkSiteState {
        let BulkOutcome::Requested(requested) = site.outcome else { return BulkSiteState::Rejected };
        if self.has_applied(action, site, requested) {
            return BulkSiteState::Applied;
        }
        let link = self.links.get(site.site).map(Link::state);
        BulkSiteState::Waiting { is_offline: link != Some(LinkState::Connected) }
    }

    fn has_applied(self, action: &BulkAction, site: &BulkActionSite, requested: Generation) -> bool {
        // Nothing is left of a site that was purged.
        let Some(record) = self.sites.get(&site.site) else { return true };
        // Of a site whose record cannot be read, only its keys are known.
        let Some(of) = &record.registration else { return false };
        let incarnation = record.spec_incarnation(self.origin);
        of.life.phase.is_gone() || !action.action.removes() && requested <= record.applied(incarnation)
    }
}
