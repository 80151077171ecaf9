//! The disk of a story: the last record under each key.

use std::collections::BTreeMap;

use linecamp_model::{DocumentKey, FleetChange, HostMemberChange, SiteChange};

/// How a disk handles a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskFault {
    /// Commits it.
    #[default]
    Well,
    /// Rejects it: no space left.
    Full,
    /// Accepts only writes that change at most [`TIGHT_BYTES`]. Unchanged data costs nothing, as in a database that
    /// does not rewrite unchanged pages.
    Tight,
}

/// The space left on a [`DiskFault::Tight`] disk: enough for a counter, but not for a long label.
pub(super) const TIGHT_BYTES: usize = 250;

/// Whether a disk with this fault mode accepts a write of this size.
pub(super) const fn takes(fault: DiskFault, bytes: usize) -> bool {
    match fault {
        DiskFault::Well => true,
        DiskFault::Full => false,
        DiskFault::Tight => bytes <= TIGHT_BYTES,
    }
}

/// Returns how many characters of `changes` differ from `disk`: unchanged records cost nothing.
pub(super) fn size_of<C: std::fmt::Debug + PartialEq>(
    disk: &BTreeMap<String, C>,
    changes: &[C],
    key: impl Fn(&C) -> String,
) -> usize {
    let differ = changes.iter().filter(|change| disk.get(&key(change)) != Some(*change));
    differ.map(|change| format!("{change:?}").len()).sum()
}

pub(super) fn keep<C>(disk: &mut BTreeMap<String, C>, key: String, change: C, is_removal: bool) {
    if is_removal {
        disk.remove(&key);
    } else {
        disk.insert(key, change);
    }
}

pub(super) fn change_key(change: &SiteChange) -> String {
    match change {
        SiteChange::Origin(_) => "origin".to_owned(),
        SiteChange::Spec(key, _) => format!("spec {}", document_key(*key)),
        SiteChange::Status(key, _) => format!("status {}", document_key(*key)),
        SiteChange::LocalLabels(level, _) => format!("labels {level}"),
        SiteChange::FileLabels(level, _) => format!("file labels {level}"),
        SiteChange::Event(seq, _) => format!("event {seq:020}"),
        SiteChange::ObservedAddress(_) => "observed".to_owned(),
        SiteChange::LinkRecord(_) => "link record".to_owned(),
        SiteChange::OwnedRecord(key, _) => format!("owned {} {} {}", key.provider, key.zone, key.record),
        SiteChange::Host(host, change) => format!("host {host} {}", host_part(change)),
        SiteChange::RevokedHostKey(key, _) => format!("revoked {key}"),
        SiteChange::HostToken(id, _) => format!("token {id}"),
        SiteChange::HostTokenUse(id, host, _) => format!("use {id} {host}"),
    }
}

fn host_part(change: &HostMemberChange) -> String {
    match change {
        HostMemberChange::Registration(_) => "registration".to_owned(),
        HostMemberChange::Key(key, _) => format!("key {key}"),
        HostMemberChange::Status(key, _) => format!("status {}", document_key(*key)),
        HostMemberChange::Cursor(_) => "cursor".to_owned(),
        HostMemberChange::LinkGap(began_at, _) => format!("gap {:020}", began_at.unix_millis()),
    }
}

fn is_host_removal(change: &HostMemberChange) -> bool {
    match change {
        HostMemberChange::Registration(body) => body.is_none(),
        HostMemberChange::Key(_, body) => body.is_none(),
        HostMemberChange::Status(_, body) => body.is_none(),
        HostMemberChange::Cursor(body) => body.is_none(),
        HostMemberChange::LinkGap(_, body) => body.is_none(),
    }
}

pub(super) fn is_site_removal(change: &SiteChange) -> bool {
    match change {
        SiteChange::Origin(body) => body.is_none(),
        SiteChange::Spec(_, body) => body.is_none(),
        SiteChange::Status(_, body) => body.is_none(),
        SiteChange::LocalLabels(_, body) | SiteChange::FileLabels(_, body) => body.is_none(),
        SiteChange::Event(_, body) => body.is_none(),
        SiteChange::ObservedAddress(body) => body.is_none(),
        SiteChange::OwnedRecord(_, body) => body.is_none(),
        SiteChange::LinkRecord(body) => body.is_none(),
        SiteChange::Host(_, change) => is_host_removal(change),
        SiteChange::RevokedHostKey(_, body) => body.is_none(),
        SiteChange::HostToken(_, body) => body.is_none(),
        SiteChange::HostTokenUse(_, _, body) => body.is_none(),
    }
}

