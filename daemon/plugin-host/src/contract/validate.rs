//! Validates everything that a plugin returns. An invalid value is the plugin's error, and the message helps its author
//! to find the cause.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::limits::DESCRIBED_MAX;
use linecamp_model::{
    Capabilities, Claim, DnsCapabilities, DomainName, Name, PluginDescription, ProviderFailure, RecordKey, RecordSet,
    RecordType, SecretName, SecretRequirement, Text, Ttl,
};

use crate::limits::{
    OBSERVED_SETS_MAX, OBSERVED_VALUE_BYTES_MAX, OBSERVED_VALUES_MAX, PLUGIN_TEXT_BYTES_MAX, RETRY_AFTER_MAX,
};
use crate::redact::Redactor;

/// Bytes of a record type's mnemonic; the longest in use has ten.
const TYPE_BYTES_MAX: usize = 16;

/// Bytes of one label of a name (RFC 1035, 3.1).
const LABEL_BYTES_MAX: usize = 63;

/// Bytes of a name with its escapes decoded, dots included.
const NAME_BYTES_MAX: usize = 254;

/// A description before validation.
pub(crate) struct RawDescription {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) capabilities: RawCapabilities,
    pub(crate) config_schema: String,
    pub(crate) secrets: Vec<(String, String, bool)>,
    pub(crate) endpoints: Vec<String>,
    pub(crate) extra: Vec<(String, String)>,
}

/// Capabilities before validation.
pub(crate) struct RawCapabilities {
    pub(crate) atomic: bool,
    pub(crate) can_list_records: bool,
    pub(crate) ttl_min: u32,
    pub(crate) ttl_max: u32,
    pub(crate) max_batch_size: u32,
}

/// A record set before validation.
pub(crate) struct RawRecordSet {
    pub(crate) name: String,
    pub(crate) rtype: String,
    pub(crate) ttl: u32,
    pub(crate) values: Vec<String>,
}

/// An error before validation.
pub(crate) enum RawError {
    Retry { after_millis: Option<u64>, reason: String },
    Invalid { reason: String, field: Option<String>, name: Option<String> },
    Conflict { name: String, found: String },
    Unauthorized(String),
}

impl RawDescription {
    /// Validates a description.
    pub(crate) fn checked(self) -> Result<PluginDescription, String> {
        let text = |what: &str, text: &str| Text::parse(text).map_err(|error| format!("invalid {what}: {error}"));
        if DESCRIBED_MAX < self.extra.len() {
            return Err(format!("{} extra, more than {DESCRIBED_MAX}", self.extra.len()));
        }
        let requirement = |(name, summary, is_required): &(String, String, bool)| {
            let name = SecretName::parse(name).map_err(|error| error.to_string())?;
            Ok(SecretRequirement { name, summary: text("secret summary", summary)?, is_required: *is_required })
        };
        let description = PluginDescription {
            name: Name::parse(&self.name).map_err(|error| format!("invalid name: {error}"))?,
            version: text("version", &self.version)?,
            summary: text("summary", &self.summary)?,
            capabilities: Capabilities::Dns(self.capabilities.checked()?),
            config_schema: self.config_schema,
            secrets: self.secrets.iter().map(requirement).collect::<Result<_, String>>()?,
            endpoints: self.endpoints.iter().map(|endpoint| text("endpoint", endpoint)).collect::<Result<_, _>>()?,
        };
        description.check_limits().map_err(|problem| problem.problem.to_string())?;
        Ok(description)
    }
}

impl RawCapabilities {
    fn checked(self) -> Result<DnsCapabilities, String> {
        let Self { atomic, can_list_records, ttl_min, ttl_max, max_batch_size } = self;
        let described = DnsCapabilities::described((atomic, can_list_records), (ttl_min, ttl_max), max_batch_size);
        described.map_err(|error| error.to_string())
    }
}

