//! Hosts.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use linecamp_core::{FleetCommand, HostRef};
use linecamp_model::HostView;
use linecamp_proto::api::path::{self, HostNameQuery, HostQuery};
use linecamp_proto::api::{self, Host, LabelChange, List};

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, StrictQuery, host_ref};
use super::sites::{filter, parse_edit};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route(path::HOSTS, get(list))
        .route(path::HOST, get(show).patch(edit))
        .route(path::HOST_LABELS, post(label))
        .route(path::HOST_DEACTIVATE, post(deactivate))
        .route(path::HOST_ACTIVATE, post(activate))
}

async fn list(
    State(api): State<Api>,
    StrictQuery(query): StrictQuery<HostQuery>,
) -> Result<Json<List<Host>>, ApiError> {
    let filter = filter(query.selector, query.environment, query.site)?;
    let hosts = api.query(move |fleet, _| fleet.view().hosts(&filter)).await?;
    Ok(Json(hosts.iter().map(Host::from).collect()))
}

async fn show(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<HostNameQuery>,
) -> Result<Json<Host>, ApiError> {
    let host = host_ref(name, &query)?;
    answer(&api, host).await
}

/// Changes a host. Its new name may be ambiguous where the old one was not, so the answer is looked up by site.
async fn edit(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<HostNameQuery>,
    Body(edit): Body<api::Edit>,
) -> Result<Json<Host>, ApiError> {
    let host = host_ref(name, &query)?;
    let edit = parse_edit(&edit)?;
    let before = view(&api, host.clone()).await?;
    let after = HostRef {
        environment: Some(before.environment),
        site: Some(before.site),
        name: edit.name.clone().unwrap_or(before.name),
    };
    api.command(FleetCommand::Edit(host.into(), edit)).await?;
    answer(&api, after).await
}

async fn label(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<HostNameQuery>,
    Body(change): Body<LabelChange>,
) -> Result<Json<Host>, ApiError> {
    let host = host_ref(name, &query)?;
    let patch = change.to_patch().map_err(|error| ApiError::labels(&error))?;
    order(&api, host, |host| FleetCommand::PatchLabels(host.into(), patch)).await
}

async fn deactivate(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<HostNameQuery>,
) -> Result<Json<Host>, ApiError> {
    let host = host_ref(name, &query)?;
    order(&api, host, |host| FleetCommand::Deactivate(host.into())).await
}

async fn activate(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<HostNameQuery>,
) -> Result<Json<Host>, ApiError> {
    let host = host_ref(name, &query)?;
    order(&api, host, |host| FleetCommand::Activate(host.into())).await
}

async fn order(
    api: &Api,
    host: HostRef,
    command: impl FnOnce(HostRef) -> FleetCommand,
) -> Result<Json<Host>, ApiError> {
    api.command(command(host.clone())).await?;
    answer(api, host).await
}

async fn answer(api: &Api, host: HostRef) -> Result<Json<Host>, ApiError> {
    Ok(Json((&view(api, host).await?).into()))
}

async fn view(api: &Api, host: HostRef) -> Result<HostView, ApiError> {
    Ok(api.query(move |fleet, _| fleet.view().host(&host)).await??)
}
