//! Sites.

use linecamp_core::{Edit, FleetCommand, Force, LinkFilter, SeenLabels, SiteFilter, SiteOrder, SiteRef};
use linecamp_model::{LinkState, SiteView, Text};
use linecamp_proto::api::operation::{
    AcceptSite, ActivateSite, DeactivateSite, EditSite, ListSites, PatchSiteLabels, RemoveSite, ShowSite,
};
use linecamp_proto::api::query::{self, SelectorLabels, SiteSort};
use linecamp_proto::api::{self, Site};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::parse::{optional_name, parse_condition, parse_name, parse_phase, parse_search, parse_selector, site_ref};
use super::routes::Encoded;
use crate::fleet_access::FleetAccess;

pub(super) async fn list(call: Call<ListSites>) -> Result<Encoded<ListSites>, ApiError> {
    let paging = Paging::of(&call)?.descending(call.query.descending);
    let query = call.query;
    let filter = SiteFilter {
        labels: match query.labels.unwrap_or_default() {
            SelectorLabels::Effective => SeenLabels::Effective,
            SelectorLabels::Assigned => SeenLabels::Assigned,
            SelectorLabels::AssignedAndReported => SeenLabels::AssignedAndReported,
        },
        phase: parse_phase(query.state.as_deref())?,
        link: query.link.map(link_filter),
        condition: parse_condition(query.condition.as_deref())?,
        text: parse_search(query.text.as_deref())?,
        ..filter(query.selector.as_deref(), query.environment.as_deref(), None)?
    };
    let order = match query.sort.unwrap_or_default() {
        SiteSort::Name => SiteOrder::Name,
        SiteSort::State => SiteOrder::Phase,
        SiteSort::Link => SiteOrder::Link,
        SiteSort::LinkSince => SiteOrder::LinkSince,
        SiteSort::Joined => SiteOrder::Joined,
    };
    let request = paging.request().clone();
    let encoded = call.fleet.list(move |lists, now| {
        Encoded::new(&paging.list(lists.site_page(&filter, order, &request, now), |site| Site::from(&site)))
    });
    Ok(encoded.await?)
}

pub(super) async fn show(call: Call<ShowSite>) -> Result<Site, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    answer(&call.fleet, site).await
}

/// Changes a site. Its new name may be ambiguous where the old one was not, so the answer is looked up by environment.
pub(super) async fn edit(call: Call<EditSite>) -> Result<Site, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    let edit = parse_edit(&call.body)?;
    let before = view(&call.fleet, site.clone()).await?;
    let after = SiteRef { environment: Some(before.environment), name: edit.name.clone().unwrap_or(before.name) };
    call.fleet.command(FleetCommand::Edit(site.into(), edit)).await?;
    answer(&call.fleet, after).await
}

/// Removes a site. Its name may belong to another site a moment later, so the answer is looked up by ID.
pub(super) async fn remove(call: Call<RemoveSite>) -> Result<Site, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    let before = view(&call.fleet, site.clone()).await?;
    let force = if call.query.force { Force::Yes } else { Force::No };
    call.fleet.command(FleetCommand::Remove(site.into(), force)).await?;
    let removed = call.fleet.query(move |fleet, now| fleet.site_by_id(before.id, now)).await?;
    let removed =
        removed.ok_or_else(|| ApiError::not_found(format!("site {} has already been purged", before.name)))?;
    Ok((&removed).into())
}

pub(super) async fn label(call: Call<PatchSiteLabels>) -> Result<Site, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    let patch = call.body.to_patch().map_err(|error| ApiError::invalid("labels", &error, None))?;
    command(&call.fleet, site, |site| FleetCommand::PatchLabels(site.into(), patch)).await
}

pub(super) async fn deactivate(call: Call<DeactivateSite>) -> Result<Site, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    command(&call.fleet, site, |site| FleetCommand::Deactivate(site.into())).await
}

pub(super) async fn activate(call: Call<ActivateSite>) -> Result<Site, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    command(&call.fleet, site, |site| FleetCommand::Activate(site.into())).await
}

pub(super) async fn accept(call: Call<AcceptSite>) -> Result<Site, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    command(&call.fleet, site, FleetCommand::Accept).await
}

async fn command(
    fleet: &FleetAccess,
    site: SiteRef,
    command: impl FnOnce(SiteRef) -> FleetCommand,
) -> Result<Site, ApiError> {
    fleet.command(command(site.clone())).await?;
    answer(fleet, site).await
}

async fn answer(fleet: &FleetAccess, site: SiteRef) -> Result<Site, ApiError> {
    Ok((&view(fleet, site).await?).into())
}

async fn view(fleet: &FleetAccess, site: SiteRef) -> Result<SiteView, ApiError> {
    Ok(fleet.query(move |fleet, now| fleet.site(&site, now)).await??)
}

/// Parses the part of a filter that lists of sites, hosts and records have.
pub(super) fn filter(
    selector: Option<&str>,
    environment: Option<&str>,
    site: Option<&str>,
) -> Result<SiteFilter, ApiError> {
    Ok(SiteFilter {
        environment: optional_name("environment", environment)?,
        site: optional_name("site", site)?,
        selector: parse_selector("selector", selector.unwrap_or_default())?,
        ..SiteFilter::default()
    })
}

/// Returns the filter by link.
pub(super) const fn link_filter(link: query::LinkFilter) -> LinkFilter {
    match link {
        query::LinkFilter::Connected => LinkFilter::In(LinkState::Connected),
        query::LinkFilter::Reconnecting => LinkFilter::In(LinkState::Reconnecting),
        query::LinkFilter::Disconnected => LinkFilter::In(LinkState::Disconnected),
        query::LinkFilter::Offline => LinkFilter::Offline,
    }
}

/// Parses an edit.
pub(super) fn parse_edit(edit: &api::Edit) -> Result<Edit, ApiError> {
    let name = edit.name.as_deref().map(|text| parse_name("name", text)).transpose()?;
    let description = edit.description.as_deref().map(Text::parse).transpose();
    let description = description.map_err(|error| ApiError::invalid("description", &error, None))?;
    Ok(Edit { name, description })
}
