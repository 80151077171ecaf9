//! Reading record sets of a hosted zone.
//!
//! Route 53 lists a zone in pages, from a name on, in the order of the names' labels from the last to the first. So
//! names that are asked for in that order are mostly on one page, because a site's names lie next to each other; and a
//! name that a page must have held and did not is not there. That follows only from a page that is in this order and
//! says whether another comes; any other ends the call.
//!
//! The exact order is told in words that leave two things open: whether the last dot counts (`a.x` or `a-b.x` first?),
//! and whether `*` stands where it stands in ASCII or where its escape does. A name that lies beyond doubt in every
//! reading counts as answered; any other is asked for by itself.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_provider::prelude::*;

use crate::record_set::{Listed, name_of};
use crate::xml::Element;
use crate::{Settings, answer};

/// Record sets of one page, at most: what Route 53 gives.
const PAGE_MAX: usize = 300;
/// The least that is worth a request.
const PAGE_MIN: usize = 20;
/// How many record sets a name and its neighbours are expected to have.
const SETS_PER_NAME: usize = 8;

/// Pages of one call. The host's limit on requests is lower; past it the pages seem to have no end.
const PAGES_MAX: usize = 1_000;

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// In the contract's form; empty for the beginning.
    name: String,
    rtype: Option<String>,
    identifier: Option<String>,
}

/// A page of a listing.
struct Page {
    sets: Vec<Listed>,
    /// Where the next one begins.
    next: Option<Place>,
}

/// Reads the record sets at these names; without names, all.
pub(crate) fn read(config: &Settings, cx: &Context, zone_id: &str, wanted: &[String]) -> Result<Vec<Listed>, Failure> {
    let mut open: BTreeSet<Wanted<'_>> = wanted.iter().map(|name| Wanted::of(name)).collect();
    let is_wanted = |set: &Listed| wanted.is_empty() || wanted.contains(&set.name);
    let mut found = BTreeMap::new();
    let mut place = Place { name: open.first().map_or("", |first| first.name).to_owned(), ..Place::default() };
    for _ in 0..PAGES_MAX {
        let page = list(config, cx, zone_id, &place, open.len())?;
        for set in page.sets.into_iter().filter(is_wanted) {
            found.insert((set.name.clone(), set.rtype.clone(), set.identifier.clone()), set);
        }
        open.retain(|name| !name.is_answered(&place.name, page.next.as_ref()));
        place = match (page.next, open.first()) {
            // The rest of a name, or of everything.
            (Some(next), _) if wanted.is_empty() || open.iter().any(|name| name.name == next.name) => next,
            (_, Some(first)) => Place { name: first.name.to_owned(), ..Place::default() },
            (_, None) => return Ok(found.into_values().collect()),
        };
    }
    Err(Failure::refused(format!("the listing of hosted zone {zone_id} has more than {PAGES_MAX} pages")))
}

fn list(config: &Settings, cx: &Context, zone_id: &str, place: &Place, open: usize) -> Result<Page, Failure> {
    let items = if open == 0 { PAGE_MAX } else { (open * SETS_PER_NAME).clamp(PAGE_MIN, PAGE_MAX) };
    let mut request = cx.get(config.url(&["hostedzone", zone_id, "rrset"])).query("maxitems", items);
    if !place.name.is_empty() {
        request = request.query("name", names::dotted(&place.name));
    }
    if let Some(rtype) = &place.rtype {
        request = request.query("type", rtype);
    }
    if let Some(identifier) = &place.identifier {
        request = request.query("identifier", identifier);
    }
    let answer = answer::read(config.sign(request).send()?, "ListResourceRecordSetsResponse")?;
    let page = page_of(&answer).map_err(|why| Failure::retry(format!("the listing of hosted zone {zone_id} {why}")))?;
    match &page.next {
        Some(next) if next == place => {
            Err(Failure::refused(format!("the listing of hosted zone {zone_id} goes on with the page it has given")))
        }
        _ => Ok(page),
    }
}

/// Reads a page. What is not said is not inferred: the error says what is missing.
fn page_of(answer: &Element) -> Result<Page, &'static str> {
    let sets = answer.child("ResourceRecordSets").ok_or("has no list of record sets")?;
    let sets: Option<Vec<_>> = sets.all("ResourceRecordSet").map(Listed::read).collect();
    let sets = sets.ok_or("has a record set without name or type")?;
    let is_turned = |pair: &[Listed]| !Wanted::of(&pair[0].name).may_precede(&Wanted::of(&pair[1].name));
    if sets.windows(2).any(is_turned) {
        return Err("is not in the order of names that Route 53 keeps");
    }
    let next = match answer.text_of("IsTruncated") {
        Some("false") => None,
        Some("true") => {
            let name = answer.text_of("NextRecordName").filter(|name| !name.is_empty());
            let identifier = answer.text_of("NextRecordIdentifier").filter(|text| !text.is_empty());
            Some(Place {
                name: name.map(name_of).ok_or("is cut and does not say where it goes on")?,
                rtype: answer.text_of("NextRecordType").map(str::to_owned),
                identifier: identifier.map(str::to_owned),
            })
        }
        _ => return Err("does not say whether it is cut"),
    };
    Ok(Page { sets, next })
}

/// A name, in each order that it may be listed by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted<'a> {
    keys: [String; 4],
    name: &'a str,
}

impl<'a> Wanted<'a> {
    fn of(name: &'a str) -> Self {
        let reversed: Vec<_> = name.rsplit('.').collect();
        let plain = reversed.join(".");
        let escaped = plain.replace('*', "\\052");
        let (dotted, both) = (format!("{plain}."), format!("{escaped}."));
        Self { keys: [plain, dotted, escaped, both], name }
    }

    /// Whether a page from one name on, which ended before `next`, must have held all of this name.
    fn is_answered(&self, from: &str, next: Option<&Place>) -> bool {
        let Some(next) = next else { return self.follows(&Wanted::of(from)) };
        if self.name == next.name {
            return false;
        }
        let is_before = |next: &Wanted<'_>| self.keys.iter().zip(&next.keys).all(|(own, next)| own < next);
        // What stands first on a page is all there, wherever the next begins.
        self.name == from || (self.follows(&Wanted::of(from)) && is_before(&Wanted::of(&next.name)))
    }

    /// Whether there is an order in which this name stands before another, or is the same.
    fn may_precede(&self, other: &Wanted<'_>) -> bool {
        self.keys.iter().zip(&other.keys).any(|(own, other)| own <= other)
    }

    fn follows(&self, from: &Wanted<'_>) -> bool {
        self.keys.iter().zip(&from.keys).all(|(own, from)| from <= own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_beyond_doubt_is_answered() {
        let check = |name: &str, from: &str, next: Option<&str>, expected: bool| {
            let next = next.map(|name| Place { name: name.to_owned(), ..Place::default() });
            assert_eq!(Wanted::of(name).is_answered(from, next.as_ref()), expected, "{name} from {from} to {next:?}");
        };
        check("b.x", "a.x", Some("c.x"), true);
        check("_linecamp-a.a.x", "a.x", Some("b.x"), true);
        check("a.x", "a.x", Some("b.x"), true);
        check("c.x", "a.x", Some("c.x"), false);
        check("d.x", "a.x", Some("c.x"), false);
        check("d.x", "a.x", None, true);
        // The last dot, and the star.
        check("a-b.x", "a.x", Some("b.x"), false);
        check("a.x", "a-b.x", None, false);
        check("*.x", "0.x", None, false);
        check("*.x", "*.x", Some("0.x"), true);
        check("b.x", "*.x", None, true);
    }
}
