//! The records of the fleet database.

use std::sync::Arc;

use linecamp_model::{
    ApiKey, BulkActionId, FleetChange, HostId, IdempotencyKeyHash, KeyFingerprint, KeyId, MemberId, Name, PluginDigest,
    SecretHash, SiteId, TokenId, WallTime,
};
use prost::Message as _;

use super::host_member::{HostPath, host_member_change, host_member_gap, host_member_record};
use super::key;
use super::{RawRecord, row, unknown_key};
use crate::convert::{FieldError, encode};
use crate::error::ProtoError;
use crate::wire::{link::v1 as link, record::v1 as record};

/// Returns the key of the record that a change is about, and its new body; `None` deletes the record.
pub fn fleet_change(change: &FleetChange) -> (Vec<u8>, Option<Vec<u8>>) {
    match change {
        FleetChange::Origin(body) => row::<record::FleetOrigin>("origin".to_owned(), body.as_ref()),
        FleetChange::Environment(name, body) => {
            row::<record::Environment>(format!("environment/{name}"), body.as_ref())
        }
        FleetChange::ApiKey(secret, body) => api_key_row(secret, body.as_ref()),
        FleetChange::User(name, body) => row::<record::User>(format!("user/{name}"), body.as_ref()),
        FleetChange::UserSession(secret, body) => {
            row::<record::UserSession>(digest_key("user-session", secret.as_bytes()), body.as_ref())
        }
        FleetChange::Settings(body) => row::<record::ServerSettings>("settings".to_owned(), body.as_ref()),
        FleetChange::Token(token, body) => row::<record::Token>(format!("token/{token}"), body.as_ref()),
        FleetChange::TokenUse(token, member, body) => {
            row::<record::Moment>(token_use_key(*token, *member), body.as_ref())
        }
        FleetChange::Site(site, body) => row::<record::Registration>(format!("site/{site}"), body.as_ref()),
        FleetChange::SiteKey(site, fingerprint, body) => {
            let key = format!("site/{site}/key/{}", key::from_digest(fingerprint.as_bytes()));
            row::<record::Moment>(key, body.as_ref())
        }
        FleetChange::Host(site, host, body) => row::<record::Host>(format!("site/{site}/host/{host}"), body.as_ref()),
        FleetChange::HostMember(site, host, change) => host_member_change(&host_path(*site, *host), change),
        FleetChange::ReplicationCursor(site, body) => {
            row::<record::ReplicationCursor>(format!("site/{site}/cursor"), body.as_ref())
        }
        FleetChange::Spec(site, document, body) => {
            let key = format!("site/{site}/spec/{}", key::from_document(*document));
            row::<link::SpecDocument>(key, body.as_ref())
        }
        FleetChange::Status(site, document, body) => {
            let key = format!("site/{site}/status/{}", key::from_document(*document));
            row::<link::StatusDocument>(key, body.as_ref())
        }
        FleetChange::Event(number, body) => {
            row::<record::LoggedEvent>(format!("event/{}", key::from_number(*number)), body.as_ref())
        }
        FleetChange::RevokedKey(fingerprint, body) => {
            row::<record::Moment>(digest_key("revoked-key", fingerprint.as_bytes()), body.as_ref())
        }
        FleetChange::Provider(environment, name, body) => {
            row::<record::FleetProvider>(format!("provider/{environment}/{name}"), body.as_deref())
        }
        FleetChange::Plugin(digest, body) => {
            row::<record::PluginFile>(digest_key("plugin", digest.as_bytes()), body.as_ref())
        }
        FleetChange::Restored(body) => row::<record::RestoredFrom>("restored".to_owned(), body.as_ref()),
        FleetChange::HeldSite(site, body) => row::<record::HeldSite>(format!("held/site/{site}"), body.as_ref()),
        FleetChange::HeldToken(token, body) => row::<record::Moment>(format!("held/token/{token}"), body.as_ref()),
        FleetChange::HeldApiKey(secret, body) => {
            row::<record::Moment>(digest_key("held/api-key", secret.as_bytes()), body.as_ref())
        }
        FleetChange::KeptAnswer(hash, body) => {
            row::<record::KeptAnswer>(digest_key("answer", hash.as_bytes()), body.as_deref())
        }
        FleetChange::BulkAction(id, body) => row::<record::BulkAction>(format!("bulk-action/{id}"), body.as_deref()),
        FleetChange::Servers(body) => row::<link::ServerSet>("servers".to_owned(), body.as_ref()),
        FleetChange::LinkGap(site, began_at, body) => {
            let key = format!("gap/{site}/{}", key::from_number(began_at.unix_millis()));
            row::<record::LinkGap>(key, body.as_ref())
        }
        FleetChange::AuditBlock(index, body) => row::<record::AuditBlock>(audit_block_key(*index), body.as_ref()),
        FleetChange::AuditEntry(number, body) => {
            (audit_entry_key(*number), body.as_deref().map(encode::<record::AuditEntry>))
        }
        FleetChange::Authorities(body) => row::<record::Authorities>("authorities".to_owned(), body.as_ref()),
        FleetChange::SiteTrust(site, body) => row::<link::SiteTrust>(format!("site/{site}/trust"), body.as_ref()),
    }
}

