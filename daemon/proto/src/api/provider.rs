//! Providers, plugins and records of DNS.
//!
//! [`ProviderBody`] is what an operator writes about a provider, in a request and in a table `[[provider]]` of
//! `linecampd.toml` alike. It is read strictly; [`ProviderBody::to_spec`] checks it and fills in what was left out,
//! with these:
//!
//! | key | left out |
//! |---|---|
//! | `digest` | the plugin of this name in the site's plugin directory |
//! | `template` | `{host}.{site}.{environment}` |
//! | `ttl` | 300 seconds |
//! | `hosts` | all of them |
//! | `observed_address`, `deletes`, `withdraw_inactive`, `dry_run`, `leaving`, `plain_http` | no |
//! | `records`, `secrets`, `reach`, `reach_private` | none |
//! | `config` | `{}` |
//!
//! `name`, `plugin`, `owner` and `zones` cannot be left out: two fleets that share an owner id take each other's
//! records for their own, so there is none that we could choose.
//!
//! Names of DNS may be written in Unicode, in upper case and with a trailing dot: they become IDNA A-labels here
//! ([`domain_name`]), and nobody behind this door sees anything else.

mod convert;

use std::collections::BTreeMap;

use linecamp_model as model;
use serde::{Deserialize, Serialize};

pub use convert::{domain_name, plugin_digest};

/// A provider, as an operator writes it down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderBody {
    /// What people call it.
    pub name: String,
    /// The name of the plugin that fills the role, such as `dns-powerdns`.
    pub plugin: String,
    /// The component it has to be, `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whose the records are: what tells this fleet's records from those of every other that writes to the zone.
    pub owner: String,
    /// The zones, each of which gets the records; at least one.
    pub zones: Vec<String>,
    /// How hosts are named in a zone, with `{host}`, `{site}` and `{environment}`; `@` is the zone itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// How long others may remember the records, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// A selector: which hosts get a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<String>,
    /// Whether a gateway without an address of its own gets the one that the server sees it come from.
    #[serde(default)]
    pub observed_address: bool,
    /// Whether records may be deleted.
    #[serde(default)]
    pub deletes: bool,
    /// Whether a host that is out of service loses its records.
    #[serde(default)]
    pub withdraw_inactive: bool,
    /// Whether to look and plan and change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether to withdraw all records and keep none: the way out before it is taken away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// Records that every selected host brings along beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<ExtraRecordBody>,
    /// The plugin's own settings.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What the plugin calls its secrets, and the name that each has at the site. Never a secret itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// What the plugin may reach, `HOST:PORT`, where the address is public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<String>,
    /// What it may reach, `HOST:PORT`, where the address may be private, of the loopback, or link-local.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach_private: Vec<String>,
    /// Whether it may speak plain HTTP to them, without TLS.
    #[serde(default)]
    pub plain_http: bool,
}

/// A record beside those of the hosts, as an operator writes it down.
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

/// Asks for a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRequest {
    /// Of which environment.
    pub environment: String,
    /// A selector: which sites of it get the provider. Empty: all of them.
    pub sites: String,
    /// Whether the selector also sees what the gateways of the sites report about themselves. It always sees the labels
    /// that were assigned to the sites, and never those that a site sets locally.
    #[serde(default)]
    pub match_facts: bool,
    /// What they get.
    pub settings: ProviderBody,
}

/// An edit of a provider. What is absent stays; settings are replaced as a whole, and their name is the provider's.
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

/// A provider as it is configured centrally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderView {
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// Which sites get it: a selector; empty for all of them.
    pub sites: String,
    /// Whether the selector also sees what the gateways report.
    pub match_facts: bool,
    /// What they get.
    pub settings: ProviderBody,
    /// Whether it withdraws its records, on its way out.
    pub leaving: bool,
    /// How many sites have it.
    pub site_count: u64,
    /// At how many of those all of its records were last seen as desired.
    pub converged_count: u64,
    /// At how many of those it is in trouble.
    pub trouble_count: u64,
    /// How many sites it selects that have 16 providers already, and so do not get it.
    pub left_out_count: u64,
}

/// At how many sites a provider is, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderCount {
    /// How many sites have it.
    pub sites: u64,
    /// At how many of those all of its records were last seen as desired.
    pub converged: u64,
    /// At how many of those it is in trouble.
    pub in_trouble: u64,
    /// How many sites it selects that have no room for it.
    pub left_out: u64,
}

/// A plugin that was pushed to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginView {
    /// The SHA-256 of its component, `sha256:…`.
    pub digest: String,
    /// Its name.
    pub name: String,
    /// How long its component is.
    pub bytes: u64,
    /// When it was pushed.
    pub pushed_at: String,
}

/// A DNS record set that a site keeps, wants, or cannot have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordView {
    /// The site's name.
    pub site: String,
    /// The site's environment.
    pub environment: String,
    /// Which provider of the site.
    pub provider: String,
    /// Its zone.
    pub zone: String,
    /// Its name, absolute and without the trailing dot.
    pub name: String,
    /// Its type, such as `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// What is wanted; empty if nothing is.
    pub values: Vec<String>,
    /// What was there when it was last observed; empty if it was absent, `null` if it was never observed.
    pub observed: Option<Vec<String>>,
    /// When that was, as last reported: an observation that shows the same again is not reported by itself.
    pub observed_at: Option<String>,
    /// `kept`, `create`, `update`, `delete`, `foreign`, `quarantined`, `held` or `unknown`, as it was last observed.
    pub state: String,
    /// Why it is no further; empty if there is nothing to say.
    pub detail: String,
    /// Why its provider cannot observe or change it for now; `null` if it can.
    pub trouble: Option<String>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub struct RecordPlace<'a> {
    /// The site's environment.
    pub environment: &'a model::Name,
    /// The site.
    pub site: &'a model::Name,
    /// Which of its providers.
    pub provider: &'a model::Name,
    /// What is wrong with that.
    pub trouble: Option<&'a model::Text>,
}

/// Why what was written about a provider does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SettingError {
    /// The way to the key, such as `records[1].values[0]`.
    pub key: String,
    /// What is wrong there: short and without control characters, whatever was written.
    pub problem: model::Text,
}

#[cfg(test)]
mod tests;
