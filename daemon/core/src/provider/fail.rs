//! What a failure means for what comes next.

use linecamp_model::{Claim, ConditionKind, DomainName, ProviderFailure, RecordChange, RecordKey, Text};

use super::act::Act;
use super::{Provider, RETRY_AFTER_MAX, RETRY_FIRST, RETRY_MAX, SECOND_LOOK, Scope, State, Trouble, is_claim};

impl Provider {
    /// A step was not done. What can be mended by another look is; what is the fault of one record is set aside.
    pub(super) fn step_failed(
        &mut self,
        zone: DomainName,
        step: &[RecordChange],
        failure: ProviderFailure,
        scope: &mut Scope<'_>,
    ) -> Vec<Act> {
        let changed = self.zones.entry(zone.clone()).or_default();
        match &failure {
            ProviderFailure::Conflict { reason } => {
                // What was not observed and is not what was written is not deleted.
                let blind = changed.blind_among(&records_of(step));
                blind.into_iter().for_each(|key| changed.refuse(key, reason.clone(), scope.now));
            }
            ProviderFailure::Refused { reason, name } => {
                let blamed = blamed(step, name.as_ref());
                match blamed.is_empty() {
                    // Nobody says which: the next look takes them one by one.
                    true if self.singly => {
                        return self.zone_failed(&zone, &failure, &format!("changing zone {zone}"), scope);
                    }
                    true => self.singly = true,
                    false => blamed.into_iter().for_each(|key| changed.refuse(key, reason.clone(), scope.now)),
                }
            }
            _ => return self.zone_failed(&zone, &failure, &format!("changing zone {zone}"), scope),
        }
        self.todo.push_front(zone);
        self.next_zone(scope)
    }

    /// Ends the round because of one zone: the next one takes the others before it.
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

    /// Ends the round, and says when the next begins.
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
        self.trouble = Some(Trouble { kind, text: Text::lossy(&text) });
        let asked = match failure {
            ProviderFailure::Retry { after, .. } => after.unwrap_or_default().min(RETRY_AFTER_MAX),
            _ => std::time::Duration::ZERO,
        };
        let delay = self.backoff.next(RETRY_FIRST, RETRY_MAX, scope.rng).max(asked);
        self.state = State::Waiting;
        self.is_look = false;
        self.unsure_until = Some(scope.now + SECOND_LOOK);
        // The next round begins with a check: one small call while the trouble lasts.
        self.abilities = None;
        self.todo.clear();
        vec![Act::Wait(delay)]
    }
}

/// Returns the record sets of a step that are to blame: those of the name, or the only one there is.
fn blamed(step: &[RecordChange], name: Option<&DomainName>) -> Vec<RecordKey> {
    let mut records = records_of(step);
    match name {
        Some(name) => records.retain(|key| key.name == *name || Claim::name_of(key).as_ref() == Ok(name)),
        None if 1 < records.len() => records.clear(),
        None => {}
    }
    records
}

/// Returns the record sets that a step is about; a claim is about the set beside it.
fn records_of(step: &[RecordChange]) -> Vec<RecordKey> {
    let records = step.iter().filter_map(|change| match is_claim(change) {
        true => change.key().and_then(|key| Claim::key_of(&key.name)),
        false => change.key().cloned(),
    });
    let mut records: Vec<_> = records.collect();
    records.sort();
    records.dedup();
    records
}
