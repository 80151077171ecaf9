//! The status of the hosts of the LAN, as their gateway reports it.

use linecamp_model::{Condition, DocumentKey, HostId, HostMembership, HostStatus, StatusBody};

use crate::host_member::daemon_in;
use crate::site::state::SiteState;

/// Returns the status of the hosts of the LAN: what each reports, and what the gateway knows of it. `of_link` returns
/// the conditions that the gateway knows of a host from its link.
pub(in crate::site) fn host_statuses(
    state: &SiteState,
    of_link: impl Fn(HostId) -> Vec<Condition>,
) -> impl Iterator<Item = (DocumentKey, StatusBody)> {
    state.lan.hosts.iter().filter_map(move |(host, record)| {
        let registration = record.registration.as_ref()?;
        let incarnation = state.origin.unwrap_or_default().spec_incarnation;
        let reported = record.reported().cloned().unwrap_or_default();
        let mut daemon = daemon_in(record, incarnation);
        if let Some(daemon) = &mut daemon {
            let known = of_link(*host);
            daemon.conditions.retain(|condition| known.iter().all(|newer| newer.kind != condition.kind));
            daemon.conditions.extend(known);
        }
        let membership = HostMembership {
            name: registration.name.clone(),
            token: registration.token,
            keys: record.keys.keys().copied().collect(),
            joined_at: registration.joined_at,
            removed_at: registration.removed_at,
            link: registration.link,
        };
        let status = HostStatus { daemon, membership: Some(membership), ..reported };
        Some((DocumentKey::Host(*host), StatusBody::Host(status)))
    })
}
