//! A server that was restored from a backup.
//!
//! Between the backup and the restore, an operator may have removed sites and revoked join tokens and API keys. The
//! restored database does not know that, so everything that could have been removed or revoked is *held*
//! ([`hold_restored`]):
//!
//! - The sessions of a held site are refused, and its join as well. Its record stays, and a site works without its
//!   server. Join tokens and API keys that are held are rejected.
//! - An operator accepts or rejects what is held. What is accepted is used again. What is rejected is removed, as by
//!   `site rm --force`, or revoked.
//! - Users may have been removed or have lost roles. All are disabled, and an admin enables them.
//! - What is created after the restore is not held.
//! - When nothing is held any more, the mark of the restore goes.
//!
//! Every site gets a new spec incarnation, because the server would count generations again that sites hold with other
//! contents. What a site claims about its spec is compared with the backup, and shown. It decides nothing.
//!
//! Who has asked to connect is kept in memory only, at most one entry per held site and [`UNKNOWN_MAX`] others: a
//! refused session writes nothing.

mod hold;

use std::collections::BTreeMap;
use std::sync::Arc;

use linecamp_model::{
    FleetChange, Generation, HeldSite, KeyFingerprint, Now, RefusedContact, SiteEvidence, SiteId, Target, TokenState,
};

pub use self::hold::{Hold, HoldSummary, UnknownKey, hold_restored};

use super::Fleet;
use super::registry::token_state;
use super::state::FleetState;
use crate::downlink::SpecClaim;

/// The maximum number of unknown machines that are remembered. Above it, the one that asked first is forgotten.
const UNKNOWN_MAX: usize = 256;

/// The machines that asked to connect and were refused since the server started.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts {
    sites: BTreeMap<SiteId, (RefusedContact, Option<SpecClaim>)>,
    unknown: BTreeMap<KeyFingerprint, RefusedContact>,
}

impl Contacts {
    fn note_unknown(&mut self, key: KeyFingerprint, contact: RefusedContact) {
        if UNKNOWN_MAX <= self.unknown.len() && !self.unknown.contains_key(&key) {
            let first = self.unknown.iter().min_by_key(|(_, contact)| contact.at).map(|(key, _)| *key);
            first.and_then(|first| self.unknown.remove(&first));
        }
        self.unknown.insert(key, contact);
    }

    /// Returns the machines whose key is unknown, latest first.
    pub(super) fn unknown(&self) -> Vec<RefusedContact> {
        let mut unknown: Vec<_> = self.unknown.values().cloned().collect();
        unknown.sort_by_key(|contact| std::cmp::Reverse(contact.at));
        unknown
    }

    /// Returns when and from where a held site asked.
    pub(super) fn asked(&self, site: SiteId) -> Option<RefusedContact> {
        self.sites.get(&site).map(|(contact, _)| contact.clone())
    }

    /// Returns what a held site says about its spec.
    pub(super) fn evidence(&self, site: SiteId, held: HeldSite) -> SiteEvidence {
        match self.sites.get(&site) {
            None => SiteEvidence::NotSeen,
            Some((_, None)) => SiteEvidence::Unchanged,
            Some((_, Some(claim))) => evidence(held, *claim),
        }
    }
}

/// Compares what a site claims about its spec with the backup.
fn evidence(held: HeldSite, claim: SpecClaim) -> SiteEvidence {
    if claim.target == Some(Target::Removed) {
        return SiteEvidence::BeingRemoved;
    }
    // A site that has no spec yet claims generation zero, of no incarnation.
    let is_known = claim.incarnation == held.spec_incarnation || claim.generation == Generation::ZERO;
    match is_known && claim.generation <= held.spec_generation {
        true => SiteEvidence::Unchanged,
        false => SiteEvidence::Changed,
    }
}

/// Returns the changes that end the hold of what no longer needs it, and the mark of the restore with the last one.
fn settled_changes(state: &FleetState, now: Now) -> Vec<FleetChange> {
    let held = &state.held;
    let sites = held.sites.keys().filter(|site| !is_live(state, **site));
    let tokens = held.tokens.keys().filter(|id| {
        let token = state.tokens.get(id).map(|token| token_state(state, **id, token, now));
        token != Some(TokenState::Held)
    });
    let api_keys = held.api_keys.keys().filter(|hash| !state.api_keys.contains_key(hash));
    let mut changes: Vec<_> = sites.map(|site| FleetChange::HeldSite(*site, None)).collect();
    changes.extend(tokens.map(|id| FleetChange::HeldToken(*id, None)));
    changes.extend(api_keys.map(|hash| FleetChange::HeldApiKey(*hash, None)));
    if changes.len() == held.sites.len() + held.tokens.len() + held.api_keys.len() {
        changes.push(FleetChange::Restored(None));
    }
    changes
}

fn is_live(state: &FleetState, site: SiteId) -> bool {
    state.site(site).is_some_and(|(_, registration)| !registration.life.phase.is_gone())
}

impl Fleet {
    /// Ends the hold of what was removed, revoked or has expired. Called after each command and periodically.
    pub(super) fn end_settled_holds(&mut self, now: Now) {
        if self.effects.state().restored.is_none() && self.effects.state().held.is_empty() {
            return;
        }
        let changes = settled_changes(self.effects.state(), now);
        if !changes.is_empty() {
            self.effects.stage(changes, Vec::new());
        }
        let held = &self.effects.state().held.sites;
        Arc::make_mut(&mut self.contacts).sites.retain(|site, _| held.contains_key(site));
        if self.effects.state().restored.is_none() {
            self.contacts = Arc::default();
        }
    }

    /// Notes that the holder of `key` asked to connect and was refused.
    pub(super) fn note_refused(&mut self, key: KeyFingerprint, asked: (RefusedContact, Option<SpecClaim>)) {
        let state = self.effects.state();
        match state.member_of_key(&key) {
            Some(linecamp_model::MemberId::Site(site)) if state.held.sites.contains_key(&site) => {
                Arc::make_mut(&mut self.contacts).sites.insert(site, asked);
            }
            None if state.restored.is_some() => Arc::make_mut(&mut self.contacts).note_unknown(key, asked.0),
            Some(_) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Incarnation, Text, WallTime};

    use super::*;

    #[test]
    fn a_site_that_was_changed_or_removed_after_the_backup_is_shown_so() {
        let held = HeldSite { spec_incarnation: Incarnation(7), spec_generation: Generation(5) };
        let check = |incarnation, generation, target, expected| {
            let claim = SpecClaim { incarnation: Incarnation(incarnation), generation: Generation(generation), target };
            assert_eq!(evidence(held, claim), expected, "{claim:?}");
        };
        check(7, 5, Some(Target::Active), SiteEvidence::Unchanged);
        check(7, 4, None, SiteEvidence::Unchanged);
        check(0, 0, None, SiteEvidence::Unchanged);
        check(7, 6, Some(Target::Active), SiteEvidence::Changed);
        check(8, 5, Some(Target::Active), SiteEvidence::Changed);
        check(7, 6, Some(Target::Removed), SiteEvidence::BeingRemoved);
    }

    #[test]
    fn the_list_of_unknown_machines_is_bounded_and_keeps_the_latest() {
        let mut contacts = Contacts::default();
        for number in 0..=UNKNOWN_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let at = WallTime::from_unix_millis(number as u64);
            let contact = RefusedContact { at, address: Text::default() };
            contacts.note_unknown(KeyFingerprint::from_bytes(key), contact);
        }
        assert_eq!(contacts.unknown.len(), UNKNOWN_MAX);
        assert!(contacts.unknown.values().all(|contact| contact.at != WallTime::EPOCH));
    }
}
