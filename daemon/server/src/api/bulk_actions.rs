//! Bulk actions: one change to many sites.

use linecamp_core::{BulkSiteState, FleetCommand, FleetView, ItemKey, ListView, NewBulkAction};
use linecamp_model::limits::BULK_ACTIONS_MAX;
use linecamp_model::{BulkAction as Stored, BulkActionId, Generation, SiteId};
use linecamp_proto::api::operation::{CreateBulkAction, ListBulkActions, ShowBulkAction};
use linecamp_proto::api::{
    BulkAction, BulkActionProgress, BulkActionRequest, BulkActionSite, BulkActionState, LabelChange, SiteAction,
};
use linecamp_transport::{error_chain, random_bytes};

use super::call::Call;
use super::error::ApiError;
use super::paging::Paging;
use super::routes::Encoded;

pub(super) async fn list(call: Call<ListBulkActions>) -> Result<Encoded<ListBulkActions>, ApiError> {
    let paging = Paging::of(&call)?;
    let encoded = call.fleet.list(move |lists, _| {
        let actions: Vec<_> = lists.bulk_actions().collect();
        Encoded::new(&paging.list_of(
            &actions,
            // The newest first.
            |(id, action)| ItemKey::new(u64::MAX - action.at.unix_millis(), []).with_id(id.as_bytes()),
            |(id, action)| summary(lists, *id, action),
        ))
    });
    Ok(encoded.await?)
}

pub(super) async fn show(call: Call<ShowBulkAction>) -> Result<Encoded<ShowBulkAction>, ApiError> {
    let bad = "a bulk action's ID has 16 hexadecimal digits; list them with `linecamp bulk-action ls`";
    let id = BulkActionId::parse(&call.parameter).ok_or_else(|| ApiError::invalid("id", &bad, None))?;
    let encoded = call.fleet.list(move |lists, _| shown(lists, id).map(|action| Encoded::new(&action))).await?;
    encoded.ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no bulk action {id}; the server keeps the last {BULK_ACTIONS_MAX}, for 30 days"
        ))
    })
}

pub(super) async fn create(call: Call<CreateBulkAction>) -> Result<Encoded<CreateBulkAction>, ApiError> {
    let id = random_bytes().map(BulkActionId::from_bytes).map_err(|error| {
        tracing::error!(error = error_chain(&error), "failed to create a bulk action");
        ApiError::internal()
    })?;
    let command = FleetCommand::ActOnSites(Box::new(requested(id, &call.body)?));
    // A change of each site, of which the request itself is one.
    call.charge_changes(call.body.sites.len().saturating_sub(1))?;
    // The answer has many sites, and their states change: of the first answer, the ID is kept.
    let created = call.fleet.create(command, move |_: FleetView<'_>, _| Some(id.to_string())).await?;
    let id = created.value.as_deref().and_then(BulkActionId::parse).ok_or_else(ApiError::answer_not_kept)?;
    let encoded = call.fleet.list(move |lists, _| shown(lists, id).map(|action| Encoded::new(&action))).await?;
    encoded.ok_or_else(ApiError::answer_not_kept)
}

/// Parses the request of an action.
fn requested(id: BulkActionId, request: &BulkActionRequest) -> Result<NewBulkAction, ApiError> {
    let labels = request.labels.to_patch().map_err(|error| ApiError::invalid("labels", &error, None))?;
    if request.action != SiteAction::Label && request.labels != LabelChange::default() {
        let text = format!("only the action label has labels, not {}", request.action.as_str());
        return Err(ApiError::invalid("labels", &text, None));
    }
    let bad = "a site's ID has 32 hexadecimal digits; lists of sites have it as `id`";
    let site = |text: &String| SiteId::parse(text).ok_or_else(|| ApiError::invalid("sites", &bad, None));
    let sites = request.sites.iter().map(|(text, seen)| Ok((site(text)?, seen.map(Generation))));
    let sites = sites.collect::<Result<_, ApiError>>()?;
    Ok(NewBulkAction { id, action: request.action.to_model(), labels, sites })
}

fn shown(lists: ListView<'_>, id: BulkActionId) -> Option<BulkAction> {
    let action = lists.bulk_action(id)?;
    let sites = lists.bulk_sites(action).map(|site| BulkActionSite::new(site.site, state(site.state)));
    Some(BulkAction { sites: Some(sites.collect()), ..summary(lists, id, action) })
}

fn summary(lists: ListView<'_>, id: BulkActionId, action: &Stored) -> BulkAction {
    let progress = lists.bulk_progress(action);
    let progress = BulkActionProgress {
        sites: progress.sites as u64,
        applied: progress.applied as u64,
        waiting: progress.waiting as u64,
        offline: progress.offline as u64,
        rejected: progress.rejected as u64,
    };
    BulkAction::new(id, action, progress)
}

const fn state(state: BulkSiteState) -> BulkActionState {
    match state {
        BulkSiteState::Applied => BulkActionState::Applied,
        BulkSiteState::Waiting { is_offline: false } => BulkActionState::Waiting,
        BulkSiteState::Waiting { is_offline: true } => BulkActionState::Offline,
        BulkSiteState::Rejected => BulkActionState::Rejected,
    }
}
