//! Providers: which plugin fills which role with which setting, and what a call to one says and hears.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::condition::words;
use crate::digest::PluginDigest;
use crate::dns::{Claim, DomainName, NameTemplate, OwnerId, RecordChange, RecordKey, RecordSet, RecordType, Ttl};
use crate::generation::Generation;
use crate::limits::{PROVIDER_CONFIG_BYTES_MAX, RECORD_VALUE_BYTES_MAX, RECORD_VALUES_MAX, SECRET_NAME_BYTES_MAX};
use crate::name::{Name, NameError, Text};
use crate::selector::Selector;
use crate::time::WallTime;

/// One provider as configured: a plugin with its settings, its grants, and what it is to keep in DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSpec {
    /// What people call it.
    pub name: Name,
    /// Which plugin fills the role.
    pub plugin: PluginRef,
    /// The plugin's own settings.
    pub config: ProviderConfig,
    /// What the plugin calls its secrets, and which secret of the site each is.
    pub secrets: BTreeMap<SecretName, SecretName>,
    /// What it may reach.
    pub grant: Grant,
    /// Which records to keep where.
    pub dns: DnsSpec,
    /// Whether to look and plan and change nothing.
    pub is_dry_run: bool,
    /// Whether the provider is to withdraw all it has and keep nothing: the way out before it is taken away.
    pub is_leaving: bool,
}

/// Which plugin: by its name, and where it was pushed centrally, to the byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginRef {
    /// What its description says, such as `dns-powerdns`.
    pub name: Name,
    /// The component it has to be. `None`: the one of this name in the site's plugin directory.
    pub digest: Option<PluginDigest>,
}

/// Which records a provider keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSpec {
    /// Whose the records are. There is no default.
    pub owner: OwnerId,
    /// The zones, each of which gets the records.
    pub zones: BTreeSet<DomainName>,
    /// How hosts are named in a zone.
    pub template: NameTemplate,
    /// How long others may remember them.
    pub ttl: Ttl,
    /// Which hosts get a record: those whose effective labels match.
    pub hosts: Selector,
    /// Whether a gateway without an address of its own gets the one that the server sees it come from.
    pub observed_address: bool,
    /// Whether records may be deleted. Without, what is not wanted any more stays and is shown.
    pub deletes: bool,
    /// Whether a host that is out of service loses its records. What runs there goes on, so it keeps them by default.
    pub withdraw_inactive: bool,
    /// Records beside those of the hosts.
    pub extra: Vec<ExtraRecord>,
}

/// A record that every host selected by the provider brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraRecord {
    /// Its name.
    pub template: NameTemplate,
    /// `CNAME` or `TXT`, `A` or `AAAA`.
    pub rtype: RecordType,
    /// Its values; `{host}`, `{site}`, `{environment}` and `{zone}` are filled in.
    pub values: Vec<Text>,
}

/// The settings of a plugin: a JSON object, whose shape only the plugin knows.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderConfig(Box<str>);

impl ProviderConfig {
    /// Takes a text that the caller knows to be a JSON object.
    ///
    /// # Errors
    /// [`ProviderError::ConfigTooLong`].
    pub fn of_json(text: &str) -> Result<Self, ProviderError> {
        match text.len() {
            bytes if PROVIDER_CONFIG_BYTES_MAX < bytes => Err(ProviderError::ConfigTooLong { bytes }),
            _ => Ok(Self(text.into())),
        }
    }

    /// Returns the JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a secret is called: by the plugin that needs it, or at the site that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(Box<str>);

impl SecretName {
    /// Parses `a-z 0-9 - _ .`, beginning with a letter or digit: it may become a file's name.
    ///
    /// # Errors
    /// [`ProviderError::SecretName`].
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins_well && text.len() <= SECRET_NAME_BYTES_MAX && text.bytes().all(is_inner) {
            return Ok(Self(text.into()));
        }
        Err(ProviderError::SecretName { found: text.escape_debug().to_string() })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a plugin may reach. Nothing that is not here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Hosts whose addresses have to be public.
    pub reach: BTreeSet<Endpoint>,
    /// Hosts whose addresses may be private, of the loopback, or link-local.
    pub reach_private: BTreeSet<Endpoint>,
    /// Whether plain HTTP is allowed to them, without TLS.
    pub plain_http: bool,
}

/// A host and a port, as they are granted: compared by these words, and then by the address they lead to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// A DNS name in lower case, or an IP address in its one form and without brackets.
    host: Box<str>,
    /// The port; never 0.
    port: u16,
}

