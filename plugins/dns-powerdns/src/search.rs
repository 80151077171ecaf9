//! Searching the server's records, which also finds those that are disabled.
//!
//! The search compares a pattern with the names and the contents of all zones, and says nothing when it leaves
//! something out: a backend that cannot search finds nothing, and no more than so many records are returned. So what it
//! does not return counts as absent only after it has found the SOA record of the zone, and if it returned less than it
//! may.

use std::collections::BTreeSet;

use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::API_KEY;
use crate::reader::Reader;

/// Records that one search may return. It also finds records of other zones and names that have the name as their
/// content, such as aliases of it. With as many as this, the whole zone is listed.
const HITS_MAX: usize = 1_000;

/// What was found: a record, or at servers that take no `object_type` also a zone or a comment, which have less to say.
#[derive(Debug, Deserialize)]
pub(crate) struct Hit {
    object_type: String,
    pub(crate) name: String,
    #[serde(default, rename = "type")]
    pub(crate) rtype: String,
    #[serde(default)]
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) ttl: u32,
    #[serde(default)]
    pub(crate) disabled: bool,
    #[serde(default)]
    zone_id: String,
}

/// Returns how many requests it takes to search for so many names.
pub(crate) const fn requests(names: usize) -> usize {
    names + 1
}

impl Reader<'_> {
    /// Returns the records of the zone at these names, those that are disabled too; `None` if the server does not
    /// search well enough to tell that there are no others.
    pub(crate) fn search(&self, names: &BTreeSet<&str>) -> Result<Option<Vec<Hit>>, Failure> {
        let apex = self.search_one(self.zone)?;
        if !apex.is_some_and(|hits| hits.iter().any(|hit| hit.rtype == "SOA")) {
            return Ok(None);
        }
        let mut all = Vec::new();
        for name in names {
            match self.search_one(name)? {
                Some(hits) => all.extend(hits),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// Returns the records of the zone at this name; `None` if there may be more.
    fn search_one(&self, name: &str) -> Result<Option<Vec<Hit>>, Failure> {
        // An asterisk in a pattern stands for any text, a question mark for any one character.
        let request = self.cx.get(self.config.url(&["search-data"])).header_secret("X-API-Key", API_KEY);
        let request = request.query("q", name.replace('*', "?")).query("max", HITS_MAX).query("object_type", "record");
        let mut hits: Vec<Hit> = request.send()?.ok()?.json()?;
        if HITS_MAX <= hits.len() {
            return Ok(None);
        }
        let is_here = |hit: &Hit| hit.object_type == "record" && names::canonical(&hit.zone_id) == self.zone;
        hits.retain(|hit| is_here(hit) && names::canonical(&hit.name) == name);
        Ok(Some(hits))
    }
}
