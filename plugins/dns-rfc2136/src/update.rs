//! The UPDATE message that does the changes, all or none.

use domain::base::Rtype;
use domain::base::iana::{Class, Rcode};
use linecamp_provider::prelude::*;

use crate::message::Row;
use crate::observed::{self, CLAIM, Found};
use crate::rdata::{rtype_of, write};
use crate::server::{Ending, Server};

/// What is looked for where something keeps an alias away: the types that people put at a name.
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

/// Does changes that were compared with `found`, if the server finds that too, and finds `kept` as it is to stay.
pub(crate) fn send(server: &Server<'_>, changes: &[&Change], kept: &[&Change], found: &[Found]) -> Result<(), Failure> {
    let mut prerequisites = Vec::new();
    for kept in kept.iter().filter(|kept| !changes.iter().any(|change| is_of_one_set(change, kept))) {
        push_comparison(&mut prerequisites, kept, found)?;
    }
    for (index, change) in changes.iter().enumerate() {
        let is_first = !changes[..index].iter().any(|earlier| is_of_one_set(earlier, change));
        // What an earlier change makes is not there when prerequisites are compared.
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

/// What has to be there: exactly the values of `before`, or nothing of this name and type (RFC 2136, 2.4.2 and 2.4.3).
/// A server compares no times to live.
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

/// What must not be beside it. A server leaves out in silence what would stand beside a CNAME (RFC 2136, 3.4.2.2).
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

/// The old set goes whole, the new one comes record by record (RFC 2136, 2.5.1 and 2.5.2).
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

/// Looks for a CNAME that took the place of other records: no prerequisite could say that nothing else is there too.
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

/// Says what a prerequisite met: of a name in use that is to become an alias, which records are there.
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
    // A claim is about the record beside it.
    let blamed = names.iter().find(|name| !name.starts_with(CLAIM)).or_else(|| names.first());
    let owner = format!(
        "the server found something else than was observed, or records of another type, at {} ({code})",
        names.join(", ")
    );
    Ok(Failure::conflict(blamed.copied().unwrap_or_default(), owner))
}

/// Returns which of the usual types the zone has at a name.
fn types_at(server: &Server<'_>, name: &str) -> Result<Vec<String>, Failure> {
    let mut there = Vec::new();
    for rtype in NEIGHBOURS {
        if server.update(&[Row::about(name, Class::ANY, rtype)], &[])? == Ending::Done {
            there.push(rtype.to_string());
        }
    }
    Ok(there)
}
