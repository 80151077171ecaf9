//! Entry points for calls from the host or the testkit: they take the config as text and convert the provider's results
//! to the contract's canonical form.
//!
//! Plugin authors do not call these; [`export_dns!`](crate::export_dns) and the testkit do.

use crate::config::{self, Config};
use crate::context::Context;
use crate::failure::Failure;
use crate::provider::{About, DnsProvider};
use crate::record::{self, Change, RecordSet};

/// Maximum length of a failure's message in bytes; the host keeps no more. Longer messages are truncated.
const REASON_BYTES_MAX: usize = 480;

/// A provider's description of itself, with its config schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The author's description.
    pub about: About,
    /// A JSON Schema of the config: an object.
    pub config_schema: &'static str,
}

/// Returns the provider's description.
pub fn describe<P: DnsProvider>() -> Description {
    Description { about: P::describe(), config_schema: P::Config::SCHEMA }
}

/// Checks whether this config works.
///
/// # Errors
/// The provider's failure, or a refusal of a config that cannot be parsed.
pub fn check<P: DnsProvider>(config: &str, cx: &Context) -> Result<(), Failure> {
    config::parse(config).and_then(|config| P::check(&config, cx)).map_err(cut)
}

/// Returns what the zone contains at these names.
///
/// # Errors
/// The provider's failure, or a refusal of a config that cannot be parsed.
pub fn observe<P: DnsProvider>(
    config: &str,
    cx: &Context,
    zone: &str,
    names: &[String],
) -> Result<Vec<RecordSet>, Failure> {
    let found = config::parse(config).and_then(|config| P::observe(&config, cx, zone, names)).map_err(cut)?;
    Ok(in_form(found, |set| names.is_empty() || names.contains(&set.name)))
}

/// Applies changes.
///
/// # Errors
/// The provider's failure, or a refusal of a config that cannot be parsed.
pub fn apply<P: DnsProvider>(
    config: &str,
    cx: &Context,
    zone: &str,
    step: Step<'_>,
) -> Result<Vec<RecordSet>, Failure> {
    let apply = |config| P::apply(&config, cx, zone, step.key, step.changes);
    let known = config::parse(config).and_then(apply).map_err(cut)?;
    let is_asked =
        |set: &RecordSet| step.changes.iter().any(|change| change.name() == set.name && change.rtype() == set.rtype);
    Ok(in_form(known, is_asked))
}

/// A change set, and its idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The idempotency key: a repeated change set has the same key.
    pub key: &'a str,
    /// Applied in this order.
    pub changes: &'a [Change],
}

/// Converts sets to canonical form, merges those of one name and type, and drops those that are not wanted.
fn in_form(sets: Vec<RecordSet>, wanted: impl Fn(&RecordSet) -> bool) -> Vec<RecordSet> {
    record::merged(&sets).into_values().filter(|set| wanted(set)).collect()
}

fn cut(mut failure: Failure) -> Failure {
    let reason = failure.reason_mut();
    if REASON_BYTES_MAX < reason.len() {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        reason.push('…');
    }
    failure
}
