//! Providers, plugins and DNS records.
//!
//! [`ProviderBody`] is a provider's configuration, the same in a request and in a `[[provider]]` table of
//! `linecampd.toml`. It is parsed strictly; [`ProviderBody::to_spec`] validates it and fills in defaults:
//!
//! | key | default |
//! |---|---|
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
//! DNS names may be written in Unicode, in upper case and with a trailing dot. They are converted to IDNA A-labels here
//! ([`domain_name`]); no other code sees another form.

mod convert;

use std::collections::BTreeMap;

use linecamp_model as model;
use serde::{Deserialize, Serialize};

pub use convert::{domain_name, plugin_digest};

/// A provider's configuration, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderBody {
    /// Its name.
    pub name: String,
    /// The name of its plugin, such as `dns-powerdns`.
    pub plugin: String,
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

/// An extra record, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraRecordBody {
    /// Its name in a zone, with placeholders as in [`ProviderBody::template`].
    pub template: String,
    /// `A`, `AAAA`, `CNAME` or `TXT`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Its values, at least one, with `{host}`, `{site}`, `{environment}` and `{zone}`.
    pub values: Vec<String>,
}

/// A request to create a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
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

/// A plugin uploaded to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginView {
    /// The SHA-256 of its component, `sha256:…`.
    pub digest: String,
    /// Its name.
    pub name: String,
    /// The size of its component.
    pub bytes: u64,
    /// When it was uploaded.
    pub pushed_at: String,
}

/// A DNS record set that a site manages, plans, or cannot have because of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordView {
    /// The site's name.
    pub site: String,
    /// The site's environment.
    pub environment: String,
    /// The site's provider.
    pub provider: String,
    /// Its zone.
    pub zone: String,
    /// Its name, absolute and without the trailing dot.
    pub name: String,
    /// Its type, such as `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The desired values; empty if no record is wanted.
    pub values: Vec<String>,
    /// The values last observed; empty if the record was absent, `null` if it was never observed.
    pub observed: Option<Vec<String>>,
    /// When they were observed, as last reported: an observation without a change is not reported by itself.
    pub observed_at: Option<String>,
    /// `in-sync`, `create`, `update`, `delete`, `conflict`, `quarantined`, `retained` or `unknown`, as last observed.
    pub state: String,
    /// Why it is not in sync; empty if there is no reason to give.
    pub detail: String,
    /// Why its provider cannot observe or change it now; `null` if it can.
    pub failure: Option<String>,
}

/// The site and provider of a record.
#[derive(Clone, Copy, Debug)]
pub struct RecordPlace<'a> {
    /// The site's environment.
    pub environment: &'a model::Name,
    /// The site.
    pub site: &'a model::Name,
    /// The site's provider.
    pub provider: &'a model::Name,
    /// The provider's problem, if any.
    pub failure: Option<&'a model::Text>,
}

/// Why a provider's configuration is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SettingError {
    /// The path to the key, such as `records[1].values[0]`.
    pub key: String,
    /// What is wrong: short and without control characters, whatever the input contained.
    pub problem: model::Text,
}

#[cfg(test)]
mod tests;
