//! Commands on centrally configured providers.

use linecamp_model::limits::PROVIDERS_PER_ENVIRONMENT_MAX;
use linecamp_model::{
    DnsSettings, Document, DocumentKey, EventKind, FleetChange, FleetProvider, Name, ProviderId, ProviderSpec, SiteId,
    SpecBody,
};

use crate::fleet::command::{FleetCommandError, Force, InvalidSettings};
use crate::fleet::decision::{Decided, Decision};
use crate::fleet::site_record::SiteRecord;
use crate::fleet::state::FleetState;

/// Adds a provider to an environment or replaces one.
pub(in crate::fleet) fn set_provider(
    state: &FleetState,
    environment: Name,
    provider: FleetProvider,
    replace: bool,
) -> Decided {
    let name = provider.spec.name.clone();
    let key = (environment.clone(), name.clone());
    match (state.providers.contains_key(&key), replace) {
        (true, false) => {
            let text = format!("environment {environment} has a provider {name} already: use --replace to change it");
            return Err(FleetCommandError::NameTaken(text));
        }
        (false, _) if PROVIDERS_PER_ENVIRONMENT_MAX <= state.providers_of(&environment).count() => {
            let text = format!(
                "the limit of {PROVIDERS_PER_ENVIRONMENT_MAX} providers in environment {environment} is reached: remove some"
            );
            return Err(FleetCommandError::Limit(text));
        }
        _ => {}
    }
    let before = state.providers.get(&key).map(|before| &before.spec);
    check_settings(state, before, &provider.spec)?;
    let text = format!("provider {name} of environment {environment}, for sites `{}`", provider.sites);
    let changes = vec![FleetChange::Provider(environment, name, Some(Box::new(provider)))];
    Ok(Decision::of(changes).noted(EventKind::ProviderChanged, None, text))
}

/// Validates new settings of a provider against the description of its plugin.
///
/// Settings that are stored already are accepted, so that the sites of a provider can be changed although its plugin
/// was described later; so are settings that withdraw the records. Of a plugin that is installed at the sites, the
/// server has no description.
fn check_settings(
    state: &FleetState,
    before: Option<&ProviderSpec>,
    spec: &ProviderSpec,
) -> Result<(), FleetCommandError> {
    let Some(digest) = spec.plugin.digest else { return Ok(()) };
    let Some(file) = state.plugins.get(&digest) else {
        let text = format!("there is no plugin {digest} at the server: push it with `linecamp plugin push FILE`");
        return Err(FleetCommandError::NotFound(text));
    };
    let Some(plugin) = file.description.as_ref().filter(|_| before != Some(spec) && !spec.is_withdrawing) else {
        return Ok(());
    };
    match spec.problems(plugin) {
        problems if problems.is_empty() => Ok(()),
        problems => {
            let (provider, plugin) = (spec.name.clone(), format!("{} {}", plugin.name, plugin.version));
            Err(FleetCommandError::Settings(InvalidSettings { provider, plugin, problems }))
        }
    }
}

/// Removes a provider: its sites withdraw its records and drop it; with force, they abandon the records.
///
/// A provider that was removed before and is still at some site can be abandoned by force.
pub(super) fn remove_provider(state: &FleetState, environment: Name, name: Name, force: Force) -> Decided {
    let key = DocumentKey::Provider(ProviderId::of(&name));
    let mut sites = state.registered().filter(|(_, _, site)| site.environment == environment);
    let is_configured = state.providers.contains_key(&(environment.clone(), name.clone()));
    if !is_configured && !sites.any(|(_, record, _)| record.spec.body(key).is_some()) {
        let text = format!("environment {environment} has no provider {name}; `linecamp provider ls` lists them");
        return Err(FleetCommandError::NotFound(text));
    }
    let text = match (force, records_known(state, &environment, &name)) {
        (Force::No, _) if !is_configured => return Ok(Decision::default()),
        (Force::No, _) => format!("provider {name} of environment {environment} is being removed"),
        (Force::Yes, records) if records.is_empty() => {
            format!("provider {name} of environment {environment} was removed by force")
        }
        (Force::Yes, records) => {
            let (count, records) = (records.len(), records.join(", "));
            format!(
                "provider {name} of environment {environment} was removed by force, and {count} records stay: {records}"
            )
        }
    };
    let abandoned = match force {
        Force::Yes => abandonment(state, &environment, &name),
        Force::No => Vec::new(),
    };
    let sites = abandoned.iter().filter_map(FleetChange::site).collect();
    let changes = abandoned.into_iter().chain([FleetChange::Provider(environment, name, None)]).collect();
    Ok(Decision { changes, events: vec![(EventKind::ProviderChanged, None, text)], sites })
}

