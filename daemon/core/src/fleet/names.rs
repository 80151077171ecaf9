//! The index of names: which live sites bear a name, for themselves or for their gateway.

use std::collections::BTreeMap;

use linecamp_model::{Name, SiteId};

use super::site_record::SiteRecord;
use super::subject::Subject;

/// The names and the number of the live sites of each environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameIndex {
    /// The live sites that have a name, with their environment, in that order.
    names: BTreeMap<(Subject, Name), Vec<(Name, SiteId)>>,
    /// The number of live sites in each environment.
    population: BTreeMap<Name, usize>,
}

impl NameIndex {
    /// Returns the live sites with this name, with their environment.
    pub(crate) fn bearers(&self, subject: Subject, name: &Name) -> impl Iterator<Item = (&Name, SiteId)> {
        let of_name = self.names.get(&(subject, name.clone())).into_iter().flatten();
        of_name.map(|(environment, id)| (environment, *id))
    }

    /// Returns the number of live sites in the environment.
    pub(crate) fn population(&self, environment: &Name) -> usize {
        self.population.get(environment).copied().unwrap_or(0)
    }

    /// Adds a site or removes it.
    pub(super) fn set(&mut self, id: SiteId, record: &SiteRecord, is_there: bool) {
        let Some(registration) = record.registration.as_ref().filter(|of| !of.life.phase.is_gone()) else { return };
        let environment = &registration.environment;
        let site = record.site_spec().map(|spec| (Subject::Site, spec.name.clone()));
        let gateway = record.gateway_spec().map(|spec| (Subject::Gateway, spec.name.clone()));
        let population = self.population.entry(environment.clone()).or_default();
        match is_there {
            true => *population += 1,
            false => *population -= 1,
        }
        for name in site.into_iter().chain(gateway) {
            let bearer = (environment.clone(), id);
            let bearers = self.names.entry(name.clone()).or_default();
            match (bearers.binary_search(&bearer), is_there) {
                (Err(place), true) => bearers.insert(place, bearer),
                (Ok(place), false) => drop(bearers.remove(place)),
                (Ok(_), true) | (Err(_), false) => {}
            }
            if bearers.is_empty() {
                self.names.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::state_with_site;
    use crate::testing::name;

    #[test]
    fn a_site_is_found_by_the_names_of_both_until_it_is_taken_out() {
        let (state, site) = state_with_site();
        let record = &state.sites[&site];
        let mut index = NameIndex::default();
        index.set(site, record, true);
        for subject in [Subject::Site, Subject::Gateway] {
            let found: Vec<_> = index.bearers(subject, &name("s1")).collect();
            assert_eq!(found, [(&name("default"), site)]);
        }
        assert_eq!(index.population(&name("default")), 1);
        index.set(site, record, false);
        assert_eq!(index.bearers(Subject::Site, &name("s1")).count(), 0);
        assert_eq!(index.population(&name("default")), 0);
    }
}
