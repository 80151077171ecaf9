//! A DNS provider for a small zone API, for tests, development and the simulator.
//!
//! The API is the smallest one that supports the whole contract. The testkit's `ZoneService` implements it:
//!
//! ```text
//! GET  {api}/zones/{zone}/records?name=a.example&name=b.example&page=2     Authorization: Bearer …
//!      200 {"records": [{"name", "type", "ttl", "values": […]}], "next": 3 or null,  without `name`: all
//!           "elsewhere": [{"name", "zone"}]}          requested names that are in a zone below
//! POST {api}/zones/{zone}/changes  {"key": "…", "changes": [{"before": record or null, "after": record or null}]}
//!      204 all applied, now or earlier;  409 {"name": "…", "found": "…"} nothing applied
//!      421 {"name": "…", "zone": "…"} nothing applied: the name is in a zone below
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
    /// Where the zone API is, such as `http://127.0.0.1:8053`.
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
    elsewhere: Vec<Elsewhere>,
}

/// A name in a zone below, which is served from there and not from this zone.
#[derive(Deserialize)]
struct Elsewhere {
    name: String,
    zone: String,
}

/// The body of a change request.
#[derive(Serialize)]
struct Order<'a> {
    key: &'a str,
    changes: &'a [Change],
}

/// The record that conflicts with a change.
#[derive(Deserialize)]
struct Obstacle {
    name: String,
    found: String,
}

impl DnsProvider for Fake {
    type Config = Settings;

    fn describe() -> About {
        About::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "Keeps records behind a small zone API, for tests.",
        )
        .atomic()
        .lists_zones()
        .secret("token", "The API's bearer token.")
        .reaches("{api}")
    }

    fn check(config: &Settings, cx: &Context) -> Result<(), Failure> {
        cx.get(url::join(&config.api, &["zones"])).bearer("token").send()?.ok().map(drop)
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
        let url = url::join(&config.api, &["zones", zone, "records"]);
        let request = names.iter().fold(cx.get(&url), |request, name| request.query("name", name));
        let query = request.as_request().url.clone();
        cx.paginate(request.bearer("token"), |answer| {
            let Listing { records, next, elsewhere } = answer.json()?;
            if let Some(Elsewhere { name, zone }) = elsewhere.first() {
                return Err(Failure::in_zone_below(name, zone));
            }
            let next = next.map(|page| cx.get(&query).query("page", page).bearer("token"));
            Ok(Page { items: records, next })
        })
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, Failure> {
        let url = url::join(&config.api, &["zones", zone, "changes"]);
        let answer = cx.post(url).bearer("token").json(&Order { key, changes }).send()?;
        if answer.status() == 409 {
            let Obstacle { name, found } = answer.json()?;
            return Err(Failure::conflict(name, found));
        }
        if answer.status() == 421 {
            let Elsewhere { name, zone } = answer.json()?;
            return Err(Failure::in_zone_below(name, &zone));
        }
        answer.ok()?;
        Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
    }
}

linecamp_provider::export_dns!(Fake);

#[cfg(test)]
mod tests {
    use super::Fake;
    use linecamp_testkit::{Setup, ZoneService, conformance};

    #[test]
    fn it_keeps_the_contract() {
        let service = || ZoneService::new("example.org", "s3cret-token");
        let setup = Setup::new("example.org", r#"{"api": "http://zone.test:8053"}"#, service);
        conformance::<Fake>(&setup.secret("token", "s3cret-token")).assert();
    }
}
