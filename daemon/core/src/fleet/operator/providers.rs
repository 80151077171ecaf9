//! Commands on centrally configured providers.

use linecamp_model::limits::PROVIDERS_PER_ENVIRONMENT_MAX;
use linecamp_model::{
    DnsSettings, Document, DocumentKey, EventKind, FleetChange, FleetProvider, Name, ProviderId, ProviderSpec, SiteId,
    SpecBody,
};

use crate::fleet::command::{FleetCommand, FleetCommandError, Force};
use crate::fleet::decision::{Decided, Decision, check_environment};
use crate::fleet::lookup::find_site;
use crate::fleet::site_record::SiteRecord;
use crate::fleet::state::FleetState;

/// Adds a provider to an environment or replaces one.
pub(super) fn set_provider(state: &FleetState, environment: Name, provider: FleetProvider, replace: bool) -> Decided {
    check_environment(state, &environment)?;
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
    if let Some(digest) = provider.spec.plugin.digest
        && !state.plugins.contains_key(&digest)
    {
        let text = format!("there is no plugin {digest} at the server: push it with `linecamp plugin push FILE`");
        return Err(FleetCommandError::NotFound(text));
    }
    let text = format!("provider {name} of environment {environment}, for sites `{}`", provider.sites);
    let changes = vec![FleetChange::Provider(environment, name, Some(Box::new(provider)))];
    Ok(Decision { changes, event: Some((EventKind::ProviderChanged, None, text)), site: None })
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
    let changes = vec![FleetChange::Provider(environment, name, None)];
    Ok(Decision { changes, event: Some((EventKind::ProviderChanged, None, text)), site: None })
}

/// The effect of a forced command on records.
#[derive(Debug)]
pub(in crate::fleet) enum Forced {
    Nothing,
    /// A provider is abandoned at these sites.
    Provider(Vec<(SiteId, FleetChange)>),
    /// A site is removed and leaves these records.
    Site(SiteId, Vec<String>),
}

impl Forced {
    /// Returns the effect of a command, before it is carried out.
    pub(in crate::fleet) fn of(state: &FleetState, command: &FleetCommand) -> Self {
        match command {
            FleetCommand::RemoveProvider(environment, name, Force::Yes) => {
                Self::Provider(abandonment(state, environment, name))
            }
            FleetCommand::Remove(site, Force::Yes) => match find_site(state, site) {
                Ok(id) => Self::Site(id, state.sites.get(&id).map(SiteRecord::records_left).unwrap_or_default()),
                Err(_) => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }
}

/// Returns, for each site that has a provider, the change that makes it leave without its records.
fn abandonment(state: &FleetState, environment: &Name, name: &Name) -> Vec<(SiteId, FleetChange)> {
    let key = DocumentKey::Provider(ProviderId::of(name));
    let sites = state.registered().filter(|(_, _, site)| site.environment == *environment);
    let change = |(id, record, _): (SiteId, &SiteRecord, _)| {
        let Some(SpecBody::Provider(before)) = record.spec.body(key) else { return None };
        let dns = DnsSettings { allow_deletes: false, ..before.dns().clone() };
        let after = ProviderSpec { is_withdrawing: true, kind: dns.into(), ..(**before).clone() };
        let body = Some(SpecBody::Provider(Box::new(after.clone())));
        let document = Document { generation: record.spec.head().next(), body };
        (**before != after).then_some((id, FleetChange::Spec(id, key, Some(document))))
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
