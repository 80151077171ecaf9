//! What to do with a record of the fleet database whose body was rejected.

use linecamp_model::{
    AuditBlock, BulkActionId, FleetChange, HeldSite, HostId, HostMemberChange, IdempotencyKeyHash, KeyFingerprint,
    RestoredFrom, Salvage, SecretHash, SiteId, TokenId, WallTime,
};

use super::key;

/// Returns how to recover from the record under `key`, whose body was rejected.
pub fn salvage_fleet_record(key: &[u8]) -> Salvage {
    let path = std::str::from_utf8(key).unwrap_or_default();
    let path: Vec<&str> = path.split('/').collect();
    let salvaged = match path.as_slice() {
        ["revoked-key", fingerprint] => key::digest(fingerprint)
            .map(|digest| FleetChange::RevokedKey(KeyFingerprint::from_bytes(digest), Some(WallTime::EPOCH))),
        ["token-use", token, site] => TokenId::parse(token)
            .zip(SiteId::parse(site))
            .map(|(token, site)| FleetChange::TokenUse(token, site.into(), Some(WallTime::EPOCH))),
        ["host-token-use", token, host] => TokenId::parse(token)
            .zip(HostId::parse(host))
            .map(|(token, host)| FleetChange::TokenUse(token, host.into(), Some(WallTime::EPOCH))),
        ["site", site, "key", fingerprint] => {
            SiteId::parse(site).zip(key::digest(fingerprint)).map(|(site, digest)| {
                FleetChange::SiteKey(site, KeyFingerprint::from_bytes(digest), Some(WallTime::EPOCH))
            })
        }
        ["restored"] => {
            Some(FleetChange::Restored(Some(RestoredFrom { taken_at: WallTime::EPOCH, restored_at: WallTime::EPOCH })))
        }
        ["held", "site", site] => {
            SiteId::parse(site).map(|site| FleetChange::HeldSite(site, Some(HeldSite::default())))
        }
        ["held", "token", token] => {
            TokenId::parse(token).map(|token| FleetChange::HeldToken(token, Some(WallTime::EPOCH)))
        }
        ["held", "api-key", secret] => key::digest(secret)
            .map(|digest| FleetChange::HeldApiKey(SecretHash::from_bytes(digest), Some(WallTime::EPOCH))),
        ["audit-block", index] => {
            key::number(index).map(|index| FleetChange::AuditBlock(index, Some(AuditBlock::lost())))
        }
        ["event", number] => key::number(number).map(|number| FleetChange::Event(number, None)),
        ["site", site, "status", about @ ..] => {
            SiteId::parse(site).zip(key::document(about)).map(|(site, about)| FleetChange::Status(site, about, None))
        }
        ["gap", site, began_at] => SiteId::parse(site)
            .zip(key::number(began_at))
            .map(|(site, began_at)| FleetChange::LinkGap(site, WallTime::from_unix_millis(began_at), None)),
        ["site", site, "host", host, "status", about @ ..] => {
            key::document(about).and_then(|about| host_member(site, host, HostMemberChange::Status(about, None)))
        }
        ["gap", site, host, began_at] => key::number(began_at)
            .map(WallTime::from_unix_millis)
            .and_then(|began_at| host_member(site, host, HostMemberChange::LinkGap(began_at, None))),
        ["answer", hash] => {
            key::digest(hash).map(|hash| FleetChange::KeptAnswer(IdempotencyKeyHash::from_bytes(hash), None))
        }
        ["bulk-action", id] => BulkActionId::parse(id).map(|id| FleetChange::BulkAction(id, None)),
        ["site", site, "trust"] => SiteId::parse(site).map(|site| FleetChange::SiteTrust(site, None)),
        ["site", site, ..] => return SiteId::parse(site).map_or(Salvage::Ignore, Salvage::Quarantine),
        _ => None,
    };
    match salvaged {
        Some(
            change @ (FleetChange::Event(..)
            | FleetChange::Status(..)
            | FleetChange::HostMember(..)
            | FleetChange::LinkGap(..)
            | FleetChange::KeptAnswer(..)
            | FleetChange::BulkAction(..)
            | FleetChange::SiteTrust(..)),
        ) => Salvage::Remove(change),
        Some(change) => Salvage::Keep(change),
        None => Salvage::Ignore,
    }
}

fn host_member(site: &str, host: &str, change: HostMemberChange) -> Option<FleetChange> {
    Some(FleetChange::HostMember(SiteId::parse(site)?, HostId::parse(host)?, change))
}
