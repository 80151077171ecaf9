//! Providers: their settings from server to site, the status of their records from site to server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use linecamp_model::limits::{
    EXTRA_RECORDS_MAX, GRANTS_PER_PROVIDER_MAX, PROVIDER_SPEC_BYTES_MAX, RECORD_VALUE_BYTES_MAX, RECORD_VALUES_MAX,
    RECORDS_PER_PROVIDER_MAX, REPORTED_RECORDS_BYTES_MAX, SECRETS_PER_PROVIDER_MAX, ZONES_PER_PROVIDER_MAX,
    reported_record_bytes,
};
use linecamp_model::{
    DnsSpec, DomainName, Endpoint, ExtraRecord, Grant, Name, NameTemplate, Observed, OwnerId, PluginDigest, PluginRef,
    ProviderConfig, ProviderSpec, ProviderStatus, RecordKey, RecordStatus, RecordType, SecretName, Selector, Text, Ttl,
    WallTime,
};
use prost::Message;

use crate::convert::field::{bytes, count, field, generation, list, message, word};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::limits::{EXTRA_VALUES_MAX, RECORD_TYPE_BYTES_MAX};
use crate::wire::link::v1 as wire;

/// Returns the size of a provider's settings on the link, in bytes.
pub(crate) fn provider_spec_bytes(spec: &ProviderSpec) -> usize {
    wire::ProviderSpec::from_model(spec).encoded_len()
}

/// Checks that a text is a JSON object on one line.
pub(crate) fn provider_config(text: &str) -> Result<ProviderConfig, String> {
    let config = ProviderConfig::of_json(text).map_err(|error| error.to_string())?;
    if text.chars().any(char::is_control) {
        return Err("has a control character; in JSON it is written `\\uXXXX`".to_owned());
    }
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(_) => Ok(config),
        Err(error) => Err(format!("is not a JSON object: {error}")),
    }
}

impl Wire for wire::ProviderSpec {
    type Model = ProviderSpec;

    fn from_model(spec: &ProviderSpec) -> Self {
        let digest = spec.plugin.digest.map(|digest| digest.as_bytes().to_vec());
        let secrets = spec.secrets.iter().map(|(name, secret)| wire::SecretUse {
            name: name.as_str().to_owned(),
            secret: secret.as_str().to_owned(),
        });
        Self {
            name: spec.name.as_str().to_owned(),
            plugin: spec.plugin.name.as_str().to_owned(),
            digest: digest.unwrap_or_default(),
            config: spec.config.as_str().to_owned(),
            secrets: secrets.collect(),
            grant: Some(wire::Grant::from_model(&spec.grant)),
            dns: Some(wire::DnsSpec::from_model(&spec.dns)),
            dry_run: spec.is_dry_run,
            withdraw: spec.is_withdrawing,
        }
    }

    fn into_model(self) -> Result<ProviderSpec, FieldError> {
        let digest = match self.digest.as_slice() {
            [] => None,
            digest => Some(PluginDigest::from_bytes(bytes("digest", digest)?)),
        };
        let spec = ProviderSpec {
            name: field("name", Name::parse(&self.name))?,
            plugin: PluginRef { name: field("plugin", Name::parse(&self.plugin))?, digest },
            config: field("config", provider_config(&self.config))?,
            secrets: secrets(&self.secrets)?,
            grant: message("grant", self.grant)?,
            dns: message("dns", self.dns)?,
            is_dry_run: self.dry_run,
            is_withdrawing: self.withdraw,
        };
        match provider_spec_bytes(&spec) {
            ..=PROVIDER_SPEC_BYTES_MAX => Ok(spec),
            bytes => Err(FieldError::new("name", too_long(&spec.name, bytes))),
        }
    }
}

/// Returns the error text for oversized provider settings.
pub(crate) fn too_long(name: &Name, bytes: usize) -> String {
    format!("all settings of `{name}` together have {bytes} bytes; {PROVIDER_SPEC_BYTES_MAX} are allowed")
}

fn secrets(found: &[wire::SecretUse]) -> Result<BTreeMap<SecretName, SecretName>, FieldError> {
    count("secrets", found.len(), SECRETS_PER_PROVIDER_MAX)?;
    let mut secrets = BTreeMap::new();
    for (index, found) in found.iter().enumerate() {
        let within = |error: FieldError| error.within_element("secrets", index);
        let name = field("name", SecretName::parse(&found.name)).map_err(within)?;
        let secret = field("secret", SecretName::parse(&found.secret)).map_err(within)?;
        if secrets.insert(name, secret).is_some() {
            return Err(within(FieldError::new("name", "comes twice")));
        }
    }
    Ok(secrets)
}

