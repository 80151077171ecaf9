//! How failed calls are handled: what a record causes quarantines it, and everything else ends the round.

use std::collections::VecDeque;

use linecamp_model::{Claim, DomainName, ProviderFailure, RecordChange, RecordKey, Text};

use super::{CONFLICT_RETRY_FIRST, Context, DnsEffect, Reconciler, is_claim};

impl Reconciler {
    /// Handles a failed step. What another observation can repair is observed again; a record that causes the failure
    /// is quarantined, and the other `steps` continue.
    pub(super) fn handle_apply_failed(
        &mut self,
        zone: DomainName,
        step: &[RecordChange],
        mut steps: VecDeque<Vec<RecordChange>>,
        failure: &ProviderFailure,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        if let ProviderFailure::Retry { after: Some(after), .. } = failure
            && self.pace.may_wait_to_change(*after)
        {
            return self.interrupt_changes(zone, steps, step, (*after, context));
        }
        let changed = self.zones.entry(zone.clone()).or_default();
        let blamed = match failure {
            ProviderFailure::Conflict { reason, .. } => {
                let records = records_of(step);
                // A record set that was not observed and differs from what was written is not deleted.
                let unobserved = changed.unobserved_among(&records);
                unobserved.iter().for_each(|key| changed.reject(key.clone(), reason, context.now));
                match unobserved.is_empty() && changed.one_change_per_call {
                    true => {
                        for key in &records {
                            if changed.quarantine_for_conflict(key.clone(), reason, context.now) {
                                self.calls.recheck_at(context.now.instant + CONFLICT_RETRY_FIRST);
                            }
                        }
                        records
                    }
                    false => unobserved,
                }
            }
            ProviderFailure::Refused { reason, part } => {
                let blamed = blamed(step, part.as_ref());
                if blamed.is_empty() && changed.one_change_per_call {
                    return self.zone_failed(&zone, failure, &format!("changing zone {zone}"), context);
                }
                blamed.iter().for_each(|key| changed.reject(key.clone(), reason, context.now));
                blamed
            }
            _ => return self.zone_failed(&zone, failure, &format!("changing zone {zone}"), context),
        };
        if blamed.is_empty() {
            // The failure names no record set: the next pass changes them one by one.
            changed.one_change_per_call = true;
            self.todo.push_front(zone);
            return self.next_zone(context);
        }
        // One fewer to try: such a pass does not count, because it cannot repeat forever.
        changed.passes = changed.passes.saturating_sub(1);
        steps.retain(|step| records_of(step).iter().all(|key| !blamed.contains(key)));
        self.next_step(zone, steps, context)
    }

    /// Ends the round because of one zone: the next round handles the other zones first.
    pub(super) fn zone_failed(
        &mut self,
        zone: &DomainName,
        failure: &ProviderFailure,
        attempt: &str,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        let failed = self.zones.entry(zone.clone()).or_default();
        failed.failures = failed.failures.saturating_add(1);
        self.fail(failure, attempt, context)
    }

    /// Ends the round and schedules the next one. `attempt` says what failed.
    pub(super) fn fail(
        &mut self,
        failure: &ProviderFailure,
        attempt: &str,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        self.todo.clear();
        let what = format!("provider {} (plugin {}), {attempt}", self.spec.name, self.plugin);
        vec![self.calls.fail(failure, &what, context.now.instant, context.rng)]
    }
}

/// Returns the record sets of a step that caused the failure: those of the given name, or the only one in the step.
fn blamed(step: &[RecordChange], name: Option<&Text>) -> Vec<RecordKey> {
    let mut records = records_of(step);
    match name {
        Some(name) => records.retain(|key| is_at(key, name)),
        None if 1 < records.len() => records.clear(),
        None => {}
    }
    records
}

/// Whether a record set, or its ownership TXT record, has this name.
pub(super) fn is_at(key: &RecordKey, name: &Text) -> bool {
    let claim = || Claim::name_of(key).is_ok_and(|claim| claim.as_str() == name.as_str());
    key.name.as_str() == name.as_str() || claim()
}

/// Returns the record sets of a step; an ownership TXT record counts as the record set it belongs to.
pub(super) fn records_of(step: &[RecordChange]) -> Vec<RecordKey> {
    let records = step.iter().filter_map(|change| match is_claim(change) {
        true => change.key().and_then(|key| Claim::key_of(&key.name)),
        false => change.key().cloned(),
    });
    let mut records: Vec<_> = records.collect();
    records.sort();
    records.dedup();
    records
}