fn api_key_row(secret: &SecretHash, body: Option<&ApiKey>) -> (Vec<u8>, Option<Vec<u8>>) {
    let body = body.map(|body| record::ApiKey::from_model(body, KeyId::of_secret(secret)));
    (digest_key("api-key", secret.as_bytes()).into_bytes(), body.map(|body| body.encode_to_vec()))
}

fn digest_key(kind: &str, digest: &[u8; 32]) -> String {
    format!("{kind}/{}", key::from_digest(digest))
}

fn token_use_key(token: TokenId, member: MemberId) -> String {
    match member {
        MemberId::Site(site) => format!("token-use/{token}/{site}"),
        MemberId::Host(host) => format!("host-token-use/{token}/{host}"),
    }
}

fn host_path(site: SiteId, host: HostId) -> HostPath {
    HostPath { gaps: format!("gap/{site}/{host}"), parts: format!("site/{site}/host/{host}") }
}

fn audit_block_key(index: u64) -> String {
    format!("audit-block/{}", key::from_number(index))
}

/// The keys of the blocks of the audit log: from the first one to before the second one.
pub const AUDIT_BLOCKS: [&[u8]; 2] = [b"audit-block/", b"audit-block0"];

/// Returns the key of the entry of the audit log with this number. The keys sort like the numbers, and the store reads
/// those that begin with `log/` on request only.
pub fn audit_entry_key(number: u64) -> Vec<u8> {
    format!("log/audit/{}", key::from_number(number)).into_bytes()
}

/// Decodes a record, as the change that writes it.
///
/// # Errors
/// [`ProtoError`] names the record and the invalid field.
pub fn fleet_record(key: &[u8], body: &[u8]) -> Result<FleetChange, ProtoError> {
    let found = RawRecord::new(key, body)?;
    let path: Vec<&str> = found.key.split('/').collect();
    let change = match path.as_slice() {
        ["origin"] => FleetChange::Origin(Some(found.read::<record::FleetOrigin>()?)),
        ["environment", name] => {
            let name = found.part(Name::parse(name).ok())?;
            FleetChange::Environment(name, Some(found.read::<record::Environment>()?))
        }
        ["api-key", secret] => {
            let secret = SecretHash::from_bytes(found.part(key::digest(secret))?);
            FleetChange::ApiKey(secret, Some(api_key(found, KeyId::of_secret(&secret))?))
        }
        ["user", name] => {
            let name = found.part(Name::parse(name).ok())?;
            FleetChange::User(name, Some(found.read::<record::User>()?))
        }
        ["user-session", secret] => {
            let secret = SecretHash::from_bytes(found.part(key::digest(secret))?);
            FleetChange::UserSession(secret, Some(found.read::<record::UserSession>()?))
        }
        ["settings"] => FleetChange::Settings(Some(found.read::<record::ServerSettings>()?)),
        ["token", token] => {
            let token = found.part(TokenId::parse(token))?;
            FleetChange::Token(token, Some(found.read::<record::Token>()?))
        }
        [kind @ ("token-use" | "host-token-use"), token, member] => {
            let token = found.part(TokenId::parse(token))?;
            let member = match *kind {
                "token-use" => found.part(SiteId::parse(member))?.into(),
                _ => found.part(HostId::parse(member))?.into(),
            };
            FleetChange::TokenUse(token, member, Some(found.read::<record::Moment>()?))
        }
        ["site", site, part @ ..] => {
            let site = found.part(SiteId::parse(site))?;
            site_part(found, site, part)?
        }
        ["event", number] => {
            let number = found.part(key::number(number))?;
            FleetChange::Event(number, Some(found.read::<record::LoggedEvent>()?))
        }
        ["revoked-key", fingerprint] => {
            let fingerprint = KeyFingerprint::from_bytes(found.part(key::digest(fingerprint))?);
            FleetChange::RevokedKey(fingerprint, Some(found.read::<record::Moment>()?))
        }
        ["provider", environment, name] => {
            let environment = found.part(Name::parse(environment).ok())?;
            let name = found.part(Name::parse(name).ok())?;
            provider(found, environment, name)?
        }
        ["plugin", digest] => {
            let digest = PluginDigest::from_bytes(found.part(key::digest(digest))?);
            FleetChange::Plugin(digest, Some(found.read::<record::PluginFile>()?))
        }
        ["gap", site, gap @ ..] => {
            let site = found.part(SiteId::parse(site))?;
            link_gap(found, site, gap)?
        }
        ["audit-block" | "log", ..] => audit(found, &path)?,
        [kind @ ("answer" | "bulk-action"), id] => request(found, kind, id)?,
        ["restored"] => FleetChange::Restored(Some(found.read::<record::RestoredFrom>()?)),
        ["held", kind, id] => held(found, kind, id)?,
        ["servers"] => FleetChange::Servers(Some(found.read::<link::ServerSet>()?)),
        ["authorities"] => FleetChange::Authorities(Some(found.read::<record::Authorities>()?)),
        _ => return Err(unknown_key(found.key)),
    };
    Ok(change)
}

