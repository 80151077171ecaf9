//! Validation of a provider's configuration, and conversion of the model's values to API types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use linecamp_model::limits::{
    EXTRA_RECORDS_MAX, GRANTS_PER_PROVIDER_MAX, PROVIDER_SPEC_BYTES_MAX, SECRETS_PER_PROVIDER_MAX,
    ZONES_PER_PROVIDER_MAX,
};
use linecamp_model::{
    DnsSpec, DomainName, DomainNameError, Endpoint, ExtraRecord, FleetProvider, Grant, Name, NameTemplate, OwnerId,
    PluginDigest, PluginFile, PluginRef, ProviderConfig, ProviderSpec, RecordKey, RecordSet, RecordStatus, RecordType,
    SecretName, Selector, Text, Ttl,
};
use serde_json::{Map, Value};

use super::{
    ExtraRecordBody, PluginView, ProviderBody, ProviderCount, ProviderView, RecordPlace, RecordView, SettingError,
};
use crate::convert::{provider_config, provider_spec_bytes, too_long};
use crate::limits::EXTRA_VALUES_MAX;

/// The key under which `toml` represents a date in an untyped value.
const TOML_DATE: &str = "$__toml_private_datetime";

/// Parses a DNS name as people write it: Unicode, upper case and one trailing dot are allowed.
///
/// # Errors
/// [`DomainNameError`] names the invalid label and the problem.
pub fn domain_name(text: &str) -> Result<DomainName, DomainNameError> {
    DomainName::parse(&a_labels(text)?)
}

/// Converts Unicode to IDNA A-labels (UTS 46, non-transitional, as browsers do).
fn a_labels(text: &str) -> Result<String, DomainNameError> {
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    let ascii = Uts46::new().to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore);
    match ascii {
        Ok(ascii) => Ok(ascii.into_owned()),
        Err(_) => {
            let label = Text::lossy(text).to_string();
            Err(DomainNameError::Label { label, why: "is no internationalised name (IDNA, UTS 46)" })
        }
    }
}

/// Parses the digest of a plugin: `sha256:` and 64 hexadecimal digits, or the digits alone.
pub fn plugin_digest(text: &str) -> Option<PluginDigest> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok().map(PluginDigest::from_bytes)
}

/// Attaches the key to a parse error.
fn setting<T, E: fmt::Display>(key: impl fmt::Display, parsed: Result<T, E>) -> Result<T, SettingError> {
    parsed.map_err(|problem| refuse(key, problem))
}

fn refuse(key: impl fmt::Display, problem: impl fmt::Display) -> SettingError {
    SettingError { key: Text::lossy(&key.to_string()).to_string(), problem: Text::lossy(&problem.to_string()) }
}

fn count(key: impl fmt::Display, found: usize, count_max: usize) -> Result<(), SettingError> {
    match found {
        _ if found <= count_max => Ok(()),
        _ => Err(refuse(key, format!("has {found} elements; at most {count_max} are allowed"))),
    }
}

