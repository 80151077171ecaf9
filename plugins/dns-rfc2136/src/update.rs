//! The UPDATE message that applies the changes atomically.

use domain::base::Rtype;
use domain::base::iana::{Class, Rcode};
use linecamp_provider::prelude::*;

use crate::message::Row;
use crate::observed::{self, CLAIM, Found};
use crate::rdata::{rtype_of, write};
use crate::server::{Ending, Server};

/// The types to probe for when other records prevent an alias: those commonly found at a name.
const NEIGHBOURS: [Rtype; 12] = [
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
pub(crate) fn send(server: &Server<'_>, changes: &[&Change], kept: &[&Change], found: &[Found]) -> Result<(), Failure> {
    let mut prerequisites = Vec::new();
    for kept in kept.iter().filter(|kept| !changes.iter().any(|change| is_of_one_set(change, kept))) {
        push_comparison(&mut prerequisites, kept, found)?;
    }
    for (index, change) in changes.iter().enumerate() {
        let is_first = !changes[..index].iter().any(|earlier| is_of_one_set(earlier, change));
        // Prerequisites are checked before any change, so they do not cover what an earlier change creates.
        if is_first {
            push_comparison(&mut prerequisites, change, found)?;
            push_neighbours(&mut prerequisites, change, changes);
        }
    }
    let mut updates = Vec::new();
    for change in changes {
        push_exchange(&mut updates, change)?;
    }
    match server.update(&prerequisites, &updates)? {
        Ending::Done => insist_on_aliases(server, changes),
        Ending::Differs(code) => Err(differs(server, changes, code)?),
    }
}

fn is_of_one_set(one: &Change, other: &Change) -> bool {
    one.name() == other.name() && one.rtype() == other.rtype()
}

/// Requires the current state: exactly the values of `before`, or no records of this name and type (RFC 2136, 2.4.2 and
/// 2.4.3). Servers do not compare TTLs.
fn push_comparison(rows: &mut Vec<Row>, change: &Change, found: &[Found]) -> Result<(), Failure> {
    let (name, rtype) = (change.name(), rtype_of(change.rtype()));
    let Some(before) = &change.before else {
        rows.push(Row::about(name, Class::NONE, rtype));
        return Ok(());
    };
    let row = |rdata| Row { rdata, ..Row::about(name, Class::IN, rtype) };
    match found.iter().find(|found| found.set.is(before)) {
        Some(found) => rows.extend(found.rdata.iter().cloned().map(row)),
        None => {
            for value in &before.values {
                rows.push(row(write(before, value)?));
            }
        }
    }
    Ok(())
}

/// Requires the absence of records that cannot coexist with the new ones. A server silently ignores additions that
/// conflict with a CNAME (RFC 2136, 3.4.2.2).
fn push_neighbours(rows: &mut Vec<Row>, change: &Change, changes: &[&Change]) {
    let (name, is_new) = (change.name(), change.before.is_none());
    let takes_away = |other: &&&Change| other.name() == name && other.before.is_some();
    match change.rtype() {
        _ if !is_new => {}
        "CNAME" if !changes.iter().any(|other| takes_away(&other)) => {
            rows.push(Row::about(name, Class::NONE, Rtype::ANY));
        }
        "CNAME" => {}
        _ if !changes.iter().any(|other| takes_away(&other) && other.rtype() == "CNAME") => {
            rows.push(Row::about(name, Class::NONE, Rtype::CNAME));
        }
        _ => {}
    }
}

/// Deletes the old record set as a whole, and adds the new one record by record (RFC 2136, 2.5.1 and 2.5.2).
fn push_exchange(rows: &mut Vec<Row>, change: &Change) -> Result<(), Failure> {
    let (name, rtype) = (change.name(), rtype_of(change.rtype()));
    if change.before.is_some() {
        rows.push(Row::about(name, Class::ANY, rtype));
    }
    let Some(after) = &change.after else { return Ok(()) };
    for value in &after.values {
        rows.push(Row { ttl: after.ttl, rdata: write(after, value)?, ..Row::about(name, Class::IN, rtype) });
    }
    Ok(())
}

/// Verifies a CNAME that replaced other records: no prerequisite can require that there are no others.
fn insist_on_aliases(server: &Server<'_>, changes: &[&Change]) -> Result<(), Failure> {
    for change in changes.iter().filter(|change| change.rtype() == "CNAME" && change.before.is_none()) {
        let replaced = changes.iter().any(|other| other.name() == change.name() && other.before.is_some());
        let Some(after) = change.after.as_ref().filter(|_| replaced) else { continue };
        let there = observed::of_changes(server, &[(*change).clone()])?;
        if !there.iter().any(|found| found.set.is(after)) {
            return Err(Failure::conflict(change.name(), "records of another type keep the CNAME away"));
        }
    }
    Ok(())
}

/// Returns the failure for an unmet prerequisite. If an alias was to be added to a name in use, it lists the records
/// there.
fn differs(server: &Server<'_>, changes: &[&Change], code: Rcode) -> Result<Failure, Failure> {
    let is_new_alias = |change: &&&Change| change.rtype() == "CNAME" && change.before.is_none();
    if code == Rcode::YXDOMAIN {
        for alias in changes.iter().filter(is_new_alias) {
            let there = types_at(server, alias.name())?;
            if !there.is_empty() {
                let there = there.join(", ");
                return Ok(Failure::conflict(alias.name(), format!("{there} is there, and an alias stands alone")));
            }
        }
    }
    let names: Vec<_> = changes.iter().map(|change| change.name()).collect();
    // An ownership TXT record is about the record next to it.
    let blamed = names.iter().find(|name| !name.starts_with(CLAIM)).or_else(|| names.first());
    let owner = format!(
        "the server found something else than was observed, or records of another type, at {} ({code})",
        names.join(", ")
    );
    Ok(Failure::conflict(blamed.copied().unwrap_or_default(), owner))
}

/// Returns which of the common types the zone has at a name.
fn types_at(server: &Server<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let mut there = Vec::new();
    for rtype in NEIGHBOURS {
        if server.update(&[Row::about(name, Class::ANY, rtype)], &[])? == Ending::Done {
            there.push(rtype.to_string());
        }
    }
    Ok(there)
}
