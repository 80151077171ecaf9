//! Reads a zone: what it holds at some names, and whether those names are served from it at all.
//!
//! A response is evidence only for what was requested. PowerDNS lists the comments of all record sets in every
//! response, as sets without records, and an older version lists the whole zone whatever was requested. Therefore
//! either each name is requested, or the whole zone is, and no response is used beyond its request.
//!
//! Disabled records are in the listing of the whole zone, but up to version 4.9 not in that of a single name. They
//! still belong to the zone, and a write at their name deletes them. Each name is therefore searched for as well, see
//! [`search`](crate::search).
//!
//! A name is not served from the zone if the server has a separate zone for the name or for one of its ancestors below
//! the zone, if the name or one of those ancestors has NS records in the zone, or if one of the ancestors has a DNAME
//! record. The API still lists and changes what the zone holds at such a name.

use std::collections::BTreeSet;

use linecamp_provider::http::HttpError;
use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::search::{self, Search};
use crate::zone::Zone;
use crate::{API_KEY, Settings, found};

/// The most requests for which each name is requested separately: together with the write they stay within the 64 of a
/// call. Anything larger is read from listings, which take two requests; for a zone with 20,000 record sets one listing
/// takes the server seconds.
const REQUESTS_ALONE_MAX: usize = 63;

/// The prefix of ownership TXT record names. No zone starts at such a name: it is in the zone of its record.
const CLAIM: &str = "_linecamp-";

/// The context of the reads of one call.
pub(crate) struct Reader<'a> {
    pub(crate) config: &'a Settings,
    pub(crate) cx: &'a Context,
    pub(crate) zone: &'a str,
}

/// What was read.
pub(crate) struct Found {
    /// What the zone holds at the requested names, served or not.
    pub(crate) zone: Zone,
    /// What the zone holds at the requested names and above them.
    above: Zone,
    /// The names, among these and those above them, at which the server has separate zones.
    child_zones: BTreeSet<String>,
}

/// A zone in a list of zones.
#[derive(Deserialize)]
struct ListedZone {
    name: String,
}

impl Reader<'_> {
    /// Reads everything that the zone holds, served or not.
    pub(crate) fn all(&self) -> Result<Zone, ProviderError> {
        found(self.zone, self.list().send()?)?.json()
    }

    /// Reads the zone at these names.
    pub(crate) fn at(&self, names: &[String]) -> Result<Found, ProviderError> {
        let candidates: BTreeSet<_> =
            names.iter().flat_map(|name| names::zone_cut_candidates(name, self.zone)).collect();
        // PowerDNS has no zones at wildcards, and rejects a request for one.
        let is_zone_name = |name: &&&str| !name.starts_with("*.") && !name.starts_with(CLAIM);
        let child_zones: BTreeSet<_> = candidates.iter().filter(is_zone_name).copied().collect();
        let wanted: BTreeSet<_> = names.iter().map(String::as_str).collect();
        let queried: BTreeSet<_> = wanted.iter().copied().chain(candidates).collect();
        let is_alone = child_zones.len() + queried.len() + search::requests(wanted.len()) <= REQUESTS_ALONE_MAX;
        let child_zones = self.zones_at(&child_zones, is_alone)?;
        let above = self.sets_at(&queried, &wanted, is_alone)?;
        Ok(Found { zone: above.clone().only(&wanted), above, child_zones })
    }

    /// Reads the record sets at the `queried` names and, at the `wanted` ones, disabled records too.
    fn sets_at(
        &self,
        queried: &BTreeSet<&str>,
        wanted: &BTreeSet<&str>,
        is_alone: bool,
    ) -> Result<Zone, ProviderError> {
        if is_alone {
            return self.sets_one_by_one(queried, wanted);
        }
        match self.list().try_send() {
            // A listing that is too large may work name by name, and so may a zone with a record that PowerDNS cannot
            // list.
            Err(HttpError::TooLarge(_)) => self.sets_one_by_one(queried, wanted),
            Ok(response) if response.status() == 500 => self.sets_one_by_one(queried, wanted),
            Ok(response) => found(self.zone, response)?.json().map(|zone: Zone| zone.only(queried)),
            Err(error) => Err(ProviderError::from(error).context(format!("GET {}", self.config.zone_url(self.zone)))),
        }
    }

    /// Requests one name at a time. From a server that lists more than the requested name, or that does not search, the
    /// whole zone is requested instead.
    fn sets_one_by_one(&self, queried: &BTreeSet<&str>, wanted: &BTreeSet<&str>) -> Result<Zone, ProviderError> {
        let mut all = Zone::default();
        for name in queried {
            let request = self.list().query("rrset_name", names::fqdn(name));
            let listed: Zone = found(self.zone, request.send()?)?.json()?;
            if listed.has_records_beside(name) {
                return self.all().map(|zone| zone.only(queried));
            }
            all.add(listed.only(&[*name].into()));
        }
        let search = Search { config: self.config, cx: self.cx, zone: self.zone };
        match search.at(wanted)? {
            Some(hits) => all.add_disabled(hits),
            None => return self.all().map(|zone| zone.only(queried)),
        }
        Ok(all)
    }

    fn list(&self) -> RequestBuilder {
        self.cx.get(self.config.zone_url(self.zone)).secret_header("X-API-Key", API_KEY)
    }

    /// Returns those of the names at which the server has zones.
    fn zones_at(&self, names: &BTreeSet<&str>, is_alone: bool) -> Result<BTreeSet<String>, ProviderError> {
        let mut listed = Vec::new();
        let all = match is_alone {
            true => None,
            false => match self.list_zones().try_send() {
                Ok(response) => Some(response.error_for_status()?),
                Err(HttpError::TooLarge(_)) => None,
                Err(error) => return Err(ProviderError::from(error).context("listing the zones")),
            },
        };
        match all {
            Some(response) => {
                listed = response.json::<Vec<ListedZone>>()?;
                if !listed.iter().any(|zone| names::canonical(&zone.name) == self.zone) {
                    return Err(response.malformed(format!("a list of all zones without {}", self.zone)));
                }
            }
            None => {
                for name in names {
                    let request = self.list_zones().query("zone", names::fqdn(name));
                    listed.extend(request.send()?.error_for_status()?.json::<Vec<ListedZone>>()?);
                }
            }
        }
        let listed = listed.iter().map(|zone| names::canonical(&zone.name));
        Ok(listed.filter(|zone| names.contains(&**zone)).collect())
    }

    /// Without `dnssec=false`, the server looks up the keys of each zone, which is slow if there are many zones.
    fn list_zones(&self) -> RequestBuilder {
        self.cx.get(self.config.url(&["zones"])).query("dnssec", "false").secret_header("X-API-Key", API_KEY)
    }
}

impl Found {
    /// Returns why a name is not served from the zone; `None` if it is.
    pub(crate) fn not_served_error(&self, name: &str, zone: &str) -> Option<ProviderError> {
        let candidates: Vec<_> = names::zone_cut_candidates(name, zone).collect();
        if let Some(below) = candidates.iter().find(|candidate| self.child_zones.contains(**candidate)) {
            return Some(ProviderError::in_child_zone(name, below));
        }
        // From the zone down, in the order in which a name server descends.
        candidates.iter().rev().find_map(|candidate| {
            let serves = |rtype| self.above.serves(candidate, rtype);
            match () {
                () if serves("NS") => Some(ProviderError::in_child_zone(name, candidate)),
                () if *candidate != name && serves("DNAME") => Some(ProviderError::under_dname(name, candidate)),
                () => None,
            }
        })
    }
}
