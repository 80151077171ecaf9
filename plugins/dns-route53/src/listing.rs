//! Reads record sets of a hosted zone.
//!
//! Route 53 lists a zone in pages, starting at a name, ordered by the names' labels from last to first. Names requested
//! in that order are mostly on one page, because the names of a site are adjacent. A name is absent if a page should
//! contain it and does not. This conclusion is valid only for a page that is in this order and states whether it is
//! truncated; any other page fails the call.
//!
//! The documentation of the order leaves two points open: whether the trailing dot counts (is `a.x` or `a-b.x` first?),
//! and whether `*` sorts as its ASCII code or as its escape. A name counts as answered only if the page covers it under
//! every interpretation; any other name is requested separately.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_provider::prelude::*;

use crate::record_set::{Listed, name_of};
use crate::xml::Element;
use crate::{Settings, response};

/// The most record sets that Route 53 returns per page.
const PAGE_MAX: usize = 300;
/// The smallest page size to request.
const PAGE_MIN: usize = 20;
/// The expected number of record sets of a name and its neighbors.
const SETS_PER_NAME: usize = 8;

/// Pages per call. The host's limit on requests is lower; a listing with more pages is assumed to be endless.
const PAGES_MAX: usize = 1_000;

/// The position at which a page starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// In the contract's form; empty for the start of the zone.
    name: String,
    rtype: Option<String>,
    identifier: Option<String>,
}

/// One page of a listing.
struct Page {
    sets: Vec<Listed>,
    /// The position at which the next page starts.
    next: Option<Place>,
}

/// Reads the record sets at these names; without names, all record sets.
pub(crate) fn read(
    config: &Settings,
    cx: &Context,
    zone_id: &str,
    wanted: &[String],
) -> Result<Vec<Listed>, ProviderError> {
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
            // More record sets of a requested name, or of the whole zone.
            (Some(next), _) if wanted.is_empty() || open.iter().any(|name| name.name == next.name) => next,
            (_, Some(first)) => Place { name: first.name.to_owned(), ..Place::default() },
            (_, None) => return Ok(found.into_values().collect()),
        };
    }
    Err(ProviderError::invalid(format!("the listing of hosted zone {zone_id} has more than {PAGES_MAX} pages")))
}

fn list(config: &Settings, cx: &Context, zone_id: &str, place: &Place, open: usize) -> Result<Page, ProviderError> {
    let items = if open == 0 { PAGE_MAX } else { (open * SETS_PER_NAME).clamp(PAGE_MIN, PAGE_MAX) };
    let mut request = cx.get(config.url(&["hostedzone", zone_id, "rrset"])).query("maxitems", items);
    if !place.name.is_empty() {
        request = request.query("name", names::fqdn(&place.name));
    }
    if let Some(rtype) = &place.rtype {
        request = request.query("type", rtype);
    }
    if let Some(identifier) = &place.identifier {
        request = request.query("identifier", identifier);
    }
    let response = response::read(config.sign(request).send()?, "ListResourceRecordSetsResponse")?;
    let page = page_of(&response)
        .map_err(|why| ProviderError::retry(format!("the listing of hosted zone {zone_id} {why}")))?;
    match &page.next {
        Some(next) if next == place => Err(ProviderError::invalid(format!(
            "the listing of hosted zone {zone_id} names the same page as the next one"
        ))),
        _ => Ok(page),
    }
}

/// Parses a page. Missing elements are not guessed: the error names what is missing.
fn page_of(response: &Element) -> Result<Page, &'static str> {
    let sets = response.child("ResourceRecordSets").ok_or("has no list of record sets")?;
    let sets: Option<Vec<_>> = sets.all("ResourceRecordSet").map(Listed::read).collect();
    let sets = sets.ok_or("has a record set without name or type")?;
    let is_turned = |pair: &[Listed]| !Wanted::of(&pair[0].name).may_precede(&Wanted::of(&pair[1].name));
    if sets.windows(2).any(is_turned) {
        return Err("is not sorted by name as in Route 53");
    }
    let next = match response.text_of("IsTruncated") {
        Some("false") => None,
        Some("true") => {
            let name = response.text_of("NextRecordName").filter(|name| !name.is_empty());
            let identifier = response.text_of("NextRecordIdentifier").filter(|text| !text.is_empty());
            Some(Place {
                name: name.map(name_of).ok_or("is truncated without a next page")?,
                rtype: response.text_of("NextRecordType").map(str::to_owned),
                identifier: identifier.map(str::to_owned),
            })
        }
        _ => return Err("does not say whether it is truncated"),
    };
    Ok(Page { sets, next })
}

/// A name with its sort keys, one for each possible order of the listing.
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

    /// Whether a page that starts at `from` and ends before `next` must contain all record sets of this name.
    fn is_answered(&self, from: &str, next: Option<&Place>) -> bool {
        let Some(next) = next else { return self.follows(&Wanted::of(from)) };
        if self.name == next.name {
            return false;
        }
        let is_before = |next: &Wanted<'_>| self.keys.iter().zip(&next.keys).all(|(own, next)| own < next);
        // The first name on a page is complete, wherever the next page starts.
        self.name == from || (self.follows(&Wanted::of(from)) && is_before(&Wanted::of(&next.name)))
    }

    /// Whether in any of the possible orders this name comes before another one, or equals it.
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
    fn only_names_with_a_certain_sort_order_are_answered() {
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
        // The trailing dot, and the asterisk.
        check("a-b.x", "a.x", Some("b.x"), false);
        check("a.x", "a-b.x", None, false);
        check("*.x", "0.x", None, false);
        check("*.x", "*.x", Some("0.x"), true);
        check("b.x", "*.x", None, true);
    }
}
