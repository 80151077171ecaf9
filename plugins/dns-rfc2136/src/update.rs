//! The UPDATE message that applies the changes atomically.

use domain::base::Rtype;
use domain::base::iana::{Class, Rcode};
use linecamp_provider::prelude::*;

use crate::message::UpdateRecord;
use crate::observed::{self, CLAIM, Found};
use crate::rdata::{encode, rtype_of};
use crate::server::{Server, UpdateResult};

/// The types to probe for when other records prevent an alias: those commonly found at a name.
const COMMON_TYPES: [Rtype; 12] = [
    Rtype::MX,
    Rtype::A,
    Rtype::AAAA,
    Rtype::TXT,
    Rtype::SRV,
    Rtype::NS,
    Rtype::CAA,
    Rtype::PTR,
    Rtype::SSHFP,
    Rtype::TLSA,
    Rtype::NAPTR,
    Rtype::HTTPS,
];

/// Applies changes that were compared with `found`, on the condition that the server finds the same state, and that
/// `kept` is in place and unchanged.
pub(crate) fn send(
    server: &Server<'_>,
    changes: &[&Change],
    kept: &[&Change],
    found: &[Found],
) -> Result<(), ProviderError> {
    let mut prerequisites = Vec::new();
    for kept in kept.iter().filter(|kept| !changes.iter().any(|change| is_of_one_set(change, kept))) {
        push_comparison(&mut prerequisites, kept, found)?;
    }
    for (index, change) in changes.iter().enumerate() {
        let is_first = !changes[..index].iter().any(|earlier| is_of_one_set(earlier, change));
        // Prerequisites are checked before any change, so they do not cover what an earlier change creates.
        if is_first {
            push_comparison(&mut prerequisites, change, found)?;
            forbid_conflicting_types(&mut prerequisites, change, changes);
        }
    }
    let mut updates = Vec::new();
    for change in changes {
        push_replacement(&mut updates, change)?;
    }
    match server.update(&prerequisites, &updates)? {
        UpdateResult::Done => verify_aliases(server, changes),
        UpdateResult::PrerequisiteFailed(code) => Err(conflict_error(server, changes, code)?),
    }
}

fn is_of_one_set(one: &Change, other: &Change) -> bool {
    one.name() == other.name() && one.rtype() == other.rtype()
}

/// Requires the current state: exactly the values of `before`, or no records of this name and type (RFC 2136, 2.4.2 and
/// 2.4.3). Servers do not compare TTLs.
fn push_comparison(records: &mut Vec<UpdateRecord>, change: &Change, found: &[Found]) -> Result<(), ProviderError> {
    let (name, rtype) = (change.name(), rtype_of(change.rtype()));
    let Some(before) = &change.before else {
        records.push(UpdateRecord::without_data(name, Class::NONE, rtype));
        return Ok(());
    };
    let record = |rdata| UpdateRecord { rdata, ..UpdateRecord::without_data(name, Class::IN, rtype) };
    match found.iter().find(|found| found.set.equivalent(before)) {
        Some(found) => records.extend(found.rdata.iter().cloned().map(record)),
        None => {
            for value in &before.values {
                records.push(record(encode(before, value)?));
            }
        }
    }
    Ok(())
}

/// Requires the absence of records that cannot coexist with the new ones. A server silently ignores additions that
/// conflict with a CNAME (RFC 2136, 3.4.2.2).
fn forbid_conflicting_types(records: &mut Vec<UpdateRecord>, change: &Change, changes: &[&Change]) {
    let (name, is_new) = (change.name(), change.before.is_none());
    let removes = |other: &&&Change| other.name() == name && other.before.is_some();
    match change.rtype() {
        _ if !is_new => {}
        "CNAME" if !changes.iter().any(|other| removes(&other)) => {
            records.push(UpdateRecord::without_data(name, Class::NONE, Rtype::ANY));
        }
        "CNAME" => {}
        _ if !changes.iter().any(|other| removes(&other) && other.rtype() == "CNAME") => {
            records.push(UpdateRecord::without_data(name, Class::NONE, Rtype::CNAME));
        }
        _ => {}
    }
}

/// Deletes the old record set as a whole, and adds the new one record by record (RFC 2136, 2.5.1 and 2.5.2).
fn push_replacement(records: &mut Vec<UpdateRecord>, change: &Change) -> Result<(), ProviderError> {
    let (name, rtype) = (change.name(), rtype_of(change.rtype()));
    if change.before.is_some() {
        records.push(UpdateRecord::without_data(name, Class::ANY, rtype));
    }
    let Some(after) = &change.after else { return Ok(()) };
    for value in &after.values {
        records.push(UpdateRecord {
            ttl: after.ttl,
            rdata: encode(after, value)?,
            ..UpdateRecord::without_data(name, Class::IN, rtype)
        });
    }
    Ok(())
}

/// Verifies a CNAME that replaced other records: no prerequisite can require that there are no others.
fn verify_aliases(server: &Server<'_>, changes: &[&Change]) -> Result<(), ProviderError> {
    for change in changes.iter().filter(|change| change.rtype() == "CNAME" && change.before.is_none()) {
        let replaced = changes.iter().any(|other| other.name() == change.name() && other.before.is_some());
        let Some(after) = change.after.as_ref().filter(|_| replaced) else { continue };
        let types = observed::of_changes(server, &[(*change).clone()])?;
        if !types.iter().any(|found| found.set.equivalent(after)) {
            return Err(ProviderError::conflict(change.name(), "records of another type prevent the CNAME"));
        }
    }
    Ok(())
}

/// Returns the error for an unmet prerequisite. If an alias was to be added to a name in use, it lists the records
/// there.
fn conflict_error(server: &Server<'_>, changes: &[&Change], code: Rcode) -> Result<ProviderError, ProviderError> {
    let is_new_alias = |change: &&&Change| change.rtype() == "CNAME" && change.before.is_none();
    if code == Rcode::YXDOMAIN {
        for alias in changes.iter().filter(is_new_alias) {
            let types = types_at(server, alias.name())?;
            if !types.is_empty() {
                let types = types.join(", ");
                return Ok(ProviderError::conflict(
                    alias.name(),
                    format!("found {types}; a CNAME cannot coexist with other records"),
                ));
            }
        }
    }
    let names: Vec<_> = changes.iter().map(|change| change.name()).collect();
    // An ownership TXT record is about the record next to it.
    let blamed = names.iter().find(|name| !name.starts_with(CLAIM)).or_else(|| names.first());
    let found = format!(
        "the records at {} changed since they were observed, or records of another type exist ({code})",
        names.join(", ")
    );
    Ok(ProviderError::conflict(blamed.copied().unwrap_or_default(), found))
}

/// Returns which of the common types the zone has at a name.
fn types_at(server: &Server<'_>, name: &str) -> Result<Vec<String>, ProviderError> {
    let mut types = Vec::new();
    for rtype in COMMON_TYPES {
        if server.update(&[UpdateRecord::without_data(name, Class::ANY, rtype)], &[])? == UpdateResult::Done {
            types.push(rtype.to_string());
        }
    }
    Ok(types)
}
