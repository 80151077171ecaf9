//! DNS records: the desired records of a zone, and the plan that reconciles the observed ones with them.
//!
//! Both are pure functions of the full state: [`wanted()`] reads a provider's settings and the site's hosts, [`plan()`]
//! compares the result with what a zone holds. `plan` has all the rules that protect other owners:
//! - A record set belongs to the owner named by the ownership TXT record ("claim") next to it.
//! - The claim is created first and deleted last, in one atomic change where the provider supports that.
//! - An existing record set without our claim is a conflict: it stays byte for byte as it is and is named in a
//!   condition.
//! - Nothing is deleted unless deletes are enabled, and no more per round than the limit.
//! - What was written, or started, stays ours until it was deleted: not observing it does not prove that it was never
//!   written.
//! - Providers of one site share its claim: if several want one record set in one place, the first by name gets it.
//!
//! Plans converge: a zone in its desired state yields no step and no write.

mod desired;
mod plan;
mod reconciler;

#[cfg(test)]
mod tests;

pub use self::desired::OWN_ADDRESS_LABEL;
pub(crate) use self::desired::{At, HostInput, Wanted, wanted};
pub(crate) use self::plan::{Plan, PlanInput, Refusal, Rival, names_of, note_undone, plan};
pub(crate) use self::reconciler::{Act, Provider, Scope, bytes_of, status_of_gone};
pub use self::reconciler::{
    CALL_MAX, CONFLICT_RETRY_FIRST, QUARANTINE, RECHECK_DELAY, RECONCILE_INTERVAL, RETRY_AFTER_MAX, RETRY_FIRST,
    RETRY_MAX,
};

/// How many record sets one round may delete. A configuration mistake that drops the names of a whole fleet is noticed
/// before all of them are gone; the rest follows in later rounds. A leaving provider has no such limit.
pub const DELETES_PER_ROUND_MAX: usize = 10;
