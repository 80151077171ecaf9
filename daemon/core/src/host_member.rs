//! What a server and a gateway have in common as parents of hosts: the part of the spec that a host gets, what it may
//! report, and what its session changes in its records.

use linecamp_model::{
    Document, DocumentKey, EventKind, Generation, HostDaemon, HostId, HostLink, HostMemberChange,
    HostMemberRegistration, HostStatus, Incarnation, MemberId, Now, Refusal, RefusalCode, SpecBody, StatusBody,
};

use crate::document_sync::{Changed, Documents};
use crate::downlink::MemberChange;
use crate::host_record::HostRecord;

/// Returns the part of a site's spec that a host gets: the site's own document and its own. They keep their
/// generations, so what the host has applied needs no translation.
pub(crate) fn spec_of_host(spec: &Documents<SpecBody>, host: HostId) -> Documents<SpecBody> {
    let mut part = Documents::default();
    for key in [DocumentKey::Site, DocumentKey::Host(host)] {
        let generation = spec.generation(key);
        if let Some(body) = spec.body(key) {
            part.set(key, Some(Document { generation, body: Some(body.clone()) }));
        }
    }
    part
}

/// Checks that a host reports only about itself, and calls `check_size` with what it reports.
///
/// # Errors
/// The refusal that names what is wrong.
pub(crate) fn check_status(
    member: MemberId,
    status: &Changed<'_, StatusBody>,
    check_size: impl Fn(&StatusBody, &HostStatus) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let refuse = |text: &str| Err(Refusal::new(RefusalCode::Protocol, text));
    for (key, body) in status.live() {
        let (MemberId::Host(host), StatusBody::Host(reported)) = (member, body) else {
            return refuse("a host reports only about itself");
        };
        if key != DocumentKey::Host(host) {
            return refuse("status of another host");
        }
        if reported.membership.is_some() || reported.daemon.is_none() {
            return refuse("a host reports about its daemon, and nothing about its membership");
        }
        check_size(body, reported)?;
    }
    Ok(())
}

/// Returns the record's change for a change that the downlink requests; `None` if nothing changes.
pub(crate) fn record_change(record: Option<&HostRecord>, change: MemberChange, now: Now) -> Option<HostMemberChange> {
    Some(match change {
        MemberChange::Status(key, document) => HostMemberChange::Status(key, document),
        MemberChange::Cursor(cursor) => HostMemberChange::Cursor(Some(cursor)),
        MemberChange::Gap(began_at, gap) => HostMemberChange::LinkGap(began_at, gap),
        MemberChange::OfflineSince(since) => {
            let link = HostLink { is_disconnected: since.is_some(), since: since.unwrap_or(now.wall) };
            let registration = record?.registration.clone()?;
            HostMemberChange::Registration(Some(HostMemberRegistration { link, ..registration }))
        }
    })
}

/// Returns the kind of an event of a host that the downlink records as one of a site.
pub(crate) const fn event_kind(kind: EventKind) -> EventKind {
    match kind {
        EventKind::SiteDisconnected => EventKind::HostDisconnected,
        EventKind::SiteReturned => EventKind::HostReturned,
        other => other,
    }
}

/// Returns what a host reports about its daemon, counted in `incarnation`, that of its site's spec. Its parent may have
/// given the host another one, for the same documents; a generation of an earlier one counts as nothing.
pub(crate) fn daemon_in(record: &HostRecord, incarnation: Incarnation) -> Option<HostDaemon> {
    let daemon = record.reported()?.daemon.clone()?;
    let of_host = record.cursor.and_then(|cursor| cursor.spec_incarnation).unwrap_or(incarnation);
    let applied = if daemon.spec_incarnation == of_host { daemon.applied } else { Generation::ZERO };
    Some(HostDaemon { applied, spec_incarnation: incarnation, ..daemon })
}
