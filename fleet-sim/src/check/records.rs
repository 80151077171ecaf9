//! `foreign-untouched`, `own-claims`, `no-leak`: DNS records, as the name server has them; and, for `converges`, the
//! records that a site should have there.
//!
//! The expected records are computed here, from the views for operators and from the machine's address. A checker that
//! used the records of the machines would trust what it is meant to check.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_core::testing::Sets;
use linecamp_model::{
    Claim, ConditionKind, Document, DocumentKey, DomainName, EffectiveLabels, EventKind, FleetChange, LocalView, Phase,
    Place, ProviderSpec, RecordChange, RecordKey, RecordSet, RecordType, SiteId, SiteView,
};

use super::{Watch, registration};
use crate::disk::Disk;
use crate::transport::NodeId;

/// Prefix of the names that a site's own provider creates; no others have it.
pub(crate) const OWN_PREFIX: &str = "spot.";

/// The label that sets a gateway's address manually.
pub(crate) const ADDRESS_LABEL: &str = "io.linecamp.host.external_dns_ip";

/// The label that excludes a gateway from DNS.
pub(crate) const SWITCH_LABEL: &str = "io.linecamp.host.external_dns";

/// The label that selects sites for the central provider, and its value.
pub(crate) const SELECT_LABEL: (&str, &str) = ("dns", "on");

/// Conditions that concern DNS.
const CONDITIONS: [ConditionKind; 5] = [
    ConditionKind::PluginFailed,
    ConditionKind::ProviderFailed,
    ConditionKind::RecordConflict,
    ConditionKind::RecordQuarantined,
    ConditionKind::RecordsRetained,
];

/// State of the zone.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The zone's contents, from the writes observed.
    zone: Sets,
    /// What the zone contained before any site wrote to it.
    foreign: Sets,
    /// Sites that may leave records behind: removed without waiting, or with a lost or restored database.
    may_leave: BTreeSet<SiteId>,
    /// Sites that acted on outdated answers, or that were cloned: they may corrupt their own records.
    may_corrupt: BTreeSet<SiteId>,
    /// Records that sites left behind without a report.
    left: BTreeMap<SiteId, BTreeSet<RecordKey>>,
}

/// A site, with the inputs that determine its records.
pub(crate) struct RecordInputs<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: SiteId,
    /// Its machine's address.
    pub(crate) address: &'a str,
    /// The providers that it should have.
    pub(crate) specs: Vec<&'a ProviderSpec>,
    pub(crate) view: &'a SiteView,
    pub(crate) local: &'a LocalView,
}

impl Watch {
    /// Sets the initial contents of the zone.
    pub(crate) fn set_zone(&mut self, zone: &Sets) {
        self.records.zone.clone_from(zone);
        self.records.foreign.clone_from(zone);
    }

    /// From now on this site may leave records behind.
    pub(crate) fn allow_leftover_records(&mut self, site: SiteId) {
        self.records.may_leave.insert(site);
    }

    /// From now on this site may corrupt its own records, but no others.
    pub(crate) fn allow_corrupt_records(&mut self, site: SiteId) {
        self.records.may_leave.insert(site);
        self.records.may_corrupt.insert(site);
    }

    /// Applies a manual change of a record.
    pub(crate) fn changed_by_hand(&mut self, key: &RecordKey, set: Option<&RecordSet>) {
        match set {
            Some(set) => self.records.zone.insert(key.clone(), set.clone()),
            None => self.records.zone.remove(key),
        };
    }

    /// Returns the existing record sets that sites own.
    pub(crate) fn claimed(&self) -> Vec<(SiteId, RecordKey)> {
        let claims = self.records.zone.values().filter(|set| !self.records.foreign.contains_key(&set.key));
        let claims = claims.filter_map(|set| Some((Claim::read(set)?.site, Claim::key_of(&set.key.name)?)));
        claims.filter(|(_, key)| self.records.zone.contains_key(key)).collect()
    }

    /// Checks the changes that a site made to a zone in one call.
    pub(crate) fn zone_written(
        &mut self,
        (node, site): (NodeId, SiteId),
        writes: &[(DomainName, RecordChange)],
        zone: &Sets,
    ) {
        let mut touched = BTreeSet::new();
        for (_, change) in writes {
            let Some(key) = change.key() else { continue };
            let record = record_of(key);
            let holder = self.records.holder(&record);
            if self.records.foreign.contains_key(key) || self.records.foreign.contains_key(&record) {
                return self.find(
                    "foreign-untouched",
                    [node],
                    format!("a site wrote {change:?}, and the record is foreign"),
                );
            }
            if let Some(other) = holder.filter(|holder| holder.site != site) {
                let what = format!("a site wrote {change:?}, and the record is claimed by site {}", other.site);
                return self.find("own-claims", [node], what);
            }
            match &change.after {
                Some(set) => self.records.zone.insert(key.clone(), set.clone()),
                None => self.records.zone.remove(key),
            };
            touched.insert(record);
        }
        let lacks_claim = |record: &&RecordKey| {
            let holder = self.records.holder(record);
            self.records.zone.contains_key(record) && holder.is_none_or(|holder| holder.site != site)
        };
        let may_corrupt_records = self.records.may_corrupt.contains(&site);
        if let Some(record) = touched.iter().find(lacks_claim).filter(|_| !may_corrupt_records) {
            let what = format!("{record} exists after {writes:?} without a claim of the site");
            self.find("own-claims", [node], what);
        }
        let is_changed = |set: &&RecordSet| zone.get(&set.key) != Some(*set);
        if let Some(set) = self.records.foreign.values().find(is_changed) {
            let what = format!("the foreign record {set} is {:?} after {writes:?}", zone.get(&set.key));
            self.find("foreign-untouched", [node], what);
        } else if *zone != self.records.zone {
            self.find("own-claims", [node], format!("the zone changed by more than {writes:?}"));
        }
    }

