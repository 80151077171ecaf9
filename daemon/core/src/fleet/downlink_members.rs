//! The directory: what the downlink reads of the fleet's records.

use std::borrow::Cow;

use linecamp_model::{
    AuthoritySet, FleetChange, HostId, KeyFingerprint, MemberId, Now, Phase, PluginDigest, Refusal, Registration,
    ServerSet, SiteId, SpecBody, StatusBody,
};

use super::effects::Effects;
use super::registry::member;
use super::state::FleetState;
use super::unreadable_records::Quarantine;
use super::{direct_hosts, held, status_limits, transfer_access};
use crate::document_sync::{Changed, Documents};
use crate::downlink::{Member, MemberChange, Members, Standing};
use crate::host_member::{self, record_change, spec_of_host};

/// The sites of the fleet, and the hosts that joined the server, as the members of its downlink.
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

    /// Returns the records of a host that joined the server.
    fn host(&self, host: HostId) -> Option<Member<'a>> {
        let state = self.effects.state();
        let (_, record, of) = state.direct_host(host)?;
        let registration = of.registration.as_ref()?;
        let own = of.cursor.and_then(|cursor| cursor.spec_incarnation);
        Some(Member {
            standing: direct_hosts::standing(record, host),
            spec_incarnation: own.unwrap_or_else(|| state.origin.unwrap_or_default().spec_incarnation),
            status: &of.status,
            cursor: of.cursor.unwrap_or_default(),
            offline_since: Some(registration.link.since).filter(|_| registration.link.is_disconnected),
            joined_at: registration.joined_at,
            gaps: &of.gaps,
        })
    }
}

impl Members for Directory<'_> {
    fn id_of_key(&self, key: &KeyFingerprint) -> Option<MemberId> {
        self.effects.state().member_of_key(key)
    }

    fn unavailable(&self, key: &KeyFingerprint) -> Option<Refusal> {
        let state = self.effects.state();
        let site = state.site_of(state.member_of_key(key)?)?;
        self.quarantine.refusal(site).or_else(|| held::refusal(self.effects.state(), site))
    }

    fn registered(&self, key: &KeyFingerprint) -> Result<Option<MemberId>, Refusal> {
        let state = self.effects.state();
        if let Some(host) = direct_hosts::registered(state, key)? {
            return Ok(Some(MemberId::Host(host)));
        }
        Ok(member(state, *key)?.map(|member| MemberId::Site(member.site)))
    }

    fn member(&self, id: MemberId) -> Option<Member<'_>> {
        let state = self.effects.state();
        let id = match id {
            MemberId::Site(site) => site,
            MemberId::Host(host) => return self.host(host),
        };
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
        let state = self.effects.state();
        let record = state.sites.get(&state.site_of(id)?)?;
        Some(match id {
            MemberId::Site(_) => Cow::Borrowed(&record.spec),
            MemberId::Host(host) => Cow::Owned(spec_of_host(&record.spec, host)),
        })
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
        let state = self.effects.state();
        match id {
            MemberId::Site(site) => {
                state.sites.get(&site).map_or(Ok(()), |record| status_limits::check_status(record, status))
            }
            MemberId::Host(host) => {
                host_member::check_status(id, status, |_, reported| direct_hosts::check_size(state, host, reported))
            }
        }
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
pub(super) fn fleet_change(
    state: &FleetState,
    member: MemberId,
    change: MemberChange,
    now: Now,
) -> Option<FleetChange> {
    let site = match member {
        MemberId::Site(site) => site,
        MemberId::Host(host) => {
            let (site, _, record) = state.direct_host(host)?;
            return record_change(Some(record), change, now).map(|change| FleetChange::HostMember(site, host, change));
        }
    };
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
