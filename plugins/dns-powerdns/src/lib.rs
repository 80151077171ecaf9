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
mod fake_server;
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

/// Settings of the PowerDNS provider.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Base URL of the API: scheme, host and port, such as `https://ns1.example.org:8443`, and the path if it is behind
    /// a proxy, without `/api/v1`.
    #[config(format = "uri", example = "https://ns1.example.org:8443")]
    api: String,
    /// Server ID in the API. In PowerDNS itself it is always `localhost`; a proxy for several servers may have others.
    #[serde(default = "localhost")]
    #[config(default = "localhost", min_length = 1)]
    server_id: String,
}

fn localhost() -> String {
    "localhost".to_owned()
}

impl DnsProvider for PowerDns {
    type Config = Settings;

    fn describe() -> ProviderInfo {
        let summary = "Manages DNS records in PowerDNS Authoritative Server through its HTTP API.";
        ProviderInfo::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), summary)
            .atomic()
            .max_batch_size(CHANGES_MAX)
            .can_list_records()
            .secret(API_KEY, "API key: the value of `api-key` in pdns.conf. Used as: header.")
            .endpoint("{api}")
    }

    fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
        let response = cx.get(config.url(&[])).secret_header("X-API-Key", API_KEY).send()?;
        match response.status() {
            404 => {
                let id = &config.server_id;
                Err(ProviderError::invalid(format!("the API has no server `{id}`, or is not the PowerDNS API"))
                    .field("server_id"))
            }
            _ => response.error_for_status().map(drop),
        }
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        let reader = Reader { config, cx, zone };
        if names.is_empty() {
            return reader.all()?.record_sets();
        }
        let found = reader.at(names)?;
        match names.iter().find_map(|name| found.not_served_error(name, zone)) {
            Some(error) => Err(error),
            None => found.zone.record_sets(),
        }
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        _idempotency_key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, ProviderError> {
        let mut names: Vec<_> = changes.iter().map(|change| change.name().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let current = Reader { config, cx, zone }.at(&names)?;
        current.zone.require_primary(zone)?;
        let mut adding = changes.iter().filter(|change| !change.only_removes());
        if let Some(error) = adding.find_map(|change| current.not_served_error(change.name(), zone)) {
            return Err(error);
        }
        let remaining = remaining_changes(changes, &current.zone.record_sets()?)?;
        if !remaining.is_empty() {
            let request = cx.patch(config.zone_url(zone)).secret_header("X-API-Key", API_KEY);
            let response = request.json(&Patch::of(&remaining)).send()?;
            if response.status() == 422 {
                return Err(zone::unprocessable(&remaining, &response));
            }
            let response = found(zone, response)?;
            // Any other status comes from an intermediary, not from PowerDNS.
            if response.status() != 204 {
                return Err(response.malformed("a change must return 204"));
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
        self.url(&["zones", &names::fqdn(zone)])
    }
}

/// Returns a successful response. If the zone does not exist, the failure describes what to do.
fn found(zone: &str, response: Response) -> Result<Response, ProviderError> {
    match response.status() {
        404 => {
            let why = format!("PowerDNS has no zone {zone}: create it, or remove it from the provider's zones");
            Err(ProviderError::invalid(why))
        }
        _ => response.error_for_status(),
    }
}

export_dns!(PowerDns);