    /// Checks a change that the server is about to write: a site that leaves has deleted its records, or reports those
    /// it could not delete.
    pub(crate) fn server_writes_records(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        match change {
            FleetChange::Site(site, Some(after)) if after.life.phase == Phase::Removed => {
                let phase = registration(disk, *site).map(|before| before.life.phase);
                if phase == Some(Phase::Removing) && !self.records.may_leave.contains(site) {
                    let left = self.records.claimed_by(*site);
                    self.records.left.insert(*site, left);
                }
            }
            FleetChange::Spec(site, DocumentKey::Provider(_), Some(Document { body: None, .. })) => {
                let mut left = self.records.claimed_by(*site);
                left.retain(|key| !key.name.as_str().starts_with(OWN_PREFIX));
                if let (Some(key), false) = (left.first(), self.records.may_leave.contains(site)) {
                    let what = format!("a provider was removed from the site, and its record {key} still exists");
                    self.find("no-leak", self.node_of(*site), what);
                }
            }
            FleetChange::Event(_, Some(logged)) if logged.event.kind == EventKind::RecordsLeft => {
                let left = logged.event.site.and_then(|site| self.records.left.get_mut(&site));
                if let Some(left) = left {
                    left.retain(|key| !logged.event.text.as_str().contains(&key.to_string()));
                }
            }
            _ => {}
        }
    }

    /// Checks that no record was left behind without a report.
    pub(crate) fn check_left(&mut self) {
        for (site, left) in std::mem::take(&mut self.records.left) {
            let still = self.records.claimed_by(site);
            if let Some(key) = left.intersection(&still).next() {
                let what = format!("the site is removed, and its record {key} still exists and was not reported");
                self.find("no-leak", self.node_of(site), what);
            }
        }
    }

    /// Returns why a site's records differ from the expected final state, or `None` if they match.
    pub(crate) fn record_difference(&self, site_inputs: &RecordInputs<'_>) -> Option<String> {
        let name = site_inputs.name;
        let providers: BTreeSet<_> = site_inputs.local.providers.iter().map(|provider| &provider.name).collect();
        let expected: BTreeSet<_> = site_inputs.specs.iter().map(|spec| &spec.name).collect();
        if providers != expected {
            return Some(format!("{name} has the providers {providers:?}, expected {expected:?}"));
        }
        let wanted: Sets = site_inputs.specs.iter().flat_map(|spec| wanted(site_inputs, spec)).collect();
        // Such a site may have lost the ownership of a record of its own.
        let may_corrupt_records = self.records.may_corrupt.contains(&site_inputs.id);
        let lacks_claim = |key: &RecordKey| {
            may_corrupt_records && self.records.zone.contains_key(key) && self.records.holder(key).is_none()
        };
        let is_blocked = |key: &RecordKey| self.records.is_blocked(key) || lacks_claim(key);
        let (blocked, wanted): (Sets, Sets) = wanted.into_iter().partition(|(key, _)| is_blocked(key));
        let zone = &self.records.zone;
        let is_ours = |key: &RecordKey| self.records.holder(key).is_some_and(|holder| holder.site == site_inputs.id);
        if let Some(set) = wanted.values().find(|set| zone.get(&set.key) != Some(set) || !is_ours(&set.key)) {
            let held = zone.get(&set.key).map_or_else(|| "nothing".to_owned(), ToString::to_string);
            return Some(format!(
                "{name} requires {set}, the zone has {held}; {}",
                describe_providers(site_inputs.local)
            ));
        }
        let may_leave_records = self.records.may_leave.contains(&site_inputs.id);
        let claimed = self.records.claimed_by(site_inputs.id);
        if let Some(key) = claimed.iter().find(|key| !wanted.contains_key(key)).filter(|_| !may_leave_records) {
            return Some(format!(
                "{name} does not require {key}, the zone has it; {}",
                describe_providers(site_inputs.local)
            ));
        }
        let failing = site_inputs.local.conditions.iter().filter(|condition| CONDITIONS.contains(&condition.kind));
        // A restored disk may bring back notes of a provider that has left since: these need an operator.
        let is_expected = |kind| match kind {
            ConditionKind::RecordConflict => !blocked.is_empty(),
            ConditionKind::RecordsRetained => may_leave_records,
            _ => false,
        };
        if let Some(failure) = failing.clone().find(|failure| !is_expected(failure.kind)) {
            return Some(format!("{name} has the condition {}: {}", failure.kind, failure.detail));
        }
        let is_reported = failing.into_iter().any(|failure| failure.kind == ConditionKind::RecordConflict);
        (!is_reported && !blocked.is_empty())
            .then(|| format!("{name} does not report a conflict with the foreign records {blocked:?}"))
    }

