//! Environments.

use std::time::Duration;

use linecamp_core::{EnvironmentEdit, FleetCommand, FleetView};
use linecamp_model::Name;
use linecamp_proto::api::operation::{CreateEnvironment, EditEnvironment, ListEnvironments};
use linecamp_proto::api::{Environment, List};

use super::call::Call;
use super::error::ApiError;
use super::parse::parse_name;
use crate::fleet_access::FleetAccess;

pub(super) async fn list(call: Call<ListEnvironments>) -> Result<List<Environment>, ApiError> {
    Ok(call.fleet.query(|fleet, _| all(fleet)).await?.into_iter().collect())
}

pub(super) async fn create(call: Call<CreateEnvironment>) -> Result<Environment, ApiError> {
    let request = call.body;
    let name = parse_name("name", &request.name)?;
    let rules = EnvironmentEdit {
        approval: request.approval,
        recoveries_per_day_max: request.recoveries_per_day_max,
        removed_keep: request.removed_keep_seconds.map(Duration::from_secs),
    };
    let sought = name.clone();
    let command = FleetCommand::CreateEnvironment(name, rules);
    let created =
        call.fleet.create(command, move |fleet, _| all(fleet).into_iter().find(|one| sought.as_str() == one.name));
    created.await?.value.ok_or_else(ApiError::answer_not_kept)
}

pub(super) async fn edit(call: Call<EditEnvironment>) -> Result<Environment, ApiError> {
    let (name, edit) = (call.name()?, call.body);
    let rules = EnvironmentEdit {
        approval: edit.approval,
        recoveries_per_day_max: edit.recoveries_per_day_max,
        removed_keep: edit.removed_keep_seconds.map(Duration::from_secs),
    };
    call.fleet.command(FleetCommand::EditEnvironment(name.clone(), rules)).await?;
    one(&call.fleet, &name).await
}

async fn one(fleet: &FleetAccess, name: &Name) -> Result<Environment, ApiError> {
    let environments = fleet.query(|fleet, _| all(fleet)).await?;
    let found = environments.into_iter().find(|one| one.name == name.as_str());
    found.ok_or_else(|| ApiError::not_found(format!("environment {name} not found")))
}

fn all(fleet: FleetView<'_>) -> Vec<Environment> {
    let environments = fleet.environments();
    environments.iter().map(|(name, rules, sites)| Environment::new(name, rules, *sites as u64)).collect()
}
