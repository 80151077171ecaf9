//! `converges`: once all faults are over, everything reachable agrees; a site that does not is reported with the
//! reason.

use std::collections::BTreeMap;

use linecamp_core::{Fleet, Site};
use linecamp_model::{KeyFingerprint, LabelKey, LabelSet, LabelValue, Level, LinkState, Now, SiteChange, SiteId};

use crate::disk::Disk;

/// Both sides of one site.
pub(crate) struct Settling<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: &'a KeyFingerprint,
    pub(crate) id: Option<SiteId>,
    pub(crate) site: Option<&'a Site>,
    /// How its daemon ended permanently, if it did.
    pub(crate) has_ended: Option<String>,
    pub(crate) at_site: Now,
    pub(crate) at_server: Now,
    pub(crate) disk: &'a Disk<SiteChange>,
    /// What was confirmed locally, and the values that may hold instead.
    pub(crate) acknowledged: &'a BTreeMap<(Level, LabelKey), Vec<Option<LabelValue>>>,
}

/// Returns why a site differs from the expected final state, or `None` if it matches.
pub(crate) fn unsettled(of: &Settling<'_>, fleet: &Fleet) -> Option<String> {
    let name = of.name;
    if fleet.view().is_revoked(of.key) {
        return match &of.has_ended {
            Some(_) => None,
            None => Some(format!("{name} was removed and has not forgotten who it was; {}", doing(of))),
        };
    }
    let Some(site) = of.site else {
        let how = of.has_ended.as_deref().unwrap_or("is off");
        return Some(format!("{name} is registered at the server or to be, and its daemon {how}"));
    };
    let Some(view) = of.id.and_then(|id| fleet.view().site_by_id(id, of.at_server)) else {
        return Some(format!("the server knows no {name}; {}", doing(of)));
    };
    let local = site.view(of.at_site);
    if local.link.state != LinkState::Connected || view.link.state != LinkState::Connected {
        let (here, there) = (local.link.state, view.link.state);
        return Some(format!(
            "the link of {name} is {here} as the site sees it, {there} as the server does; {}",
            doing(of)
        ));
    }
    if view.converged_generation != view.spec_generation {
        let (converged, spec) = (view.converged_generation, view.spec_generation);
        return Some(format!("{name} has converged to {converged} of spec {spec}; {}", doing(of)));
    }
    if view.phase.is_transitional() {
        return Some(format!("{name} is {}, and nobody ends that", view.phase));
    }
    if let Some(host) = view.hosts.iter().find(|host| host.phase.is_transitional()) {
        return Some(format!("the gateway of {name} is {}, and nobody ends that", host.phase));
    }
    let differs = |key: &&LabelKey| local.labels.get(*key).map(|l| &l.value) != view.labels.get(*key).map(|l| &l.value);
    if let Some(key) = local.labels.keys().chain(view.labels.keys()).find(differs) {
        let value = |labels: &linecamp_model::EffectiveLabels| {
            labels.get(key).map_or_else(|| "nothing".to_owned(), |label| format!("{} ({})", label.value, label.owner))
        };
        let (here, there) = (value(&local.labels), value(&view.labels));
        return Some(format!("{name} has {key} as {here}, the server has it as {there}; {}", doing(of)));
    }
    if 0 < local.outbox_events {
        return Some(format!("{name} still has {} events for the server; {}", local.outbox_events, doing(of)));
    }
    lost_on_the_spot(of)
}

/// Returns a locally confirmed label that is not on the disk.
fn lost_on_the_spot(of: &Settling<'_>) -> Option<String> {
    of.acknowledged.iter().find_map(|((level, key), values)| {
        let held = stored_local_label(of.disk, *level, key);
        let is_kept = values.contains(&held);
        (!is_kept).then(|| format!("{} was told locally that {key} is {values:?}, and it is {held:?}", of.name))
    })
}

/// Reads a label that was set locally.
pub(crate) fn stored_local_label(disk: &Disk<SiteChange>, level: Level, key: &LabelKey) -> Option<LabelValue> {
    let labels = match disk.find(&SiteChange::LocalLabels(level, None)) {
        Some(SiteChange::LocalLabels(_, labels)) => labels.unwrap_or_default(),
        _ => LabelSet::default(),
    };
    labels.iter().find(|(held, _)| *held == key).map(|(_, held)| held.value.clone())
}

/// Describes what a site is doing, as it reports it.
fn doing(of: &Settling<'_>) -> String {
    let Some(site) = of.site else { return "it is off".to_owned() };
    let parts = site.why(of.at_site).into_iter().filter(|why| matches!(why.part, "link" | "store" | "status"));
    let parts = parts.map(|why| {
        let next = why.next.map(|(at, what)| format!(", {what} at {at}")).unwrap_or_default();
        format!("{}: {}{next}", why.part, why.detail)
    });
    parts.collect::<Vec<_>>().join("; ")
}
