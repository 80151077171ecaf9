//! The link of a host, and its conditions.

use linecamp_model::{
    Condition, DocumentKey, HostId, LinkState, LinkView, Now, Parent, Registration, SiteId, Text, WallTime,
};

use super::ListView;
use crate::fleet::conditions::{add_known, late};
use crate::fleet::site_record::SiteRecord;

/// The link of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostLink {
    /// Who it is linked with.
    pub(super) via: Parent,
    pub(super) state: LinkState,
    /// Since when.
    pub(super) since: WallTime,
}

impl ListView<'_> {
    /// Returns the link of a host. That of a host that joined its gateway is known as far as the gateway's own is up:
    /// otherwise, it is the gateway's.
    pub(super) fn host_link(
        self,
        site: SiteId,
        (record, registration): (&SiteRecord, &Registration),
        host: HostId,
    ) -> HostLink {
        let parent = record.host_member(host).map(|member| member.parent);
        let own = self.links.get(host).filter(|_| parent == Some(Parent::Server));
        let link = own.or_else(|| self.links.get(site));
        let (state, since) =
            link.map_or((LinkState::Disconnected, registration.life.since), |link| (link.state(), link.since()));
        let via = match parent {
            Some(Parent::Gateway) => Parent::Gateway,
            Some(Parent::Server) | None => Parent::Server,
        };
        let membership = record.host_status(host).and_then(|status| status.membership.as_ref());
        match membership.filter(|_| via == Parent::Gateway && state == LinkState::Connected) {
            Some(membership) if membership.link.is_disconnected => {
                HostLink { via, state: LinkState::Disconnected, since: membership.link.since }
            }
            Some(membership) => HostLink { via, state, since: membership.link.since },
            None => HostLink { via, state, since },
        }
    }

    pub(super) fn host_address(self, site: SiteId, record: &SiteRecord, host: HostId) -> Text {
        let is_gateway = record.gateway() == Some(DocumentKey::Host(host));
        let link = if is_gateway { self.links.get(site) } else { self.links.get(host) };
        link.map(|link| link.address().clone()).unwrap_or_default()
    }

    /// Returns the conditions of a host: of a gateway, those of its site, whose daemon is its own.
    pub(super) fn conditions_of_host(self, site: SiteId, host: HostId, now: Now) -> Vec<Condition> {
        let Some((record, registration)) = self.registered_site(site) else { return Vec::new() };
        if registration.gateway == host {
            return self.conditions_of_site(site, now);
        }
        let reported = record.host_status(host).and_then(|status| status.daemon.as_ref());
        let mut conditions = reported.map(|daemon| daemon.conditions.clone()).unwrap_or_default();
        add_known(&mut conditions, self.links.get(host));
        let life = record.hosts.get(&host).map(|of| of.life);
        let HostLink { state, since, .. } = self.host_link(site, (record, registration), host);
        let link = LinkView { state, since, address: Text::default() };
        conditions.extend(life.and_then(|life| late(life, &link, now)));
        conditions
    }
}
