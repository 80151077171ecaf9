//! A provider for a small zone API. Replace the API with your service's.
//!
//! The four calls take data and return data: describe the provider, validate a config, observe a zone, and apply
//! changes. A provider never retries, never sleeps and keeps no state between calls; the host does all of that.

use linecamp_provider::prelude::*;
use serde::{Deserialize, Serialize};

/// The provider. It has no state: every call runs in a new instance.
struct Provider;

/// The settings. Doc comments become the descriptions in the config schema.
#[derive(Deserialize, Config)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Base URL of the zone API, such as `https://dns.example.org`.
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
    delegated: Vec<Delegated>,
}

/// A name in a child zone, which serves it instead of this zone.
#[derive(Deserialize)]
struct Delegated {
    name: String,
    zone: String,
}

/// The body of `POST {api}/zones/{zone}/changes`, an atomic compare-and-swap.
#[derive(Serialize)]
struct ChangeRequest<'a> {
    key: &'a str,
    changes: &'a [Change],
}

/// The response if the current records differ.
#[derive(Deserialize)]
struct ConflictResponse {
    name: String,
    found: String,
}

impl DnsProvider for Provider {
    type Config = Settings;

    fn describe() -> ProviderInfo {
        ProviderInfo::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Manages DNS records in a small zone API.")
            .atomic()
            .can_list_records()
            .secret("token", "Bearer token of the API.")
            .endpoint("{api}")
    }

    fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
        cx.get(url::join(&config.api, &["zones"])).bearer("token").send()?.error_for_status()?;
        Ok(())
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        let mut first = cx.get(url::join(&config.api, &["zones", zone, "records"])).bearer("token");
        for name in names {
            first = first.query("name", name);
        }
        let url = first.as_request().url.clone();
        cx.paginate(first, |response| {
            let Listing { records, next, delegated } = response.json()?;
            if let Some(Delegated { name, zone }) = delegated.first() {
                return Err(ProviderError::in_child_zone(name, zone));
            }
            let next = next.map(|page| cx.get(&url).query("page", page).bearer("token"));
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

linecamp_provider::export_dns!(Provider);

#[cfg(test)]
mod tests {
    use linecamp_testkit::{Setup, ZoneService, conformance};

    use super::Provider;

    /// `ZoneService` is the testkit's fake of the small zone API. For your service, write your own fake: a `Service`.
    #[test]
    fn it_conforms_to_the_contract() {
        let service = || ZoneService::new("example.org", "s3cret-token");
        let setup = Setup::new("example.org", r#"{"api": "https://dns.test"}"#, service);
        conformance::<Provider>(&setup.secret("token", "s3cret-token")).assert();
    }
}
