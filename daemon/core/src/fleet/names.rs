//! The index of names: which live sites and hosts have a name.

use std::collections::BTreeMap;

use linecamp_model::{HostId, Name, SiteId};

use super::site_record::SiteRecord;

/// The names of the live sites and of their hosts, and the number of live sites of each environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameIndex {
    sites: BTreeMap<Name, Vec<(Name, SiteId)>>,
    hosts: BTreeMap<Name, Vec<(Name, SiteId, HostId)>>,
    /// The number of live sites in each environment.
    population: BTreeMap<Name, usize>,
}

impl NameIndex {
    /// Returns the live sites with this name, each after its environment, in that order.
    pub(crate) fn sites(&self, name: &Name) -> &[(Name, SiteId)] {
        self.sites.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the hosts of live sites with this name, each after its environment and its site, in that order.
    pub(crate) fn hosts(&self, name: &Name) -> &[(Name, SiteId, HostId)] {
        self.hosts.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the number of live sites in the environment.
    pub(crate) fn population(&self, environment: &Name) -> usize {
        self.population.get(environment).copied().unwrap_or(0)
    }

    /// Adds a site and its hosts, or removes them.
    pub(super) fn set(&mut self, id: SiteId, record: &SiteRecord, is_there: bool) {
        let Some(registration) = record.registration.as_ref().filter(|of| !of.life.phase.is_gone()) else { return };
        let environment = &registration.environment;
        let population = self.population.entry(environment.clone()).or_default();
        match is_there {
            true => *population += 1,
            false => *population -= 1,
        }
        if let Some(spec) = record.site_spec() {
            set(&mut self.sites, &spec.name, (environment.clone(), id), is_there);
        }
        for (host, spec) in record.host_specs() {
            set(&mut self.hosts, &spec.name, (environment.clone(), id, host), is_there);
        }
    }
}

/// Adds an entry of a name or removes it.
fn set<T: Ord>(index: &mut BTreeMap<Name, Vec<T>>, name: &Name, entry: T, is_there: bool) {
    let entries = index.entry(name.clone()).or_default();
    match (entries.binary_search(&entry), is_there) {
        (Err(place), true) => entries.insert(place, entry),
        (Ok(place), false) => drop(entries.remove(place)),
        (Ok(_), true) | (Err(_), false) => {}
    }
    if entries.is_empty() {
        index.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{add_host, state_with_site};
    use crate::testing::name;

    #[test]
    fn a_site_and_each_of_its_hosts_are_found_by_name_until_the_site_is_taken_out() {
        let (mut state, site) = state_with_site();
        let second = add_host(&mut state, site, "box");
        let record = &state.sites[&site];
        let gateway = record.registration.as_ref().expect("it is registered").gateway;
        let mut index = NameIndex::default();
        index.set(site, record, true);
        assert_eq!(index.sites(&name("s1")), [(name("default"), site)]);
        assert_eq!(index.hosts(&name("s1")), [(name("default"), site, gateway)]);
        assert_eq!(index.hosts(&name("box")), [(name("default"), site, second)]);
        assert_eq!(index.sites(&name("box")), [], "a host is no site");
        assert_eq!(index.population(&name("default")), 1);
        index.set(site, record, false);
        assert_eq!((index.sites(&name("s1")), index.hosts(&name("box"))), (&[][..], &[][..]));
        assert_eq!(index.population(&name("default")), 0);
    }
}
