//! Validation of a provider's configuration, and conversion of the model's values to API types.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER_PERMISSIVE;
use linecamp_model::limits::{
    EXTRA_RECORDS_MAX, GRANTS_PER_PROVIDER_MAX, PROVIDER_SPEC_BYTES_MAX, SECRETS_PER_PROVIDER_MAX,
    ZONES_PER_PROVIDER_MAX,
};
use linecamp_model::{
    DnsSettings, Endpoint, FleetProvider, Grant, Name, NameTemplate, OwnerId, PluginDigest, PluginRef, ProviderConfig,
    ProviderKind, ProviderSpec, ProviderStatus, ProviderStatusKind, SecretName, Selector, SettingProblem, Ttl,
};
use serde_json::{Map, Value};

use super::{FieldProblem, ProviderBody, ProviderCount, ProviderKindName, ProviderView};
use crate::api::dns::{ExtraRecordBody, a_labels, name_template, zone};
use crate::api::setting::{SettingError, count, refuse, set, setting};
use crate::convert::{provider_config, provider_spec_bytes, too_long};

/// The key under which `toml` represents a date in an untyped value.
const TOML_DATE: &str = "$__toml_private_datetime";

/// Parses the digest of a plugin: `sha256:` and 64 hexadecimal digits, or the digits alone.
pub fn plugin_digest(text: &str) -> Option<PluginDigest> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok().map(PluginDigest::from_bytes)
}

impl ProviderBody {
    /// Validates the settings and fills in defaults.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid key.
    pub fn to_spec(&self) -> Result<ProviderSpec, SettingError> {
        let digest = self.digest.as_deref().map(|text| match plugin_digest(text) {
            Some(digest) => Ok(digest),
            None => Err(refuse("digest", "is not `sha256:` and 64 hexadecimal digits")),
        });
        let spec = ProviderSpec {
            name: setting("name", Name::parse(&self.name))?,
            plugin: PluginRef { name: setting("plugin", Name::parse(&self.plugin))?, digest: digest.transpose()? },
            config: setting("config", config(&self.config))?,
            secrets: self.secrets()?,
            grant: Grant {
                reach: set("reach", &self.reach, GRANTS_PER_PROVIDER_MAX, endpoint)?,
                reach_private: set("reach_private", &self.reach_private, GRANTS_PER_PROVIDER_MAX, endpoint)?,
                plain_http: self.plain_http,
            },
            kind: match self.kind {
                ProviderKindName::Dns => ProviderKind::Dns(self.dns_settings()?),
            },
            is_dry_run: self.dry_run,
            is_withdrawing: self.withdraw,
        };
        match provider_spec_bytes(&spec) {
            ..=PROVIDER_SPEC_BYTES_MAX => Ok(spec),
            bytes => Err(refuse("name", too_long(&spec.name, bytes))),
        }
    }

    /// Validates the settings of a DNS provider and fills in defaults.
    fn dns_settings(&self) -> Result<DnsSettings, SettingError> {
        if self.zones.is_empty() {
            return Err(refuse("zones", "is empty: name the zones that get the records"));
        }
        let template = self.template.as_deref().unwrap_or(NameTemplate::DEFAULT);
        let ttl = self.ttl.map_or(Some(Ttl::DEFAULT), Ttl::of);
        count("records", self.records.len(), EXTRA_RECORDS_MAX)?;
        let extra = |(index, record): (usize, &ExtraRecordBody)| record.to_extra(index);
        Ok(DnsSettings {
            owner: setting("owner", OwnerId::parse(&self.owner))?,
            zones: set("zones", &self.zones, ZONES_PER_PROVIDER_MAX, zone)?,
            template: setting("template", name_template(template))?,
            ttl: ttl.ok_or_else(|| refuse("ttl", format_args!("is 0 to {} seconds", i32::MAX)))?,
            hosts: setting("hosts", Selector::parse(self.hosts.as_deref().unwrap_or_default()))?,
            observed_address: self.observed_address,
            allow_deletes: self.allow_deletes,
            withdraw_inactive: self.withdraw_inactive,
            extra: self.records.iter().enumerate().map(extra).collect::<Result<_, _>>()?,
        })
    }

    fn secrets(&self) -> Result<BTreeMap<SecretName, SecretName>, SettingError> {
        count("secrets", self.secrets.len(), SECRETS_PER_PROVIDER_MAX)?;
        let one = |(name, secret): (&String, &String)| {
            let key = format!("secrets.{name}");
            Ok((setting(&key, SecretName::parse(name))?, setting(&key, SecretName::parse(secret))?))
        };
        self.secrets.iter().map(one).collect()
    }
}

