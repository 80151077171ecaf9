//! DNS records, and the settings of DNS providers.
//!
//! DNS names may be written in Unicode, in upper case and with a trailing dot. They are converted to IDNA A-labels here
//! ([`domain_name`]); no other code sees another form.

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use linecamp_model as model;
use linecamp_model::{
    DomainName, DomainNameError, ExtraRecord, NameTemplate, RecordKey, RecordSet, RecordStatus, RecordType, Text, Ttl,
};
use serde::{Deserialize, Serialize};

use super::setting::{SettingError, count, refuse, setting};
use crate::limits::EXTRA_VALUES_MAX;

/// An extra record, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a record with the keys `template`, `type` and `values`")]
pub struct ExtraRecordBody {
    /// Its name in a zone, with placeholders as in [`ProviderBody::template`](super::ProviderBody::template).
    pub template: String,
    /// `A`, `AAAA`, `CNAME` or `TXT`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Its values, at least one, with `{host}`, `{site}`, `{environment}` and `{zone}`.
    pub values: Vec<String>,
}

/// A DNS record set that a site manages, plans, or cannot have because of a conflict, as the server lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordView {
    /// The site's name.
    pub site: String,
    /// The site's environment.
    pub environment: String,
    /// The record, as the site last reported it: an observation without a change is not reported by itself.
    #[serde(flatten)]
    pub record: DnsRecord,
}

/// A DNS record set that a site manages, plans, or cannot have because of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DnsRecord {
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
    /// The TTL that is written, in seconds: that of the provider's settings, within the limits of its service. `null`
    /// if no record is wanted, or the limits are not known yet.
    pub ttl: Option<u32>,
    /// The values last observed; empty if the record was absent, `null` if it was never observed.
    pub observed: Option<Vec<String>>,
    /// The TTL last observed, in seconds; `null` if the record was absent, unreadable or never observed.
    pub observed_ttl: Option<u32>,
    /// When they were observed.
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
    pub provider: &'a model::ProviderStatus,
}

/// Parses a DNS name as people write it: Unicode, upper case and one trailing dot are allowed.
///
/// # Errors
/// [`DomainNameError`] names the invalid label and the problem.
pub fn domain_name(text: &str) -> Result<DomainName, DomainNameError> {
    DomainName::parse(&a_labels(text)?)
}

/// Converts Unicode to IDNA A-labels (UTS 46, non-transitional, as browsers do).
pub(super) fn a_labels(text: &str) -> Result<String, DomainNameError> {
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

/// Parses the name of a zone.
pub(super) fn zone(text: &str) -> Result<DomainName, String> {
    match domain_name(text) {
        Ok(zone) if zone.first_label() == "*" => Err(format!("a zone is no wildcard, as `{zone}` is")),
        Ok(zone) => Ok(zone),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses a template label by label, because a placeholder is not a valid name yet.
pub(super) fn name_template(text: &str) -> Result<NameTemplate, String> {
    let one = |label: &str| if label.contains('{') { Ok(label.to_owned()) } else { a_labels(label) };
    let labels: Result<Vec<_>, _> = text.split('.').map(one).collect();
    let labels = labels.map_err(|error| error.to_string())?;
    NameTemplate::parse(&labels.join(".")).map_err(|error| error.to_string())
}

impl ExtraRecordBody {
    pub(super) fn to_extra(&self, index: usize) -> Result<ExtraRecord, SettingError> {
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

impl From<&ExtraRecord> for ExtraRecordBody {
    fn from(record: &ExtraRecord) -> Self {
        Self {
            template: record.template.to_string(),
            rtype: record.rtype.to_string(),
            values: record.values.iter().map(ToString::to_string).collect(),
        }
    }
}

impl RecordView {
    /// Returns the record of `place`.
    pub fn new(place: RecordPlace<'_>, record: &RecordStatus) -> Self {
        Self {
            site: place.site.to_string(),
            environment: place.environment.to_string(),
            record: DnsRecord::new(place.provider, record),
        }
    }
}

impl DnsRecord {
    /// Returns the record of `provider`.
    pub fn new(provider: &model::ProviderStatus, record: &RecordStatus) -> Self {
        Self {
            provider: provider.name.to_string(),
            zone: record.zone.to_string(),
            name: record.key.name.to_string(),
            rtype: record.key.rtype.to_string(),
            values: record.values.iter().map(ToString::to_string).collect(),
            ttl: record.ttl.map(Ttl::seconds),
            observed_ttl: record.observed.as_ref().and_then(|seen| seen.ttl).map(Ttl::seconds),
            observed: record.observed.as_ref().map(|seen| seen.values.iter().map(ToString::to_string).collect()),
            observed_at: record.observed.as_ref().map(|seen| seen.at.to_string()),
            state: record.state.to_string(),
            detail: record.detail.to_string(),
            failure: provider.failure.as_ref().map(ToString::to_string),
        }
    }

    /// Describes the TTL: the one observed and, if it differs, the one that is written.
    pub fn describe_ttl(&self) -> String {
        match (self.observed_ttl, self.ttl) {
            (Some(observed), Some(ttl)) if observed != ttl => format!("{observed} -> {ttl}"),
            (Some(ttl), _) | (None, Some(ttl)) => ttl.to_string(),
            (None, None) => String::new(),
        }
    }

    /// Returns all records of all `providers`.
    pub fn all(providers: &[model::ProviderStatus]) -> Vec<Self> {
        let of = |provider: &model::ProviderStatus| {
            provider.records().iter().map(|record| Self::new(provider, record)).collect::<Vec<_>>()
        };
        providers.iter().flat_map(of).collect()
    }
}
