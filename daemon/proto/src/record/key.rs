//! The keys of records: paths of printable ASCII, so that people can read a database and its sort order is meaningful.
//!
//! All records of one site share one prefix, with its registration first. Events sort by number, so numbers are
//! zero-padded to full width. Ids and digests are lower-case hexadecimal. A key has exactly one spelling.

use data_encoding::HEXLOWER;
use linecamp_model::{DocumentKey, DomainName, HostId, Level, OwnedRecordKey, ProviderId, RecordKey, TokenId};

use crate::convert::record_type;
use crate::limits::COUNTER_MAX;

/// Digits of the highest number.
const NUMBER_DIGITS: usize = 20;

/// Formats a number so that text order is numeric order.
pub(super) fn from_number(number: u64) -> String {
    format!("{number:0NUMBER_DIGITS$}")
}

/// Parses a zero-padded number.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_number = text.len() == NUMBER_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|number| *number <= COUNTER_MAX)
}

/// Formats a digest.
pub(super) fn from_digest(digest: &[u8; 32]) -> String {
    HEXLOWER.encode(digest)
}

/// Parses a digest.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Formats a document key.
pub(super) fn from_document(key: DocumentKey) -> String {
    match key {
        DocumentKey::Site => "site".to_owned(),
        DocumentKey::Host(host) => format!("host/{host}"),
        DocumentKey::Provider(provider) => format!("provider/{provider}"),
        DocumentKey::HostToken(token) => format!("host-token/{token}"),
    }
}

/// Parses a document key.
pub(super) fn document(path: &[&str]) -> Option<DocumentKey> {
    match path {
        ["site"] => Some(DocumentKey::Site),
        ["host", host] => HostId::parse(host).map(DocumentKey::Host),
        ["provider", provider] => ProviderId::parse(provider).map(DocumentKey::Provider),
        ["host-token", token] => TokenId::parse(token).map(DocumentKey::HostToken),
        _ => None,
    }
}

/// Formats the key of an owned record set.
pub(super) fn from_owned(key: &OwnedRecordKey) -> String {
    format!("{}/{}/{}/{}", key.provider, key.zone, key.record.name, key.record.rtype)
}

/// Parses the key of an owned record set. Names contain no `/`, and are in lower case already.
pub(super) fn owned(path: &[&str]) -> Option<OwnedRecordKey> {
    let [provider, zone, name, rtype] = path else { return None };
    Some(OwnedRecordKey {
        provider: ProviderId::parse(provider)?,
        zone: domain_name(zone)?,
        record: RecordKey { name: domain_name(name)?, rtype: record_type(rtype).ok()? },
    })
}

fn domain_name(text: &str) -> Option<DomainName> {
    DomainName::parse(text).ok().filter(|name| name.as_str() == text)
}

/// Formats a label level.
pub(super) const fn from_level(level: Level) -> &'static str {
    match level {
        Level::Site => "site",
        Level::Host => "host",
    }
}

/// Parses a label level.
pub(super) fn level(text: &str) -> Option<Level> {
    [Level::Site, Level::Host].into_iter().find(|level| from_level(*level) == text)
}
