//! `converges`: once all faults are over, every reachable site converges; one that does not is reported with the
//! reason.

use std::collections::BTreeMap;

use linecamp_core::{Fleet, Site};
use linecamp_model::{KeyFingerprint, LabelKey, LabelSet, LabelValue, Level, LinkState, Now, SiteChange, SiteId};

use crate::disk::Disk;

/// Both sides of one site.
pub(crate) struct SiteState<'a> {
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
pub(crate) fn convergence_failure(of: &SiteState<'_>, fleet: &Fleet) -> Option<String> {
    let name = of.name;
    if fleet.view().is_revoked(of.key) {
        return match &of.has_ended {
            Some(_) => None,
            None => Some(format!("{name} was removed, and still has its identity; {}", describe_site(of))),
        };
    }
    let Some(site) = of.site else {
        let how = of.has_ended.as_deref().unwrap_or("stopped");
        return Some(format!("{name} is not removed, and its daemon does not run: {how}"));
    };
    let Some(view) = of.id.and_then(|id| fleet.view().site_by_id(id, of.at_server)) else {
        return Some(format!("{name} is not registered at the server; {}", describe_site(of)));
    };
    let local = site.view(of.at_site);
    if local.link.state != LinkState::Connected || view.link.state != LinkState::Connected {
        let (here, there) = (local.link.state, view.link.state);
        return Some(format!(
            "{name} must be connected: the site reports {here}, the server {there}; {}",
            describe_site(of)
        ));
    }
    if view.converged_generation != view.spec_generation {
        let (converged, spec) = (view.converged_generation, view.spec_generation);
        return Some(format!(
            "{name} has converged to generation {converged}, the spec is at {spec}; {}",
            describe_site(of)
        ));
    }
    if view.phase.is_transitional() {
        return Some(format!("{name} stays in the transitional phase {}", view.phase));
    }
    if let Some(host) = view.hosts.iter().find(|host| host.phase.is_transitional()) {
        return Some(format!("the gateway of {name} stays in the transitional phase {}", host.phase));
    }
    let differs = |key: &&LabelKey| local.labels.get(*key).map(|l| &l.value) != view.labels.get(*key).map(|l| &l.value);
    if let Some(key) = local.labels.keys().chain(view.labels.keys()).find(differs) {
        let value = |labels: &linecamp_model::EffectiveLabels| {
            labels.get(key).map_or_else(|| "nothing".to_owned(), |label| format!("{} ({})", label.value, label.owner))
        };
        let (here, there) = (value(&local.labels), value(&view.labels));
        return Some(format!(
            "label {key} of {name} is {here} at the site, {there} at the server; {}",
            describe_site(of)
        ));
    }
    if 0 < local.outbox_events {
        return Some(format!("{name} has {} unacknowledged events; {}", local.outbox_events, describe_site(of)));
    }
    lost_local_label(of)
}

/// Returns a locally confirmed label that is not on the disk.
fn lost_local_label(of: &SiteState<'_>) -> Option<String> {
    of.acknowledged.iter().find_map(|((level, key), values)| {
        let held = stored_local_label(of.disk, *level, key);
        let is_kept = values.contains(&held);
        (!is_kept)
            .then(|| format!("{}: label {key} was acknowledged locally as {values:?}, the disk has {held:?}", of.name))
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
fn describe_site(of: &SiteState<'_>) -> String {
    let Some(site) = of.site else { return "its daemon does not run".to_owned() };
    let parts = site.why(of.at_site).into_iter().filter(|why| matches!(why.part, "link" | "store" | "status"));
    let parts = parts.map(|why| {
        let next = why.next.map(|(at, what)| format!(", {what} at {at}")).unwrap_or_default();
        format!("{}: {}{next}", why.part, why.detail)
    });
    parts.collect::<Vec<_>>().join("; ")
}
