//! Entry points for calls from the host or the testkit: they take the config as text and convert the provider's results
//! to the contract's canonical form.
//!
//! Plugin authors do not call these; [`export_dns!`](crate::export_dns) and the testkit do.

use crate::config::{self, Config};
use crate::context::Context;
use crate::error::ProviderError;
use crate::provider::{DnsProvider, ProviderInfo};
use crate::record::{self, Change, RecordSet};

/// Maximum length of a failure's message in bytes; the host keeps no more. Longer messages are truncated.
const REASON_BYTES_MAX: usize = 480;

/// A provider's description of itself, with its config schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The author's part.
    pub info: ProviderInfo,
    /// A JSON Schema of the config: an object.
    pub config_schema: &'static str,
}

/// Returns the provider's description.
pub fn describe<P: DnsProvider>() -> Description {
    Description { info: P::describe(), config_schema: P::Config::SCHEMA }
}

/// Validates the config.
///
/// # Errors
/// The provider's failure, or [`ProviderError::Invalid`] for a config that cannot be parsed.
pub fn validate<P: DnsProvider>(config: &str, cx: &Context) -> Result<(), ProviderError> {
    config::parse(config).and_then(|config| P::validate(&config, cx)).map_err(truncate)
}

/// Returns what the zone contains at these names.
///
/// # Errors
/// The provider's failure, or [`ProviderError::Invalid`] for a config that cannot be parsed.
pub fn observe<P: DnsProvider>(
    config: &str,
    cx: &Context,
    zone: &str,
    names: &[String],
) -> Result<Vec<RecordSet>, ProviderError> {
    let found = config::parse(config).and_then(|config| P::observe(&config, cx, zone, names)).map_err(truncate)?;
    Ok(canonical_sets(found, |set| names.is_empty() || names.contains(&set.name)))
}

/// Applies changes.
///
/// # Errors
/// The provider's failure, or [`ProviderError::Invalid`] for a config that cannot be parsed.
pub fn apply<P: DnsProvider>(
    config: &str,
    cx: &Context,
    zone: &str,
    change_set: ChangeSet<'_>,
) -> Result<Vec<RecordSet>, ProviderError> {
    let apply = |config| P::apply(&config, cx, zone, change_set.idempotency_key, change_set.changes);
    let known = config::parse(config).and_then(apply).map_err(truncate)?;
    let is_requested = |set: &RecordSet| {
        change_set.changes.iter().any(|change| change.name() == set.name && change.rtype() == set.rtype)
    };
    Ok(canonical_sets(known, is_requested))
}

/// A change set, and its idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct ChangeSet<'a> {
    /// A repeated change set has the same key.
    pub idempotency_key: &'a str,
    /// Applied in this order.
    pub changes: &'a [Change],
}

/// Converts sets to canonical form, merges those of one name and type, and drops those that are not wanted.
fn canonical_sets(sets: Vec<RecordSet>, wanted: impl Fn(&RecordSet) -> bool) -> Vec<RecordSet> {
    record::merge(&sets).into_values().filter(|set| wanted(set)).collect()
}

fn truncate(mut error: ProviderError) -> ProviderError {
    let reason = error.reason_mut();
    if REASON_BYTES_MAX < reason.len() {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        reason.push('…');
    }
    error
}
