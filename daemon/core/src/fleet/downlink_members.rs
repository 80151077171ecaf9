//! The directory: what the downlink reads of the fleet's records.

use std::borrow::Cow;

use linecamp_model::{
    AuthoritySet, FleetChange, KeyFingerprint, MemberId, Phase, PluginDigest, Refusal, Registration, ServerSet, SiteId,
    SpecBody, StatusBody,
};

use super::effects::Effects;
use super::registry::member;
use super::state::FleetState;
use super::unreadable_records::Quarantine;
use super::{held, status_limits, transfer_access};
use crate::document_sync::{Changed, Documents};
use crate::downlink::{Member, MemberChange, Members, Standing};

/// The sites of the fleet as the members of its downlink.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    effects: &'a Effects,
    quarantine: &'a Quarantine,
}

impl<'a> Directory<'a> {
    /// Creates the directory.
    pub(super) const fn new(effects: &'a Effects, quarantine: &'a Quarantine) -> Self {
        Self { effects, quarantine }
    }
}

impl Members for Directory<'_> {
    fn id_of_key(&self, key: &KeyFingerprint) -> Option<MemberId> {
        self.effects.state().site_of_key(key).map(MemberId::Site)
    }

    fn unavailable(&self, key: &KeyFingerprint) -> Option<Refusal> {
        let site = self.effects.state().site_of_key(key)?;
        self.quarantine.refusal(site).or_else(|| held::refusal(self.effects.state(), site))
    }

    fn registered(&self, key: &KeyFingerprint) -> Result<Option<MemberId>, Refusal> {
        Ok(member(self.effects.state(), *key)?.map(|member| MemberId::Site(member.site)))
    }

    fn member(&self, id: MemberId) -> Option<Member<'_>> {
        let id = site_of(id)?;
        let state = self.effects.state();
        let record = state.sites.get(&id)?;
        let registration = record.registration.as_ref();
        let standing = match registration.map(|of| of.life.phase) {
            None | Some(Phase::Removed | Phase::Purged) => Standing::Gone,
            Some(Phase::Pending) => Standing::Pending,
            Some(
                Phase::Registering
                | Phase::Active
                | Phase::Deactivating
                | Phase::Inactive
                | Phase::Activating
                | Phase::Removing,
            ) => Standing::Accepted,
        };
        Some(Member {
            standing,
            spec_incarnation: state.spec_incarnation(id),
            status: &record.status,
            cursor: record.cursor.unwrap_or_default(),
            offline_since: registration.and_then(|of| of.offline_since),
            joined_at: registration.map(|of| of.joined_at).unwrap_or_default(),
            gaps: &record.gaps,
        })
    }

    fn spec(&self, id: MemberId) -> Option<Cow<'_, Documents<SpecBody>>> {
        let record = self.effects.state().sites.get(&site_of(id)?)?;
        Some(Cow::Borrowed(&record.spec))
    }

    fn servers(&self) -> Option<&ServerSet> {
        self.effects.state().servers.as_ref()
    }

    fn authorities(&self) -> Option<&AuthoritySet> {
        self.effects.state().authorities.as_ref().map(|told| &told.set)
    }

    fn is_durable(&self) -> bool {
        self.effects.is_durable()
    }

    fn check_status(&self, id: MemberId, status: &Changed<'_, StatusBody>) -> Result<(), Refusal> {
        let record = site_of(id).and_then(|site| self.effects.state().sites.get(&site));
        record.map_or(Ok(()), |record| status_limits::check_status(record, status))
    }

    fn may_read(&self, id: MemberId, digest: &PluginDigest) -> bool {
        site_of(id).is_some_and(|site| transfer_access::may_read(self.effects.state(), site, digest))
    }
}

/// Returns the site that a member is.
pub(super) const fn site_of(member: MemberId) -> Option<SiteId> {
    match member {
        MemberId::Site(site) => Some(site),
        MemberId::Host(_) => None,
    }
}

/// Returns the fleet's change for a change to a member's records; `None` if nothing changes.
pub(super) fn fleet_change(state: &FleetState, site: SiteId, change: MemberChange) -> Option<FleetChange> {
    match change {
        MemberChange::Status(key, document) => Some(FleetChange::Status(site, key, document)),
        MemberChange::Gap(began_at, gap) => Some(FleetChange::LinkGap(site, began_at, gap)),
        MemberChange::Cursor(cursor) => Some(FleetChange::ReplicationCursor(site, Some(cursor))),
        MemberChange::OfflineSince(offline_since) => {
            let (_, before) = state.site(site).filter(|(_, of)| of.offline_since != offline_since)?;
            Some(FleetChange::Site(site, Some(Registration { offline_since, ..before.clone() })))
        }
    }
}
