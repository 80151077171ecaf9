//! Which hosted zone is meant.

use linecamp_provider::prelude::*;

use crate::record_set::name_of;
use crate::{Settings, answer};

/// Hosted zones of one name that are looked at. AWS lets an account have more; then the id has to be in the config.
const SAME_NAME_MAX: u32 = 20;

/// What holds a list of hosted zones.
const ZONES: &str = "ListHostedZonesByNameResponse";

/// Says whether the API is there and accepts the credentials. Of zones it looks only at those in the config.
pub(crate) fn check(config: &Settings, cx: &Context) -> Result<(), Failure> {
    for (zone, id) in &config.zone_ids {
        insist_on_id(zone, id)?;
    }
    // What an operator allowed for one zone only is asked of that zone.
    let (segments, root) = match config.zone_ids.values().next() {
        Some(id) => (&["hostedzone", id, "rrset"][..], "ListResourceRecordSetsResponse"),
        None => (&["hostedzonesbyname"][..], ZONES),
    };
    let request = cx.get(config.url(segments)).query("maxitems", 1);
    answer::read(config.sign(request).send()?, root).map(drop)
}

/// Returns the id of a zone: the config's, or that of the one hosted zone of the name.
pub(crate) fn id(config: &Settings, cx: &Context, zone: &str) -> Result<String, Failure> {
    if let Some((name, id)) = config.zone_ids.iter().find(|(name, _)| names::canonical(name) == zone) {
        insist_on_id(name, id)?;
        return Ok(id.clone());
    }
    let request = cx.get(config.url(&["hostedzonesbyname"])).query("dnsname", names::dotted(zone));
    let list = answer::read(config.sign(request.query("maxitems", SAME_NAME_MAX)).send()?, ZONES)?;
    let zones = list.child("HostedZones").into_iter().flat_map(|zones| zones.all("HostedZone"));
    let is_meant = |found: &str| name_of(found) == zone;
    let ids: Vec<_> = zones
        .filter(|found| found.text_of("Name").is_some_and(is_meant))
        .filter_map(|found| found.text_of("Id"))
        .map(|id| id.rsplit('/').next().unwrap_or(id))
        .collect();
    match ids[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(Failure::refused(format!(
            "the AWS account has no hosted zone {zone}: create it there, or take it out of the provider's zones"
        ))),
        _ => {
            let ids = ids.join(", ");
            let why = format!("the AWS account has several hosted zones {zone}: {ids}. Say which in `zone_ids`");
            Err(Failure::refused(why).field("zone_ids"))
        }
    }
}

fn insist_on_id(zone: &str, id: &str) -> Result<(), Failure> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let why = "is no id of a hosted zone, which is letters and digits, such as Z0123456789ABC";
    Err(Failure::refused(format!("`{}` {why}", id.escape_debug())).field(format!("zone_ids.{zone}")))
}
