//! Views of a server that was restored from a backup.

use std::collections::BTreeSet;

use linecamp_model::{
    ApiKey, HeldApiKeyView, HeldSiteView, Now, Phase, RestoreView, RestoredFrom, TokenState, WallTime,
};

use super::{FleetView, SiteFilter};

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

    /// Returns what is held, with the sites that `filter` selects; `None` if the server is not restored, or all is
    /// settled.
    pub fn restore_view(self, filter: &SiteFilter, now: Now) -> Option<RestoreView> {
        let (from, _) = self.restored()?;
        let tokens = self.tokens(now).into_iter().filter(|token| token.state == TokenState::Held).collect();
        let api_keys = self.state.held.api_keys.keys().filter_map(|hash| self.state.api_keys.get(hash));
        let mut api_keys: Vec<_> = api_keys.map(held_key).collect();
        api_keys.sort_by(|a, b| (&a.name, &a.user, a.id).cmp(&(&b.name, &b.user, b.id)));
        // The secret that a rotation replaced is the same key.
        api_keys.dedup_by_key(|key| key.id);
        let (sites, unknown) = (self.held_sites(from, filter, now), self.contacts.unknown());
        Some(RestoreView { from, sites, tokens, api_keys, unknown })
    }

    fn held_sites(self, from: RestoredFrom, filter: &SiteFilter, now: Now) -> Vec<HeldSiteView> {
        let selected = self.sites(filter, now).into_iter().filter(|site| site.phase != Phase::Removed);
        let shown = selected.filter_map(|site| {
            let held = *self.state.held.sites.get(&site.id)?;
            let (_, registration) = self.state.site(site.id)?;
            Some(HeldSiteView {
                id: site.id,
                name: site.name,
                environment: site.environment,
                phase: site.phase,
                last_contact: registration.offline_since.unwrap_or(from.taken_at),
                asked: self.contacts.asked(site.id),
                evidence: self.contacts.evidence(site.id, held),
            })
        });
        shown.collect()
    }
}

fn held_key(key: &ApiKey) -> HeldApiKeyView {
    HeldApiKeyView { id: key.id, name: key.name.clone(), user: key.user.clone(), created_at: key.created_at }
}
