//! The records of a site's database.

use linecamp_model::{HostId, KeyFingerprint, SiteChange, TokenId};

use super::host_member::{HostPath, host_member_change, host_member_gap, host_member_record};
use super::key;
use super::{RawRecord, row, unknown_key};
use crate::error::ProtoError;
use crate::wire::{link::v1 as link, record::v1 as record};

/// Returns the key of the record that a change is about, and its new body; `None` deletes the record.
pub fn site_change(change: &SiteChange) -> (Vec<u8>, Option<Vec<u8>>) {
    match change {
        SiteChange::Origin(body) => row::<record::SiteOrigin>("origin".to_owned(), body.as_ref()),
        SiteChange::Spec(document, body) => {
            row::<link::SpecDocument>(format!("spec/{}", key::from_document(*document)), body.as_ref())
        }
        SiteChange::Status(document, body) => {
            row::<link::StatusDocument>(format!("status/{}", key::from_document(*document)), body.as_ref())
        }
        SiteChange::LocalLabels(level, body) => {
            row::<record::LabelSet>(format!("labels/{}", key::from_level(*level)), body.as_ref())
        }
        SiteChange::FileLabels(level, body) => {
            row::<record::LabelSet>(format!("file-labels/{}", key::from_level(*level)), body.as_ref())
        }
        SiteChange::Event(number, body) => {
            row::<link::Event>(format!("event/{}", key::from_number(*number)), body.as_ref())
        }
        SiteChange::ObservedAddress(body) => {
            row::<record::ObservedAddress>("observed-address".to_owned(), body.as_ref())
        }
        SiteChange::OwnedRecord(held, body) => {
            row::<record::OwnedRecord>(format!("owned/{}", key::from_owned(held)), body.as_ref())
        }
        SiteChange::LinkRecord(body) => row::<record::LinkRecord>("link-record".to_owned(), body.as_deref()),
        SiteChange::Host(host, change) => {
            let path = HostPath { gaps: format!("gap/{host}"), parts: format!("host/{host}") };
            host_member_change(&path, change)
        }
        SiteChange::RevokedHostKey(fingerprint, body) => {
            let key = format!("revoked-host-key/{}", key::from_digest(fingerprint.as_bytes()));
            row::<record::Moment>(key, body.as_ref())
        }
        SiteChange::HostToken(token, body) => row::<link::HostToken>(format!("host-token/{token}"), body.as_ref()),
        SiteChange::HostTokenUse(token, host, body) => {
            row::<record::Moment>(format!("host-token-use/{token}/{host}"), body.as_ref())
        }
    }
}

/// Decodes a record, as the change that writes it.
///
/// # Errors
/// [`ProtoError`] names the record and the invalid field.
pub fn site_record(key: &[u8], body: &[u8]) -> Result<SiteChange, ProtoError> {
    let found = RawRecord::new(key, body)?;
    let path: Vec<&str> = found.key.split('/').collect();
    let change = match path.as_slice() {
        ["origin"] => SiteChange::Origin(Some(found.read::<record::SiteOrigin>()?)),
        ["spec", about @ ..] => {
            let about = found.part(key::document(about))?;
            SiteChange::Spec(about, Some(found.read_document::<link::SpecDocument, _>(about)?))
        }
        ["status", about @ ..] => {
            let about = found.part(key::document(about))?;
            SiteChange::Status(about, Some(found.read_document::<link::StatusDocument, _>(about)?))
        }
        ["labels", level] => {
            let level = found.part(key::level(level))?;
            SiteChange::LocalLabels(level, Some(found.read::<record::LabelSet>()?))
        }
        ["file-labels", level] => {
            let level = found.part(key::level(level))?;
            SiteChange::FileLabels(level, Some(found.read::<record::LabelSet>()?))
        }
        ["event", number] => {
            let number = found.part(key::number(number))?;
            SiteChange::Event(number, Some(found.read::<link::Event>()?))
        }
        ["observed-address"] => SiteChange::ObservedAddress(Some(found.read::<record::ObservedAddress>()?)),
        ["link-record"] => SiteChange::LinkRecord(Some(Box::new(found.read::<record::LinkRecord>()?))),
        ["owned", path @ ..] => {
            let held = found.part(key::owned(path))?;
            SiteChange::OwnedRecord(held, Some(found.read::<record::OwnedRecord>()?))
        }
        ["host", host, part @ ..] => {
            let host = found.part(HostId::parse(host))?;
            SiteChange::Host(host, host_member_record(found, part)?)
        }
        ["gap", host, began_at] => {
            let host = found.part(HostId::parse(host))?;
            SiteChange::Host(host, host_member_gap(found, began_at)?)
        }
        ["revoked-host-key", fingerprint] => {
            let fingerprint = KeyFingerprint::from_bytes(found.part(key::digest(fingerprint))?);
            SiteChange::RevokedHostKey(fingerprint, Some(found.read::<record::Moment>()?))
        }
        ["host-token", token] => {
            let token = found.part(TokenId::parse(token))?;
            SiteChange::HostToken(token, Some(found.read::<link::HostToken>()?))
        }
        ["host-token-use", token, host] => {
            let token = found.part(TokenId::parse(token))?;
            let host = found.part(HostId::parse(host))?;
            SiteChange::HostTokenUse(token, host, Some(found.read::<record::Moment>()?))
        }
        _ => return Err(unknown_key(found.key)),
    };
    Ok(change)
}
