//! Finds the hosted zone for a zone name.

use std::collections::BTreeSet;

use linecamp_provider::prelude::*;

use crate::record_set::name_of;
use crate::{Settings, response};

/// Hosted zones per page: the most that Route 53 returns.
const ZONES_PER_PAGE: u32 = 100;

/// Pages read, enough for 2,000 zones below a zone. With more, the call is rejected, and the config has to name the ID.
const PAGES_MAX: usize = 20;

/// The root element of a list of hosted zones.
const ZONES: &str = "ListHostedZonesByNameResponse";

/// Checks that the API is reachable and accepts the credentials. Only zones named in the config are checked.
pub(crate) fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
    for (zone, id) in &config.zone_ids {
        insist_on_id(zone, id)?;
    }
    // A key that is allowed for one zone only must be checked on that zone.
    let (segments, root) = match config.zone_ids.values().next() {
        Some(id) => (&["hostedzone", id, "rrset"][..], "ListResourceRecordSetsResponse"),
        None => (&["hostedzonesbyname"][..], ZONES),
    };
    let request = cx.get(config.url(segments)).query("maxitems", 1);
    response::read(config.sign(request).send()?, root).map(drop)
}

/// A hosted zone.
pub(crate) struct HostedZone {
    pub(crate) id: String,
    /// Private zones below this one, if it is private itself: within their networks, queries are answered from the
    /// closest one. Known only for a zone that was found by its name.
    pub(crate) private_child_zones: BTreeSet<String>,
}

/// Finds a zone by the ID in the config, or as the only hosted zone of this name.
pub(crate) fn find(config: &Settings, cx: &Context, zone: &str) -> Result<HostedZone, ProviderError> {
    if let Some((name, id)) = config.zone_ids.iter().find(|(name, _)| names::canonical(name) == zone) {
        insist_on_id(name, id)?;
        return Ok(HostedZone { id: id.clone(), private_child_zones: BTreeSet::new() });
    }
    let listed = list(config, cx, zone)?;
    let named: Vec<_> = listed.iter().filter(|found| found.name == zone).collect();
    match named[..] {
        [only] => {
            let below = listed.iter().filter(|found| only.is_private && found.is_private && found.name != zone);
            let private_child_zones = below.map(|found| found.name.clone()).collect();
            Ok(HostedZone { id: only.id.clone(), private_child_zones })
        }
        [] => Err(ProviderError::invalid(format!(
            "the AWS account has no hosted zone {zone}: create it there, or take it out of the provider's zones"
        ))),
        _ => {
            let ids: Vec<_> = named.iter().map(|found| found.id.as_str()).collect();
            let ids = ids.join(", ");
            let why = format!("the AWS account has several hosted zones {zone}: {ids}. Say which in `zone_ids`");
            Err(ProviderError::invalid(why).field("zone_ids"))
        }
    }
}

/// A hosted zone in a list.
struct ListedZone {
    name: String,
    id: String,
    is_private: bool,
}

/// Lists the hosted zones of this name and, if it is private, those below it. They follow it, because the list is
/// ordered by the names' labels from last to first.
fn list(config: &Settings, cx: &Context, zone: &str) -> Result<Vec<ListedZone>, ProviderError> {
    let url = config.url(&["hostedzonesbyname"]);
    let mut listed: Vec<ListedZone> = Vec::new();
    let mut request = cx.get(&url).query("dnsname", names::fqdn(zone));
    for _ in 0..PAGES_MAX {
        let response = response::read(config.sign(request.query("maxitems", ZONES_PER_PAGE)).send()?, ZONES)?;
        let malformed = |what: &str| ProviderError::retry(format!("the list of hosted zones from {zone} on {what}"));
        let zones = response.child("HostedZones").ok_or_else(|| malformed("has no hosted zones"))?;
        for element in zones.all("HostedZone") {
            let (Some(name), Some(id)) = (element.text_of("Name"), element.text_of("Id")) else {
                return Err(malformed("has one without name or id"));
            };
            let is_private = element.child("Config").and_then(|config| config.text_of("PrivateZone")) == Some("true");
            let id = id.rsplit('/').next().unwrap_or(id).to_owned();
            listed.push(ListedZone { name: name_of(name), id, is_private });
        }
        let goes_on = listed.last().is_none_or(|last| names::is_within(&last.name, zone));
        let (name, id) = (response.text_of("NextDNSName"), response.text_of("NextHostedZoneId"));
        request = match (response.text_of("IsTruncated"), name, id) {
            (Some("true"), Some(name), Some(id)) if goes_on => {
                cx.get(&url).query("dnsname", name).query("hostedzoneid", id)
            }
            (Some("true" | "false"), ..) => {
                listed.retain(|found| names::is_within(&found.name, zone));
                return Ok(listed);
            }
            _ => return Err(malformed("does not say whether it is truncated")),
        };
    }
    Err(ProviderError::invalid(format!("the list of hosted zones from {zone} on has more than {PAGES_MAX} pages")))
}

fn insist_on_id(zone: &str, id: &str) -> Result<(), ProviderError> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let why = "is not a hosted zone ID, which has letters and digits, such as Z0123456789ABC";
    Err(ProviderError::invalid(format!("`{}` {why}", id.escape_debug())).field(format!("zone_ids.{zone}")))
}
