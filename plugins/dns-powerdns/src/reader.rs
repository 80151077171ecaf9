//! Reading a zone: what it holds at some names, and whether those names are served from it at all.
//!
//! An answer tells about what was asked for and nothing else. PowerDNS lists the comments of all record sets with every
//! answer, as sets without records, and an older one lists the whole zone whatever was asked; so each name is asked
//! for, or the whole zone is, and no answer is taken for more than its question.
//!
//! A name is not served from the zone if the server has a zone of its own for it or for one of its ancestors below the
//! zone, if one of those has NS records in the zone, or if one of its ancestors has a DNAME record. The API goes on to
//! list and to change what the zone holds at such a name.

use std::collections::BTreeSet;

use linecamp_provider::http::HttpError;
use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::zone::Zone;
use crate::{API_KEY, Settings, found};

/// Names up to which each is asked for alone, those above included: twice so many requests, and one that writes, are
/// within the 64 of a call. More are read from a listing, which is one request; of a zone with 20,000 record sets it
/// takes a server seconds.
const NAMES_ALONE_MAX: usize = 24;

/// What one call reads from.
pub(crate) struct Reader<'a> {
    pub(crate) config: &'a Settings,
    pub(crate) cx: &'a Context,
    pub(crate) zone: &'a str,
}

/// What was read.
pub(crate) struct Found {
    /// What the zone holds at the names that were asked for, served or not.
    pub(crate) zone: Zone,
    /// What it holds there and above.
    above: Zone,
    /// Names there and above at which the server has zones of their own.
    zones_below: BTreeSet<String>,
}

/// A zone in a list of zones.
#[derive(Deserialize)]
struct ListedZone {
    name: String,
}

impl Reader<'_> {
    /// Reads everything that the zone holds, served or not.
    pub(crate) fn all(&self) -> Result<Zone, Failure> {
        found(self.zone, self.list().send()?)?.json()
    }

    /// Reads the zone at these names.
    pub(crate) fn at(&self, names: &[String]) -> Result<Found, Failure> {
        let candidates: BTreeSet<_> =
            names.iter().flat_map(|name| names::zone_cut_candidates(name, self.zone)).collect();
        // PowerDNS has no zones of wildcards, and takes no question for one.
        let zones_below = candidates.iter().filter(|name| !name.starts_with("*.")).copied().collect();
        let zones_below = self.zones_at(&zones_below)?;
        let asked: BTreeSet<_> = names.iter().map(String::as_str).chain(candidates).collect();
        let above = self.sets_at(&asked)?;
        let wanted: BTreeSet<_> = names.iter().map(String::as_str).collect();
        Ok(Found { zone: above.clone().only(&wanted), above, zones_below })
    }

    fn sets_at(&self, names: &BTreeSet<&str>) -> Result<Zone, Failure> {
        if names.len() <= NAMES_ALONE_MAX {
            return self.sets_one_by_one(names);
        }
        match self.list().try_send() {
            Ok(answer) => found(self.zone, answer)?.json().map(|zone: Zone| zone.only(names)),
            // What is too much at once may do name by name.
            Err(HttpError::TooLarge(_)) => self.sets_one_by_one(names),
            Err(error) => Err(Failure::from(error).within(format!("GET {}", self.config.zone_url(self.zone)))),
        }
    }

    /// Asks for one name after the other. A server that lists more than one name is asked for the whole zone instead.
    fn sets_one_by_one(&self, names: &BTreeSet<&str>) -> Result<Zone, Failure> {
        let mut all = Zone::default();
        for name in names {
            let request = self.list().query("rrset_name", names::dotted(name));
            let listed: Zone = found(self.zone, request.send()?)?.json()?;
            if 1 < names.len() && listed.has_records_beside(name) {
                return self.all().map(|zone| zone.only(names));
            }
            all.add(listed.only(&[*name].into()));
        }
        Ok(all)
    }

    fn list(&self) -> RequestBuilder {
        self.cx.get(self.config.zone_url(self.zone)).header_secret("X-API-Key", API_KEY)
    }

    /// Returns those of the names at which the server has zones.
    fn zones_at(&self, names: &BTreeSet<&str>) -> Result<BTreeSet<String>, Failure> {
        let mut listed = Vec::new();
        let all = match names.len() {
            0..=NAMES_ALONE_MAX => None,
            _ => match self.list_zones().try_send() {
                Ok(answer) => Some(answer.ok()?),
                Err(HttpError::TooLarge(_)) => None,
                Err(error) => return Err(Failure::from(error).within("listing the zones")),
            },
        };
        match all {
            Some(answer) => {
                listed = answer.json::<Vec<ListedZone>>()?;
                if !listed.iter().any(|zone| names::canonical(&zone.name) == self.zone) {
                    return Err(answer.malformed(format!("a list of all zones without {}", self.zone)));
                }
            }
            None => {
                for name in names {
                    let request = self.list_zones().query("zone", names::dotted(name));
                    listed.extend(request.send()?.ok()?.json::<Vec<ListedZone>>()?);
                }
            }
        }
        let listed = listed.iter().map(|zone| names::canonical(&zone.name));
        Ok(listed.filter(|zone| names.contains(&**zone)).collect())
    }

    /// Without `dnssec=false`, a server looks for keys of each zone, which takes long where there are many.
    fn list_zones(&self) -> RequestBuilder {
        self.cx.get(self.config.url(&["zones"])).query("dnssec", "false").header_secret("X-API-Key", API_KEY)
    }
}

impl Found {
    /// Says why a name is not served from the zone; `None` if it is.
    pub(crate) fn elsewhere(&self, name: &str, zone: &str) -> Option<Failure> {
        let candidates: Vec<_> = names::zone_cut_candidates(name, zone).collect();
        if let Some(below) = candidates.iter().find(|candidate| self.zones_below.contains(**candidate)) {
            return Some(Failure::in_zone_below(name, below));
        }
        // From the zone down, as a name server looks.
        candidates.iter().rev().find_map(|candidate| {
            let serves = |rtype| self.above.serves(candidate, rtype);
            match () {
                () if serves("NS") => Some(Failure::in_zone_below(name, candidate)),
                () if *candidate != name && serves("DNAME") => Some(Failure::below_dname(name, candidate)),
                () => None,
            }
        })
    }
}