/// Formats a plugin's own settings as one line of JSON with sorted keys, so that equal settings are equal texts.
fn config(found: &Map<String, Value>) -> Result<ProviderConfig, String> {
    let mut config = Value::Object(found.clone());
    if has_date(&config) {
        return Err("has a date, which JSON does not know: put it in quotes".to_owned());
    }
    if let Some(key) = key_with_user_info(&config) {
        return Err(format!(
            "`{key}` is a URL with a user name or a password in it: write it without, and name a secret in `secrets`"
        ));
    }
    config.sort_all_objects();
    provider_config(&escaped(&config.to_string()))
}

/// Writes control characters as `\uXXXX`: JSON requires it only below U+0020.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for found in json.chars() {
        match found.is_control() {
            true => text.push_str(&format!("\\u{:04x}", u32::from(found))),
            false => text.push(found),
        }
    }
    text
}

fn has_date(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key(TOML_DATE) || map.values().any(has_date),
        Value::Array(values) => values.iter().any(has_date),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Returns the key of a setting that is a URL with user information: it would be shown wherever settings are.
fn key_with_user_info(value: &Value) -> Option<String> {
    let within = |key: String, value| {
        let below = key_with_user_info(value)?;
        Some(if below.is_empty() { key } else { format!("{key}.{below}") })
    };
    match value {
        Value::String(text) => has_user_info(text).then(String::new),
        Value::Object(map) => map.iter().find_map(|(key, value)| within(shown(key), value)),
        Value::Array(values) => values.iter().enumerate().find_map(|(place, value)| within(place.to_string(), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn shown(key: &str) -> String {
    key.chars().take(80).flat_map(char::escape_debug).collect()
}

/// Whether an `@` comes before the path of a URL. A password containing a `/` makes the text before it look like a
/// port.
fn has_user_info(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let is_port = authority.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit());
    authority.contains('@') || (!is_port && path.contains('@'))
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let named = text.rsplit_once(':').map(|(host, port)| a_labels(host).map(|host| format!("{host}:{port}")));
    let written = named.transpose().map_err(|error| error.to_string())?;
    Endpoint::parse(written.as_deref().unwrap_or(text)).map_err(|error| error.to_string())
}

impl From<&ProviderSpec> for ProviderBody {
    /// Sets every field, defaults included, so that readers need not know the defaults.
    fn from(spec: &ProviderSpec) -> Self {
        let ProviderKind::Dns(dns) = &spec.kind;
        let texts = |endpoints: &BTreeSet<Endpoint>| endpoints.iter().map(ToString::to_string).collect();
        Self {
            name: spec.name.to_string(),
            plugin: spec.plugin.name.to_string(),
            kind: ProviderKindName::of(spec),
            digest: spec.plugin.digest.map(|digest| digest.to_string()),
            owner: dns.owner.to_string(),
            zones: dns.zones.iter().map(ToString::to_string).collect(),
            template: Some(dns.template.to_string()),
            ttl: Some(dns.ttl.seconds()),
            hosts: Some(dns.hosts.to_string()),
            observed_address: dns.observed_address,
            allow_deletes: dns.allow_deletes,
            withdraw_inactive: dns.withdraw_inactive,
            dry_run: spec.is_dry_run,
            withdraw: spec.is_withdrawing,
            records: dns.extra.iter().map(ExtraRecordBody::from).collect(),
            config: serde_json::from_str(spec.config.as_str()).unwrap_or_default(),
            secrets: spec.secrets.iter().map(|(name, secret)| (name.to_string(), secret.to_string())).collect(),
            reach: texts(&spec.grant.reach),
            reach_private: texts(&spec.grant.reach_private),
            plain_http: spec.grant.plain_http,
        }
    }
}

impl ProviderKindName {
    /// Returns the kind of a provider from its settings.
    pub const fn of(spec: &ProviderSpec) -> Self {
        match spec.kind {
            ProviderKind::Dns(_) => Self::Dns,
        }
    }

    /// Returns the kind of a provider from its status.
    pub const fn of_status(status: &ProviderStatus) -> Self {
        match status.kind {
            ProviderStatusKind::Dns(_) => Self::Dns,
        }
    }
}

impl ProviderView {
    /// Returns the provider of `environment` with its `count`, and the problems of its settings; without problems to
    /// show, `None` if there is no description of its plugin.
    pub fn new(
        environment: &Name,
        provider: &FleetProvider,
        count: ProviderCount,
        problems: Option<&[SettingProblem]>,
    ) -> Self {
        Self {
            name: provider.spec.name.to_string(),
            environment: environment.to_string(),
            sites: provider.sites.to_string(),
            match_facts: provider.matches_facts,
            settings: ProviderBody::from(&provider.spec),
            withdraw: provider.spec.is_withdrawing,
            site_count: count.sites,
            converged_count: count.converged,
            failed_count: count.failed,
            left_out_count: count.left_out,
            validated: problems.is_some_and(<[_]>::is_empty),
            problems: FieldProblem::of_settings(problems.unwrap_or_default()),
        }
    }
}
