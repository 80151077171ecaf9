//! The promises, and how each is examined.

mod applying;
mod conflict;
mod damage;
mod description;
mod fault;
mod hygiene;
mod observing;
mod recovery;

use crate::bench::{Bench, Outcome};

/// A check.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// Its promise, as a sentence without its subject.
    pub(crate) name: &'static str,
    /// What examines it.
    pub(crate) examine: fn(&Bench<'_>) -> Outcome,
}

const fn check(name: &'static str, examine: fn(&Bench<'_>) -> Outcome) -> Check {
    Check { name, examine }
}

/// All checks. The last ones look at what was seen in all before.
pub(crate) const ALL: [Check; 34] = [
    check("describes itself", description::describes_itself),
    check("has a schema that takes its config", description::has_a_schema),
    check("refuses a wrong setting and names it", description::names_a_wrong_setting),
    check("refuses a setting it does not know", description::names_an_unknown_setting),
    check("refuses a config that lacks a setting", description::names_a_missing_setting),
    check("checks a config that works, changing nothing", description::checks_without_a_change),
    check("sees what is there", observing::sees_what_is_there),
    check("sees TXT values to the byte", observing::sees_txt),
    check("sees nothing where nothing is", observing::sees_nothing),
    check("lists the whole zone", observing::lists_the_zone),
    check("reads every page", observing::reads_every_page),
    check("takes a missing zone for no empty one", observing::misses_a_zone),
    check("creates, replaces and deletes", applying::does_each_change),
    check("writes TXT values to the byte", applying::writes_txt),
    check("keeps times to live as it says", applying::keeps_ttls),
    check("does many changes in one step", applying::does_many),
    check("writes nothing where nothing is to change", applying::writes_nothing_twice),
    check("does the same step once", applying::does_a_step_once),
    check("respects what somebody else put there", conflict::respects_others),
    check("leaves a step with a conflict undone", conflict::leaves_a_step_undone),
    check("compares where it writes", conflict::compares_at_the_service),
    check("comes back when it is told", fault::comes_back_when_told),
    check("has the call tried again when the service is in trouble", fault::tries_again),
    check("leaves trying again to the host", fault::does_not_retry_itself),
    check("says when credentials are not accepted", fault::says_unauthorized),
    check("finishes a step that was cut off", recovery::finishes_what_was_cut),
    check("finishes a step whose answer was lost", recovery::finishes_what_was_lost),
    check("claims and writes all or none", recovery::is_atomic),
    check("is not misled by a damaged answer", damage::is_not_misled),
    check("finishes a step whose answer was damaged", damage::finishes_what_was_damaged),
    check("ends a call whose answer is too large or strange", damage::ends_at_strange_answers),
    check("leaves foreign records as they were, to the byte", hygiene::leaves_foreign_records),
    check("goes only where it says, and says no secret", hygiene::is_discreet),
    check("neither panics nor hangs", hygiene::stays_whole),
];
