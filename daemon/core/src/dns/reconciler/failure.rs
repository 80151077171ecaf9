//! How failures are handled.

use std::collections::VecDeque;

use linecamp_model::{Claim, ConditionKind, DomainName, ProviderFailure, RecordChange, RecordKey, Text};

use super::act::Act;
use super::{
    CONFLICT_RETRY_FIRST, Failure, Provider, RECHECK_DELAY, RETRY_AFTER_MAX, RETRY_FIRST, RETRY_MAX, Scope, State,
    is_claim,
};

impl Provider {
    /// Handles a failed step. What another observation can repair is observed again; a record that causes the failure
    /// is quarantined, and the other `steps` continue.
    pub(super) fn step_failed(
        &mut self,
        zone: DomainName,
        step: &[RecordChange],
        mut steps: VecDeque<Vec<RecordChange>>,
        failure: &ProviderFailure,
        scope: &mut Scope<'_>,
    ) -> Vec<Act> {
        let changed = self.zones.entry(zone.clone()).or_default();
        let blamed = match failure {
            ProviderFailure::Conflict { reason } => {
                let records = records_of(step);
                // A record set that was not observed and differs from what was written is not deleted.
                let blind = changed.blind_among(&records);
                blind.iter().for_each(|key| changed.refuse(key.clone(), reason, scope.time()));
                match blind.is_empty() && changed.one_change_per_call {
                    true => {
                        for key in &records {
                            if changed.refuse_for_conflict(key.clone(), reason, scope.time()) {
                                self.unsure_until = Some(scope.now + CONFLICT_RETRY_FIRST);
                            }
                        }
                        records
                    }
                    false => blind,
                }
            }
            ProviderFailure::Refused { reason, name } => {
                let blamed = blamed(step, name.as_ref());
                if blamed.is_empty() && changed.one_change_per_call {
                    return self.zone_failed(&zone, failure, &format!("changing zone {zone}"), scope);
                }
                blamed.iter().for_each(|key| changed.refuse(key.clone(), reason, scope.time()));
                blamed
            }
            _ => return self.zone_failed(&zone, failure, &format!("changing zone {zone}"), scope),
        };
        if blamed.is_empty() {
            // The failure names no record set: the next pass changes them one by one.
            changed.one_change_per_call = true;
            self.todo.push_front(zone);
            return self.next_zone(scope);
        }
        // One fewer to try: such a pass does not count, because it cannot repeat forever.
        changed.passes = changed.passes.saturating_sub(1);
        steps.retain(|step| records_of(step).iter().all(|key| !blamed.contains(key)));
        self.next_step(zone, steps, scope)
    }

    /// Ends the round because of one zone: the next round handles the other zones first.
    pub(super) fn zone_failed(
        &mut self,
        zone: &DomainName,
        failure: &ProviderFailure,
        tried: &str,
        scope: &mut Scope<'_>,
    ) -> Vec<Act> {
        let failed = self.zones.entry(zone.clone()).or_default();
        failed.failures = failed.failures.saturating_add(1);
        self.fail(failure, tried, scope)
    }

    /// Ends the round and schedules the next one.
    pub(super) fn fail(&mut self, failure: &ProviderFailure, tried: &str, scope: &mut Scope<'_>) -> Vec<Act> {
        let kind = match failure {
            ProviderFailure::Broken { .. } | ProviderFailure::Missing { .. } => ConditionKind::PluginFailed,
            ProviderFailure::Retry { .. }
            | ProviderFailure::Refused { .. }
            | ProviderFailure::Conflict { .. }
            | ProviderFailure::LimitExceeded { .. }
            | ProviderFailure::Unauthorized { .. } => ConditionKind::ProviderFailed,
        };
        let what = match failure {
            ProviderFailure::Unauthorized { .. } => "the credentials are not accepted: ",
            _ => "",
        };
        let text =
            format!("provider {} (plugin {}), {}: {what}{}", self.spec.name, self.plugin, tried, failure.reason());
        self.failure = Some(Failure { kind, text: Text::lossy(&text) });
        let asked = match failure {
            ProviderFailure::Retry { after, .. } => after.unwrap_or_default().min(RETRY_AFTER_MAX),
            _ => std::time::Duration::ZERO,
        };
        let delay = self.backoff.next(RETRY_FIRST, RETRY_MAX, scope.rng).max(asked);
        self.state = State::Waiting;
        self.is_look = false;
        self.unsure_until = Some(scope.now + RECHECK_DELAY);
        // The next round starts with a check: one small call while the failure lasts.
        self.abilities = None;
        self.todo.clear();
        vec![Act::Wait(delay)]
    }
}

/// Returns the record sets of a step that caused the failure: those of the given name, or the only one in the step.
fn blamed(step: &[RecordChange], name: Option<&DomainName>) -> Vec<RecordKey> {
    let mut records = records_of(step);
    match name {
        Some(name) => records.retain(|key| key.name == *name || Claim::name_of(key).as_ref() == Ok(name)),
        None if 1 < records.len() => records.clear(),
        None => {}
    }
    records
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
