//! The checks of the contract.

mod applying;
mod below;
mod conflict;
mod damage;
mod description;
mod disabled;
mod fault;
mod hygiene;
mod observing;
mod recovery;
mod unchanged;

use crate::bench::{Bench, Outcome};

/// A check.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// The tested property, as a sentence without its subject.
    pub(crate) name: &'static str,
    /// The function that runs the check.
    pub(crate) examine: fn(&Bench<'_>) -> Outcome,
    /// Whether it needs a fake of the service, rather than any server that responds.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "without a host there is always a model"))]
    pub(crate) needs_service: bool,
}

/// A check that needs a fake of the service.
const fn with(name: &'static str, examine: fn(&Bench<'_>) -> Outcome) -> Check {
    Check { name, examine, needs_service: true }
}

/// A check that needs only a server that responds.
const fn alone(name: &'static str, examine: fn(&Bench<'_>) -> Outcome) -> Check {
    Check { name, examine, needs_service: false }
}

/// All checks. The last ones evaluate the observations of all previous ones.
pub(crate) const ALL: [Check; 40] = [
    alone("describes itself", description::describes_itself),
    alone("has a schema that takes its config", description::has_a_schema),
    alone("refuses a wrong setting and names it", description::names_a_wrong_setting),
    alone("refuses a setting it does not know", description::names_an_unknown_setting),
    alone("refuses a config that lacks a setting", description::names_a_missing_setting),
    with("checks a config that works, changing nothing", description::checks_without_a_change),
    with("sees what is there", observing::sees_what_is_there),
    with("sees TXT values to the byte", observing::sees_txt),
    with("sees nothing where nothing is", observing::sees_nothing),
    with("infers nothing from what else an answer holds", observing::infers_nothing),
    with("looks at sixteen names in one call", observing::looks_at_many_names),
    with("sees what is there and not served", disabled::sees_what_is_disabled),
    with("lists the whole zone", observing::lists_the_zone),
    with("reads every page", observing::reads_every_page),
    with("takes a missing zone for no empty one", observing::misses_a_zone),
    with("creates, replaces and deletes", applying::does_each_change),
    with("writes TXT values to the byte", applying::writes_txt),
    with("keeps times to live as it says", applying::keeps_ttls),
    with("does many changes in one step", applying::does_many),
    with("writes nothing where nothing is to change", applying::writes_nothing_twice),
    with("does the same step once", applying::does_a_step_once),
    with("keeps what goes along unchanged", unchanged::keeps_what_goes_along),
    with("respects what somebody else put there", conflict::respects_others),
    with("leaves a step with a conflict undone", conflict::leaves_a_step_undone),
    with("compares where it writes", conflict::compares_at_the_service),
    with("names the zone below that a name lies in", below::names_the_zone),
    with("deletes what lies in a zone below by now", below::deletes_what_is_hidden),
    alone("comes back when it is told", fault::comes_back_when_told),
    alone("has the call tried again when the service is in trouble", fault::tries_again),
    alone("leaves trying again to the host", fault::does_not_retry_itself),
    alone("says when credentials are not accepted", fault::says_unauthorized),
    with("finishes a step that was cut off", recovery::finishes_what_was_cut),
    with("finishes a step whose answer was lost", recovery::finishes_what_was_lost),
    with("claims and writes all or none", recovery::is_atomic),
    alone("is not misled by a damaged answer", damage::is_not_misled),
    with("finishes a step whose answer was damaged", damage::finishes_what_was_damaged),
    alone("ends a call whose answer is too large or strange", damage::ends_at_strange_answers),
    with("leaves foreign records as they were, to the byte", hygiene::leaves_foreign_records),
    alone("goes only where it says, and says no secret", hygiene::is_discreet),
    alone("neither panics nor hangs", hygiene::stays_whole),
];
