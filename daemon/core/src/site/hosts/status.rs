//! The status of the hosts of the LAN, as their gateway reports it.

use linecamp_model::{DocumentKey, Generation, HostDaemon, HostMembership, HostStatus, ReplicationCursor, StatusBody};

use crate::site::state::SiteState;

/// Returns the status of the hosts of the LAN: what each reports, and what the gateway knows of it.
pub(in crate::site) fn host_statuses(state: &SiteState) -> impl Iterator<Item = (DocumentKey, StatusBody)> {
    state.lan.hosts.iter().filter_map(|(host, record)| {
        let registration = record.registration.as_ref()?;
        let mut reported = record.reported().cloned().unwrap_or_default();
        if let Some(daemon) = &mut reported.daemon {
            count_in_spec_of_site(daemon, record.cursor, state);
        }
        let membership = HostMembership {
            name: registration.name.clone(),
            token: registration.token,
            keys: record.keys.keys().copied().collect(),
            joined_at: registration.joined_at,
            removed_at: registration.removed_at,
            link: registration.link,
        };
        let status = HostStatus { membership: Some(membership), ..reported };
        Some((DocumentKey::Host(*host), StatusBody::Host(status)))
    })
}

/// Lets a host's generations count in the incarnation of the site's spec. The gateway may have given the host another
/// one, for the same documents; a generation of an earlier one counts as nothing.
fn count_in_spec_of_site(daemon: &mut HostDaemon, cursor: Option<ReplicationCursor>, state: &SiteState) {
    let of_site = state.origin.unwrap_or_default().spec_incarnation;
    let of_host = cursor.and_then(|cursor| cursor.spec_incarnation).unwrap_or(of_site);
    if daemon.spec_incarnation != of_host {
        daemon.applied = Generation::ZERO;
    }
    daemon.spec_incarnation = of_site;
}
