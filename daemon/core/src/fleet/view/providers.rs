//! Views of centrally configured providers.

use std::collections::BTreeMap;

use linecamp_model::limits::INVALID_PROVIDERS_MAX;
use linecamp_model::{
    DocumentKey, FleetProvider, Name, Now, PluginDescription, PluginDigest, PluginFile, ProviderId, ProviderSpec,
    ProviderStatus, RecordState, RecordStatus, Selector, SettingProblem,
};

use super::{FleetView, ListView, SiteFilter};
use crate::fleet::command::{FleetCommand, FleetCommandError};
use crate::fleet::command_check::check_command;
use crate::fleet::operator::set_provider;
use crate::fleet::provider_assignment::{is_placed, provider_specs, room_for_providers, takes_providers};
use crate::fleet::site_record::SiteRecord;
use crate::page::{ItemKey, Page, PageRequest};

impl<'a> FleetView<'a> {
    /// Returns the providers that use a component of the same plugin from the server, and whose settings do not fit
    /// this one, with their environments and problems; at most [`INVALID_PROVIDERS_MAX`].
    pub fn invalid_providers(self, plugin: &PluginDescription) -> Vec<(Name, Name, Vec<SettingProblem>)> {
        let specs =
            self.state.providers.iter().map(|((environment, name), provider)| (environment, name, &provider.spec));
        let specs = specs.filter(|(environment, _, _)| self.sees(environment));
        let of_plugin = specs.filter(|(_, _, spec)| spec.plugin.digest.is_some() && spec.plugin.name == plugin.name);
        let checked =
            of_plugin.map(|(environment, name, spec)| (environment.clone(), name.clone(), spec.problems(plugin)));
        checked.filter(|(_, _, problems)| !problems.is_empty()).take(INVALID_PROVIDERS_MAX).collect()
    }

    /// Checks whether [`FleetCommand::SetProvider`] would accept a provider, and returns the provider as it would be
    /// stored.
    ///
    /// # Errors
    /// Those of the command.
    ///
    /// [`FleetCommand::SetProvider`]: crate::FleetCommand::SetProvider
    pub fn preview_provider(
        self,
        environment: Name,
        provider: FleetProvider,
        replace: bool,
    ) -> Result<ProviderSummary, FleetCommandError> {
        let mut command = FleetCommand::SetProvider(environment.clone(), Box::new(provider.clone()), replace);
        check_command(self.state, self.caller_or_console(), &mut command)?;
        set_provider(self.state, environment.clone(), provider.clone(), replace)?;
        let problems = self.problems(&provider.spec);
        Ok(ProviderSummary { problems, ..ProviderSummary::new(environment, provider) })
    }

    /// Returns the plugins that were pushed.
    pub fn plugins(self) -> impl Iterator<Item = (PluginDigest, &'a PluginFile)> {
        self.state.plugins.iter().map(|(digest, file)| (*digest, file))
    }
}

impl<'a> ListView<'a> {
    /// Returns the providers, by environment and name, including removed ones that some site still has.
    pub fn providers(self, environment: Option<&Name>) -> Vec<ProviderSummary> {
        let is_meant = |of: &Name| environment.is_none_or(|meant| meant == of) && self.sees(of);
        let providers = self.providers.iter().filter(|((of, _), _)| is_meant(of));
        let mut found: BTreeMap<_, _> = providers
            .map(|(key, provider)| (key.clone(), ProviderSummary::new(key.0.clone(), (**provider).clone())))
            .collect();
        for (_, record, site) in self.registered().filter(|(_, _, site)| is_meant(&site.environment)) {
            if room_for_providers(record) == 0 {
                let of = found.iter_mut().filter(|((of, _), _)| *of == site.environment);
                of.for_each(|(_, summary)| summary.count_if_left_out(record));
            }
            for (id, spec) in provider_specs(record) {
                let key = (site.environment.clone(), spec.name.clone());
                let withdrawing =
                    || FleetProvider { sites: Selector::default(), spec: spec.clone(), matches_facts: false };
                let new = || ProviderSummary::new(site.environment.clone(), withdrawing());
                found.entry(key).or_insert_with(new).count(record, id);
            }
        }
        found
            .into_values()
            .map(|found| ProviderSummary { problems: self.problems(&found.provider.spec), ..found })
            .collect()
    }

