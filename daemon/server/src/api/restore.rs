//! What is held since the server was restored from a backup.

use linecamp_core::{FleetCommand, FleetView, HeldItems};
use linecamp_model::{KeyId, SiteId, TokenId};
use linecamp_proto::api::operation::{AcceptHeld, RejectHeld, ShowRestore};
use linecamp_proto::api::{self, HELD_ITEMS_MAX, HeldLeft, HeldSite, Restore, Restored};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::sites::filter;
use crate::fleet_access::FleetAccess;

pub(super) async fn show(call: Call<ShowRestore>) -> Result<Restore, ApiError> {
    let (paging, query) = (Paging::of(&call)?, call.query);
    let filter = filter(query.selector.as_deref(), query.environment.as_deref(), None)?;
    let found = call.fleet.query(move |fleet, now| Some((fleet.restore_view(now)?, counts(fleet)))).await?;
    let Some((view, counts)) = found else { return Ok(Restore::settled()) };
    let (taken_at, request) = (view.from.taken_at, paging.request().clone());
    let sites = call.fleet.list(move |lists, now| {
        paging.list(lists.held_page(&filter, &request, taken_at, now), |site| HeldSite::from(&site))
    });
    Ok(Restore::new(&view, sites.await?, counts))
}

pub(super) async fn accept(call: Call<AcceptHeld>) -> Result<HeldLeft, ApiError> {
    let items = parse_items(&call.body)?;
    settle(&call.fleet, FleetCommand::AcceptHeld(items)).await
}

pub(super) async fn reject(call: Call<RejectHeld>) -> Result<HeldLeft, ApiError> {
    let items = parse_items(&call.body)?;
    settle(&call.fleet, FleetCommand::RejectHeld(items)).await
}

async fn settle(fleet: &FleetAccess, command: FleetCommand) -> Result<HeldLeft, ApiError> {
    // The mark of the restore goes right after what was held last.
    let left = |fleet: FleetView<'_>| restored(fleet).filter(|_| counts(fleet) != (0, 0, 0));
    let left = fleet.create(command, move |fleet, _| Some(HeldLeft { restored: left(fleet) })).await?;
    left.value.ok_or_else(ApiError::answer_not_kept)
}

/// Describes the backup that the server was restored from, while something is held.
pub(super) fn restored(fleet: FleetView<'_>) -> Option<Restored> {
    fleet.restored().map(|(from, _)| Restored::new(&from, counts(fleet)))
}

fn counts(fleet: FleetView<'_>) -> (usize, usize, usize) {
    let held = fleet.restored().map(|(_, held)| held).unwrap_or_default();
    (held.sites, held.tokens, held.api_keys)
}

fn parse_items(body: &api::HeldItems) -> Result<HeldItems, ApiError> {
    let api::HeldItems { sites, tokens, api_keys } = body;
    match sites.len() + tokens.len() + api_keys.len() {
        0 => return Err(ApiError::bad_request("nothing is selected: give sites, tokens or api_keys")),
        count if HELD_ITEMS_MAX < count => {
            let text = format!("{count} sites, tokens and keys in one request (maximum {HELD_ITEMS_MAX})");
            return Err(ApiError::bad_request(text));
        }
        _ => {}
    }
    let bad_site = || ApiError::invalid("sites", &"a site ID has 32 hexadecimal digits", None);
    let bad_key = || ApiError::invalid("api_keys", &"an API key ID has 16 hexadecimal digits", None);
    let bad_token = || ApiError::invalid("tokens", &"a token ID has 16 hexadecimal digits", None);
    Ok(HeldItems {
        sites: sites.iter().map(|id| SiteId::parse(id).ok_or_else(bad_site)).collect::<Result<_, _>>()?,
        tokens: tokens.iter().map(|id| TokenId::parse(id).ok_or_else(bad_token)).collect::<Result<_, _>>()?,
        api_keys: api_keys.iter().map(|id| KeyId::parse(id).ok_or_else(bad_key)).collect::<Result<_, _>>()?,
    })
}
