//! Searches the server's records, including disabled ones.
//!
//! The search matches a pattern against the names and contents of all zones, and does not report omissions: a backend
//! that cannot search finds nothing, and the number of results is limited. A record missing from the results therefore
//! counts as absent only if a search has found the zone's SOA record, and if the results stayed below the limit.

use std::collections::BTreeSet;

use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::{API_KEY, Settings};

/// The result limit of one search. A search also matches other zones, and records whose content is the name, such as
/// aliases of it. If the limit is reached, the whole zone is listed instead.
const HITS_MAX: usize = 1_000;

/// A search result: a record or, from servers that ignore `object_type`, also a zone or a comment, which have fewer
/// fields.
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

/// Returns the number of requests needed to search for this many names.
pub(crate) const fn requests(names: usize) -> usize {
    names + 1
}

/// The search of one call.
pub(crate) struct Search<'a> {
    pub(crate) config: &'a Settings,
    pub(crate) cx: &'a Context,
    pub(crate) zone: &'a str,
}

impl Search<'_> {
    /// Returns the zone's records at these names, including disabled ones; `None` if the server's search is not
    /// reliable enough to prove that there are no others.
    pub(crate) fn at(&self, names: &BTreeSet<&str>) -> Result<Option<Vec<Hit>>, ProviderError> {
        let apex = self.at_name(self.zone)?;
        if !apex.is_some_and(|hits| hits.iter().any(|hit| hit.rtype == "SOA")) {
            return Ok(None);
        }
        let mut all = Vec::new();
        for name in names {
            match self.at_name(name)? {
                Some(hits) => all.extend(hits),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// Returns the zone's records at this name; `None` if there may be more.
    fn at_name(&self, name: &str) -> Result<Option<Vec<Hit>>, ProviderError> {
        // In a pattern, an asterisk matches any text and a question mark any single character.
        let request = self.cx.get(self.config.url(&["search-data"])).secret_header("X-API-Key", API_KEY);
        let request = request.query("q", name.replace('*', "?")).query("max", HITS_MAX).query("object_type", "record");
        let mut hits: Vec<Hit> = request.send()?.error_for_status()?.json()?;
        if HITS_MAX <= hits.len() {
            return Ok(None);
        }
        let is_here = |hit: &Hit| hit.object_type == "record" && names::canonical(&hit.zone_id) == self.zone;
        hits.retain(|hit| is_here(hit) && names::canonical(&hit.name) == name);
        Ok(Some(hits))
    }
}
