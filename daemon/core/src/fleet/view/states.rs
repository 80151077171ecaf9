//! The states of sites and hosts: the part of their views that changes by itself.

use linecamp_model::{
    DocumentKey, HostId, HostRegistration, HostState, LinkView, Name, Now, SiteId, SiteState, SiteStatus, StatusBody,
};

use super::FleetView;
use crate::fleet::conditions::{conditions_of, waits_for};
use crate::fleet::site_record::SiteRecord;

impl FleetView<'_> {
    /// Returns the state of a site and those of its hosts; `None` if it is not registered.
    pub(in crate::fleet) fn states(self, id: SiteId, now: Now) -> Option<(SiteState, Vec<HostState>)> {
        let (record, registration) = self.state.site(id)?;
        let (life, environment) = (registration.life, &registration.environment);
        let name = &record.site_spec()?.name;
        let link: LinkView = self.link_view(id, registration);
        let site = SiteState {
            id,
            name: name.clone(),
            environment: environment.clone(),
            phase: life.phase,
            phase_since: life.since,
            waits_for: waits_for(life.phase, &link),
            conditions: conditions_of(site_status(record), self.links.get(id), (life, &link), now),
            link,
        };
        Some((site, host_states(record, name, environment)))
    }
}

/// Returns the last status of a site itself.
pub(super) fn site_status(record: &SiteRecord) -> Option<&SiteStatus> {
    match record.status.body(DocumentKey::Site) {
        Some(StatusBody::Site(status)) => Some(status),
        Some(StatusBody::Host(_) | StatusBody::Provider(_)) | None => None,
    }
}

fn host_states(record: &SiteRecord, site: &Name, environment: &Name) -> Vec<HostState> {
    let state = |(id, registered): (&HostId, &HostRegistration)| {
        Some(HostState {
            id: *id,
            name: record.host_spec(*id)?.name.clone(),
            site: site.clone(),
            environment: environment.clone(),
            phase: registered.life.phase,
            phase_since: registered.life.since,
        })
    };
    record.hosts.iter().filter_map(state).collect()
}
