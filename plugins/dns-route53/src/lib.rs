//! DNS provider for Amazon Route 53.
//!
//! The changes of one `apply` are sent as one atomic batch. A replacement is a `DELETE` of the old record set, by its
//! exact values, and a `CREATE` of the new one. Both fail if the zone holds anything else, so Route 53 itself performs
//! the compare-and-swap. The current state is still read right before, to skip changes that are already done.
//!
//! A batch is accepted immediately and reaches the name servers within a minute; the provider does not wait for that.
//!
//! A name is not served from the zone if the name, or a name above it, has NS records in the zone, or if the zone is
//! private and the account has another private zone for it. Such a name is rejected, but records that the zone holds
//! there can still be deleted. A public child zone that is not delegated to is not served.
//!
//! Operators set up a hosted zone and an access key with the permissions `route53:ListResourceRecordSets` and
//! `route53:ChangeResourceRecordSets` on it. The permission `route53:ListHostedZonesByName` is also required, unless
//! the zone's ID is in the config; with the ID in the config, private child zones are not detected. The host signs the
//! requests.
//!
//! Aliases and record sets with a routing policy always count as foreign, whatever they contain, and are never changed.

mod batch;
mod hosted_zone;
mod listing;
mod record_set;
mod response;
mod xml;

#[cfg(test)]
mod fake_server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use linecamp_provider::prelude::*;
use serde::Deserialize;

use crate::hosted_zone::HostedZone;
use crate::record_set::Listed;

/// The version of the API: the only one ever released.
const VERSION: &str = "2013-04-01";

/// The secrets' names in requests.
const ACCESS_KEY_ID: &str = "access-key-id";
const SECRET_ACCESS_KEY: &str = "secret-access-key";
const SESSION_TOKEN: &str = "session-token";

/// A batch may hold 1,000 records. A change deletes and adds at most 16 values each, so this many changes always fit.
const CHANGES_MAX: u32 = 30;

/// The Amazon Route 53 provider.
#[derive(Debug)]
pub struct Route53;

/// Settings of the Route 53 provider.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Region for the request signature. Route 53 is a global service in `us-east-1`; the AWS partitions for China and
    /// for the US government have their own regions.
    #[serde(default = "us_east_1")]
    #[config(default = "us-east-1", min_length = 1)]
    region: String,
    /// URL of the API.
    #[serde(default = "default_endpoint")]
    #[config(default = "https://route53.amazonaws.com", format = "uri")]
    endpoint: String,
    /// Hosted zone IDs by zone name, such as `{"example.org": "Z0123456789ABC"}`. Required if several hosted zones have
    /// the same name, such as a public and a private one; otherwise it saves a request.
    #[serde(default)]
    zone_ids: BTreeMap<String, String>,
    /// Whether the access key is temporary and has a session token, in the secret `session-token`.
    #[serde(default)]
    #[config(default = false)]
    temporary: bool,
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

fn default_endpoint() -> String {
    "https://route53.amazonaws.com".to_owned()
}

impl DnsProvider for Route53 {
    type Config = Settings;

    fn describe() -> ProviderInfo {
        ProviderInfo::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Manages DNS records in Amazon Route 53.")
            .atomic()
            .can_list_records()
            .max_batch_size(CHANGES_MAX)
            .secret(ACCESS_KEY_ID, "Access key ID. Used as: sigv4-key-id.")
            .secret(SECRET_ACCESS_KEY, "Secret access key. Used as: sigv4.")
            .optional_secret(SESSION_TOKEN, "Session token of a temporary access key. Used as: sigv4-session-token.")
            // This is the default of `endpoint` in the config.
            .endpoint("route53.amazonaws.com:443")
            .endpoint("{endpoint}")
    }

    fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
        hosted_zone::validate(config, cx)
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        let hosted = hosted_zone::find(config, cx, zone)?;
        let found = Found::read(config, cx, (zone, &hosted), names)?;
        match names.iter().find_map(|name| found.child_zone_error(name)) {
            Some(error) => Err(error),
            None => found.sets.iter().map(Listed::seen).collect(),
        }
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        idempotency_key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, ProviderError> {
        let names: Vec<_> = changes.iter().map(|change| change.name().to_owned()).collect();
        let hosted = hosted_zone::find(config, cx, zone)?;
        let found = Found::read(config, cx, (zone, &hosted), &names)?;
        let mut adding = changes.iter().filter(|change| !change.only_removes());
        if let Some(error) = adding.find_map(|change| found.child_zone_error(change.name())) {
            return Err(error);
        }
        let found = found.sets;
        let current: Vec<_> = found.iter().map(Listed::seen).collect::<Result<_, _>>()?;
        let remaining = remaining_changes(changes, &current)?;
        if !remaining.is_empty() {
            let body = batch::write(idempotency_key, &remaining, &found);
            let request = cx.post(config.url(&["hostedzone", &hosted.id, "rrset"])).body("application/xml", body);
            let response = config.sign(request).send()?;
            response::of_batch(response, &remaining)?;
        }
        Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
    }
}

/// What was read at some names.
struct Found<'a> {
    zone: &'a str,
    hosted: &'a HostedZone,
    /// The record sets at these names, served or not; without names, all record sets.
    sets: Vec<Listed>,
    /// The names, among these and the names above them, at which the zone delegates to other name servers.
    delegated: BTreeSet<String>,
}

impl<'a> Found<'a> {
    fn read(
        config: &Settings,
        cx: &Context,
        (zone, hosted): (&'a str, &'a HostedZone),
        names: &[String],
    ) -> Result<Self, ProviderError> {
        let above = names.iter().flat_map(|name| names::zone_cut_candidates(name, zone)).map(str::to_owned);
        let queried: BTreeSet<_> = names.iter().cloned().chain(above).collect();
        let mut sets = listing::read(config, cx, &hosted.id, &Vec::from_iter(queried))?;
        let delegated = sets.iter().filter(|set| set.rtype == "NS").map(|set| set.name.clone()).collect();
        sets.retain(|set| names.is_empty() || names.contains(&set.name));
        Ok(Self { zone, hosted, sets, delegated })
    }

    /// Returns the error for a name that is served from a child zone; `None` if it is served from this zone.
    fn child_zone_error(&self, name: &str) -> Option<ProviderError> {
        let candidates: Vec<_> = names::zone_cut_candidates(name, self.zone).collect();
        let private = candidates.iter().find(|candidate| self.hosted.private_child_zones.contains(**candidate));
        // From the zone down, in the order in which a resolver descends.
        let delegated = || candidates.iter().rev().find(|candidate| self.delegated.contains(**candidate));
        private.or_else(delegated).map(|below| ProviderError::in_child_zone(name, below))
    }
}

impl Settings {
    fn url(&self, segments: &[&str]) -> String {
        url::join(&self.endpoint, &[&[VERSION], segments].concat())
    }

    /// Asks the host to sign a request.
    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.sigv4(Sigv4 {
            access_key_id_secret: ACCESS_KEY_ID.to_owned(),
            secret_access_key_secret: SECRET_ACCESS_KEY.to_owned(),
            session_token_secret: self.temporary.then(|| SESSION_TOKEN.to_owned()),
            region: self.region.clone(),
            service: "route53".to_owned(),
        })
    }
}

export_dns!(Route53);
