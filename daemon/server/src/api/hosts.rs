//! Hosts.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use linecamp_core::{FleetCommand, SiteRef, Subject};
use linecamp_proto::api::path::{self, HostQuery, NameQuery};
use linecamp_proto::api::{self, Host, LabelChange, List};

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, StrictQuery, site_ref};
use super::sites::{after_edit, filter, parse_edit};

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
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<Host>, ApiError> {
    let host = site_ref(name, query.environment.as_deref())?;
    answer(&api, host).await
}

async fn edit(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
    Body(edit): Body<api::Edit>,
) -> Result<Json<Host>, ApiError> {
    let host = site_ref(name, query.environment.as_deref())?;
    let edit = parse_edit(&edit)?;
    let after = after_edit(&host, &edit);
    api.command(FleetCommand::Edit(Subject::Gateway, host, edit)).await?;
    answer(&api, after).await
}

async fn label(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
    Body(change): Body<LabelChange>,
) -> Result<Json<Host>, ApiError> {
    let host = site_ref(name, query.environment.as_deref())?;
    let patch = change.to_patch().map_err(|error| ApiError::labels(&error))?;
    order(&api, host, |host| FleetCommand::PatchLabels(Subject::Gateway, host, patch)).await
}

async fn deactivate(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<Host>, ApiError> {
    let host = site_ref(name, query.environment.as_deref())?;
    order(&api, host, |host| FleetCommand::Deactivate(Subject::Gateway, host)).await
}

async fn activate(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<Host>, ApiError> {
    let host = site_ref(name, query.environment.as_deref())?;
    order(&api, host, |host| FleetCommand::Activate(Subject::Gateway, host)).await
}

async fn order(
    api: &Api,
    host: SiteRef,
    command: impl FnOnce(SiteRef) -> FleetCommand,
) -> Result<Json<Host>, ApiError> {
    api.command(command(host.clone())).await?;
    answer(api, host).await
}

async fn answer(api: &Api, host: SiteRef) -> Result<Json<Host>, ApiError> {
    let view = api.query(move |fleet, _| fleet.view().host(&host)).await??;
    Ok(Json((&view).into()))
}
