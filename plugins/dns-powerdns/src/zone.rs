//! Zones as represented in PowerDNS's API, and their conversion to the contract.

use std::borrow::Cow;
use std::collections::BTreeSet;

use linecamp_provider::prelude::*;
use linecamp_provider::txt::Escape;
use serde::{Deserialize, Serialize};

use crate::search::Hit;

/// The suffix of the value of a disabled record; no served value ends like this.
const DISABLED: &str = " (disabled)";

/// A zone, or the requested part of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Zone {
    /// `Native`, `Master` (newer: `Primary`), `Slave` (newer: `Secondary`), `Producer` or `Consumer`.
    kind: String,
    rrsets: Vec<RrSet>,
}

/// A listed record set: without records if it exists only for its comments. Unused fields are ignored.
#[derive(Clone, Debug, Deserialize)]
struct RrSet {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    records: Vec<Record<'static>>,
}

/// A record. A disabled record is not served but still belongs to its set: a replacement would delete it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record<'a> {
    content: Cow<'a, str>,
    #[serde(default)]
    disabled: bool,
}

impl Zone {
    /// Whether the zone has records at any other name.
    pub(crate) fn has_records_beside(&self, name: &str) -> bool {
        self.rrsets.iter().any(|set| !set.records.is_empty() && names::canonical(&set.name) != name)
    }

    /// Whether the zone has an enabled record of this name and type.
    pub(crate) fn serves(&self, name: &str, rtype: &str) -> bool {
        let is_it = |set: &&RrSet| set.rtype == rtype && names::canonical(&set.name) == name;
        self.rrsets.iter().filter(is_it).any(|set| set.records.iter().any(|record| !record.disabled))
    }

    /// Drops record sets at other names.
    pub(crate) fn only(mut self, wanted: &BTreeSet<&str>) -> Self {
        self.rrsets.retain(|set| wanted.contains(&*names::canonical(&set.name)));
        self
    }

    /// Adds the result of another request for the same zone.
    pub(crate) fn add(&mut self, other: Self) {
        self.kind = other.kind;
        self.rrsets.extend(other.rrsets);
    }

    /// Adds the disabled records among the search results, which the listing of a name may omit.
    pub(crate) fn add_disabled(&mut self, hits: Vec<Hit>) {
        for Hit { name, rtype, content, ttl, .. } in hits.into_iter().filter(|hit| hit.disabled) {
            let record = Record { content: content.into(), disabled: true };
            let is_its = |set: &&mut RrSet| set.rtype == rtype && set.name.eq_ignore_ascii_case(&name);
            match self.rrsets.iter_mut().find(is_its) {
                Some(set) if set.records.contains(&record) => {}
                Some(set) if set.records.is_empty() => (set.ttl, set.records) = (ttl, vec![record]),
                Some(set) => {
                    set.ttl = set.ttl.min(ttl);
                    set.records.push(record);
                }
                None => self.rrsets.push(RrSet { name, rtype, ttl, records: vec![record] }),
            }
        }
    }

    /// Returns the record sets in the contract's form.
    pub(crate) fn record_sets(&self) -> Result<Vec<RecordSet>, ProviderError> {
        let set = |set: &RrSet| {
            let value = |record: &Record<'_>| {
                let mut value = match set.rtype.as_str() {
                    "TXT" => txt::unquoted(&record.content, Escape::Decimal)?,
                    _ => record.content.clone().into_owned(),
                };
                if record.disabled {
                    value.push_str(DISABLED);
                }
                Ok(value)
            };
            let values: Vec<_> = set.records.iter().map(value).collect::<Result<_, ProviderError>>()?;
            Ok(RecordSet::new(&*set.name, &*set.rtype, set.ttl, values).canonical())
        };
        self.rrsets.iter().map(set).collect()
    }

    /// Rejects a zone whose records come from another server: the next transfer would revert every change.
    pub(crate) fn require_primary(&self, zone: &str) -> Result<(), ProviderError> {
        match self.kind.to_ascii_lowercase().as_str() {
            "slave" | "secondary" | "consumer" => Err(ProviderError::invalid(format!(
                "{zone} is a secondary zone on this PowerDNS server ({}); configure its primary server",
                self.kind
            ))),
            _ => Ok(()),
        }
    }
}

/// Atomic changes to a zone.
#[derive(Debug, Serialize)]
pub(crate) struct Patch<'a> {
    rrsets: Vec<RrSetChange<'a>>,
}

#[derive(Debug, Serialize)]
struct RrSetChange<'a> {
    name: String,
    #[serde(rename = "type")]
    rtype: &'a str,
    changetype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    records: Vec<Record<'a>>,
}

impl<'a> Patch<'a> {
    /// Creates the patch for changes that have already been compared with the current state.
    pub(crate) fn of(changes: &[&'a Change]) -> Self {
        let change = |change: &&'a Change| {
            let (name, rtype) = (names::fqdn(change.name()), change.rtype());
            let records = change.after.iter().flat_map(|after| &after.values);
            let record = |value: &'a String| Record { content: content(rtype, value), disabled: false };
            RrSetChange {
                name,
                rtype,
                changetype: if change.after.is_some() { "REPLACE" } else { "DELETE" },
                ttl: change.after.as_ref().map(|after| after.ttl),
                records: records.map(record).collect(),
            }
        };
        Self { rrsets: changes.iter().map(change).collect() }
    }
}

fn content<'a>(rtype: &str, value: &'a str) -> Cow<'a, str> {
    match rtype {
        "TXT" => txt::quoted(value, Escape::Decimal).into(),
        "CNAME" => names::fqdn(value).into(),
        _ => value.into(),
    }
}

/// Returns the error for a name that PowerDNS rejected: a conflict if other records are there.
pub(crate) fn unprocessable(changes: &[&Change], response: &Response) -> ProviderError {
    let error = response.error();
    let message = error.reason();
    // PowerDNS names the set as `Record NAME./TYPE 'VALUE'` or `RRset NAME. IN TYPE`.
    let names_it = |change: &&&Change| {
        let name = names::fqdn(change.name());
        message.split([' ', '/', '\'']).any(|word| word.eq_ignore_ascii_case(&name))
    };
    let only = if changes.len() == 1 { changes.first() } else { None };
    let blamed = changes.iter().find(names_it).or(only);
    match blamed {
        Some(change) if message.contains("pre-existing") => ProviderError::conflict(change.name(), message),
        Some(change) => error.name(change.name()),
        None => error,
    }
}