/// Parses a list as a set: order and duplicates do not matter.
fn set<T: Ord, E: fmt::Display>(
    key: &str,
    found: &[String],
    count_max: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<BTreeSet<T>, SettingError> {
    count(key, found.len(), count_max)?;
    let one = |(index, text): (usize, &String)| setting(format_args!("{key}[{index}]"), parse(text));
    found.iter().enumerate().map(one).collect()
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
            dns: self.dns()?,
            is_dry_run: self.dry_run,
            is_withdrawing: self.withdraw,
        };
        match provider_spec_bytes(&spec) {
            ..=PROVIDER_SPEC_BYTES_MAX => Ok(spec),
            bytes => Err(refuse("name", too_long(&spec.name, bytes))),
        }
    }

    fn dns(&self) -> Result<DnsSpec, SettingError> {
        if self.zones.is_empty() {
            return Err(refuse("zones", "is empty: name the zones that get the records"));
        }
        let template = self.template.as_deref().unwrap_or(NameTemplate::DEFAULT);
        let ttl = self.ttl.map_or(Some(Ttl::DEFAULT), Ttl::of);
        count("records", self.records.len(), EXTRA_RECORDS_MAX)?;
        let extra = |(index, record): (usize, &ExtraRecordBody)| record.to_extra(index);
        Ok(DnsSpec {
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
    provider_config(&config.to_string())
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

fn zone(text: &str) -> Result<DomainName, String> {
    match domain_name(text) {
        Ok(zone) if zone.first_label() == "*" => Err(format!("a zone is no wildcard, as `{zone}` is")),
        Ok(zone) => Ok(zone),
        Err(error) => Err(error.to_string()),
    }
}

fn endpoint(text: &str) -> Result<Endpoint, String> {
    let named = text.rsplit_once(':').map(|(host, port)| a_labels(host).map(|host| format!("{host}:{port}")));
    let written = named.transpose().map_err(|error| error.to_string())?;
    Endpoint::parse(written.as_deref().unwrap_or(text)).map_err(|error| error.to_string())
}

/// Parses a template label by label, because a placeholder is not a valid name yet.
fn name_template(text: &str) -> Result<NameTemplate, String> {
    let one = |label: &str| if label.contains('{') { Ok(label.to_owned()) } else { a_labels(label) };
    let labels: Result<Vec<_>, _> = text.split('.').map(one).collect();
    let labels = labels.map_err(|error| error.to_string())?;
    NameTemplate::parse(&labels.join(".")).map_err(|error| error.to_string())
}

impl ExtraRecordBody {
    fn to_extra(&self, index: usize) -> Result<ExtraRecord, SettingError> {
        let key = |name: &str| format!("records[{index}].{name}");
        let rtype = match RecordType::of(&self.rtype) {
            RecordType::Other(_) => return Err(refuse(key("type"), "is A, AAAA, CNAME or TXT")),
            rtype => rtype,
        };
        match (self.values.len(), &rtype) {
            (0, _) => return Err(refuse(key("values"), "is empty: a record needs a value")),
            (2.., RecordType::Cname) => return Err(refuse(key("values"), "are several; a CNAME has one target")),
            (values, _) => count(key("values"), values, EXTRA_VALUES_MAX)?,
        }
        let value =
            |(place, text): (usize, &String)| setting(key(&format!("values[{place}]")), record_value(&rtype, text));
        Ok(ExtraRecord {
            template: setting(key("template"), name_template(&self.template))?,
            values: self.values.iter().enumerate().map(value).collect::<Result<_, _>>()?,
            rtype,
        })
    }
}

/// Parses a value. One without placeholders must fit its type already.
fn record_value(rtype: &RecordType, text: &str) -> Result<Text, String> {
    let text = match rtype {
        RecordType::Cname if !text.contains('{') => a_labels(text).map_err(|error| error.to_string())?,
        _ => text.to_owned(),
    };
    if !text.contains('{') {
        let key = RecordKey { name: DomainName::parse("x").expect("a letter is a name"), rtype: rtype.clone() };
        RecordSet::parse(key, Ttl::DEFAULT, &[&text]).map_err(|error| error.to_string())?;
    }
    Text::parse(&text).map_err(|error| error.to_string())
}

impl From<&ProviderSpec> for ProviderBody {
    /// Sets every field, defaults included, so that readers need not know the defaults.
    fn from(spec: &ProviderSpec) -> Self {
        let texts = |endpoints: &BTreeSet<Endpoint>| endpoints.iter().map(ToString::to_string).collect();
        Self {
            name: spec.name.to_string(),
            plugin: spec.plugin.name.to_string(),
            digest: spec.plugin.digest.map(|digest| digest.to_string()),
            owner: spec.dns.owner.to_string(),
            zones: spec.dns.zones.iter().map(ToString::to_string).collect(),
            template: Some(spec.dns.template.to_string()),
            ttl: Some(spec.dns.ttl.seconds()),
            hosts: Some(spec.dns.hosts.to_string()),
            observed_address: spec.dns.observed_address,
            allow_deletes: spec.dns.allow_deletes,
            withdraw_inactive: spec.dns.withdraw_inactive,
            dry_run: spec.is_dry_run,
            withdraw: spec.is_withdrawing,
            records: spec.dns.extra.iter().map(ExtraRecordBody::from).collect(),
            config: serde_json::from_str(spec.config.as_str()).unwrap_or_default(),
            secrets: spec.secrets.iter().map(|(name, secret)| (name.to_string(), secret.to_string())).collect(),
            reach: texts(&spec.grant.reach),
            reach_private: texts(&spec.grant.reach_private),
            plain_http: spec.grant.plain_http,
        }
    }
}

impl From<&ExtraRecord> for ExtraRecordBody {
    fn from(record: &ExtraRecord) -> Self {
        Self {
            template: record.template.to_string(),
            rtype: record.rtype.to_string(),
            values: record.values.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ProviderView {
    /// Returns the provider of `environment` with its `count`.
    pub fn new(environment: &Name, provider: &FleetProvider, count: ProviderCount) -> Self {
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
        }
    }
}

impl PluginView {
    /// Returns the plugin under its `digest`.
    pub fn new(digest: &PluginDigest, plugin: &PluginFile) -> Self {
        Self {
            digest: digest.to_string(),
            name: plugin.name.to_string(),
            bytes: plugin.bytes,
            pushed_at: plugin.pushed_at.to_string(),
        }
    }
}

impl RecordView {
    /// Returns the record of `place`.
    pub fn new(place: RecordPlace<'_>, record: &RecordStatus) -> Self {
        Self {
            site: place.site.to_string(),
            environment: place.environment.to_string(),
            provider: place.provider.to_string(),
            zone: record.zone.to_string(),
            name: record.key.name.to_string(),
            rtype: record.key.rtype.to_string(),
            values: record.values.iter().map(ToString::to_string).collect(),
            observed: record.observed.as_ref().map(|seen| seen.values.iter().map(ToString::to_string).collect()),
            observed_at: record.observed.as_ref().map(|seen| seen.at.to_string()),
            state: record.state.to_string(),
            detail: record.detail.to_string(),
            failure: place.failure.map(ToString::to_string),
        }
    }
}
