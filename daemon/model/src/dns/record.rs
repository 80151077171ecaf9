//! Record sets: all records of one name and type, and changes to them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::name::{DomainName, DomainNameError};
use crate::limits::RECORD_VALUES_MAX;

/// Maximum bytes of a TXT value that is written: a few strings of 255. A longer value is rejected.
const TXT_BYTES_MAX: usize = 1024;

/// The type of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// An alias for another name.
    Cname,
    /// Text.
    Txt,
    /// Any other type. Such records are observed but never written.
    Other(Box<str>),
}

impl RecordType {
    /// Returns the type with this mnemonic, in any case.
    pub fn of(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "A" => Self::A,
            "AAAA" => Self::Aaaa,
            "CNAME" => Self::Cname,
            "TXT" => Self::Txt,
            other => Self::Other(other.into()),
        }
    }

    /// Returns the mnemonic.
    pub fn as_str(&self) -> &str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A TTL in seconds: 0 to 2^31 - 1 (RFC 2181, 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(u32);

impl Ttl {
    /// The TTL of records without a configured one: short enough that a moved site is soon reachable again.
    pub const DEFAULT: Self = Self(300);

    /// Creates a TTL; `None` if DNS cannot represent that many seconds.
    pub const fn of(seconds: u32) -> Option<Self> {
        if seconds <= i32::MAX.cast_unsigned() { Some(Self(seconds)) } else { None }
    }

    /// Returns the seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies a record set by name and type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// The name.
    pub name: DomainName,
    /// The type.
    pub rtype: RecordType,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

/// All records of one name and type, each value in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// Its name and type.
    pub key: RecordKey,
    /// Its TTL.
    pub ttl: Ttl,
    /// At least one value.
    pub values: BTreeSet<Box<str>>,
}

impl RecordSet {
    /// Creates a record set that may be written.
    ///
    /// # Errors
    /// [`RecordError`] if a value is invalid for the type, or there are no values or too many.
    pub fn parse(key: RecordKey, ttl: Ttl, values: &[&str]) -> Result<Self, RecordError> {
        let values: BTreeSet<_> = values.iter().map(|value| canonical(&key.rtype, value)).collect::<Result<_, _>>()?;
        match (&key.rtype, values.len()) {
            (_, 0) => Err(RecordError::NoValue),
            (RecordType::Cname, 2..) => Err(RecordError::TwoTargets),
            (_, count) if RECORD_VALUES_MAX < count => Err(RecordError::TooMany { count }),
            (_, _) => Ok(Self { key, ttl, values }),
        }
    }

    /// Creates a record set from an observation. A value without a canonical form is kept as it is.
    pub fn observed(key: RecordKey, ttl: Ttl, values: &[&str]) -> Self {
        let form = |value: &&str| canonical(&key.rtype, value).unwrap_or_else(|_| (*value).into());
        let values = values.iter().map(form).collect();
        Self { key, ttl, values }
    }

    /// Creates the placeholder for an observed record set that cannot be decoded; `why` describes it.
    pub fn unreadable(key: RecordKey, why: &str) -> Self {
        Self { key, ttl: Ttl::DEFAULT, values: [format!("{UNREADABLE}{why}").into()].into() }
    }

    /// Returns why the record set cannot be decoded, if so. Such a set exists, its content is unknown, and it equals
    /// nothing.
    pub fn why_unreadable(&self) -> Option<&str> {
        self.values.first().and_then(|value| value.strip_prefix(UNREADABLE))
    }
}

/// Prefix of the text that replaces values that cannot be decoded. A real DNS value is ASCII.
const UNREADABLE: &str = "\u{2026} ";

impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(|value| &**value).collect();
        write!(f, "{} {} {}", self.key, self.ttl, values.join(" "))
    }
}