/// Validates the record sets of a zone, for the requested `names` or, if there are none, for all names.
///
/// Other parties also write to a zone, and their records are not the plugin's error. A record set that was not
/// requested is dropped, whatever it holds; one that was requested and cannot be read, such as a set with hundreds of
/// values, is reported as unreadable. In a listing of all names, unreadable sets are dropped, and if there are more
/// than [`OBSERVED_SETS_MAX`] sets, so is everything except ownership TXT records: these are what a listing is searched
/// for. A listing with more of these is rejected before ([`too_large_to_search`]).
pub(crate) fn observed(
    zone: &DomainName,
    names: &BTreeSet<DomainName>,
    sets: Vec<RawRecordSet>,
    redactor: &Redactor,
) -> Result<Vec<RecordSet>, String> {
    let safe = |text: &str| redactor.redact_text(text, PLUGIN_TEXT_BYTES_MAX);
    let is_large = OBSERVED_SETS_MAX < sets.len();
    let mut keys = BTreeSet::new();
    let mut accepted = Vec::new();
    for set in sets {
        let quoted = |set: &RawRecordSet| shown(&safe(&format!("{} {}", set.name, set.rtype)));
        let name = match DomainName::parse(&set.name) {
            Ok(name) if name.is_within(zone) => name,
            Ok(_) => return Err(format!("it returned `{}`, which is not in the zone {zone}", quoted(&set))),
            Err(_) if is_foreign_name(&set.name) => continue,
            Err(error) => return Err(format!("it returned `{}`: {}", quoted(&set), safe(&error.to_string()))),
        };
        let is_requested = names.contains(&name) || (names.is_empty() && (!is_large || Claim::key_of(&name).is_some()));
        if !is_requested {
            continue;
        }
        let set = match set.checked(name) {
            Ok(set) => set,
            Err((set, why)) => return Err(format!("it returned `{}`, which {why}", quoted(&set))),
        };
        if !keys.insert(set.key.clone()) {
            return Err(format!("it returned `{}` twice", shown(&safe(&set.key.to_string()))));
        }
        if names.is_empty() && set.why_unreadable().is_some() {
            continue;
        }
        accepted.push(set);
        if OBSERVED_SETS_MAX < accepted.len() {
            return Err(format!("it returned more than {OBSERVED_SETS_MAX} requested record sets"));
        }
    }
    Ok(accepted)
}

/// Returns why a listing of a zone is too large to be searched for ownership TXT records; `None` if it is not.
pub(crate) fn too_large_to_search(
    zone: &DomainName,
    names: &BTreeSet<DomainName>,
    sets: &[RawRecordSet],
) -> Option<Text> {
    if !names.is_empty() || sets.len() <= OBSERVED_SETS_MAX {
        return None;
    }
    let is_claim = |set: &&RawRecordSet| DomainName::parse(&set.name).is_ok_and(|name| Claim::key_of(&name).is_some());
    let reason = || Text::lossy(&format!("zone {zone} has more than {OBSERVED_SETS_MAX} ownership TXT records"));
    (OBSERVED_SETS_MAX < sets.iter().filter(is_claim).count()).then(reason)
}

impl RawRecordSet {
    /// Validates a record set. The error is the set with what is wrong with it.
    fn checked(self, name: DomainName) -> Result<RecordSet, (Self, &'static str)> {
        let Self { rtype, ttl, values, .. } = &self;
        let is_type = !rtype.is_empty() && rtype.len() <= TYPE_BYTES_MAX;
        if !is_type || !rtype.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err((self, "has an invalid type"));
        }
        let key = RecordKey { name, rtype: RecordType::of(rtype) };
        if values.is_empty() {
            return Err((self, "has no values"));
        }
        if OBSERVED_VALUES_MAX < values.len() {
            let why = format!("{} values, more than {OBSERVED_VALUES_MAX}", values.len());
            return Ok(RecordSet::unreadable(key, &why));
        }
        if values.iter().any(|value| OBSERVED_VALUE_BYTES_MAX < value.len()) {
            let why = format!("a value of more than {OBSERVED_VALUE_BYTES_MAX} bytes");
            return Ok(RecordSet::unreadable(key, &why));
        }
        let Some(ttl) = Ttl::of(*ttl) else {
            let why = format!("a TTL of {ttl} s, more than DNS allows");
            return Ok(RecordSet::unreadable(key, &why));
        };
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        Ok(RecordSet::observed(key, ttl, &values))
    }
}

/// Whether this may be a DNS name that the model cannot represent, such as one with an escaped byte or a slash.
fn is_foreign_name(name: &str) -> bool {
    let (mut name_bytes, mut label_bytes, mut rest) = (0, 0, name.as_bytes());
    while let [first, after @ ..] = rest {
        let taken = match (first, after) {
            (b'\\', [a, b, c, ..]) if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => 4,
            (b'\\', [_, ..]) => 2,
            (b'\\', []) => return false,
            (_, _) => 1,
        };
        let is_dot = *first == b'.';
        if !first.is_ascii_graphic() || (is_dot && label_bytes == 0) {
            return false;
        }
        label_bytes = if is_dot { 0 } else { label_bytes + 1 };
        name_bytes += 1;
        if LABEL_BYTES_MAX < label_bytes || NAME_BYTES_MAX < name_bytes {
            return false;
        }
        rest = &rest[taken..];
    }
    name_bytes > 0
}