impl Wire for wire::Grant {
    type Model = Grant;

    fn from_model(grant: &Grant) -> Self {
        Self {
            reach: grant.reach.iter().map(ToString::to_string).collect(),
            reach_private: grant.reach_private.iter().map(ToString::to_string).collect(),
            plain_http: grant.plain_http,
        }
    }

    fn into_model(self) -> Result<Grant, FieldError> {
        Ok(Grant {
            reach: set("reach", &self.reach, GRANTS_PER_PROVIDER_MAX, Endpoint::parse)?,
            reach_private: set("reach_private", &self.reach_private, GRANTS_PER_PROVIDER_MAX, Endpoint::parse)?,
            plain_http: self.plain_http,
        })
    }
}

/// Decodes a list without duplicates.
fn set<T: Ord, E: fmt::Display>(
    name: &str,
    found: &[String],
    count_max: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<BTreeSet<T>, FieldError> {
    count(name, found.len(), count_max)?;
    let mut set = BTreeSet::new();
    for (index, text) in found.iter().enumerate() {
        let place = || format!("{name}[{index}]");
        let one = parse(text).map_err(|problem| FieldError::new(&place(), problem))?;
        if !set.insert(one) {
            return Err(FieldError::new(&place(), format!("`{text}` comes twice")));
        }
    }
    Ok(set)
}

impl Wire for wire::DnsSpec {
    type Model = DnsSpec;

    fn from_model(dns: &DnsSpec) -> Self {
        Self {
            owner: dns.owner.as_str().to_owned(),
            zones: dns.zones.iter().map(ToString::to_string).collect(),
            template: dns.template.as_str().to_owned(),
            ttl: dns.ttl.seconds(),
            hosts: dns.hosts.to_string(),
            observed_address: dns.observed_address,
            allow_deletes: dns.allow_deletes,
            withdraw_inactive: dns.withdraw_inactive,
            extra: dns.extra.iter().map(wire::ExtraRecord::from_model).collect(),
        }
    }

    fn into_model(self) -> Result<DnsSpec, FieldError> {
        let ttl = Ttl::of(self.ttl);
        Ok(DnsSpec {
            owner: field("owner", OwnerId::parse(&self.owner))?,
            zones: set("zones", &self.zones, ZONES_PER_PROVIDER_MAX, DomainName::parse)?,
            template: field("template", NameTemplate::parse(&self.template))?,
            ttl: ttl.ok_or_else(|| FieldError::new("ttl", format!("DNS cannot say {} seconds", self.ttl)))?,
            hosts: field("hosts", Selector::parse(&self.hosts))?,
            observed_address: self.observed_address,
            allow_deletes: self.allow_deletes,
            withdraw_inactive: self.withdraw_inactive,
            extra: list("extra", self.extra, EXTRA_RECORDS_MAX)?,
        })
    }
}

impl Wire for wire::ExtraRecord {
    type Model = ExtraRecord;

    fn from_model(record: &ExtraRecord) -> Self {
        Self {
            template: record.template.as_str().to_owned(),
            rtype: record.rtype.clone().number(),
            values: record.values.iter().map(ToString::to_string).collect(),
        }
    }

    fn into_model(self) -> Result<ExtraRecord, FieldError> {
        count("values", self.values.len(), EXTRA_VALUES_MAX)?;
        let value = |(index, text): (usize, &String)| field(&format!("values[{index}]"), Text::parse(text));
        Ok(ExtraRecord {
            template: field("template", NameTemplate::parse(&self.template))?,
            rtype: word("rtype", self.rtype)?,
            values: self.values.iter().enumerate().map(value).collect::<Result<_, _>>()?,
        })
    }
}

impl Wire for wire::ProviderStatus {
    type Model = ProviderStatus;

    fn from_model(status: &ProviderStatus) -> Self {
        Self {
            name: status.name.as_str().to_owned(),
            local: status.is_local,
            plugin: status.plugin.as_str().to_owned(),
            failure: status.failure.as_ref().map(|failure| failure.as_str().to_owned()),
            records: status.records.iter().map(wire::RecordStatus::from_model).collect(),
            converged: status.converged.0,
        }
    }

    fn into_model(self) -> Result<ProviderStatus, FieldError> {
        let failure = self.failure.map(|failure| field("failure", Text::parse(&failure)));
        Ok(ProviderStatus {
            name: field("name", Name::parse(&self.name))?,
            is_local: self.local,
            plugin: field("plugin", Text::parse(&self.plugin))?,
            failure: failure.transpose()?,
            converged: generation("converged", self.converged)?,
            records: records(self.records)?,
        })
    }
}

/// Decodes the records of one provider, in any order, and sorts them.
fn records(found: Vec<wire::RecordStatus>) -> Result<Vec<RecordStatus>, FieldError> {
    let bytes: usize = found.iter().map(wire::RecordStatus::reported_bytes).sum();
    if REPORTED_RECORDS_BYTES_MAX < bytes {
        let problem = format!("report {bytes} bytes; {REPORTED_RECORDS_BYTES_MAX} are allowed");
        return Err(FieldError::new("records", problem));
    }
    let mut records = BTreeMap::new();
    for (index, record) in list("records", found, RECORDS_PER_PROVIDER_MAX)?.into_iter().enumerate() {
        let id = (record.zone.clone(), record.key.clone());
        if records.insert(id, record).is_some() {
            return Err(FieldError::new("id", "comes twice").within_element("records", index));
        }
    }
    Ok(records.into_values().collect())
}

impl wire::RecordStatus {
    /// Returns how many bytes the record counts for in its provider's share of a status.
    fn reported_bytes(&self) -> usize {
        let id = self.id.as_ref().map_or(0, |id| id.zone.len() + id.name.len() + id.rtype.len());
        let observed = self.id.iter().flat_map(|id| &id.observed).flat_map(|observed| &observed.values);
        let values: Vec<_> = self.values.iter().chain(observed).map(String::len).collect();
        reported_record_bytes(id + values.iter().sum::<usize>() + self.detail.len(), values.len())
    }
}

impl Wire for wire::RecordStatus {
    type Model = RecordStatus;

    fn from_model(record: &RecordStatus) -> Self {
        let id = wire::RecordId {
            zone: record.zone.as_str().to_owned(),
            name: record.key.name.as_str().to_owned(),
            rtype: record.key.rtype.as_str().to_owned(),
            observed: record.observed.as_ref().map(wire::ObservedRecord::from_model),
        };
        Self {
            id: Some(Box::new(id)),
            values: record.values.iter().map(ToString::to_string).collect(),
            state: record.state.number(),
            detail: record.detail.as_str().to_owned(),
        }
    }

    fn into_model(self) -> Result<RecordStatus, FieldError> {
        let id = self.id.ok_or_else(|| FieldError::new("id", "is absent"))?;
        let within = |error: FieldError| error.within("id");
        let value_count_max = self.values.len();
        let observed = id.observed.map(|observed| observed.into_model().map_err(|error| error.within("observed")));
        Ok(RecordStatus {
            zone: field("zone", DomainName::parse(&id.zone)).map_err(within)?,
            key: RecordKey {
                name: field("name", DomainName::parse(&id.name)).map_err(within)?,
                rtype: field("rtype", record_type(&id.rtype)).map_err(within)?,
            },
            values: set("values", &self.values, value_count_max, record_value)?,
            observed: observed.transpose().map_err(within)?,
            state: word("state", self.state)?,
            detail: field("detail", Text::parse(&self.detail))?,
        })
    }
}

impl Wire for wire::ObservedRecord {
    type Model = Observed;

    fn from_model(observed: &Observed) -> Self {
        Self { at_millis: observed.at.unix_millis(), values: observed.values.iter().map(ToString::to_string).collect() }
    }

    fn into_model(self) -> Result<Observed, FieldError> {
        Ok(Observed {
            at: WallTime::from_unix_millis(self.at_millis),
            values: set("values", &self.values, RECORD_VALUES_MAX, record_value)?,
        })
    }
}

/// Decodes the values of a record set that was written.
pub(crate) fn written_values(found: &[String]) -> Result<BTreeSet<Box<str>>, FieldError> {
    set("values", found, RECORD_VALUES_MAX, record_value)
}

/// Checks the mnemonic of a record type, in its canonical spelling.
pub(crate) fn record_type(found: &str) -> Result<RecordType, String> {
    let is_inner = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    match found.len() {
        1..=RECORD_TYPE_BYTES_MAX if found.bytes().all(is_inner) => Ok(RecordType::of(found)),
        _ => Err(format!("`{found}` is no type of record: at most {RECORD_TYPE_BYTES_MAX} of A-Z, 0-9 and `-`")),
    }
}

/// Checks a value. It need not fit its type: that may be why its record was quarantined.
fn record_value(found: &str) -> Result<Box<str>, String> {
    match found.len() {
        ..=RECORD_VALUE_BYTES_MAX if found.chars().any(char::is_control) => Err("has a control character".to_owned()),
        ..=RECORD_VALUE_BYTES_MAX => Ok(found.into()),
        bytes => Err(format!("a value has at most {RECORD_VALUE_BYTES_MAX} bytes, not {bytes}")),
    }
}