impl Endpoint {
    /// Parses `HOST:PORT`, with an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`ProviderError::Endpoint`] says what it should be.
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let bad = || ProviderError::Endpoint { found: text.escape_debug().to_string() };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        Self::new(host, port.parse().map_err(|_| bad())?).ok_or_else(bad)
    }

    /// Takes a host, an IPv6 address with or without brackets, and a port; `None` if they are none.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match (bracketed, bracketed.unwrap_or(host).parse::<IpAddr>()) {
            (_, Ok(address)) => address.to_string(),
            (Some(_), Err(_)) => return None,
            (None, Err(_)) => DomainName::parse(host).ok()?.as_str().to_owned(),
        };
        (port != 0 && !host.starts_with('*')).then(|| Self { host: host.into(), port })
    }

    /// Returns the name or the address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address, if it is one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What a provider is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderRequest {
    /// Whether its settings work, and what it can.
    Check,
    /// What a zone holds at these names; without names, at all of them.
    Observe {
        /// The zone.
        zone: DomainName,
        /// The names.
        names: BTreeSet<DomainName>,
    },
    /// To change records.
    Apply {
        /// The zone.
        zone: DomainName,
        /// Names this step: the same step again has the same key.
        key: Text,
        /// The changes, in order.
        changes: Vec<RecordChange>,
    },
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderReply {
    /// The settings work.
    Checked(DnsAbilities),
    /// What the zone holds at the names that were asked for.
    Observed(Vec<RecordSet>),
    /// The changes are done.
    Applied,
    /// It was not done.
    Failed(ProviderFailure),
}

/// What a DNS provider can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsAbilities {
    /// Whether the changes of one step are done all or none.
    pub atomic: bool,
    /// Whether the whole zone can be listed.
    pub lists_zones: bool,
    /// The least time to live that it keeps.
    pub ttl_min: Ttl,
    /// The greatest.
    pub ttl_max: Ttl,
    /// How many changes one step may hold; at least two, so that a claim goes with its record.
    pub changes_max: u32,
}

/// Why a call was not done. What each means for the next call is decided in `core`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderFailure {
    /// It may work later, no sooner than `after` if the service said when.
    Retry {
        /// When to come back.
        after: Option<Duration>,
        /// Why.
        reason: Text,
    },
    /// It will not work until somebody changes something.
    Refused {
        /// What, in words.
        reason: Text,
        /// The name to set aside, if it is one name only.
        name: Option<DomainName>,
    },
    /// What is there is not what was expected.
    Conflict {
        /// In words, with the owner.
        reason: Text,
    },
    /// The credentials are not accepted.
    Unauthorized {
        /// In words.
        reason: Text,
    },
    /// The call used up its requests, bytes or time: it may do with less.
    LimitExceeded {
        /// In words.
        reason: Text,
    },
    /// The plugin itself failed: it trapped, went over a limit, broke a rule.
    Broken {
        /// In words, with the limit.
        reason: Text,
    },
    /// There is no such plugin, or it cannot be loaded.
    Missing {
        /// In words, with what to do.
        reason: Text,
    },
}

impl ProviderFailure {
    /// Returns the reason in words.
    pub const fn reason(&self) -> &Text {
        match self {
            Self::Retry { reason, .. }
            | Self::Refused { reason, .. }
            | Self::Conflict { reason }
            | Self::Unauthorized { reason }
            | Self::LimitExceeded { reason }
            | Self::Broken { reason }
            | Self::Missing { reason } => reason,
        }
    }
}

/// A record set that a site has, or has begun to make or to take away: the site's own note of it, made before the first
/// call, so that nothing is forgotten that a crash left half done, and that what was written can be deleted also where
/// it cannot be observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Under which claim.
    pub claim: Claim,
    /// How far it is ours.
    pub state: Ownership,
    /// The time to live that was written last.
    pub ttl: Ttl,
    /// The values that were written last, or were about to be; empty if the site wrote none.
    pub values: BTreeSet<Box<str>>,
}

impl OwnedRecord {
    /// Returns what was written last; `None` if the site wrote nothing.
    pub fn written(&self, key: &RecordKey) -> Option<RecordSet> {
        let set = || RecordSet { key: key.clone(), ttl: self.ttl, values: self.values.clone() };
        (!self.values.is_empty()).then(set)
    }
}

words! {
    /// How far a record set is ours.
    Ownership {
        /// It was about to be made: what is there may be somebody else's.
        Pending = "pending",
        /// It was seen with our claim.
        Owned = "owned",
        /// It is to be taken over from whoever has it, by explicit wish.
        Adopting = "adopting",
    }
}

