//! Providers: their configuration, the calls made to them, and the status they report.

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

/// One configured provider: a plugin with its settings, its grants, and the DNS records it manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSpec {
    /// The name operators use.
    pub name: Name,
    /// The plugin that implements the provider.
    pub plugin: PluginRef,
    /// The plugin's own settings.
    pub config: ProviderConfig,
    /// Maps each secret name the plugin uses to the name of a secret at the site.
    pub secrets: BTreeMap<SecretName, SecretName>,
    /// The endpoints the plugin may reach.
    pub grant: Grant,
    /// The records to manage, and the zones to manage them in.
    pub dns: DnsSpec,
    /// Whether to observe and plan without changing anything.
    pub is_dry_run: bool,
    /// Whether the provider withdraws all of its records: the step before it is deleted.
    pub is_withdrawing: bool,
}

/// Identifies a plugin: by name, and for a plugin pushed from the server also by the digest of its component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginRef {
    /// The name from its description, such as `dns-powerdns`.
    pub name: Name,
    /// The required component. `None`: the component of this name in the site's plugin directory.
    pub digest: Option<PluginDigest>,
}

/// The records a provider manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSpec {
    /// The owner ID of the records. There is no default.
    pub owner: OwnerId,
    /// The zones; the records are written to each of them.
    pub zones: BTreeSet<DomainName>,
    /// How host names are formed in a zone.
    pub template: NameTemplate,
    /// The TTL of the records.
    pub ttl: Ttl,
    /// Selects the hosts that get a record, by their effective labels.
    pub hosts: Selector,
    /// Whether a gateway that reports no address of its own uses the address the server sees it connect from.
    pub observed_address: bool,
    /// Whether records may be deleted. If not, a record that is no longer desired is retained and reported.
    pub allow_deletes: bool,
    /// Whether an inactive host loses its records. The default is to keep them, because its workloads continue to run.
    pub withdraw_inactive: bool,
    /// Records in addition to those of the hosts.
    pub extra: Vec<ExtraRecord>,
}

/// A record added for every host that the provider selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraRecord {
    /// The template of its name.
    pub template: NameTemplate,
    /// `CNAME`, `TXT`, `A` or `AAAA`.
    pub rtype: RecordType,
    /// Its values; `{host}`, `{site}`, `{environment}` and `{zone}` are substituted.
    pub values: Vec<Text>,
}

/// The settings of a plugin: a JSON object whose schema only the plugin knows.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderConfig(Box<str>);

impl ProviderConfig {
    /// Wraps a text that the caller has checked to be a JSON object.
    ///
    /// # Errors
    /// [`ProviderError::ConfigTooLong`].
    pub fn of_json(text: &str) -> Result<Self, ProviderError> {
        match text.len() {
            bytes if PROVIDER_CONFIG_BYTES_MAX < bytes => Err(ProviderError::ConfigTooLong { bytes }),
            _ => Ok(Self(text.into())),
        }
    }

    /// Returns the JSON text.
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

/// The name of a secret, either as the plugin uses it or as the site stores it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(Box<str>);

impl SecretName {
    /// Parses `a-z 0-9 - _ .`, starting with a letter or digit: the name may become a file name.
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

/// The endpoints a plugin may reach. Everything else is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Endpoints that must resolve to public addresses.
    pub reach: BTreeSet<Endpoint>,
    /// Endpoints that may resolve to private, loopback or link-local addresses.
    pub reach_private: BTreeSet<Endpoint>,
    /// Whether plain HTTP, without TLS, is allowed to these endpoints.
    pub plain_http: bool,
}

/// A granted host and port. A request is checked against this text first, and then against the address it resolves to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// A DNS name in lower case, or an IP address in canonical form without brackets.
    host: Box<str>,
    /// The port; never 0.
    port: u16,
}

