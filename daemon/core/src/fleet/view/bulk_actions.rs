//! Views of bulk actions: what was requested, and how far the sites have applied it.

use linecamp_model::{BulkAction, BulkActionId, BulkActionSite, BulkOutcome, Generation, LinkState};

use super::ListView;
use crate::downlink::Link;

/// A bulk action, as its viewer sees it.
#[derive(Clone, Copy, Debug)]
pub struct BulkActionView<'a> {
    /// Its id.
    pub id: BulkActionId,
    /// What was requested. It also has the sites that the viewer does not see.
    pub action: &'a BulkAction,
    /// How far the sites are that the viewer sees.
    pub progress: BulkProgress,
}

/// A site of a bulk action.
#[derive(Clone, Copy, Debug)]
pub struct BulkSiteView<'a> {
    /// The site, and what came of the request.
    pub site: &'a BulkActionSite,
    /// How far it is.
    pub state: BulkSiteState,
}

/// How far a site is with a bulk action.
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

/// How many sites of a bulk action are how far.
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
    pub fn bulk_actions(self) -> Vec<BulkActionView<'a>> {
        self.bulk_actions.keys().filter_map(|id| self.bulk_action(*id)).collect()
    }

    /// Returns a bulk action that has a site in this view.
    pub fn bulk_action(self, id: BulkActionId) -> Option<BulkActionView<'a>> {
        let action = self.bulk_actions.get(&id)?;
        let mut progress = BulkProgress::default();
        self.bulk_sites(action).for_each(|site| progress.count(site.state));
        (0 < progress.sites).then_some(BulkActionView { id, action, progress })
    }

    /// Returns the sites of a bulk action that are in this view, by environment and name.
    pub fn bulk_sites(self, action: &'a BulkAction) -> impl Iterator<Item = BulkSiteView<'a>> {
        let seen = action.sites.iter().filter(move |site| self.sees(&site.environment));
        seen.map(move |site| BulkSiteView { site, state: self.bulk_state(action, site) })
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
        // A site that was purged is not registered any more.
        let Some((record, of)) = self.registered_site(site.site) else { return true };
        let incarnation = record.spec_incarnation(self.origin);
        of.life.phase.is_gone() || !action.action.removes() && requested <= record.applied(incarnation)
    }
}
