//! The directory: what the downlink of a gateway reads of its hosts' records.

use std::borrow::Cow;

use linecamp_model::limits::DOCUMENTS_BYTES_MAX;
use linecamp_model::{
    AuthoritySet, HostId, HostMemberRegistration, KeyFingerprint, MemberId, PluginDigest, Refusal, RefusalCode,
    ServerSet, SpecBody, StatusBody, Target,
};

use super::registry::{host_spec, removed};
use crate::document_sync::{Changed, Documents};
use crate::downlink::{Member, Members, Standing};
use crate::host_member::{self, spec_of_host};
use crate::host_record::HostRecord;
use crate::site::state::SiteState;

/// Maximum bytes of the status of all hosts of a site together: what its own documents leave of
/// [`DOCUMENTS_BYTES_MAX`]. A host that reports more is rejected.
const HOSTS_BYTES_MAX: usize = DOCUMENTS_BYTES_MAX - 512 * 1024;

/// The hosts of a gateway as the members of its downlink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory<'a> {
    pub(super) state: &'a SiteState,
    pub(super) is_durable: bool,
}

impl<'a> Directory<'a> {
    fn record(&self, member: MemberId) -> Option<(HostId, &'a HostRecord, &'a HostMemberRegistration)> {
        let MemberId::Host(host) = member else { return None };
        let record = self.state.lan.hosts.get(&host)?;
        Some((host, record, record.registration.as_ref()?))
    }

    /// Whether the spec says that a host is removed. While the disk is full, its registration does not say so yet.
    fn is_dropped(&self, host: HostId) -> bool {
        host_spec(self.state, host).is_some_and(|spec| spec.target == Target::Removed)
    }
}

impl Members for Directory<'_> {
    fn id_of_key(&self, key: &KeyFingerprint) -> Option<MemberId> {
        self.state.lan.owner_of(key).map(MemberId::Host)
    }

    fn unavailable(&self, _key: &KeyFingerprint) -> Option<Refusal> {
        None
    }

    fn registered(&self, key: &KeyFingerprint) -> Result<Option<MemberId>, Refusal> {
        let host = self.state.lan.owner_of(key);
        let is_removed =
            self.state.lan.revoked_keys.contains_key(key) || host.is_some_and(|host| self.is_dropped(host));
        match is_removed {
            true => Err(removed(self.state, key)),
            false => Ok(self.id_of_key(key)),
        }
    }

    fn member(&self, id: MemberId) -> Option<Member<'_>> {
        let (_, record, registration) = self.record(id)?;
        let own = record.cursor.and_then(|cursor| cursor.spec_incarnation);
        Some(Member {
            standing: if registration.removed_at.is_some() { Standing::Gone } else { Standing::Accepted },
            spec_incarnation: own.unwrap_or_else(|| self.state.origin.unwrap_or_default().spec_incarnation),
            status: &record.status,
            cursor: record.cursor.unwrap_or_default(),
            offline_since: Some(registration.link.since).filter(|_| registration.link.is_disconnected),
            joined_at: registration.joined_at,
            gaps: &record.gaps,
        })
    }

    fn spec(&self, id: MemberId) -> Option<Cow<'_, Documents<SpecBody>>> {
        self.record(id).map(|(host, ..)| Cow::Owned(spec_of_host(&self.state.spec, host)))
    }

    fn servers(&self) -> Option<&ServerSet> {
        None
    }

    fn authorities(&self) -> Option<&AuthoritySet> {
        None
    }

    fn is_durable(&self) -> bool {
        self.is_durable
    }

    fn check_status(&self, id: MemberId, status: &Changed<'_, StatusBody>) -> Result<(), Refusal> {
        host_member::check_status(id, status, |body, _| {
            let others = self.state.lan.hosts.iter().filter(|(other, _)| MemberId::Host(**other) != id);
            let others = others.flat_map(|(_, record)| record.status.live()).map(|(_, body)| body);
            let bytes: usize = others.chain([body]).map(StatusBody::encoded_size_max).sum();
            match bytes <= HOSTS_BYTES_MAX {
                true => Ok(()),
                false => {
                    let text = format!(
                        "status of {bytes} bytes of all hosts together; those of a site report at most \
                         {HOSTS_BYTES_MAX}: remove labels"
                    );
                    Err(Refusal::new(RefusalCode::Protocol, &text))
                }
            }
        })
    }

    fn may_read(&self, _id: MemberId, _digest: &PluginDigest) -> bool {
        false
    }
}
