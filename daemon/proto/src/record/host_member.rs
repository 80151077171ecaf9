//! The records of a host that joined by itself. They are the same in the databases of a site and of the fleet, apart
//! from what their keys begin with.

use linecamp_model::{HostMemberChange, KeyFingerprint, WallTime};

use super::key;
use super::{RawRecord, row, unknown_key};
use crate::error::ProtoError;
use crate::wire::{link::v1 as link, record::v1 as record};

/// What the keys of a host's records begin with.
pub(super) struct HostPath {
    /// Of its gaps, which are among those of all members.
    pub(super) gaps: String,
    /// Of all its other records.
    pub(super) parts: String,
}

/// Returns the key of the record that a change is about, and its new body; `None` deletes the record.
pub(super) fn host_member_change(path: &HostPath, change: &HostMemberChange) -> (Vec<u8>, Option<Vec<u8>>) {
    let HostPath { gaps, parts } = path;
    match change {
        HostMemberChange::Registration(body) => {
            row::<record::HostMemberRegistration>(format!("{parts}/member"), body.as_ref())
        }
        HostMemberChange::Key(fingerprint, body) => {
            let key = format!("{parts}/key/{}", key::from_digest(fingerprint.as_bytes()));
            row::<record::Moment>(key, body.as_ref())
        }
        HostMemberChange::Status(document, body) => {
            let key = format!("{parts}/status/{}", key::from_document(*document));
            row::<link::StatusDocument>(key, body.as_ref())
        }
        HostMemberChange::Cursor(body) => row::<record::ReplicationCursor>(format!("{parts}/cursor"), body.as_ref()),
        HostMemberChange::LinkGap(began_at, body) => {
            let key = format!("{gaps}/{}", key::from_number(began_at.unix_millis()));
            row::<record::LinkGap>(key, body.as_ref())
        }
    }
}

/// Decodes a record of a host, apart from its gaps. `part` is the rest of the key.
pub(super) fn host_member_record(found: RawRecord<'_>, part: &[&str]) -> Result<HostMemberChange, ProtoError> {
    Ok(match part {
        ["member"] => HostMemberChange::Registration(Some(found.read::<record::HostMemberRegistration>()?)),
        ["key", fingerprint] => {
            let fingerprint = KeyFingerprint::from_bytes(found.part(key::digest(fingerprint))?);
            HostMemberChange::Key(fingerprint, Some(found.read::<record::Moment>()?))
        }
        ["status", about @ ..] => {
            let about = found.part(key::document(about))?;
            HostMemberChange::Status(about, Some(found.read_document::<link::StatusDocument, _>(about)?))
        }
        ["cursor"] => HostMemberChange::Cursor(Some(found.read::<record::ReplicationCursor>()?)),
        _ => return Err(unknown_key(found.key)),
    })
}

/// Decodes a gap of a host. `began_at` is the rest of the key.
pub(super) fn host_member_gap(found: RawRecord<'_>, began_at: &str) -> Result<HostMemberChange, ProtoError> {
    let began_at = WallTime::from_unix_millis(found.part(key::number(began_at))?);
    Ok(HostMemberChange::LinkGap(began_at, Some(found.read::<record::LinkGap>()?)))
}
