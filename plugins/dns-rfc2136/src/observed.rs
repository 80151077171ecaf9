//! What the zone holds, as far as queries tell.

use std::collections::{BTreeMap, BTreeSet};

use domain::base::Rtype;
use domain::base::iana::{Class, Rcode};
use linecamp_provider::prelude::*;

use crate::message::Row;
use crate::rdata::{Value, rtype_of, word_of};
use crate::server::{Ending, Server};

/// With this begin the names of claims, which are TXT records: one question instead of three.
const CLAIM: &str = "_linecamp-";

/// A record set, and its values as the server has them.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) set: RecordSet,
    pub(crate) rdata: Vec<Vec<u8>>,
}

/// Reads what is at these names.
pub(crate) fn at_names(server: &Server<'_>, names: &[String]) -> Result<Vec<Found>, Failure> {
    let types = |name: &String| match name.starts_with(CLAIM) {
        true => vec![Rtype::TXT],
        false => vec![Rtype::A, Rtype::AAAA, Rtype::TXT],
    };
    let questions = names.iter().map(|name| (name.as_str(), types(name))).collect();
    read(server, &questions)
}

/// Reads what these changes are about.
pub(crate) fn of_changes(server: &Server<'_>, changes: &[Change]) -> Result<Vec<Found>, Failure> {
    let mut questions = BTreeMap::<_, Vec<_>>::new();
    for change in changes {
        let types = questions.entry(change.name()).or_default();
        let rtype = rtype_of(change.rtype());
        if !types.contains(&rtype) {
            types.push(rtype);
        }
    }
    read(server, &questions)
}

/// Asks the questions, and leaves out what was made of a wildcard.
fn read(server: &Server<'_>, questions: &BTreeMap<&str, Vec<Rtype>>) -> Result<Vec<Found>, Failure> {
    let mut values = Vec::new();
    for (name, types) in questions {
        for rtype in types {
            let answer = server.ask(name, *rtype)?;
            // Behind a CNAME stands what it leads to, which is at another name.
            let own: Vec<_> = answer.values.into_iter().filter(|value| value.name == *name).collect();
            let is_all = answer.rcode == Rcode::NXDOMAIN || own.iter().any(|value| value.rtype == Rtype::CNAME);
            values.extend(own);
            // A name that is not there has no other types, and one with a CNAME neither.
            if is_all {
                break;
            }
        }
    }
    let names: Vec<_> = values.iter().map(|value| value.name.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let in_use = in_use(server, &names)?;
    values.retain(|value| in_use.contains(&value.name));
    Ok(sets(values))
}

/// Returns those of the names that are in the zone themselves. In one message, unless some are not.
fn in_use(server: &Server<'_>, names: &[String]) -> Result<BTreeSet<String>, Failure> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let is_in_use: Vec<_> = names.iter().map(|name| Row::about(name, Class::ANY, Rtype::ANY)).collect();
    match (server.update(&is_in_use, &[])?, names) {
        (Ending::Done, _) => Ok(names.iter().cloned().collect()),
        (Ending::Differs(_), [_]) => Ok(BTreeSet::new()),
        (Ending::Differs(_), _) => {
            let (first, second) = names.split_at(names.len() / 2);
            let mut both = in_use(server, first)?;
            both.extend(in_use(server, second)?);
            Ok(both)
        }
    }
}

/// Puts together what is of one name and type. A server may repeat itself.
fn sets(values: Vec<Value>) -> Vec<Found> {
    let mut sets = BTreeMap::<_, Found>::new();
    for Value { name, rtype, ttl, text, rdata } in values {
        let new = || Found { set: RecordSet::new(&*name, word_of(rtype), ttl, [""; 0]), rdata: Vec::new() };
        let found = sets.entry((name.clone(), rtype)).or_insert_with(new);
        if !found.rdata.contains(&rdata) {
            found.set.values.push(text);
            found.rdata.push(rdata);
        }
    }
    sets.into_values().collect()
}
