//! The keys of records: paths of printable ASCII, so that people can read a database and its order means something.
//!
//! Everything of one site lies under one prefix, its registration first. Events lie in the order of their numbers,
//! which are written with all their digits. Ids and digests are lower-case hexadecimal. A key has one spelling.

use data_encoding::HEXLOWER;
use linecamp_model::{DocumentKey, DomainName, HeldKey, HostId, Level, ProviderId, RecordKey};

use crate::convert::record_type;
use crate::limits::COUNTER_MAX;

/// Digits of the highest number.
const NUMBER_DIGITS: usize = 20;

/// Writes a number so that the order of texts is the order of numbers.
pub(super) fn from_number(number: u64) -> String {
    format!("{number:0NUMBER_DIGITS$}")
}

/// Reads a number with all its digits.
pub(super) fn number(text: &str) -> Option<u64> {
    let is_number = text.len() == NUMBER_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().filter(|number| *number <= COUNTER_MAX)
}

/// Writes a digest.
pub(super) fn from_digest(digest: &[u8; 32]) -> String {
    HEXLOWER.encode(digest)
}

/// Reads a digest.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Writes what a document is about.
pub(super) fn from_document(key: DocumentKey) -> String {
    match key {
        DocumentKey::Site => "site".to_owned(),
        DocumentKey::Host(host) => format!("host/{host}"),
        DocumentKey::Provider(provider) => format!("provider/{provider}"),
    }
}

/// Reads what a document is about.
pub(super) fn document(path: &[&str]) -> Option<DocumentKey> {
    match path {
        ["site"] => Some(DocumentKey::Site),
        ["host", host] => HostId::parse(host).map(DocumentKey::Host),
        ["provider", provider] => ProviderId::parse(provider).map(DocumentKey::Provider),
        _ => None,
    }
}

/// Writes which record set it is.
pub(super) fn from_held(key: &HeldKey) -> String {
    format!("{}/{}/{}/{}", key.provider, key.zone, key.record.name, key.record.rtype)
}

/// Reads which record set it is. Names have no `/`, and are in lower case already.
pub(super) fn held(path: &[&str]) -> Option<HeldKey> {
    let [provider, zone, name, rtype] = path else { return None };
    Some(HeldKey {
        provider: ProviderId::parse(provider)?,
        zone: domain_name(zone)?,
        record: RecordKey { name: domain_name(name)?, rtype: record_type(rtype).ok()? },
    })
}

fn domain_name(text: &str) -> Option<DomainName> {
    DomainName::parse(text).ok().filter(|name| name.as_str() == text)
}

/// Writes whose labels they are.
pub(super) const fn from_level(level: Level) -> &'static str {
    match level {
        Level::Site => "site",
        Level::Host => "host",
    }
}

/// Reads whose labels they are.
pub(super) fn level(text: &str) -> Option<Level> {
    [Level::Site, Level::Host].into_iter().find(|level| from_level(*level) == text)
}