/// What became of a provider, and of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// What people call it.
    pub name: Name,
    /// Whether the site's own configuration names it, and not the server.
    pub is_local: bool,
    /// The plugin, with the version its description gave; the name alone before it was asked.
    pub plugin: Text,
    /// Why it does not work, if it does not.
    pub trouble: Option<Text>,
    /// The generation of the central settings under which every zone was last seen to hold what is desired, and nothing
    /// else of the provider's where it leaves. Zero: not yet, or the site configured it.
    pub converged: Generation,
    /// Its records, ordered by zone and key; at most
    /// [`RECORDS_PER_PROVIDER_MAX`](crate::limits::RECORDS_PER_PROVIDER_MAX).
    pub records: Vec<RecordStatus>,
}

/// What became of one record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStatus {
    /// Its zone.
    pub zone: DomainName,
    /// Which.
    pub key: RecordKey,
    /// What is wanted; empty if nothing is.
    pub values: BTreeSet<Box<str>>,
    /// What was there when it was last observed; `None` if it never was.
    pub observed: Option<Observed>,
    /// How far it is, as far as it was observed.
    pub state: RecordState,
    /// Why it is no further; empty if there is nothing to say.
    pub detail: Text,
}

/// What an observation showed of one record set. An observation that failed changes nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When. A status that is sent anew for another reason brings it up to date: it alone is no reason to send one.
    pub at: WallTime,
    /// Its values; empty if it was absent.
    pub values: BTreeSet<Box<str>>,
}

impl Observed {
    /// Takes what was observed at `at`: of what others wrote no more than a status may hold
    /// ([`RECORD_VALUES_MAX`], [`RECORD_VALUE_BYTES_MAX`]), and without control characters.
    pub fn new(at: WallTime, set: Option<&RecordSet>) -> Self {
        let values = set.into_iter().flat_map(|set| &set.values).take(RECORD_VALUES_MAX);
        Self { at, values: values.map(|value| shown(value)).collect() }
    }
}

fn shown(value: &str) -> Box<str> {
    let value: String = value.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect();
    value[..value.floor_char_boundary(RECORD_VALUE_BYTES_MAX)].into()
}

impl ProviderStatus {
    /// Whether it says something that `before` did not. That the same was observed once more is no news.
    pub fn is_news(&self, before: &Self) -> bool {
        let untimed = |status: &Self| {
            let mut status = status.clone();
            status
                .records
                .iter_mut()
                .flat_map(|record| &mut record.observed)
                .for_each(|seen| seen.at = WallTime::EPOCH);
            status
        };
        untimed(self) != untimed(before)
    }
}

words! {
    /// How far a record set is.
    RecordState {
        /// It was last observed as it is wanted.
        Kept = "kept",
        /// It is to be made: a step is planned, and done unless this is a dry run.
        Create = "create",
        /// It is to be changed.
        Update = "update",
        /// It is to be taken away.
        Delete = "delete",
        /// Somebody else has the name, and keeps it.
        Foreign = "foreign",
        /// It cannot be written, and is set aside.
        Quarantined = "quarantined",
        /// It is not wanted any more and stays, because deletes are not enabled or the round's limit is reached.
        Held = "held",
        /// It is wanted, and was not observed yet.
        Unknown = "unknown",
    }
}

impl RecordState {
    /// Whether the site has the record set, and not merely wants it.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Kept | Self::Update | Self::Delete | Self::Held)
    }
}

/// Why words about a provider do not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// A plugin's settings are longer than we carry.
    #[error("a provider's config has at most {PROVIDER_CONFIG_BYTES_MAX} bytes, not {bytes}")]
    ConfigTooLong {
        /// The length found.
        bytes: usize,
    },
    /// Not a secret's name.
    #[error(
        "`{found}` is no name of a secret: at most {SECRET_NAME_BYTES_MAX} of a-z, 0-9, `-`, `_` and `.`, beginning \
         with a letter or digit"
    )]
    SecretName {
        /// What was found.
        found: String,
    },
    /// Not a host and a port.
    #[error("`{found}` is not HOST:PORT, such as dns.example.org:443 or [2001:db8::1]:53")]
    Endpoint {
        /// What was found.
        found: String,
    },
    /// A name that does not read.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_one_form() {
        let check = |text: &str, form: &str| assert_eq!(Endpoint::parse(text).unwrap().to_string(), form);
        check("API.Example.org:443", "api.example.org:443");
        check("api.example.org.:443", "api.example.org:443");
        check("[2001:DB8:0::1]:53", "[2001:db8::1]:53");
        check("127.0.0.1:8081", "127.0.0.1:8081");
        for text in ["api", "api:0", "api:65536", "*.a:1", "[a]:1", "a b:1", ":1"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secrets_name_may_become_a_file() {
        assert!(SecretName::parse("pdns.api-key").is_ok());
        for text in ["", "../x", ".x", "a/b", "A", &"a".repeat(65)] {
            assert!(SecretName::parse(text).is_err(), "{text}");
        }
    }
}