    /// Returns whether a site that may leave records behind has some that nothing requires.
    pub(crate) fn has_leftovers(&self, site_inputs: &RecordInputs<'_>) -> bool {
        let wanted: Sets = site_inputs.specs.iter().flat_map(|spec| wanted(site_inputs, spec)).collect();
        let may_leave_records = self.records.may_leave.contains(&site_inputs.id);
        may_leave_records && self.records.claimed_by(site_inputs.id).iter().any(|key| !wanted.contains_key(key))
    }
}

impl Records {
    fn holder(&self, record: &RecordKey) -> Option<Claim> {
        let name = Claim::name_of(record).ok()?;
        self.zone.get(&RecordKey { name, rtype: RecordType::Txt }).and_then(Claim::read)
    }

    /// Returns the record sets that a site owns, whether they exist or not.
    fn claimed_by(&self, site: SiteId) -> BTreeSet<RecordKey> {
        let claims = self.zone.values().filter(|set| Claim::read(set).is_some_and(|claim| claim.site == site));
        claims.filter_map(|set| Claim::key_of(&set.key.name)).collect()
    }

    /// Returns whether another owner uses the name: the record set, its ownership TXT record, or an alias in its place.
    fn is_blocked(&self, key: &RecordKey) -> bool {
        let claim = Claim::name_of(key).ok().map(|name| RecordKey { name, rtype: RecordType::Txt });
        let alias = RecordKey { name: key.name.clone(), rtype: RecordType::Cname };
        [Some(key.clone()), claim, Some(alias)].iter().flatten().any(|key| self.foreign.contains_key(key))
    }
}

/// Returns the record set that a key concerns: for an ownership TXT record, the set it protects.
fn record_of(key: &RecordKey) -> RecordKey {
    Claim::key_of(&key.name).filter(|_| key.rtype == RecordType::Txt).unwrap_or_else(|| key.clone())
}

/// Returns the records that a provider should maintain for a site.
fn wanted(site_inputs: &RecordInputs<'_>, spec: &ProviderSpec) -> Vec<(RecordKey, RecordSet)> {
    let Some(host) = site_inputs.view.gateway() else { return Vec::new() };
    let phase = if site_inputs.view.phase == Phase::Active { host.phase } else { site_inputs.view.phase };
    let is_serving = phase == Phase::Active || (phase == Phase::Inactive && !spec.dns().withdraw_inactive);
    if !is_serving || label(&host.labels, SWITCH_LABEL) == Some("false") {
        return Vec::new();
    }
    let place = Place { host: &host.name, site: &site_inputs.view.name, environment: &site_inputs.view.environment };
    let mut sets = Vec::new();
    for zone in &spec.dns().zones {
        let addresses = label(&host.labels, ADDRESS_LABEL).unwrap_or(site_inputs.address);
        let (six, four): (Vec<_>, Vec<_>) = addresses.split(',').partition(|address| address.contains(':'));
        for (rtype, values) in [(RecordType::A, four), (RecordType::Aaaa, six)] {
            if let (Ok(name), false) = (spec.dns().template.name(place, zone), values.is_empty()) {
                sets.push(RecordSet::observed(RecordKey { name, rtype }, spec.dns().ttl, &values));
            }
        }
        for extra in &spec.dns().extra {
            let values =
                extra.values.iter().map(|value| value.as_str().replace("{site}", site_inputs.view.name.as_str()));
            let values: Vec<_> = values.collect();
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            if let Ok(name) = extra.template.name(place, zone) {
                let key = RecordKey { name, rtype: extra.rtype.clone() };
                sets.push(RecordSet::observed(key, spec.dns().ttl, &values));
            }
        }
    }
    sets.into_iter().map(|set| (set.key.clone(), set)).collect()
}

/// Returns the value of a label.
pub(crate) fn label<'a>(labels: &'a EffectiveLabels, key: &str) -> Option<&'a str> {
    labels.iter().find(|(held, _)| held.as_str() == key).map(|(_, label)| label.value.as_str())
}

/// Describes the state of a site's providers, as the site reports it.
fn describe_providers(local: &LocalView) -> String {
    let of_provider = |provider: &linecamp_model::ProviderStatus| {
        let records =
            provider.records().iter().map(|record| format!("{} {} {}", record.key, record.state, record.detail));
        let failure = provider.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{}: {failure} [{}]", provider.name, records.collect::<Vec<_>>().join(", "))
    };
    local.providers.iter().map(of_provider).collect::<Vec<_>>().join("; ")
}
