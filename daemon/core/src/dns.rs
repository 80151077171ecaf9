//! DNS providers: what a site wants in its zones, and how the zones get there.
//!
//! - [`desired`]: the desired records, computed from a provider's settings and the site's hosts.
//! - [`plan`](mod@plan): the changes that bring a zone to its desired state. Both are pure functions of the full state.
//! - [`reconciler`]: the state machine of one provider, which observes, plans, and applies changes. It makes its calls
//!   through [`provider_calls`](crate::provider_calls), which knows nothing of DNS: a provider of another kind uses it
//!   in the same way.
//!
//! The plan has all the rules that protect other owners:
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
pub(crate) use self::desired::{DesiredRecords, HostInput, Location, desired_records};
pub(crate) use self::plan::{Plan, PlanInput, Rejection, Rival, names_of, plan, track_deleted};
pub use self::reconciler::{CONFLICT_RETRY_FIRST, QUARANTINE};
pub(crate) use self::reconciler::{Context, DnsEffect, Reconciler, status_of_removed};

/// How many record sets one round may delete. A configuration mistake that drops the names of a whole fleet is noticed
/// before all of them are gone; the rest follows in later rounds. A withdrawing provider has no such limit.
pub const DELETES_PER_ROUND_MAX: usize = 10;
