//! The labels of a site and its gateway, by owner.

use linecamp_model::{DocumentKey, EffectiveLabels, OwnedLabels, SpecBody, StatusBody, effective_of_site};

use super::site_record::SiteRecord;

/// Returns the labels of a site or a host, by owner.
pub(super) fn owned(record: &SiteRecord, key: DocumentKey) -> OwnedLabels<'_> {
    let assigned = match record.spec.body(key) {
        Some(SpecBody::Site(spec)) => Some(&spec.assigned),
        Some(SpecBody::Host(spec)) => Some(&spec.assigned),
        Some(SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => None,
    };
    if let DocumentKey::Host(host) = key {
        let reported = record.host_status(host);
        let (reported, local) = (reported.map(|status| &status.reported), reported.map(|status| &status.local));
        return OwnedLabels { reported, local, assigned };
    }
    match record.status.body(key) {
        Some(StatusBody::Site(status)) => OwnedLabels { reported: None, local: Some(&status.local), assigned },
        Some(StatusBody::Host(_) | StatusBody::Provider(_)) | None => {
            OwnedLabels { assigned, ..OwnedLabels::default() }
        }
    }
}

/// Returns the labels that providers are placed by: those assigned to a site and, with `matches_facts`, those its
/// gateway reports. Labels the site sets itself are never read: no site can assign itself a provider and the secrets
/// that come with it.
pub(super) fn placement_labels(record: &SiteRecord, matches_facts: bool) -> EffectiveLabels {
    let assigned = OwnedLabels { assigned: owned(record, DocumentKey::Site).assigned, ..OwnedLabels::default() };
    let gateway = record.gateway().map(|gateway| owned(record, gateway)).unwrap_or_default();
    let reported = gateway.reported.filter(|_| matches_facts);
    effective_of_site(assigned, OwnedLabels { reported, ..OwnedLabels::default() })
}
