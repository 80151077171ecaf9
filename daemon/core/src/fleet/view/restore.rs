//! Views of a server that was restored from a backup.

use std::collections::BTreeSet;

use linecamp_model::{
    ApiKey, HeldApiKeyView, HeldSiteView, Now, Phase, RestoreView, RestoredFrom, TokenState, WallTime,
};

use super::{FleetView, ListView, SiteFilter, SiteOrder};
use crate::page::{Page, PageRequest};

/// The bytes of a held site on a page, at most.
const HELD_SITE_BYTES: usize = 600;

/// How many objects are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldCounts {
    /// Sites.
    pub sites: usize,
    /// Join tokens.
    pub tokens: usize,
    /// API keys.
    pub api_keys: usize,
}

impl FleetView<'_> {
    /// Returns the backup that the server was restored from and how many objects are held, until all are settled.
    pub fn restored(self) -> Option<(RestoredFrom, HeldCounts)> {
        let (from, held) = (self.state.restored, &self.state.held);
        let keys = held.api_keys.keys().filter_map(|hash| self.state.api_keys.get(hash));
        let keys: BTreeSet<_> = keys.map(|key| key.id).collect();
        let counts = HeldCounts { sites: held.sites.len(), tokens: held.tokens.len(), api_keys: keys.len() };
        // Without a mark, something that is held is still held.
        let unknown = RestoredFrom { taken_at: WallTime::EPOCH, restored_at: WallTime::EPOCH };
        from.or_else(|| (!held.is_empty()).then_some(unknown)).map(|from| (from, counts))
    }

    /// Returns what is held beside [sites](ListView::held_page); `None` if the server is not restored, or all is
    /// settled.
    pub fn restore_view(self, now: Now) -> Option<RestoreView> {
        let (from, _) = self.restored()?;
        let tokens = self.tokens(now).into_iter().filter(|token| token.state == TokenState::Held).collect();
        let api_keys = self.state.held.api_keys.keys().filter_map(|hash| self.state.api_keys.get(hash));
        let mut api_keys: Vec<_> = api_keys.map(held_key).collect();
        api_keys.sort_by(|a, b| (&a.name, &a.user, a.id).cmp(&(&b.name, &b.user, b.id)));
        // The secret that a rotation replaced is the same key.
        api_keys.dedup_by_key(|key| key.id);
        Some(RestoreView { from, tokens, api_keys, unknown: self.contacts.unknown() })
    }
}

impl ListView<'_> {
    /// Returns a page of the held sites that `filter` selects, by environment and name. Without a time of their last
    /// link in the backup, they were linked when it was taken: at `taken_at`.
    pub fn held_page(
        self,
        filter: &SiteFilter,
        page: &PageRequest,
        taken_at: WallTime,
        now: Now,
    ) -> Page<HeldSiteView> {
        let held = self.listed_sites(filter, now).filter_map(|site| Some((site, *self.held.get(&site.id)?)));
        let live = held.filter(|(site, _)| site.registration.life.phase != Phase::Removed);
        page.page(live.map(|(site, held)| (SiteOrder::Name.key(&site), (site, held))), |(site, held)| {
            let view = HeldSiteView {
                id: site.id,
                name: site.spec.name.clone(),
                environment: site.registration.environment.clone(),
                phase: site.registration.life.phase,
                last_contact: site.registration.offline_since.unwrap_or(taken_at),
                asked: self.contacts.asked(site.id),
                evidence: self.contacts.evidence(site.id, held),
            };
            Some((view, HELD_SITE_BYTES))
        })
    }
}

fn held_key(key: &ApiKey) -> HeldApiKeyView {
    HeldApiKeyView { id: key.id, name: key.name.clone(), user: key.user.clone(), created_at: key.created_at }
}
