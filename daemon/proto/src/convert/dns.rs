//! DNS providers: their settings, and the status of their records.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::{
    EXTRA_RECORDS_MAX, RECORD_VALUE_BYTES_MAX, RECORD_VALUES_MAX, RECORDS_PER_PROVIDER_MAX, REPORTED_RECORDS_BYTES_MAX,
    ZONES_PER_PROVIDER_MAX, reported_record_bytes,
};
use linecamp_model::{
    DnsSettings, DnsStatus, DomainName, ExtraRecord, NameTemplate, Observed, OwnerId, RecordKey, RecordStatus,
    RecordType, Selector, Text, Ttl, WallTime, first_invisible,
};

use crate::convert::field::{count, field, list, set, word};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::limits::{EXTRA_VALUES_MAX, RECORD_TYPE_BYTES_MAX};
use crate::wire::link::v1 as wire;

impl Wire for wire::DnsSettings {
    type Model = DnsSettings;

    fn from_model(dns: &DnsSettings) -> Self {
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

    fn into_model(self) -> Result<DnsSettings, FieldError> {
        Ok(DnsSettings {
            owner: field("owner", OwnerId::parse(&self.owner))?,
            zones: set("zones", &self.zones, ZONES_PER_PROVIDER_MAX, DomainName::parse)?,
            template: field("template", NameTemplate::parse(&self.template))?,
            ttl: ttl(self.ttl)?,
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

impl Wire for wire::DnsStatus {
    type Model = DnsStatus;

    fn from_model(status: &DnsStatus) -> Self {
        Self { records: status.records.iter().map(wire::RecordStatus::from_model).collect() }
    }

    fn into_model(self) -> Result<DnsStatus, FieldError> {
        Ok(DnsStatus { records: records(self.records)? })
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
            ttl: record.ttl.map(Ttl::seconds),
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
            ttl: id.ttl.map(ttl).transpose().map_err(within)?,
        })
    }
}

impl Wire for wire::ObservedRecord {
    type Model = Observed;

    fn from_model(observed: &Observed) -> Self {
        Self {
            at_millis: observed.at.unix_millis(),
            values: observed.values.iter().map(ToString::to_string).collect(),
            ttl: observed.ttl.map(Ttl::seconds),
        }
    }

    fn into_model(self) -> Result<Observed, FieldError> {
        Ok(Observed {
            at: WallTime::from_unix_millis(self.at_millis),
            values: set("values", &self.values, RECORD_VALUES_MAX, record_value)?,
            ttl: self.ttl.map(ttl).transpose()?,
        })
    }
}

fn ttl(seconds: u32) -> Result<Ttl, FieldError> {
    Ttl::of(seconds).ok_or_else(|| FieldError::new("ttl", format!("DNS cannot say {seconds} seconds")))
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
        ..=RECORD_VALUE_BYTES_MAX if first_invisible(found).is_some() => {
            Err("has a control or format character".to_owned())
        }
        ..=RECORD_VALUE_BYTES_MAX => Ok(found.into()),
        bytes => Err(format!("a value has at most {RECORD_VALUE_BYTES_MAX} bytes, not {bytes}")),
    }
}
