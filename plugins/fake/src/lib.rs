//! A DNS provider for a small zone API, for tests, development and the simulator.
//!
//! The API is the smallest one that supports the whole contract. The testkit's `ZoneService` implements it:
//!
//! ```text
//! GET  {api}/zones/{zone}/records?name=a.example&name=b.example&page=2     Authorization: Bearer …
//!      200 {"records": [{"name", "type", "ttl", "values": […]}], "next": 3 or null,  without `name`: all
//!           "delegated": [{"name", "zone"}]}          requested names that are in a child zone
//! POST {api}/zones/{zone}/changes  {"key": "…", "changes": [{"before": record or null, "after": record or null}]}
//!      204 all applied, now or earlier;  409 {"name": "…", "found": "…"} nothing applied
//!      421 {"name": "…", "zone": "…"} nothing applied: the name is in a child zone
//! ```
//!
//! The service performs an atomic compare-and-swap, so this provider makes no decisions of its own.

use linecamp_provider::prelude::*;
use serde::{Deserialize, Serialize};

/// The fake provider.
#[derive(Debug)]
pub struct Fake;

/// Its settings.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Base URL of the zone API, such as `http://127.0.0.1:8053`.
    #[config(format = "uri", example = "http://127.0.0.1:8053")]
    api: String,
}

/// One page of a zone.
#[derive(Deserialize)]
struct Listing {
    records: Vec<RecordSet>,
    /// `null` on the last page. A response without this field is not a page: whether more would follow is unknown.
    #[serde(deserialize_with = "Option::deserialize")]
    next: Option<u32>,
    delegated: Vec<Delegated>,
}

/// A name in a child zone, which serves it instead of this zone.
#[derive(Deserialize)]
struct Delegated {
    name: String,
    zone: String,
}

/// The body of a change request.
#[derive(Serialize)]
struct ChangeRequest<'a> {
    key: &'a str,
    changes: &'a [Change],
}

/// The record that conflicts with a change.
#[derive(Deserialize)]
struct ConflictResponse {
    name: String,
    found: String,
}

impl DnsProvider for Fake {
    type Config = Settings;

    fn describe() -> ProviderInfo {
        ProviderInfo::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Manages DNS records in a small zone API, for tests.",
        )
        .atomic()
        .can_list_records()
        .secret("token", "Bearer token of the API.")
        .endpoint("{api}")
    }

    fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
        cx.get(url::join(&config.api, &["zones"])).bearer("token").send()?.error_for_status().map(drop)
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        let url = url::join(&config.api, &["zones", zone, "records"]);
        let request = names.iter().fold(cx.get(&url), |request, name| request.query("name", name));
        let query = request.as_request().url.clone();
        cx.paginate(request.bearer("token"), |response| {
            let Listing { records, next, delegated } = response.json()?;
            if let Some(Delegated { name, zone }) = delegated.first() {
                return Err(ProviderError::in_child_zone(name, zone));
            }
            let next = next.map(|page| cx.get(&query).query("page", page).bearer("token"));
            Ok(Page { items: records, next })
        })
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        idempotency_key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, ProviderError> {
        let url = url::join(&config.api, &["zones", zone, "changes"]);
        let response = cx.post(url).bearer("token").json(&ChangeRequest { key: idempotency_key, changes }).send()?;
        if response.status() == 409 {
            let ConflictResponse { name, found } = response.json()?;
            return Err(ProviderError::conflict(name, found));
        }
        if response.status() == 421 {
            let Delegated { name, zone } = response.json()?;
            return Err(ProviderError::in_child_zone(name, &zone));
        }
        response.error_for_status()?;
        Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
    }
}

linecamp_provider::export_dns!(Fake);

#[cfg(test)]
mod tests {
    use super::Fake;
    use linecamp_testkit::{Setup, ZoneService, conformance};

    #[test]
    fn it_conforms_to_the_contract() {
        let service = || ZoneService::new("example.org", "s3cret-token");
        let setup = Setup::new("example.org", r#"{"api": "http://zone.test:8053"}"#, service);
        conformance::<Fake>(&setup.secret("token", "s3cret-token")).assert();
    }
}
