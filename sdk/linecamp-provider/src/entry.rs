//! The calls, as they come in from the host or the testkit: the config is a text here, and what a provider answers is
//! brought into the contract's form.
//!
//! A plugin's author does not call these; [`export_dns!`](crate::export_dns) and the testkit do.

use crate::config::{self, Config};
use crate::context::Context;
use crate::failure::Failure;
use crate::provider::{About, DnsProvider};
use crate::record::{self, Change, RecordSet};

/// Bytes of a failure's words that go to the host, which keeps no more. The rest is cut.
const REASON_BYTES_MAX: usize = 480;

/// What a provider says of itself, with the schema of its config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What its author wrote.
    pub about: About,
    /// A JSON Schema of the config: an object.
    pub config_schema: &'static str,
}

/// Asks a provider what it is.
pub fn describe<P: DnsProvider>() -> Description {
    Description { about: P::describe(), config_schema: P::Config::SCHEMA }
}

/// Asks a provider whether this config would work.
///
/// # Errors
/// What the provider answers, or a refusal of a config that does not read.
pub fn check<P: DnsProvider>(config: &str, cx: &Context) -> Result<(), Failure> {
    config::parse(config).and_then(|config| P::check(&config, cx)).map_err(cut)
}

/// Asks a provider what the zone holds at these names.
///
/// # Errors
/// What the provider answers, or a refusal of a config that does not read.
pub fn observe<P: DnsProvider>(
    config: &str,
    cx: &Context,
    zone: &str,
    names: &[String],
) -> Result<Vec<RecordSet>, Failure> {
    let found = config::parse(config).and_then(|config| P::observe(&config, cx, zone, names)).map_err(cut)?;
    Ok(in_form(found, |set| names.is_empty() || names.contains(&set.name)))
}

/// Has a provider do changes.
///
/// # Errors
/// What the provider answers, or a refusal of a config that does not read.
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

/// Changes, and the key under which they may come again.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Names this step: the same step again has the same key.
    pub key: &'a str,
    /// In this order.
    pub changes: &'a [Change],
}

/// Brings sets into their one form, those of one name and type together, and leaves out those that are not wanted.
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
