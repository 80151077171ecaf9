//! DNS records: what is wanted, and the plan that turns what was observed into it.
//!
//! Both are functions of whole state, without a memory: [`wanted`] reads a provider's settings and the site's hosts,
//! [`plan`] compares with what a zone holds. The rules that protect others are all in `plan`:
//! a record set belongs to whoever is named by the claim beside it; the claim is made first and taken away last, in one
//! change where the provider can; what is there without our claim is foreign, stays as it is to the last byte, and is
//! named in a condition; nothing is deleted unless deletes are enabled, and no more at once than a round may. What was
//! written, or begun, is ours until it was deleted: that it is not observed does not mean that it was never written.
//! Providers of one site share its claim: of those that want one record set in one place, the first by name has it.
//!
//! The same state gives no step: where nothing changed, nothing is written.

mod plan;
mod wanted;

#[cfg(test)]
mod tests;

pub(crate) use self::plan::{Plan, PlanInput, Refusal, Rival, names_of, note_undone, plan};
pub use self::wanted::OWN_ADDRESS_LABEL;
pub(crate) use self::wanted::{At, HostInput, Wanted, wanted};

/// How many record sets one round may take away. A mistake that unwants a whole fleet's names is seen before it is
/// done; the rest follows in later rounds. A provider that is leaving has no such limit.
pub const DELETES_PER_ROUND_MAX: usize = 10;
