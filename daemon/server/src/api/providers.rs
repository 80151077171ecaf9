//! Centrally configured providers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use linecamp_core::{Fleet, FleetCommand, Force, ProviderSummary};
use linecamp_model::{FleetProvider, Name, Now, ProviderSpec, Selector, SettingProblem};
use linecamp_proto::api::path::{self, NameQuery, PreviewQuery, RemoveQuery};
use linecamp_proto::api::{
    ErrorCode, List, ProviderBody, ProviderCount, ProviderEdit, ProviderRequest, ProviderView, SettingError,
};

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, StrictQuery, parse_name};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route(path::PROVIDERS, get(list).post(create))
        .route(path::PROVIDER, get(show).patch(edit).delete(remove))
        .route(path::PROVIDER_PREVIEW, post(preview))
}

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

async fn list(
    State(api): State<Api>,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<List<ProviderView>>, ApiError> {
    let environment = environment_of(&query)?;
    let found = api.query(move |fleet, _| all(fleet, environment.as_ref())).await?;
    Ok(Json(found.iter().map(ProviderView::from).collect()))
}

async fn create(
    State(api): State<Api>,
    Body(request): Body<ProviderRequest>,
) -> Result<(StatusCode, Json<ProviderView>), ApiError> {
    let (environment, provider) = requested(&request)?;
    let name = provider.spec.name.clone();
    api.command(FleetCommand::SetProvider(environment.clone(), Box::new(provider), false)).await?;
    Ok((StatusCode::CREATED, Json((&one(&api, name, Some(environment)).await?).into())))
}

/// Validates a provider as if it were added, or replaced, and stores nothing. The answer shows it as it would be.
async fn preview(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<PreviewQuery>,
    Body(request): Body<ProviderRequest>,
) -> Result<Json<ProviderView>, ApiError> {
    let (environment, provider) = requested(&request)?;
    check_name(&name, &provider.spec)?;
    let check = move |fleet: &Fleet, _: Now| fleet.view().preview_provider(environment, provider, query.replace);
    Ok(Json((&StoredProvider::from(api.query(check).await??)).into()))
}

async fn show(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<ProviderView>, ApiError> {
    Ok(Json((&one(&api, name, environment_of(&query)?).await?).into()))
}

async fn edit(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
    Body(edit): Body<ProviderEdit>,
) -> Result<Json<ProviderView>, ApiError> {
    let before = one(&api, name.clone(), environment_of(&query)?).await?;
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
    api.command(FleetCommand::SetProvider(before.environment.clone(), Box::new(after), true)).await?;
    Ok(Json((&one(&api, name, Some(before.environment)).await?).into()))
}

/// Removes a provider. The answer shows it as being removed: its sites keep it until they have abandoned its records.
/// With force, they leave the records in place.
async fn remove(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<RemoveQuery>,
) -> Result<Json<ProviderView>, ApiError> {
    let environment = query.environment.as_deref().map(|text| parse_name("environment", text)).transpose()?;
    let mut before = one(&api, name.clone(), environment).await?;
    let force = if query.force { Force::Yes } else { Force::No };
    api.command(FleetCommand::RemoveProvider(before.environment.clone(), name, force)).await?;
    before.provider.spec.is_withdrawing = 0 < before.count.sites;
    Ok(Json((&before).into()))
}

/// Finds the provider that the request refers to.
async fn one(api: &Api, name: Name, environment: Option<Name>) -> Result<StoredProvider, ApiError> {
    let of_name = name.clone();
    let mut found = api
        .query(move |fleet, _| {
            let mut found = all(fleet, environment.as_ref());
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

fn all(fleet: &Fleet, environment: Option<&Name>) -> Vec<StoredProvider> {
    fleet.view().providers(environment).into_iter().map(StoredProvider::from).collect()
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

fn environment_of(query: &NameQuery) -> Result<Option<Name>, ApiError> {
    query.environment.as_deref().map(|text| parse_name("environment", text)).transpose()
}

fn sites(text: &str) -> Result<Selector, ApiError> {
    Selector::parse(text).map_err(|error| ApiError::bad_request(format!("sites: {error}")))
}

fn spec(settings: &ProviderBody) -> Result<ProviderSpec, ApiError> {
    settings
        .to_spec()
        .map_err(|SettingError { key, problem }| ApiError::bad_request(format!("settings.{key}: {problem}")))
}
