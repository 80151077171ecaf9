//! Centrally configured providers.

use linecamp_core::{FleetCommand, FleetView, Force, ItemKey, ListView, ProviderSummary};
use linecamp_model::{FleetProvider, Name, ProviderSpec, Selector, SettingProblem};
use linecamp_proto::api::operation::{
    CreateProvider, EditProvider, ListProviders, PreviewProvider, RemoveProvider, ShowProvider,
};
use linecamp_proto::api::{ErrorCode, ProviderBody, ProviderCount, ProviderRequest, ProviderView, SettingError};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::parse::{optional_name, parse_name, parse_selector};
use super::routes::Encoded;
use crate::fleet_access::FleetAccess;

/// A provider with its status.
#[derive(Clone, Debug)]
struct StoredProvider {
    environment: Name,
    provider: FleetProvider,
    count: ProviderCount,
    /// The problems of its settings with its plugin; `None` if the server has no description of that.
    problems: Option<Vec<SettingProblem>>,
}

impl From<ProviderSummary> for StoredProvider {
    fn from(found: ProviderSummary) -> Self {
        Self {
            environment: found.environment,
            provider: found.provider,
            problems: found.problems,
            count: ProviderCount {
                sites: found.sites as u64,
                converged: found.converged as u64,
                failed: found.failed as u64,
                left_out: found.left_out as u64,
            },
        }
    }
}

impl From<&StoredProvider> for ProviderView {
    fn from(found: &StoredProvider) -> Self {
        Self::new(&found.environment, &found.provider, found.count, found.problems.as_deref())
    }
}

pub(super) async fn list(call: Call<ListProviders>) -> Result<Encoded<ListProviders>, ApiError> {
    let paging = Paging::of(&call)?;
    let environment = optional_name("environment", call.query.environment.as_deref())?;
    let encoded = call.fleet.list(move |lists, _| {
        Encoded::new(&paging.list_of(
            &all(lists, environment.as_ref()),
            |found| ItemKey::new(0, [found.environment.as_str(), found.provider.spec.name.as_str()]),
            |found| ProviderView::from(found),
        ))
    });
    Ok(encoded.await?)
}

pub(super) async fn create(call: Call<CreateProvider>) -> Result<ProviderView, ApiError> {
    let (environment, provider) = requested(&call.body)?;
    let (name, of) = (provider.spec.name.clone(), environment.clone());
    let read = move |fleet: FleetView<'_>, _| {
        fleet.new_provider(&of, &name).map(|found| ProviderView::from(&StoredProvider::from(found)))
    };
    let command = FleetCommand::SetProvider(environment, Box::new(provider), false);
    call.fleet.create(command, read).await?.value.ok_or_else(ApiError::answer_not_kept)
}

/// Validates a provider as if it were added, or replaced, and stores nothing. The answer shows it as it would be.
pub(super) async fn preview(call: Call<PreviewProvider>) -> Result<ProviderView, ApiError> {
    let (environment, provider) = requested(&call.body)?;
    check_name(&call.name()?, &provider.spec)?;
    let replace = call.query.replace;
    let previewed = call.fleet.query(move |fleet, _| fleet.preview_provider(environment, provider, replace)).await??;
    Ok((&StoredProvider::from(previewed)).into())
}

pub(super) async fn show(call: Call<ShowProvider>) -> Result<ProviderView, ApiError> {
    let environment = optional_name("environment", call.query.environment.as_deref())?;
    Ok((&one(&call.fleet, call.name()?, environment).await?).into())
}

pub(super) async fn edit(call: Call<EditProvider>) -> Result<ProviderView, ApiError> {
    let (name, edit) = (call.name()?, &call.body);
    let environment = optional_name("environment", call.query.environment.as_deref())?;
    let before = one(&call.fleet, name.clone(), environment).await?;
    if before.provider.spec.is_withdrawing && (edit.sites.is_none() || edit.settings.is_none()) {
        let text = format!("provider {name} is being removed; to keep it, specify both its sites and its settings");
        return Err(ApiError::bad_request(text));
    }
    let mut after = before.provider;
    if let Some(text) = &edit.sites {
        after.sites = sites(text)?;
    }
    after.matches_facts = edit.match_facts.unwrap_or(after.matches_facts);
    if let Some(settings) = &edit.settings {
        after.spec = spec(settings)?;
    }
    check_name(&name, &after.spec)?;
    call.fleet.command(FleetCommand::SetProvider(before.environment.clone(), Box::new(after), true)).await?;
    Ok((&one(&call.fleet, name, Some(before.environment)).await?).into())
}

/// Removes a provider. The answer shows it as being removed: its sites keep it until they have abandoned its records.
/// With force, they leave the records in place.
pub(super) async fn remove(call: Call<RemoveProvider>) -> Result<ProviderView, ApiError> {
    let environment = optional_name("environment", call.query.environment.as_deref())?;
    let name = call.name()?;
    let mut before = one(&call.fleet, name.clone(), environment).await?;
    let force = if call.query.force { Force::Yes } else { Force::No };
    call.fleet.command(FleetCommand::RemoveProvider(before.environment.clone(), name, force)).await?;
    before.provider.spec.is_withdrawing = 0 < before.count.sites;
    Ok((&before).into())
}

/// Finds the provider that the request refers to.
async fn one(fleet: &FleetAccess, name: Name, environment: Option<Name>) -> Result<StoredProvider, ApiError> {
    let of_name = name.clone();
    let mut found = fleet
        .list(move |lists, _| {
            let mut found = all(lists, environment.as_ref());
            found.retain(|found| found.provider.spec.name == of_name);
            found
        })
        .await?;
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => {
            Err(ApiError::not_found(format!("provider {name} not found; list providers with `linecamp provider ls`")))
        }
        (Some(last), false) => {
            let environments: Vec<_> = found.iter().chain([&last]).map(|found| found.environment.as_str()).collect();
            let environments = environments.join(", ");
            let text = format!(
                "provider {name} exists in several environments ({environments}); specify one with --environment"
            );
            Err(ApiError::new(ErrorCode::Ambiguous, text))
        }
    }
}

fn all(lists: ListView<'_>, environment: Option<&Name>) -> Vec<StoredProvider> {
    lists.providers(environment).into_iter().map(StoredProvider::from).collect()
}

/// Validates the settings of a request by themselves.
fn requested(request: &ProviderRequest) -> Result<(Name, FleetProvider), ApiError> {
    let environment = parse_name("environment", &request.environment)?;
    let (sites, spec) = (sites(&request.sites)?, spec(&request.settings)?);
    Ok((environment, FleetProvider { sites, spec, matches_facts: request.match_facts }))
}

fn check_name(name: &Name, spec: &ProviderSpec) -> Result<(), ApiError> {
    if spec.name == *name {
        return Ok(());
    }
    let text = format!("settings.name: is {}, but this is provider {name}; a provider cannot be renamed", spec.name);
    Err(ApiError::bad_request(text))
}

fn sites(text: &str) -> Result<Selector, ApiError> {
    parse_selector("sites", text)
}

fn spec(settings: &ProviderBody) -> Result<ProviderSpec, ApiError> {
    settings
        .to_spec()
        .map_err(|SettingError { key, problem }| ApiError::invalid(&format!("settings.{key}"), &problem, None))
}
