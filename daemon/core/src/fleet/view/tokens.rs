//! Views of join tokens and environments.

use linecamp_model::{EffectiveLabel, EffectiveLabels, Environment, Level, Name, Now, Owner, TokenId, TokenView};

use super::FleetView;
use crate::fleet::registry::token_state;

impl FleetView<'_> {
    /// Returns the join tokens, newest first.
    pub fn tokens(self, now: Now) -> Vec<TokenView> {
        let state = self.state;
        let mut tokens: Vec<_> = state.tokens.keys().filter_map(|id| self.token(*id, now)).collect();
        tokens.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
        tokens
    }

    /// Returns a join token.
    pub fn token(self, id: TokenId, now: Now) -> Option<TokenView> {
        let state = self.state;
        let token = state.tokens.get(&id).filter(|token| self.sees(&token.environment))?;
        let labels = token.labels.iter().map(|(key, held)| {
            let label = EffectiveLabel {
                value: held.value.clone(),
                owner: Owner::Assigned,
                level: Level::Site,
                since: held.since,
            };
            (key.clone(), label)
        });
        Some(TokenView {
            id,
            environment: token.environment.clone(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            uses_max: token.uses_max,
            uses_left: token.uses_max.saturating_sub(state.uses(id)),
            labels: labels.collect::<EffectiveLabels>(),
            replaces: token.replaces.and_then(|site| Some(state.sites.get(&site)?.site_spec()?.name.clone())),
            hosts_of: token.hosts.and_then(|of| Some(state.sites.get(&of.site)?.site_spec()?.name.clone())),
            state: token_state(state, id, token, now),
        })
    }

    /// Returns the environments, with the number of sites in each.
    pub fn environments(self) -> Vec<(Name, Environment, usize)> {
        let state = self.state;
        let seen = state.environments.iter().filter(|(name, _)| self.sees(name));
        seen.map(|(name, rules)| (name.clone(), *rules, state.sites_in(name))).collect()
    }
}