    /// Returns a provider that is being created, with the sites that get it: some may not have it in their spec yet.
    pub fn new_provider(self, environment: &Name, name: &Name) -> Option<ProviderSummary> {
        let found = self.providers.get(&(environment.clone(), name.clone())).filter(|_| self.sees(environment))?;
        let provider = (**found).clone();
        let mut summary = ProviderSummary {
            problems: self.problems(&provider.spec),
            ..ProviderSummary::new(environment.clone(), provider)
        };
        let key = DocumentKey::Provider(ProviderId::of(name));
        for (_, record, site) in self.registered().filter(|(_, _, site)| site.environment == *environment) {
            if takes_providers(site) && is_placed(record, found) {
                let has_it = record.spec.body(key).is_some() || 0 < room_for_providers(record);
                *(if has_it { &mut summary.sites } else { &mut summary.left_out }) += 1;
            }
        }
        Some(summary)
    }

    /// Returns the problems of a provider's settings with the description of its plugin; `None` if the server has none.
    fn problems(self, spec: &ProviderSpec) -> Option<Vec<SettingProblem>> {
        let plugin = self.plugins.get(&spec.plugin.digest?)?;
        plugin.description.as_ref().map(|plugin| spec.problems(plugin))
    }

    /// Returns a page of the records of the sites that `filter` selects, as last reported: those of `provider`, in
    /// `state`. `build` makes the items of the page, and estimates the bytes of each.
    pub fn record_page<T>(
        self,
        filter: &RecordFilter,
        page: &PageRequest,
        now: Now,
        build: impl Fn(ListedRecord<'a>) -> (T, usize),
    ) -> Page<T> {
        let sites = self.listed_sites(&filter.sites, now);
        let sites = sites.filter(|site| filter.sites.site.as_ref().is_none_or(|wanted| *wanted == site.spec.name));
        let records = sites.flat_map(|site| {
            let providers = site.record.providers();
            providers.flat_map(move |provider| {
                provider.records().iter().map(move |record| ListedRecord {
                    environment: &site.registration.environment,
                    site: &site.spec.name,
                    provider,
                    record,
                })
            })
        });
        let meant = records.filter(|listed| {
            filter.provider.as_ref().is_none_or(|wanted| *wanted == listed.provider.name)
                && filter.state.is_none_or(|state| state == listed.record.state)
        });
        page.page(meant.map(|listed| (listed.key(), listed)), |listed| Some(build(listed)))
    }
}

/// Selects records.
#[derive(Clone, Debug, Default)]
pub struct RecordFilter {
    /// The sites.
    pub sites: SiteFilter,
    /// The provider; `None` for all.
    pub provider: Option<Name>,
    /// The state; `None` for all.
    pub state: Option<RecordState>,
}

/// A record, with its provider and its site.
#[derive(Clone, Copy, Debug)]
pub struct ListedRecord<'a> {
    /// The site's environment.
    pub environment: &'a Name,
    /// The site.
    pub site: &'a Name,
    /// The site's provider.
    pub provider: &'a ProviderStatus,
    /// The record.
    pub record: &'a RecordStatus,
}

impl<'a> ListedRecord<'a> {
    fn key(&self) -> ItemKey<'a> {
        let (zone, name) = (self.record.zone.as_str(), self.record.key.name.as_str());
        let provider = self.provider.name.as_str();
        let rtype = self.record.key.rtype.as_str();
        ItemKey::new(0, [self.environment.as_str(), self.site.as_str(), provider, zone, name, rtype])
    }
}

/// A centrally configured provider and its state across sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSummary {
    /// Its environment.
    pub environment: Name,
    /// Its configuration; withdrawing, if it was removed and some site still has it.
    pub provider: FleetProvider,
    /// How many sites have it in their spec.
    pub sites: usize,
    /// At how many of those all of its records were last seen in sync.
    pub converged: usize,
    /// At how many of those it fails.
    pub failed: usize,
    /// How many sites it selects that have no room for another provider and therefore lack it.
    pub left_out: usize,
    /// The problems of its settings with the description of its plugin; `None` if the server has no description.
    pub problems: Option<Vec<SettingProblem>>,
}

impl ProviderSummary {
    const fn new(environment: Name, provider: FleetProvider) -> Self {
        Self { environment, provider, sites: 0, converged: 0, failed: 0, left_out: 0, problems: None }
    }

    fn count_if_left_out(&mut self, record: &SiteRecord) {
        let key = DocumentKey::Provider(ProviderId::of(&self.provider.spec.name));
        if record.spec.body(key).is_none() && is_placed(record, &self.provider) {
            self.left_out += 1;
        }
    }

    fn count(&mut self, record: &SiteRecord, id: ProviderId) {
        let requested_at = record.spec.generation(DocumentKey::Provider(id));
        let status = record.providers().find(|status| ProviderId::of(&status.name) == id);
        self.sites += 1;
        match status {
            Some(status) if status.failure.is_some() => self.failed += 1,
            Some(status) if !status.is_local && requested_at <= status.converged => self.converged += 1,
            Some(_) | None => {}
        }
    }
}