impl Endpoint {
    /// Parses `HOST:PORT`, with an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`ProviderError::Endpoint`] describes the expected format.
    pub fn parse(text: &str) -> Result<Self, ProviderError> {
        let bad = || ProviderError::Endpoint { found: text.escape_debug().to_string() };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        Self::new(host, port.parse().map_err(|_| bad())?).ok_or_else(bad)
    }

    /// Creates an endpoint from a host and a port; `None` if either is invalid. An IPv6 address may be in brackets.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match (bracketed, bracketed.unwrap_or(host).parse::<IpAddr>()) {
            (_, Ok(address)) => address.to_string(),
            (Some(_), Err(_)) => return None,
            (None, Err(_)) => DomainName::parse(host).ok()?.as_str().to_owned(),
        };
        (port != 0 && !host.starts_with('*')).then(|| Self { host: host.into(), port })
    }

    /// Returns the name, or the address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address, if the host is an IP address.
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

/// A request to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderRequest {
    /// Validate the settings and return the capabilities.
    Check,
    /// List the records of a zone at these names; without names, all records.
    Observe {
        /// The zone.
        zone: DomainName,
        /// The names.
        names: BTreeSet<DomainName>,
    },
    /// Change records.
    Apply {
        /// The zone.
        zone: DomainName,
        /// Idempotency key of this change set: a retry of the same change set has the same key.
        key: Text,
        /// The changes, in order.
        changes: Vec<RecordChange>,
    },
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderReply {
    /// The settings are valid.
    Checked(DnsAbilities),
    /// The records of the zone at the requested names.
    Observed(Vec<RecordSet>),
    /// The changes were applied.
    Applied,
    /// The call failed.
    Failed(ProviderFailure),
}

/// The capabilities of a DNS provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsAbilities {
    /// Whether a change set is applied atomically.
    pub atomic: bool,
    /// Whether the whole zone can be listed.
    pub lists_zones: bool,
    /// The lowest TTL it accepts.
    pub ttl_min: Ttl,
    /// The highest TTL it accepts.
    pub ttl_max: Ttl,
    /// The maximum number of changes in one change set; at least two, so that a claim is written together with its
    /// record.
    pub changes_max: u32,
}

/// Why a call failed. `core` decides what each failure means for the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderFailure {
    /// The call may succeed later, no sooner than `after` if the service named a delay.
    Retry {
        /// How long to wait before the next attempt.
        after: Option<Duration>,
        /// The reason.
        reason: Text,
    },
    /// The call will fail until the configuration or the service is changed.
    Refused {
        /// The reason.
        reason: Text,
        /// The name to quarantine, if only one name is affected.
        name: Option<DomainName>,
    },
    /// The zone does not hold the expected records.
    Conflict {
        /// The reason, with the owner.
        reason: Text,
    },
    /// The credentials were rejected.
    Unauthorized {
        /// The reason.
        reason: Text,
    },
    /// The call exceeded its limit of requests, bytes or time. A smaller call may succeed.
    LimitExceeded {
        /// The reason.
        reason: Text,
    },
    /// The plugin failed: it trapped, exceeded a limit, or violated the contract.
    Broken {
        /// The reason, with the limit.
        reason: Text,
    },
    /// The plugin does not exist or cannot be loaded.
    Missing {
        /// The reason, and what to do.
        reason: Text,
    },
}

impl ProviderFailure {
    /// Returns the reason as text.
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

/// A record set that a site owns, or has started to create or delete. The site stores this before the first call. A
/// crash in the middle of a change therefore loses nothing, and a record can be deleted even where it cannot be
/// observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The claim it was written with.
    pub claim: Claim,
    /// The state of the ownership.
    pub state: Ownership,
    /// The TTL written last.
    pub ttl: Ttl,
    /// The values written last or about to be written; empty if the site wrote none.
    pub values: BTreeSet<Box<str>>,
}

impl OwnedRecord {
    /// Returns the record set written last; `None` if the site wrote nothing.
    pub fn written(&self, key: &RecordKey) -> Option<RecordSet> {
        let set = || RecordSet { key: key.clone(), ttl: self.ttl, values: self.values.clone() };
        (!self.values.is_empty()).then(set)
    }
}