/// Returns the canonical form of `value`.
fn canonical(rtype: &RecordType, value: &str) -> Result<Box<str>, RecordError> {
    let bad = |why: String| RecordError::Value { rtype: rtype.clone(), value: value.escape_debug().to_string(), why };
    match rtype {
        RecordType::A => match value.parse::<Ipv4Addr>() {
            Ok(address) => Ok(address.to_string().into()),
            Err(_) => Err(bad("is no IPv4 address".into())),
        },
        RecordType::Aaaa => match value.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.to_string().into()),
            Err(_) => Err(bad("is no IPv6 address".into())),
        },
        RecordType::Cname => match DomainName::parse(value) {
            Ok(name) => Ok(name.as_str().into()),
            Err(error) => Err(bad(format!("is no name: {error}"))),
        },
        RecordType::Txt if TXT_BYTES_MAX < value.len() => Err(bad(format!("has more than {TXT_BYTES_MAX} bytes"))),
        RecordType::Txt => Ok(escaped(value)),
        RecordType::Other(_) => Err(bad("is of a type that is never written".into())),
    }
}

/// Writes a byte outside printable ASCII, and a backslash that does not start a `\DDD`, as `\DDD`.
fn escaped(value: &str) -> Box<str> {
    let mut written = String::with_capacity(value.len());
    for (index, byte) in value.bytes().enumerate() {
        let follow = value.as_bytes().get(index + 1..index + 4);
        let is_escape = byte == b'\\' && follow.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
        match byte {
            b'\\' if is_escape => written.push('\\'),
            b' '..=b'~' if byte != b'\\' => written.push(byte.into()),
            _ => written.push_str(&format!("\\{byte:03}")),
        }
    }
    written.into()
}

/// A compare-and-swap of one record set. Both sides have the same name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// The required current record set. `None`: no record set of this name and type.
    pub before: Option<RecordSet>,
    /// The record set afterwards. `None`: no record set.
    pub after: Option<RecordSet>,
}

impl RecordChange {
    /// Returns the key of the record set; `None` for a change from nothing to nothing.
    pub fn key(&self) -> Option<&RecordKey> {
        self.after.as_ref().or(self.before.as_ref()).map(|set| &set.key)
    }
}

/// Why a record set cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// There are no values.
    #[error("a record needs a value")]
    NoValue,
    /// A CNAME with more than one target.
    #[error("a CNAME has one target")]
    TwoTargets,
    /// More values than one record set may have.
    #[error("a record set has at most {RECORD_VALUES_MAX} values, not {count}")]
    TooMany {
        /// The number of values.
        count: usize,
    },
    /// An invalid value.
    #[error("the {rtype} value `{value}` {why}")]
    Value {
        /// The type.
        rtype: RecordType,
        /// The value.
        value: String,
        /// Why it is invalid.
        why: String,
    },
    /// An invalid name.
    #[error(transparent)]
    Name(#[from] DomainNameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rtype: &str, values: &[&str]) -> Result<RecordSet, RecordError> {
        let key = RecordKey { name: DomainName::parse("a.example").unwrap(), rtype: RecordType::of(rtype) };
        RecordSet::parse(key, Ttl::DEFAULT, values)
    }

    #[test]
    fn a_record_value_has_one_canonical_form() {
        let check = |rtype: &str, value: &str, form: &str| {
            let set = set(rtype, &[value]).unwrap();
            assert_eq!(set.values.iter().map(|value| &**value).collect::<Vec<_>>(), [form]);
            assert_eq!(RecordSet::observed(set.key.clone(), set.ttl, &[form]), set, "again");
        };
        check("a", "192.0.2.1", "192.0.2.1");
        check("AAAA", "2001:DB8:0::1", "2001:db8::1");
        check("cname", "Other.Example.", "other.example");
        check("TXT", "v=1 \"q\"", "v=1 \"q\"");
        check("TXT", "é\\", "\\195\\169\\092");
        check("TXT", "\\195", "\\195");
    }

    #[test]
    fn an_invalid_record_value_is_rejected() {
        let check = |rtype: &str, values: &[&str], words: &str| {
            let error = set(rtype, values).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check("A", &["not-an-ip"], "no IPv4 address");
        check("A", &["::1"], "no IPv4 address");
        check("AAAA", &["1.2.3.4"], "no IPv6 address");
        check("CNAME", &["a", "b"], "one target");
        check("A", &[], "needs a value");
        check("MX", &["10 a"], "never written");
        check("TXT", &[&"a".repeat(1025)], "1024 bytes");
    }

    #[test]
    fn equal_values_are_deduplicated() {
        assert_eq!(set("AAAA", &["::1", "0:0::1"]).unwrap().values.len(), 1);
    }
}
