//! What a gateway stores of the hosts of its LAN.

use std::collections::BTreeMap;

use linecamp_model::limits::HOST_TOKENS_PER_SITE_MAX;
use linecamp_model::{HostId, HostMemberChange, HostToken, KeyFingerprint, SiteChange, TokenId, WallTime};

use crate::host_record::HostRecord;
use crate::staging::set;

/// The hosts of the LAN, their keys, and the tokens that were created at the site.
#[derive(Clone, Debug, Default)]
pub(crate) struct LanState {
    pub(crate) hosts: BTreeMap<HostId, HostRecord>,
    /// Which host a key belongs to. Derived.
    key_owners: BTreeMap<KeyFingerprint, HostId>,
    /// The keys of hosts that were removed, and since when.
    pub(crate) revoked_keys: BTreeMap<KeyFingerprint, WallTime>,
    pub(crate) tokens: BTreeMap<TokenId, HostToken>,
    /// Which hosts joined with which token, and when.
    token_uses: BTreeMap<TokenId, BTreeMap<HostId, WallTime>>,
}

impl LanState {
    /// Applies a change to one host and returns its inverse.
    pub(crate) fn apply_to_host(&mut self, host: HostId, change: HostMemberChange) -> SiteChange {
        if let HostMemberChange::Key(key, at) = &change {
            set(&mut self.key_owners, *key, at.map(|_| host));
        }
        let record = self.hosts.entry(host).or_default();
        let undo = record.apply(change);
        if record.is_empty() {
            self.hosts.remove(&host);
        }
        SiteChange::Host(host, undo)
    }

    /// Sets when a host joined with a token. Returns the previous time.
    pub(crate) fn set_token_use(&mut self, token: TokenId, host: HostId, at: Option<WallTime>) -> Option<WallTime> {
        let uses = self.token_uses.entry(token).or_default();
        let before = set(uses, host, at);
        if uses.is_empty() {
            self.token_uses.remove(&token);
        }
        before
    }

    /// Returns the host that a key belongs to.
    pub(crate) fn owner_of(&self, key: &KeyFingerprint) -> Option<HostId> {
        self.key_owners.get(key).copied()
    }

    /// Returns how many hosts joined with a token.
    pub(crate) fn uses(&self, token: TokenId) -> u32 {
        self.token_uses.get(&token).map_or(0, |uses| u32::try_from(uses.len()).unwrap_or(u32::MAX))
    }

    /// Returns the changes that add a token, and delete those that have expired; `None` if there are too many.
    pub(crate) fn token_changes(&self, id: TokenId, token: HostToken, now: WallTime) -> Option<Vec<SiteChange>> {
        let expired = self.tokens.iter().filter(|(_, token)| token.expires_at <= now).map(|(id, _)| *id);
        let expired: Vec<_> = expired.collect();
        let has_room = self.tokens.len() - expired.len() < HOST_TOKENS_PER_SITE_MAX;
        let purged = expired.into_iter().flat_map(|id| self.token_purge_changes(id));
        has_room.then(|| purged.chain([SiteChange::HostToken(id, Some(token))]).collect())
    }

    /// Returns the changes that delete a token and its uses; none if there is no such token.
    pub(crate) fn token_purge_changes(&self, id: TokenId) -> Vec<SiteChange> {
        if !self.tokens.contains_key(&id) {
            return Vec::new();
        }
        let uses = self.token_uses.get(&id).into_iter().flat_map(BTreeMap::keys);
        uses.map(|host| SiteChange::HostTokenUse(id, *host, None)).chain([SiteChange::HostToken(id, None)]).collect()
    }

    /// Whether there is, or may be, a host to serve.
    pub(crate) fn has_hosts(&self) -> bool {
        !self.hosts.is_empty() || !self.tokens.is_empty()
    }
}
