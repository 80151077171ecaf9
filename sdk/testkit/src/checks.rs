//! The checks of the contract.

mod applying;
mod blame;
mod child_zone;
mod conflict;
mod corruption;
mod description;
mod disabled;
mod exact_url;
mod expect;
mod fault;
mod observing;
mod recovery;
mod safety;
mod sizes;
mod unchanged_ownership;

pub(crate) use self::applying::all_calls;
#[cfg(all(test, feature = "host"))]
pub(crate) use self::sizes::VALUES_MAX;
use crate::harness::Baseline::{self, EveryCall, Validate};
use crate::harness::{Harness, Outcome};

/// A check.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    /// The tested property, as a sentence without its subject.
    pub(crate) name: &'static str,
    /// The function that runs the check.
    pub(crate) examine: fn(&Harness<'_>) -> Outcome,
    /// Whether it needs a fake of the service, rather than any server that responds.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "without a host there is always a fake service"))]
    pub(crate) needs_service: bool,
    /// The calls that must succeed without a fault. A check that expects failures shows nothing about a provider that
    /// always fails.
    pub(crate) baseline: Baseline,
}

impl Check {
    /// Requires that these calls succeed without a fault.
    const fn after(self, baseline: Baseline) -> Self {
        Self { baseline, ..self }
    }
}

/// A check that needs a fake of the service.
const fn with(name: &'static str, examine: fn(&Harness<'_>) -> Outcome) -> Check {
    Check { name, examine, needs_service: true, baseline: Baseline::Nothing }
}

/// A check that needs only a server that responds.
const fn alone(name: &'static str, examine: fn(&Harness<'_>) -> Outcome) -> Check {
    Check { name, examine, needs_service: false, baseline: Baseline::Nothing }
}

/// All checks. The last ones evaluate the observations of all previous ones.
pub(crate) const ALL: [Check; 43] = [
    alone("describes itself", description::describes_itself),
    alone("has a schema that accepts its config", description::has_a_schema),
    alone("rejects a wrong setting and names it", description::names_a_wrong_setting).after(Validate),
    alone("rejects an unknown setting", description::names_an_unknown_setting).after(Validate),
    alone("rejects a config without a required setting", description::names_a_missing_setting).after(Validate),
    with("validates a config without changing anything", description::validates_without_a_change),
    with("observes existing records", observing::observes_records),
    with("observes TXT values byte for byte", observing::observes_txt),
    with("observes nothing at unused names", observing::observes_absence),
    with("infers nothing from other records in a response", observing::infers_nothing),
    with("observes 16 names in one call", observing::observes_many_names),
    with("observes records that are not served", disabled::observes_disabled),
    with("lists the whole zone", observing::lists_the_zone),
    with("reads every page", observing::reads_every_page),
    with("does not mistake a missing zone for an empty one", observing::fails_on_a_missing_zone).after(EveryCall),
    with("creates, replaces and deletes", applying::applies_each_change),
    with("writes TXT values byte for byte", applying::writes_txt),
    with("writes sets of 16 values", sizes::writes_large_sets),
    with("keeps TTLs in its declared range", applying::keeps_ttls),
    with("applies many changes in one call", applying::applies_many),
    with("writes nothing when nothing changes", applying::writes_nothing_twice),
    with("applies a repeated change set once", applying::applies_a_change_set_once),
    with("requires an unchanged ownership record to exist", unchanged_ownership::keeps_an_unchanged_claim),
    with("does not overwrite others' records", conflict::respects_others).after(EveryCall),
    with("writes nothing on a conflict", conflict::writes_nothing_on_a_conflict).after(EveryCall),
    with("compares and writes atomically", conflict::compares_at_the_service),
    with("names the child zone that contains a name", child_zone::names_the_zone).after(EveryCall),
    with("deletes records hidden by a child zone", child_zone::deletes_hidden_records),
    alone("honors Retry-After", fault::honors_retry_after).after(EveryCall),
    alone("asks for a retry when the service fails", fault::asks_for_a_retry).after(EveryCall),
    alone("does not retry by itself", fault::does_not_retry_itself).after(EveryCall),
    alone("reports rejected credentials", fault::reports_unauthorized).after(EveryCall),
    with("finishes an interrupted change set", recovery::finishes_interrupted),
    with("finishes after a lost response", recovery::finishes_after_loss),
    with("applies all changes or none", recovery::is_atomic).after(EveryCall),
    alone("fails on a corrupt response", corruption::fails_on_corruption).after(EveryCall),
    with("finishes after a corrupt response", corruption::finishes_after_corruption),
    alone("survives oversized and unexpected responses", corruption::survives_unexpected_responses).after(EveryCall),
    with("leaves foreign records unchanged, byte for byte", safety::leaves_foreign_records),
    with("requests exact URLs", exact_url::requests_exact_urls),
    with("blames the right name", blame::names_the_record_at_fault).after(EveryCall),
    alone("calls only declared endpoints and leaks no secret", safety::leaks_nothing),
    alone("neither panics nor hangs", safety::does_not_break),
];
