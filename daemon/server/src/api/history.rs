//! The history of a site's link.

use linecamp_proto::api::operation::ListSiteHistory;
use linecamp_proto::api::{LinkGap, List};

use super::call::Call;
use super::error::ApiError;
use super::parse::site_ref;

pub(super) async fn list(call: Call<ListSiteHistory>) -> Result<List<LinkGap>, ApiError> {
    let site = site_ref(call.name()?, call.query.environment.as_deref())?;
    let gaps = call.fleet.query(move |fleet, _| fleet.link_history(&site)).await??;
    Ok(gaps.iter().map(LinkGap::from).collect())
}
