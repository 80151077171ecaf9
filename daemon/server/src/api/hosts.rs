//! Hosts.

use linecamp_core::{FleetCommand, Force, HostOrder, HostRef, Obstacle, SiteFilter};
use linecamp_model::HostView;
use linecamp_proto::api::operation::{
    ActivateHost, DeactivateHost, EditHost, ListHosts, PatchHostLabels, RemoveHost, SelectHosts, ShowHost,
};
use linecamp_proto::api::query::{HostNameQuery, HostSort};
use linecamp_proto::api::{Candidate, Host};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::parse::{host_ref, parse_condition, parse_phase, parse_search};
use super::routes::Encoded;
use super::sites::{filter, link_filter, parse_edit};
use crate::fleet_access::FleetAccess;

pub(super) async fn list(call: Call<ListHosts>) -> Result<Encoded<ListHosts>, ApiError> {
    let paging = Paging::of(&call)?.descending(call.query.descending);
    let query = call.query;
    let filter = SiteFilter {
        phase: parse_phase(query.state.as_deref())?,
        link: query.link.map(link_filter),
        condition: parse_condition(query.condition.as_deref())?,
        text: parse_search(query.text.as_deref())?,
        ..filter(query.selector.as_deref(), query.environment.as_deref(), query.site.as_deref())?
    };
    let order = match query.sort.unwrap_or_default() {
        HostSort::Name => HostOrder::Name,
        HostSort::Site => HostOrder::Site,
        HostSort::State => HostOrder::Phase,
        HostSort::Link => HostOrder::Link,
        HostSort::LinkSince => HostOrder::LinkSince,
    };
    let request = paging.request().clone();
    let encoded = call.fleet.list(move |lists, now| {
        Encoded::new(&paging.list(lists.host_page(&filter, order, &request, now), |host| Host::from(&host)))
    });
    Ok(encoded.await?)
}

pub(super) async fn select(call: Call<SelectHosts>) -> Result<Encoded<SelectHosts>, ApiError> {
    let paging = Paging::of(&call)?;
    let query = call.query;
    let filter = filter(query.selector.as_deref(), query.environment.as_deref(), query.site.as_deref())?;
    let request = paging.request().clone();
    let encoded = call.fleet.list(move |lists, now| {
        let page = lists.candidates(&filter, query.all, &request, now);
        Encoded::new(&paging.list(page, |found| candidate(&found)))
    });
    Ok(encoded.await?)
}

fn candidate(found: &linecamp_core::Candidate) -> Candidate {
    let (obstacle, reason) = found.obstacle.as_ref().map(Obstacle::parts).unzip();
    Candidate {
        id: found.id.to_string(),
        name: found.name.to_string(),
        site: found.site.to_string(),
        environment: found.environment.to_string(),
        eligible: found.obstacle.is_none(),
        obstacle: obstacle.map(str::to_owned),
        reason: reason.map(ToString::to_string),
    }
}

pub(super) async fn show(call: Call<ShowHost>) -> Result<Host, ApiError> {
    let host = host_ref(call.name()?, &call.query)?;
    answer(&call.fleet, host).await
}

/// Changes a host. Its new name may be ambiguous where the old one was not, so the answer is looked up by site.
pub(super) async fn edit(call: Call<EditHost>) -> Result<Host, ApiError> {
    let host = host_ref(call.name()?, &call.query)?;
    let edit = parse_edit(&call.body)?;
    let before = view(&call.fleet, host.clone()).await?;
    let after = HostRef {
        environment: Some(before.environment),
        site: Some(before.site),
        name: edit.name.clone().unwrap_or(before.name),
    };
    call.fleet.command(FleetCommand::Edit(host.into(), edit)).await?;
    answer(&call.fleet, after).await
}

pub(super) async fn remove(call: Call<RemoveHost>) -> Result<Host, ApiError> {
    let query = HostNameQuery { environment: call.query.environment.clone(), site: call.query.site.clone() };
    let host = host_ref(call.name()?, &query)?;
    // A removed host is not found by its name alone, if another one has it.
    let before = view(&call.fleet, host.clone()).await?;
    let force = if call.query.force { Force::Yes } else { Force::No };
    call.fleet.command(FleetCommand::Remove(host.into(), force)).await?;
    let (id, name) = (before.id, before.name);
    let removed = call.fleet.query(move |fleet, now| fleet.host_by_id(id, now)).await?;
    let removed = removed.ok_or_else(|| ApiError::not_found(format!("host {name} has already been purged")))?;
    Ok((&removed).into())
}

pub(super) async fn label(call: Call<PatchHostLabels>) -> Result<Host, ApiError> {
    let host = host_ref(call.name()?, &call.query)?;
    let patch = call.body.to_patch().map_err(|error| ApiError::invalid("labels", &error, None))?;
    command(&call.fleet, host, |host| FleetCommand::PatchLabels(host.into(), patch)).await
}

pub(super) async fn deactivate(call: Call<DeactivateHost>) -> Result<Host, ApiError> {
    let host = host_ref(call.name()?, &call.query)?;
    command(&call.fleet, host, |host| FleetCommand::Deactivate(host.into())).await
}

pub(super) async fn activate(call: Call<ActivateHost>) -> Result<Host, ApiError> {
    let host = host_ref(call.name()?, &call.query)?;
    command(&call.fleet, host, |host| FleetCommand::Activate(host.into())).await
}

async fn command(
    fleet: &FleetAccess,
    host: HostRef,
    command: impl FnOnce(HostRef) -> FleetCommand,
) -> Result<Host, ApiError> {
    fleet.command(command(host.clone())).await?;
    answer(fleet, host).await
}

async fn answer(fleet: &FleetAccess, host: HostRef) -> Result<Host, ApiError> {
    Ok((&view(fleet, host).await?).into())
}

async fn view(fleet: &FleetAccess, host: HostRef) -> Result<HostView, ApiError> {
    Ok(fleet.query(move |fleet, now| fleet.host(&host, now)).await??)
}