impl RawError {
    /// Validates an error of a call about `names`, and redacts its secrets. Any other name is only quoted in the
    /// reason. The reason of a conflict always quotes the name.
    pub(crate) fn checked(self, names: &BTreeSet<DomainName>, redactor: &Redactor) -> ProviderFailure {
        let safe = |text: &str| Text::lossy(&redactor.redact_text(text, PLUGIN_TEXT_BYTES_MAX));
        let quoted = |text: &str| shown(&redactor.redact_text(text, PLUGIN_TEXT_BYTES_MAX));
        match self {
            Self::Retry { after_millis, reason } => {
                let after = after_millis.map(|millis| Duration::from_millis(millis).min(RETRY_AFTER_MAX));
                ProviderFailure::Retry { after, reason: safe(&reason) }
            }
            Self::Invalid { mut reason, field, name } => {
                if let Some(field) = field {
                    reason = format!("setting `{}`: {reason}", quoted(&field));
                }
                let part = name.as_deref().and_then(|name| part_of(names, name));
                if let (Some(name), None) = (&name, &part) {
                    reason = format!("{}: {reason}", quoted(name));
                }
                ProviderFailure::Refused { reason: safe(&reason), part }
            }
            Self::Conflict { name, found } => ProviderFailure::Conflict {
                reason: safe(&format!("{}: {found}", quoted(&name))),
                part: part_of(names, &name),
            },
            Self::Unauthorized(reason) => ProviderFailure::Unauthorized { reason: safe(&reason) },
        }
    }
}

/// Returns a name that a plugin reported, if it is one of `names`, or of the ownership TXT records that Linecamp
/// creates for these. It contains nothing that the plugin chose, so it is not redacted, also if a secret shares bytes
/// with it.
fn part_of(names: &BTreeSet<DomainName>, name: &str) -> Option<Text> {
    let name = DomainName::parse(name).ok()?;
    let is_claim = |key: RecordKey| !matches!(key.rtype, RecordType::Other(_)) && names.contains(&key.name);
    let is_asked = names.contains(&name) || Claim::key_of(&name).is_some_and(is_claim);
    is_asked.then(|| Text::lossy(name.as_str()))
}

