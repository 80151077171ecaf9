//! DNS provider for PowerDNS Authoritative Server, through its HTTP API.
//!
//! The API presents zones as lists of record sets and changes several of them in one transaction, so changes are
//! atomic. It does not compare before it writes: the current state is read right before the write, and a change made in
//! the milliseconds between is not detected.
//!
//! Operators set up `api=yes`, `api-key=…`, `webserver-address`, and `webserver-allow-from` for the site, preferably
//! behind a TLS proxy that allows the list of zones and the search. The zone must already exist and be a primary zone.
//!
//! A disabled record counts as present. It is reported with ` (disabled)` appended to its value, which never equals a
//! value that is written. Its record set is therefore foreign unless our ownership TXT record exists, in which case the
//! set is rewritten.
//!
//! The provider does *not* create zones, and does not change the comments of foreign record sets.

mod reader;
mod search;
mod zone;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::reader::Reader;
use crate::zone::Patch;

/// The name of the API key's secret in requests.
const API_KEY: &str = "api-key";

/// Changes per call: this many names, and a few above them, can be read one by one within the 64 requests of a call.
const CHANGES_MAX: u32 = 16;

/// The PowerDNS provider.
#[derive(Debug)]
pub struct PowerDns;

/// How PowerDNS is reached.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the API is: scheme, host and port, such as `https://ns1.example.org:8443`. Behind a proxy with a path too,
    /// without `/api/v1`.
    #[config(format = "uri", example = "https://ns1.example.org:8443")]
    api: String,
    /// The server's id within the API. PowerDNS itself knows no other than `localhost`; a proxy for several may.
    #[serde(default = "localhost")]
    #[config(default = "localhost", min_length = 1)]
    server_id: String,
}

fn localhost() -> String {
    "localhost".to_owned()
}

impl DnsProvider for PowerDns {
    type Config = Settings;

    fn describe() -> About {
        let about = "Keeps records at PowerDNS Authoritative Server, by its HTTP API.";
        About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), about)
            .atomic()
            .changes_max(CHANGES_MAX)
            .lists_zones()
            .secret(API_KEY, "The API's key, as `api-key` in pdns.conf says it.")
            .reaches("{api}")
    }

    fn check(config: &Settings, cx: &Context) -> Result<(), Failure> {
        let answer = cx.get(config.url(&[])).header_secret("X-API-Key", API_KEY).send()?;
        match answer.status() {
            404 => {
                let id = &config.server_id;
                Err(Failure::refused(format!("the API has no server `{id}`, or is not PowerDNS's")).field("server_id"))
            }
            _ => answer.ok().map(drop),
        }
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
        let reader = Reader { config, cx, zone };
        if names.is_empty() {
            return reader.all()?.record_sets();
        }
        let found = reader.at(names)?;
        match names.iter().find_map(|name| found.elsewhere(name, zone)) {
            Some(elsewhere) => Err(elsewhere),
            None => found.zone.record_sets(),
        }
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        _key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, Failure> {
        let mut names: Vec<_> = changes.iter().map(|change| change.name().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let there = Reader { config, cx, zone }.at(&names)?;
        there.zone.insist_on_primary(zone)?;
        let mut adding = changes.iter().filter(|change| !change.only_removes());
        if let Some(elsewhere) = adding.find_map(|change| there.elsewhere(change.name(), zone)) {
            return Err(elsewhere);
        }
        let pending = pending(changes, &there.zone.record_sets()?)?;
        if !pending.is_empty() {
            let request = cx.patch(config.zone_url(zone)).header_secret("X-API-Key", API_KEY);
            let answer = request.json(&Patch::of(&pending)).send()?;
            if answer.status() == 422 {
                return Err(zone::unprocessable(&pending, &answer));
            }
            let answer = found(zone, answer)?;
            // Any other status comes from an intermediary, not from PowerDNS.
            if answer.status() != 204 {
                return Err(answer.malformed("a change is answered with 204"));
            }
        }
        Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
    }
}

impl Settings {
    /// Returns the URL of a resource of the server.
    fn url(&self, segments: &[&str]) -> String {
        let base = self.api.trim_end_matches('/').trim_end_matches("/api/v1");
        url::join(base, &[&["api", "v1", "servers", &self.server_id], segments].concat())
    }

    fn zone_url(&self, zone: &str) -> String {
        self.url(&["zones", &names::dotted(zone)])
    }
}

/// Returns a successful response. If the zone does not exist, the failure describes what to do.
fn found(zone: &str, answer: Response) -> Result<Response, Failure> {
    match answer.status() {
        404 => {
            let why = format!("PowerDNS has no zone {zone}: create it there, or take it out of the provider's zones");
            Err(Failure::refused(why))
        }
        _ => answer.ok(),
    }
}

export_dns!(PowerDns);
