//! Writes to the spec of a site: while one is not durable, neither the site nor a host of it is sent spec.

use linecamp_model::{HostId, Now, SiteId};

use super::Fleet;
use super::effects::Release;

impl Fleet {
    /// Counts a write to the spec of a site, which is staged next: neither the site nor a host of it is sent spec
    /// before it is durable.
    pub(super) fn spec_staged(&mut self, site: SiteId) -> Vec<Release> {
        self.downlink.spec_staged(site.into());
        let direct = self.effects.state().sites.get(&site).map(|record| record.direct_hosts.keys().copied().collect());
        let hosts: Vec<HostId> = direct.unwrap_or_default();
        hosts.iter().for_each(|host| self.downlink.spec_staged((*host).into()));
        let of_hosts = (!hosts.is_empty()).then_some(Release::HostSpecsDurable(hosts));
        [Release::SpecDurable(site)].into_iter().chain(of_hosts).collect()
    }

    /// Sends hosts that joined the server the spec that they lack, now that a write of it was answered.
    pub(super) fn host_specs_settled(&mut self, hosts: &[HostId], now: Now) {
        for host in hosts {
            self.downlink.spec_settled((*host).into());
            self.with_downlink(now, |downlink, members| downlink.send_spec((*host).into(), members));
        }
    }

    /// Sends a site the spec that it lacks, now that a write of it was answered.
    pub(super) fn spec_settled(&mut self, site: SiteId, now: Now) {
        self.downlink.spec_settled(site.into());
        self.confirm(site, now);
        self.with_downlink(now, |downlink, members| downlink.send_spec(site.into(), members));
    }
}
