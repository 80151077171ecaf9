//! The refusals of what is held after a restore ([`restore`](super::restore)).

use std::time::Duration;

use linecamp_model::{Refusal, RefusalCode, SiteId};

use super::config::{HELD_ASKS_PER_SECOND, HELD_RETRY};
use super::state::FleetState;

/// Returns the refusal of a site that is held.
pub(super) fn refusal(state: &FleetState, site: SiteId) -> Option<Refusal> {
    state.held.sites.contains_key(&site).then(|| held_refusal(state, "this site"))
}

/// Returns the refusal of something that is held. The peer asks again: an operator may accept it at any time.
pub(super) fn held_refusal(state: &FleetState, what: &str) -> Refusal {
    let retry = Duration::from_secs((state.held.sites.len() / HELD_ASKS_PER_SECOND) as u64);
    let text = format!(
        "the server was restored from a backup and waits until its operator accepts {what}: `linecamp restore ls` there"
    );
    Refusal::new(RefusalCode::ServerRestored, &text).retry_after(retry.max(HELD_RETRY))
}
