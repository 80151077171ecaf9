//! Environments.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, patch};
use axum::{Json, Router};
use linecamp_core::{EnvironmentEdit, FleetCommand};
use linecamp_model::Name;
use linecamp_proto::api::{self, Environment, EnvironmentRequest, List, path};

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, parse_name};

pub(super) fn router() -> Router<Api> {
    Router::new().route(path::ENVIRONMENTS, get(list).post(create)).route(path::ENVIRONMENT, patch(edit))
}

async fn list(State(api): State<Api>) -> Result<Json<List<Environment>>, ApiError> {
    Ok(Json(all(&api).await?.into_iter().collect()))
}

async fn create(
    State(api): State<Api>,
    Body(request): Body<EnvironmentRequest>,
) -> Result<(StatusCode, Json<Environment>), ApiError> {
    let name = parse_name("name", &request.name)?;
    let rules = EnvironmentEdit {
        approval: request.approval,
        recoveries_per_day_max: request.recoveries_per_day_max,
        removed_keep: request.removed_keep_seconds.map(Duration::from_secs),
    };
    api.command(FleetCommand::CreateEnvironment(name.clone(), rules)).await?;
    Ok((StatusCode::CREATED, Json(one(&api, &name).await?)))
}

async fn edit(
    State(api): State<Api>,
    Named(name): Named,
    Body(edit): Body<api::EnvironmentEdit>,
) -> Result<Json<Environment>, ApiError> {
    let rules = EnvironmentEdit {
        approval: edit.approval,
        recoveries_per_day_max: edit.recoveries_per_day_max,
        removed_keep: edit.removed_keep_seconds.map(Duration::from_secs),
    };
    api.command(FleetCommand::EditEnvironment(name.clone(), rules)).await?;
    Ok(Json(one(&api, &name).await?))
}

async fn one(api: &Api, name: &Name) -> Result<Environment, ApiError> {
    let found = all(api).await?.into_iter().find(|one| one.name == name.as_str());
    found.ok_or_else(|| ApiError::not_found(format!("environment {name} not found")))
}

async fn all(api: &Api) -> Result<Vec<Environment>, ApiError> {
    let environments = api.query(|fleet, _| fleet.view().environments()).await?;
    let shown = environments.iter().map(|(name, rules, sites)| Environment::new(name, rules, *sites as u64));
    Ok(shown.collect())
}