words! {
    /// The state of a record set's ownership.
    Ownership {
        /// The site was about to create it. An existing record set may belong to another owner.
        Pending = "pending",
        /// It was observed with the site's own claim.
        Owned = "owned",
        /// It is to be taken over from its current owner, as explicitly requested.
        Adopting = "adopting",
    }
}

/// The status of a provider and of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// The name operators use.
    pub name: Name,
    /// Whether the provider is configured at the site and not by the server.
    pub is_local: bool,
    /// The plugin, with the version from its description; only the name until it has been described.
    pub plugin: Text,
    /// Why the provider does not work, if it does not.
    pub failure: Option<Text>,
    /// The generation of the central settings at which every zone was last observed to hold the desired records and, if
    /// the provider withdraws its records, none of them. Zero if that has not happened yet or the site configured the
    /// provider.
    pub converged: Generation,
    /// Its records, ordered by zone and key; at most
    /// [`RECORDS_PER_PROVIDER_MAX`](crate::limits::RECORDS_PER_PROVIDER_MAX).
    pub records: Vec<RecordStatus>,
}

/// The status of one record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStatus {
    /// Its zone.
    pub zone: DomainName,
    /// Its name and type.
    pub key: RecordKey,
    /// The desired values; empty if the record set is not desired.
    pub values: BTreeSet<Box<str>>,
    /// The result of the last successful observation; `None` before the first.
    pub observed: Option<Observed>,
    /// Its state as of the last observation.
    pub state: RecordState,
    /// Why it is not in sync; empty if there is nothing to report.
    pub detail: Text,
}

/// The result of observing one record set. A failed observation leaves it unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// When it was observed. Refreshed whenever a status is sent for another reason; a change of this time alone does
    /// not cause one to be sent.
    pub at: WallTime,
    /// Its values; empty if it was absent.
    pub values: BTreeSet<Box<str>>,
}

impl Observed {
    /// Creates the result of an observation at `at`. Values that others wrote are truncated to what a status may hold
    /// ([`RECORD_VALUES_MAX`], [`RECORD_VALUE_BYTES_MAX`]), with control characters replaced.
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
    /// Returns whether this differs from `before` in anything but the times of observation.
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
    /// The state of a record set.
    RecordState {
        /// In sync when last observed.
        InSync = "in-sync",
        /// To be created: a change set is planned, and applied unless this is a dry run.
        Create = "create",
        /// To be updated.
        Update = "update",
        /// To be deleted.
        Delete = "delete",
        /// In conflict: another owner has the name and keeps it.
        Conflict = "conflict",
        /// Cannot be written, and is quarantined.
        Quarantined = "quarantined",
        /// No longer desired but retained, because deletes are not enabled or the limit per reconcile is reached.
        Retained = "retained",
        /// Desired, and not observed yet.
        Unknown = "unknown",
    }
}

impl RecordState {
    /// Returns whether the record set exists and the site owns it.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::InSync | Self::Update | Self::Delete | Self::Retained)
    }
}

/// Why part of a provider's configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The plugin's settings are too long.
    #[error("a provider's config has at most {PROVIDER_CONFIG_BYTES_MAX} bytes, not {bytes}")]
    ConfigTooLong {
        /// The actual length.
        bytes: usize,
    },
    /// An invalid secret name.
    #[error(
        "`{found}` is no name of a secret: at most {SECRET_NAME_BYTES_MAX} of a-z, 0-9, `-`, `_` and `.`, beginning \
         with a letter or digit"
    )]
    SecretName {
        /// The rejected text.
        found: String,
    },
    /// Not a host and a port.
    #[error("`{found}` is not HOST:PORT, such as dns.example.org:443 or [2001:db8::1]:53")]
    Endpoint {
        /// The rejected text.
        found: String,
    },
    /// An invalid name.
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
