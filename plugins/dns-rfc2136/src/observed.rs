//! The contents of the zone, as far as queries show them.

use std::collections::{BTreeMap, BTreeSet};

use domain::base::Rtype;
use domain::base::iana::{Class, Rcode};
use linecamp_provider::prelude::*;

use crate::message::UpdateRecord;
use crate::rdata::{Value, encode, rtype_of, type_name};
use crate::server::{Lookup, NotServed, Server, UpdateResult};

/// The prefix of the names of ownership TXT records. Such a name takes one query instead of three.
pub(crate) const CLAIM: &str = "_linecamp-";

/// A record set, and its values as the server sent them.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) set: RecordSet,
    pub(crate) rdata: Vec<Vec<u8>>,
}

/// Reads the record sets at these names, all of which must be served from the zone.
pub(crate) fn at_names(server: &Server<'_>, names: &[String]) -> Result<Vec<Found>, ProviderError> {
    let types = |name: &String| match name.starts_with(CLAIM) {
        true => vec![Rtype::TXT],
        false => vec![Rtype::A, Rtype::AAAA, Rtype::TXT],
    };
    let questions = names.iter().map(|name| (name.as_str(), types(name))).collect();
    let result = read(server, &questions)?;
    match result.not_served.first_key_value() {
        Some((name, not_served)) => Err(not_served.error(name)),
        None => Ok(result.found),
    }
}

/// Reads the record sets that these changes are about. At a name that is not served from the zone, only deletions are
/// allowed.
pub(crate) fn of_changes(server: &Server<'_>, changes: &[Change]) -> Result<Vec<Found>, ProviderError> {
    let mut questions = BTreeMap::<_, Vec<_>>::new();
    for change in changes {
        let types = questions.entry(change.name()).or_default();
        let rtype = rtype_of(change.rtype());
        if !types.contains(&rtype) {
            types.push(rtype);
        }
    }
    let QueryResult { mut found, not_served } = read(server, &questions)?;
    for change in changes {
        match not_served.get(change.name()) {
            Some(not_served) if !change.only_removes() => return Err(not_served.error(change.name())),
            Some(_) => found.extend(hidden(server, change)?),
            None => {}
        }
    }
    Ok(found)
}

/// What was read.
struct QueryResult {
    found: Vec<Found>,
    /// Names that are not served from the zone. Queries do not show what the zone holds there.
    not_served: BTreeMap<String, NotServed>,
}

/// Sends the queries, and drops records that were synthesized from a wildcard.
fn read(server: &Server<'_>, questions: &BTreeMap<&str, Vec<Rtype>>) -> Result<QueryResult, ProviderError> {
    let (mut values, mut not_served) = (Vec::new(), BTreeMap::new());
    // Names that a response proved to be in the zone, and those without such a response.
    let (mut proven, mut unproven) = (BTreeSet::new(), Vec::new());
    for (name, types) in questions {
        for rtype in types {
            let (response, is_proven) = match server.lookup(name, *rtype)? {
                Lookup::Here { response, is_proven } => (response, is_proven),
                Lookup::NotServed(place) => {
                    not_served.insert((*name).to_owned(), place);
                    break;
                }
            };
            if is_proven {
                proven.insert(*name);
            }
            // A CNAME is followed by the records of its target, which are at another name.
            let own: Vec<_> = response.values.into_iter().filter(|value| value.name == *name).collect();
            let is_complete = response.rcode == Rcode::NXDOMAIN || own.iter().any(|value| value.rtype == Rtype::CNAME);
            values.extend(own);
            // A name that does not exist has no other types, and neither has one with a CNAME.
            if is_complete {
                break;
            }
        }
        if !proven.contains(name) && !not_served.contains_key(*name) {
            unproven.push(*name);
        }
    }
    for name in unproven {
        // No zone starts at the name of an ownership TXT record: it is in the zone of its record.
        let is_proven =
            name.starts_with(CLAIM) && name.split_once('.').is_some_and(|(_, record)| proven.contains(record));
        let place = if is_proven { None } else { server.not_served(name)? };
        not_served.extend(place.map(|place| (name.to_owned(), place)));
    }
    values.retain(|value| !not_served.contains_key(&value.name));
    let names: Vec<_> = values.iter().map(|value| value.name.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let in_use = in_use(server, &names)?;
    values.retain(|value| in_use.contains(&value.name));
    Ok(QueryResult { found: sets(values), not_served })
}

/// Finds the record set that a change deletes at a name that is not served from the zone. No query shows it, but the
/// server checks the prerequisites of an update against the zone itself (RFC 2136, 2.4.2 and 2.4.3).
fn hidden(server: &Server<'_>, change: &Change) -> Result<Option<Found>, ProviderError> {
    let (name, rtype) = (change.name(), rtype_of(change.rtype()));
    for set in [&change.before, &change.after].into_iter().flatten() {
        let rdata: Vec<_> = set.values.iter().map(|value| encode(set, value)).collect::<Result<_, _>>()?;
        let record = |rdata: &Vec<u8>| UpdateRecord {
            rdata: rdata.clone(),
            ..UpdateRecord::without_data(name, Class::IN, rtype)
        };
        let prerequisites: Vec<_> = rdata.iter().map(record).collect();
        if server.update(&prerequisites, &[])? == UpdateResult::Done {
            return Ok(Some(Found { set: set.clone(), rdata }));
        }
    }
    match server.update(&[UpdateRecord::without_data(name, Class::NONE, rtype)], &[])? {
        UpdateResult::Done => Ok(None),
        UpdateResult::PrerequisiteFailed(_) => {
            let found = format!("another {} record set exists in the parent zone, hidden from queries", change.rtype());
            Err(ProviderError::conflict(name, found))
        }
    }
}

/// Returns those of the names that exist in the zone itself. Takes one message if all of them do.
fn in_use(server: &Server<'_>, names: &[String]) -> Result<BTreeSet<String>, ProviderError> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let is_in_use: Vec<_> = names.iter().map(|name| UpdateRecord::without_data(name, Class::ANY, Rtype::ANY)).collect();
    match (server.update(&is_in_use, &[])?, names) {
        (UpdateResult::Done, _) => Ok(names.iter().cloned().collect()),
        (UpdateResult::PrerequisiteFailed(_), [_]) => Ok(BTreeSet::new()),
        (UpdateResult::PrerequisiteFailed(_), _) => {
            let (first, second) = names.split_at(names.len() / 2);
            let mut both = in_use(server, first)?;
            both.extend(in_use(server, second)?);
            Ok(both)
        }
    }
}

/// Groups values by name and type. A server may repeat a record.
fn sets(values: Vec<Value>) -> Vec<Found> {
    let mut sets = BTreeMap::<_, Found>::new();
    for Value { name, rtype, ttl, text, rdata } in values {
        let new = || Found { set: RecordSet::new(&*name, type_name(rtype), ttl, [""; 0]), rdata: Vec::new() };
        let found = sets.entry((name.clone(), rtype)).or_insert_with(new);
        if !found.rdata.contains(&rdata) {
            found.set.values.push(text);
            found.rdata.push(rdata);
        }
    }
    sets.into_values().collect()
}