/// Decodes a record of what was requested.
fn request(found: RawRecord<'_>, kind: &str, id: &str) -> Result<FleetChange, ProtoError> {
    if kind == "answer" {
        let hash = IdempotencyKeyHash::from_bytes(found.part(key::digest(id))?);
        return Ok(FleetChange::KeptAnswer(hash, Some(Box::new(found.read::<record::KeptAnswer>()?))));
    }
    let id = found.part(BulkActionId::parse(id))?;
    Ok(FleetChange::BulkAction(id, Some(Arc::new(found.read::<record::BulkAction>()?))))
}

/// Decodes a gap of a site, or of a host that joined the server directly.
fn link_gap(found: RawRecord<'_>, site: SiteId, gap: &[&str]) -> Result<FleetChange, ProtoError> {
    Ok(match gap {
        [began_at] => {
            let began_at = WallTime::from_unix_millis(found.part(key::number(began_at))?);
            FleetChange::LinkGap(site, began_at, Some(found.read::<record::LinkGap>()?))
        }
        [host, began_at] => {
            let host = found.part(HostId::parse(host))?;
            FleetChange::HostMember(site, host, host_member_gap(found, began_at)?)
        }
        _ => return Err(unknown_key(found.key)),
    })
}

/// The audit log.
fn audit(found: RawRecord<'_>, path: &[&str]) -> Result<FleetChange, ProtoError> {
    Ok(match path {
        ["audit-block", index] => {
            let index = found.part(key::number(index))?;
            FleetChange::AuditBlock(index, Some(found.read::<record::AuditBlock>()?))
        }
        ["log", "audit", number] => {
            let number = found.part(key::number(number))?;
            FleetChange::AuditEntry(number, Some(Box::new(found.read::<record::AuditEntry>()?)))
        }
        _ => return Err(unknown_key(found.key)),
    })
}

/// What is held after a restore.
fn held(found: RawRecord<'_>, kind: &str, id: &str) -> Result<FleetChange, ProtoError> {
    Ok(match kind {
        "site" => {
            let site = found.part(SiteId::parse(id))?;
            FleetChange::HeldSite(site, Some(found.read::<record::HeldSite>()?))
        }
        "token" => {
            let token = found.part(TokenId::parse(id))?;
            FleetChange::HeldToken(token, Some(found.read::<record::Moment>()?))
        }
        "api-key" => {
            let secret = SecretHash::from_bytes(found.part(key::digest(id))?);
            FleetChange::HeldApiKey(secret, Some(found.read::<record::Moment>()?))
        }
        _ => return Err(unknown_key(found.key)),
    })
}

/// Reads an API key. One that was created without an ID has the ID that follows from its secret.
fn api_key(found: RawRecord<'_>, derived: KeyId) -> Result<ApiKey, ProtoError> {
    let what = || format!("record {}", found.key);
    let wire = record::ApiKey::decode(found.body);
    let wire = wire.map_err(|source| ProtoError::Malformed { what: what(), source })?;
    wire.into_model(derived).map_err(|error| error.of(what()))
}

fn provider(found: RawRecord<'_>, environment: Name, name: Name) -> Result<FleetChange, ProtoError> {
    let provider = found.read::<record::FleetProvider>()?;
    if provider.spec.name != name {
        let problem = format!("`{}` is not the name in the key", provider.spec.name);
        return Err(found.refuse(FieldError::new("spec.name", problem)));
    }
    Ok(FleetChange::Provider(environment, name, Some(Box::new(provider))))
}

fn site_part(found: RawRecord<'_>, site: SiteId, part: &[&str]) -> Result<FleetChange, ProtoError> {
    let change = match part {
        [] => FleetChange::Site(site, Some(found.read::<record::Registration>()?)),
        ["key", fingerprint] => {
            let fingerprint = KeyFingerprint::from_bytes(found.part(key::digest(fingerprint))?);
            FleetChange::SiteKey(site, fingerprint, Some(found.read::<record::Moment>()?))
        }
        ["host", host] => {
            let host = found.part(HostId::parse(host))?;
            FleetChange::Host(site, host, Some(found.read::<record::Host>()?))
        }
        ["host", host, part @ ..] => {
            let host = found.part(HostId::parse(host))?;
            FleetChange::HostMember(site, host, host_member_record(found, part)?)
        }
        ["trust"] => FleetChange::SiteTrust(site, Some(found.read::<link::SiteTrust>()?)),
        ["cursor"] => FleetChange::ReplicationCursor(site, Some(found.read::<record::ReplicationCursor>()?)),
        ["spec", about @ ..] => {
            let about = found.part(key::document(about))?;
            FleetChange::Spec(site, about, Some(found.read_document::<link::SpecDocument, _>(about)?))
        }
        ["status", about @ ..] => {
            let about = found.part(key::document(about))?;
            FleetChange::Status(site, about, Some(found.read_document::<link::StatusDocument, _>(about)?))
        }
        _ => return Err(unknown_key(found.key)),
    };
    Ok(change)
}
