//! A provider for a small zone API. Replace the API with your service's.
//!
//! The four calls take data and return data: describe the provider, check a config, observe a zone, and apply changes.
//! A provider never retries, never sleeps and keeps no state between calls; the host does all of that.

use linecamp_provider::prelude::*;
use serde::{Deserialize, Serialize};

/// The provider. It has no state: every call runs in a new instance.
struct Provider;

/// What the operator sets. Doc comments become the descriptions of the form.
#[derive(Deserialize, Config)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the zone API is, such as `https://dns.example.org`.
    #[config(format = "uri", example = "https://dns.example.org")]
    api: String,
}

/// One page of `GET {api}/zones/{zone}/records`.
#[derive(Deserialize)]
struct Listing {
    records: Vec<RecordSet>,
    /// `null` on the last page. If the field is missing, the response is invalid: it does not say whether more pages
    /// follow.
    #[serde(deserialize_with = "Option::deserialize")]
    next: Option<u32>,
    elsewhere: Vec<Elsewhere>,
}

/// A name in a zone below, from which other records are served than those of this zone.
#[derive(Deserialize)]
struct Elsewhere {
    name: String,
    zone: String,
}

/// The body of `POST {api}/zones/{zone}/changes`, an atomic compare-and-swap.
#[derive(Serialize)]
struct Order<'a> {
    key: &'a str,
    changes: &'a [Change],
}

/// The response if the current records differ.
#[derive(Deserialize)]
struct Obstacle {
    name: String,
    found: String,
}

impl DnsProvider for Provider {
    type Config = Settings;

    fn describe() -> About {
        About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Keeps records behind a small zone API.")
            .atomic()
            .lists_zones()
            .secret("token", "The API's bearer token.")
            .reaches("{api}")
    }

    fn check(config: &Settings, cx: &Context) -> Result<(), Failure> {
        cx.get(url::join(&config.api, &["zones"])).bearer("token").send()?.ok()?;
        Ok(())
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
        let mut first = cx.get(url::join(&config.api, &["zones", zone, "records"])).bearer("token");
        for name in names {
            first = first.query("name", name);
        }
        let url = first.as_request().url.clone();
        cx.paginate(first, |answer| {
            let Listing { records, next, elsewhere } = answer.json()?;
            if let Some(Elsewhere { name, zone }) = elsewhere.first() {
                return Err(Failure::in_zone_below(name, zone));
            }
            let next = next.map(|page| cx.get(&url).query("page", page).bearer("token"));
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

linecamp_provider::export_dns!(Provider);

#[cfg(test)]
mod tests {
    use linecamp_testkit::{Setup, ZoneService, conformance};

    use super::Provider;

    /// `ZoneService` is the testkit's fake of the small zone API. For your service, write your own fake: a `Service`.
    #[test]
    fn it_keeps_the_contract() {
        let service = || ZoneService::new("example.org", "s3cret-token");
        let setup = Setup::new("example.org", r#"{"api": "https://dns.test"}"#, service);
        conformance::<Provider>(&setup.secret("token", "s3cret-token")).assert();
    }
}