/// Returns, for each site that has a provider, the change that makes it leave without its records.
fn abandonment(state: &FleetState, environment: &Name, name: &Name) -> Vec<FleetChange> {
    let key = DocumentKey::Provider(ProviderId::of(name));
    let sites = state.registered().filter(|(_, _, site)| site.environment == *environment);
    let change = |(id, record, _): (SiteId, &SiteRecord, _)| {
        let Some(SpecBody::Provider(before)) = record.spec.body(key) else { return None };
        let dns = DnsSettings { allow_deletes: false, ..before.dns().clone() };
        let after = ProviderSpec { is_withdrawing: true, kind: dns.into(), ..(**before).clone() };
        let body = Some(SpecBody::Provider(Box::new(after.clone())));
        let document = Document { generation: record.spec.head().next(), body };
        (**before != after).then_some(FleetChange::Spec(id, key, Some(document)))
    };
    sites.filter_map(change).collect()
}

/// Returns the records of a provider that its sites reported last.
fn records_known(state: &FleetState, environment: &Name, name: &Name) -> Vec<String> {
    let sites = state.registered().filter(|(_, _, site)| site.environment == *environment);
    let statuses = sites.flat_map(|(_, record, _)| record.providers().filter(|status| status.name == *name));
    let ours = statuses.flat_map(|status| status.records().iter().filter(|record| record.state.is_ours()));
    ours.map(|record| record.key.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use linecamp_model::{ProviderConfig, Selector};

    use super::*;
    use crate::fleet::operator::provider_samples::{apply, digest, provider, with_plugin};

    fn set(state: &FleetState, spec: ProviderSpec, sites: &str) -> Decided {
        let sites = Selector::parse(sites).unwrap();
        let provider = FleetProvider { sites, spec, matches_facts: false };
        set_provider(state, Name::parse("default").unwrap(), provider, true)
    }

    fn fields(decided: Decided) -> Vec<String> {
        match decided {
            Ok(_) => Vec::new(),
            Err(FleetCommandError::Settings(invalid)) => {
                assert_eq!((invalid.provider.as_str(), invalid.plugin.as_str()), ("main-dns", "dns-fake 1.0.0"));
                invalid.problems.iter().map(|problem| problem.field.to_string()).collect()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn wrong() -> ProviderSpec {
        let config = ProviderConfig::of_json(r#"{"apy":"https://dns.test"}"#).unwrap();
        ProviderSpec { config, secrets: [].into(), ..provider() }
    }

    #[test]
    fn new_settings_must_fit_the_description_of_the_plugin() {
        let state = with_plugin(true);
        assert_eq!(fields(set(&state, provider(), "")), [""; 0]);
        assert_eq!(fields(set(&state, wrong(), "")), ["config.apy", "config.api", "secrets.token"]);
        let mut other = provider();
        other.plugin.name = Name::parse("dns-other").unwrap();
        assert_eq!(fields(set(&state, other, "")), ["plugin"]);
        assert_eq!(fields(set(&with_plugin(false), wrong(), "")), [""; 0], "there is no description");
        let mut installed = wrong();
        installed.plugin.digest = None;
        assert_eq!(fields(set(&state, installed, "")), [""; 0], "the plugin is installed at the sites");
        let mut absent = provider();
        absent.plugin.digest = Some(digest(7));
        assert!(matches!(set(&state, absent, ""), Err(FleetCommandError::NotFound(_))));
    }

    /// A provider that was added before its plugin was described can be placed and withdrawn.
    #[test]
    fn stored_settings_are_kept_whatever_the_description_says() {
        let mut state = with_plugin(false);
        let decided = set(&state, wrong(), "");
        apply(&mut state, decided);
        state.plugins = with_plugin(true).plugins;
        let decided = set(&state, wrong(), "tier=web");
        apply(&mut state, decided);
        assert_eq!(fields(set(&state, ProviderSpec { is_withdrawing: true, ..wrong() }, "")), [""; 0]);
        assert_eq!(fields(set(&state, ProviderSpec { is_dry_run: true, ..wrong() }, "")).len(), 3);
    }
}
