//! Providers.
//!
//! [`ProviderBody`] is a provider's configuration, the same in a request and in a `[[provider]]` table of
//! `linecampd.toml`. It is parsed strictly; [`ProviderBody::to_spec`] validates it and fills in defaults:
//!
//! | key | default |
//! |---|---|
//! | `kind` | `dns`: there is no other |
//! | `digest` | the plugin of this name in the site's plugin directory |
//! | `template` | `{host}.{site}.{environment}` |
//! | `ttl` | 300 seconds |
//! | `hosts` | all of them |
//! | `observed_address`, `allow_deletes`, `withdraw_inactive`, `dry_run`, `withdraw`, `plain_http` | no |
//! | `records`, `secrets`, `reach`, `reach_private` | none |
//! | `config` | `{}` |
//!
//! `name`, `plugin`, `owner` and `zones` are required. There is no default owner id: two fleets that share one treat
//! each other's records as their own.
//!
//! The keys `owner` to `withdraw_inactive` and `records` are those of a DNS provider ([`dns`](super::dns)).

mod convert;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use convert::plugin_digest;

use super::{ExtraRecordBody, FieldProblem};

/// A provider's configuration, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "the keys of a provider")]
pub struct ProviderBody {
    /// Its name.
    pub name: String,
    /// The name of its plugin, such as `dns-powerdns`.
    pub plugin: String,
    /// What it provides.
    #[serde(default)]
    pub kind: ProviderKindName,
    /// The digest its component must have: `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The owner id: distinguishes this fleet's records from those of every other writer to the zone.
    pub owner: String,
    /// The zones, each of which gets the records; at least one.
    pub zones: Vec<String>,
    /// The template of host names in a zone, with `{host}`, `{site}` and `{environment}`; `@` is the zone apex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The TTL of the records, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// A selector: the hosts that get a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<String>,
    /// Whether a gateway without an address of its own gets the source address that the server observes.
    #[serde(default)]
    pub observed_address: bool,
    /// Whether records may be deleted.
    #[serde(default)]
    pub allow_deletes: bool,
    /// Whether to delete the records of inactive hosts.
    #[serde(default)]
    pub withdraw_inactive: bool,
    /// Whether to observe and plan only, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether to withdraw all records: the step before the provider is removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdraw: bool,
    /// Extra records of every selected host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<ExtraRecordBody>,
    /// The plugin's own settings.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Maps the plugin's secret names to the site's. Never a secret itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Endpoints the plugin may connect to, `HOST:PORT`, where the address is public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<String>,
    /// Endpoints it may connect to, `HOST:PORT`, where the address may be private, loopback or link-local.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach_private: Vec<String>,
    /// Whether it may use plain HTTP to them, without TLS.
    #[serde(default)]
    pub plain_http: bool,
}

/// What a provider provides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKindName {
    /// DNS records of a site's hosts.
    #[default]
    Dns,
}

/// A request to create a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct ProviderRequest {
    /// Its environment.
    pub environment: String,
    /// A selector: the sites of the environment that get the provider. Empty: all of them.
    pub sites: String,
    /// Whether the selector also matches the facts that the sites' gateways report. It always matches the labels
    /// assigned to the sites, and never those that a site sets locally.
    #[serde(default)]
    pub match_facts: bool,
    /// Its settings.
    pub settings: ProviderBody,
}

/// An edit of a provider. Absent fields stay unchanged; settings are replaced as a whole, and their name must be the
/// provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct ProviderEdit {
    /// See [`ProviderRequest::sites`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<String>,
    /// See [`ProviderRequest::match_facts`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_facts: Option<bool>,
    /// See [`ProviderRequest::settings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<ProviderBody>,
}

/// A centrally configured provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProviderView {
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// A selector: the sites that get it; empty for all of them.
    pub sites: String,
    /// Whether the selector also matches the facts that the gateways report.
    pub match_facts: bool,
    /// Its settings.
    pub settings: ProviderBody,
    /// Whether it is withdrawing its records before it is removed.
    pub withdraw: bool,
    /// How many sites have it.
    pub site_count: u64,
    /// At how many of those all of its records were last observed as desired.
    pub converged_count: u64,
    /// At how many of those it has a problem.
    pub failed_count: u64,
    /// How many sites it selects that have 16 providers already, and so do not get it.
    pub left_out_count: u64,
    /// Whether its settings fit the description of its plugin. No: see `problems`; without any, the server has no
    /// description, because the plugin was pushed without one or is installed at the sites.
    #[serde(default)]
    pub validated: bool,
    /// Why its settings do not fit the description of its plugin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
}

/// A provider's site counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderCount {
    /// How many sites have it.
    pub sites: u64,
    /// At how many of those all of its records were last observed as desired.
    pub converged: u64,
    /// At how many of those it has a problem.
    pub failed: u64,
    /// How many sites it selects that are at their provider limit.
    pub left_out: u64,
}

#[cfg(test)]
mod tests;