/// Returns the beginning of a plugin's text, escaped for quoting.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes `www A` with this many values and this TTL, its ownership TXT record, and `others` other sets.
    fn observed_at(names: &[&str], values: usize, ttl: u32, others: usize) -> Vec<RecordSet> {
        let set = |name: String, rtype: &str, ttl, values| RawRecordSet { name, rtype: rtype.into(), ttl, values };
        let address = |index: usize| format!("10.0.{}.{}", index / 256, index % 256);
        let mut sets = vec![set("www.zone.example".into(), "A", ttl, (0..values).map(address).collect())];
        sets.push(set("_linecamp-a.www.zone.example".into(), "TXT", 300, vec!["claim".into()]));
        sets.extend((0..others).map(|index| set(format!("n{index}.zone.example"), "A", 300, vec![address(index)])));
        let domain = |name: &str| DomainName::parse(name).unwrap();
        let names = names.iter().map(|name| domain(name)).collect();
        observed(&domain("zone.example"), &names, sets, &Redactor::default()).unwrap()
    }

    #[test]
    fn other_records_of_a_zone_are_not_a_violation() {
        let check = |values, ttl, others, expected: usize| {
            assert_eq!(observed_at(&["_linecamp-a.www.zone.example"], values, ttl, others).len(), 1);
            assert_eq!(observed_at(&[], values, ttl, others).len(), expected);
        };
        check(1, 300, 5, 7);
        check(300, 300, 5, 6);
        check(1, u32::MAX, 5, 6);
        check(300, 300, 20_000, 1);
    }

    #[test]
    fn a_zone_with_too_many_ownership_records_is_not_searched() {
        let set = |index| RawRecordSet {
            name: format!("_linecamp-a.n{index}.zone.example"),
            rtype: "TXT".into(),
            ttl: 300,
            values: vec!["claim".into()],
        };
        let zone = DomainName::parse("zone.example").unwrap();
        let reason = |names: &BTreeSet<DomainName>, count| {
            let sets: Vec<_> = (0..count).map(set).collect();
            too_large_to_search(&zone, names, &sets).map(|reason| reason.to_string())
        };
        assert_eq!(reason(&BTreeSet::new(), 10_000), None);
        let expected = "zone zone.example has more than 10000 ownership TXT records";
        assert_eq!(reason(&BTreeSet::new(), 10_001).as_deref(), Some(expected));
        assert_eq!(reason(&[zone.clone()].into(), 10_001), None, "other names than the requested ones are dropped");
    }

    #[test]
    fn a_requested_unreadable_set_is_reported() {
        let check = |values, ttl, expected: Option<&str>| {
            let sets = observed_at(&["www.zone.example"], values, ttl, 20_000);
            assert_eq!((sets.len(), sets[0].why_unreadable()), (1, expected));
        };
        check(256, 300, None);
        check(300, 300, Some("300 values, more than 256"));
        check(1, u32::MAX, Some("a TTL of 4294967295 s, more than DNS allows"));
    }

    /// Secrets are redacted before truncation, so no part of a secret remains.
    #[test]
    fn texts_of_a_plugin_are_truncated_after_redaction() {
        let (redactor, secret) = (Redactor::default(), "0123456789abcdef".repeat(8));
        redactor.add_secret(&SecretName::parse("key").unwrap(), secret.as_bytes());
        let names = [DomainName::parse("www.zone.example").unwrap()].into();
        let checked = |failure: RawError| failure.checked(&names, &redactor);
        let before = "x".repeat(PLUGIN_TEXT_BYTES_MAX - 6);
        for text in [secret.clone(), data_encoding::BASE64.encode(secret.as_bytes())] {
            let failure = checked(RawError::Unauthorized(format!("{before}{text}{before}")));
            assert_eq!(failure.reason().as_str(), format!("{before}[se…"));
            let failure = checked(RawError::Conflict { name: format!("x{text}"), found: "o".into() });
            let reason = failure.reason().to_string();
            assert!(!reason.contains("0123") && reason.contains("[secret key]"), "{reason}");
        }
        let hidden = data_encoding::HEXLOWER.encode(&secret.as_bytes()[..20]);
        for (name, is_part) in [(format!("{hidden}.zone.example"), false), ("www.zone.example".into(), true)] {
            let failure = checked(RawError::Invalid { reason: "no".into(), field: None, name: Some(name) });
            let ProviderFailure::Refused { part, reason } = failure else { panic!("{failure:?}") };
            assert_eq!((part.is_some(), reason.as_str().contains("[secret key].zone")), (is_part, !is_part));
        }
        let reason = checked(RawError::Unauthorized("a\u{202e}b\u{1b}c".into())).reason().to_string();
        assert_eq!(reason, "a\u{fffd}b\u{fffd}c");
    }

    /// A secret may share bytes with the zone, and a plugin may write any name.
    #[test]
    fn a_name_is_blamed_only_if_the_call_asked_about_it() {
        let redactor = Redactor::default();
        redactor.add_secret(&SecretName::parse("key").unwrap(), b"powerdns.example.org-key");
        let domain = |name: &str| DomainName::parse(name).unwrap();
        let names = [domain("www.example.org"), domain("n.example.org")].into();
        let blamed = |name: &str| {
            let failure = RawError::Invalid { reason: "no".into(), field: None, name: Some(name.into()) };
            let ProviderFailure::Refused { part, reason } = failure.checked(&names, &redactor) else { panic!() };
            (part.map(|part| part.to_string()), reason.to_string())
        };
        assert_eq!(blamed("WWW.example.org.").0.as_deref(), Some("www.example.org"));
        let claim = "_linecamp-a.n.example.org";
        assert_eq!(blamed(claim).0.as_deref(), Some(claim));
        assert_eq!(blamed("powerdns.example.org"), (None, "[secret key]: no".into()));
        assert_eq!(blamed("a.example.org").0, None);
        assert_eq!(blamed("_linecamp-706f776572.n.example.org").0, None, "the plugin chose the type");
    }

    /// A value that is quoted is redacted before it is cut.
    #[test]
    fn an_invalid_record_set_is_quoted_without_secrets() {
        let (redactor, secret) = (Redactor::default(), "0123456789abcdef");
        redactor.add_secret(&SecretName::parse("key").unwrap(), secret.as_bytes());
        let zone = DomainName::parse("zone.example").unwrap();
        let set = RawRecordSet {
            name: format!("{} {secret}", "x".repeat(74)),
            rtype: "A".into(),
            ttl: 300,
            values: vec!["10.0.0.1".into()],
        };
        let error = observed(&zone, &BTreeSet::new(), vec![set], &redactor).unwrap_err();
        assert!(!error.contains("012"), "{error}");
    }

    #[test]
    fn a_foreign_name_is_one_that_dns_could_have() {
        let check = |name: &str, expected| assert_eq!(is_foreign_name(name), expected, "{name}");
        check("a\\032b.zone.example", true);
        check("0/25.2.0.192.in-addr.arpa.", true);
        check("a\\.b.example", true);
        check("a@b.example", true);
        check(&format!("{}.example", "\\000".repeat(63)), true);
        check(&format!("{}.example", "\\000".repeat(64)), false);
        check(&"a.".repeat(127), true);
        check(&"a.".repeat(128), false);
        for name in ["", ".", "..", "a..b", ".a", "a b", "a\u{1b}", "ä", "a\\"] {
            check(name, false);
        }
    }
}