pub(super) fn fleet_change_key(change: &FleetChange) -> String {
    match change {
        FleetChange::Origin(_) => "origin".to_owned(),
        FleetChange::Environment(name, _) => format!("environment {name}"),
        FleetChange::User(name, _) => format!("user {name}"),
        FleetChange::ApiKey(hash, _) => format!("key {hash}"),
        FleetChange::UserSession(hash, _) => format!("user-session {hash}"),
        FleetChange::Settings(_) => "settings".to_owned(),
        FleetChange::Token(id, _) => format!("token {id}"),
        FleetChange::TokenUse(id, site, _) => format!("use {id} {site}"),
        FleetChange::Site(id, _) => format!("site {id}"),
        FleetChange::SiteKey(id, key, _) => format!("site-key {id} {key}"),
        FleetChange::Host(id, host, _) => format!("host {id} {host}"),
        FleetChange::HostMember(id, host, change) => format!("host {id} {host} {}", host_part(change)),
        FleetChange::Spec(id, key, _) => format!("spec {id} {}", document_key(*key)),
        FleetChange::Status(id, key, _) => format!("status {id} {}", document_key(*key)),
        FleetChange::ReplicationCursor(id, _) => format!("cursor {id}"),
        FleetChange::Event(seq, _) => format!("event {seq:020}"),
        FleetChange::RevokedKey(key, _) => format!("revoked-key {key}"),
        FleetChange::Provider(environment, name, _) => format!("provider {environment} {name}"),
        FleetChange::Plugin(digest, _) => format!("plugin {digest}"),
        FleetChange::Servers(_) => "servers".to_owned(),
        FleetChange::LinkGap(id, began_at, _) => format!("gap {id} {:020}", began_at.unix_millis()),
        FleetChange::Authorities(_) => "authorities".to_owned(),
        FleetChange::SiteTrust(id, _) => format!("trust {id}"),
        FleetChange::Restored(_) => "restored".to_owned(),
        FleetChange::HeldSite(id, _) => format!("held site {id}"),
        FleetChange::HeldToken(id, _) => format!("held token {id}"),
        FleetChange::HeldApiKey(hash, _) => format!("held key {hash}"),
        FleetChange::AuditBlock(index, _) => format!("audit-block {index:020}"),
        FleetChange::AuditEntry(number, _) => format!("audit {number:020}"),
        FleetChange::KeptAnswer(key, _) => format!("answer {key}"),
        FleetChange::BulkAction(id, _) => format!("bulk-action {id}"),
    }
}

pub(super) fn is_fleet_removal(change: &FleetChange) -> bool {
    match change {
        FleetChange::Origin(body) => body.is_none(),
        FleetChange::Environment(_, body) => body.is_none(),
        FleetChange::User(_, body) => body.is_none(),
        FleetChange::ApiKey(_, body) => body.is_none(),
        FleetChange::UserSession(_, body) => body.is_none(),
        FleetChange::Settings(body) => body.is_none(),
        FleetChange::Token(_, body) => body.is_none(),
        FleetChange::TokenUse(_, _, body) => body.is_none(),
        FleetChange::Site(_, body) => body.is_none(),
        FleetChange::SiteKey(_, _, body) => body.is_none(),
        FleetChange::Host(_, _, body) => body.is_none(),
        FleetChange::HostMember(_, _, change) => is_host_removal(change),
        FleetChange::Spec(_, _, body) => body.is_none(),
        FleetChange::Status(_, _, body) => body.is_none(),
        FleetChange::ReplicationCursor(_, body) => body.is_none(),
        FleetChange::Event(_, body) => body.is_none(),
        FleetChange::RevokedKey(_, body) => body.is_none(),
        FleetChange::Provider(_, _, body) => body.is_none(),
        FleetChange::Plugin(_, body) => body.is_none(),
        FleetChange::Servers(body) => body.is_none(),
        FleetChange::LinkGap(_, _, body) => body.is_none(),
        FleetChange::Authorities(body) => body.is_none(),
        FleetChange::SiteTrust(_, body) => body.is_none(),
        FleetChange::Restored(body) => body.is_none(),
        FleetChange::HeldSite(_, body) => body.is_none(),
        FleetChange::HeldToken(_, body) => body.is_none(),
        FleetChange::HeldApiKey(_, body) => body.is_none(),
        FleetChange::AuditBlock(_, body) => body.is_none(),
        FleetChange::AuditEntry(_, body) => body.is_none(),
        FleetChange::KeptAnswer(_, body) => body.is_none(),
        FleetChange::BulkAction(_, body) => body.is_none(),
    }
}

pub(super) fn document_key(key: DocumentKey) -> String {
    match key {
        DocumentKey::Site => "site".to_owned(),
        DocumentKey::Host(id) => format!("host {id}"),
        DocumentKey::Provider(id) => format!("provider {id}"),
        DocumentKey::HostToken(id) => format!("host token {id}"),
    }
}
