//! Sites.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use linecamp_core::{Edit, FleetCommand, Force, SeenLabels, SiteFilter, SiteRef};
use linecamp_model::{Selector, SiteView, Text};
use linecamp_proto::api::path::{self, NameQuery, RemoveQuery, SelectorLabels, SiteQuery};
use linecamp_proto::api::{self, LabelChange, List, Site};

use super::Api;
use super::error::ApiError;
use super::extract::{Body, Named, StrictQuery, parse_name, site_ref};

pub(super) fn router() -> Router<Api> {
    Router::new()
        .route(path::SITES, get(list))
        .route(path::SITE, get(show).patch(edit).delete(remove))
        .route(path::SITE_LABELS, post(label))
        .route(path::SITE_DEACTIVATE, post(deactivate))
        .route(path::SITE_ACTIVATE, post(activate))
        .route(path::SITE_ACCEPT, post(accept))
}

async fn list(
    State(api): State<Api>,
    StrictQuery(query): StrictQuery<SiteQuery>,
) -> Result<Json<List<Site>>, ApiError> {
    let mut filter = filter(query.selector, query.environment, None)?;
    filter.labels = match query.labels.unwrap_or_default() {
        SelectorLabels::Effective => SeenLabels::Effective,
        SelectorLabels::Assigned => SeenLabels::Assigned,
        SelectorLabels::AssignedAndReported => SeenLabels::AssignedAndReported,
    };
    let sites = api.query(move |fleet, now| fleet.view().sites(&filter, now)).await?;
    Ok(Json(sites.iter().map(Site::from).collect()))
}

async fn show(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<Site>, ApiError> {
    let site = site_ref(name, query.environment.as_deref())?;
    answer(&api, site).await
}

/// Changes a site. Its new name may be ambiguous where the old one was not, so the answer is looked up by environment.
async fn edit(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
    Body(edit): Body<api::Edit>,
) -> Result<Json<Site>, ApiError> {
    let site = site_ref(name, query.environment.as_deref())?;
    let edit = parse_edit(&edit)?;
    let before = view(&api, site.clone()).await?;
    let after = SiteRef { environment: Some(before.environment), name: edit.name.clone().unwrap_or(before.name) };
    api.command(FleetCommand::Edit(site.into(), edit)).await?;
    answer(&api, after).await
}

/// Removes a site. Its name may belong to another site a moment later, so the answer is looked up by ID.
async fn remove(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<RemoveQuery>,
) -> Result<Json<Site>, ApiError> {
    let site = site_ref(name, query.environment.as_deref())?;
    let before = view(&api, site.clone()).await?;
    let force = if query.force { Force::Yes } else { Force::No };
    api.command(FleetCommand::Remove(site, force)).await?;
    let removed = api.query(move |fleet, now| fleet.view().site_by_id(before.id, now)).await?;
    let removed =
        removed.ok_or_else(|| ApiError::not_found(format!("site {} has already been purged", before.name)))?;
    Ok(Json((&removed).into()))
}

async fn label(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
    Body(change): Body<LabelChange>,
) -> Result<Json<Site>, ApiError> {
    let site = site_ref(name, query.environment.as_deref())?;
    let patch = change.to_patch().map_err(|error| ApiError::labels(&error))?;
    order(&api, site, |site| FleetCommand::PatchLabels(site.into(), patch)).await
}

async fn deactivate(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<Site>, ApiError> {
    let site = site_ref(name, query.environment.as_deref())?;
    order(&api, site, |site| FleetCommand::Deactivate(site.into())).await
}

async fn activate(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<Site>, ApiError> {
    let site = site_ref(name, query.environment.as_deref())?;
    order(&api, site, |site| FleetCommand::Activate(site.into())).await
}

async fn accept(
    State(api): State<Api>,
    Named(name): Named,
    StrictQuery(query): StrictQuery<NameQuery>,
) -> Result<Json<Site>, ApiError> {
    let site = site_ref(name, query.environment.as_deref())?;
    order(&api, site, FleetCommand::Accept).await
}

async fn order(
    api: &Api,
    site: SiteRef,
    command: impl FnOnce(SiteRef) -> FleetCommand,
) -> Result<Json<Site>, ApiError> {
    api.command(command(site.clone())).await?;
    answer(api, site).await
}

async fn answer(api: &Api, site: SiteRef) -> Result<Json<Site>, ApiError> {
    Ok(Json((&view(api, site).await?).into()))
}

async fn view(api: &Api, site: SiteRef) -> Result<SiteView, ApiError> {
    Ok(api.query(move |fleet, now| fleet.view().site(&site, now)).await??)
}

/// Parses the filter for sites or hosts.
pub(super) fn filter(
    selector: Option<String>,
    environment: Option<String>,
    site: Option<String>,
) -> Result<SiteFilter, ApiError> {
    let name = |field, text: Option<String>| text.map(|text| parse_name(field, &text)).transpose();
    Ok(SiteFilter {
        environment: name("environment", environment)?,
        site: name("site", site)?,
        labels: SeenLabels::Effective,
        selector: Selector::parse(&selector.unwrap_or_default())
            .map_err(|error| ApiError::bad_request(error.to_string()))?,
    })
}

/// Parses an edit.
pub(super) fn parse_edit(edit: &api::Edit) -> Result<Edit, ApiError> {
    let name = edit.name.as_deref().map(|text| parse_name("name", text)).transpose()?;
    let description = edit.description.as_deref().map(Text::parse).transpose();
    let description = description.map_err(|error| ApiError::bad_request(format!("description: {error}")))?;
    Ok(Edit { name, description })
}
