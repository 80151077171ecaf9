//! The conditions of a site as operators see them: those it reported, those the server raised, and phases that take too
//! long.

use linecamp_model::{Condition, ConditionKind, Life, LinkState, LinkView, Now, Phase, SiteStatus, Text};

use super::config::PHASE_DEADLINE;
use crate::downlink::Link;
use crate::site::coarse;

/// Returns the conditions of a site, and of its phase.
pub(super) fn conditions_of(
    status: Option<&SiteStatus>,
    link: Option<&Link>,
    (life, link_view): (Life, &LinkView),
    now: Now,
) -> Vec<Condition> {
    let mut conditions = status.map(|status| status.conditions.clone()).unwrap_or_default();
    add_known(&mut conditions, link);
    conditions.extend(late(life, link_view, now));
    conditions
}

/// Adds what the server knows of a member from its link: the conditions of its storage, which replace those that it
/// reported, and those that the server raised.
pub(super) fn add_known(conditions: &mut Vec<Condition>, link: Option<&Link>) {
    let (storage, raised) = match link.map(Link::conditions) {
        Some(conditions) => (conditions.storage(), conditions.raised()),
        None => (&[][..], &[][..]),
    };
    conditions.retain(|condition| storage.iter().all(|newer| newer.kind != condition.kind));
    conditions.extend(storage.iter().chain(raised).cloned());
}

/// Describes what a transitional phase waits for.
pub(super) fn waits_for(phase: Phase, link: &LinkView) -> Option<Text> {
    let way_out = match phase {
        Phase::Pending => "an operator to accept it (`linecamp site accept`)",
        Phase::Registering => "its first report",
        Phase::Deactivating | Phase::Activating => "it to confirm",
        Phase::Removing => "its site to confirm; removing it with --force does not wait",
        Phase::Active | Phase::Inactive | Phase::Removed | Phase::Purged => return None,
    };
    let link = match link.state {
        LinkState::Connected => String::new(),
        LinkState::Reconnecting | LinkState::Disconnected => format!("; it is {} since {}", link.state, link.since),
    };
    Some(Text::lossy(&format!("{way_out}{link}")))
}

/// Returns the condition of a transitional phase past its deadline.
pub(super) fn late(life: Life, link: &LinkView, now: Now) -> Option<Condition> {
    let waited = now.wall.saturating_since(life.since);
    let is_late = life.phase.is_transitional() && life.phase != Phase::Pending && PHASE_DEADLINE < waited;
    let waits_for = waits_for(life.phase, link).filter(|_| is_late)?;
    let detail = format!("{} for {}, waiting for {waits_for}", life.phase, coarse(waited));
    Some(Condition { kind: ConditionKind::PhaseLate, since: life.since + PHASE_DEADLINE, detail: Text::lossy(&detail) })
}
