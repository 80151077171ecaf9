//! One round: each zone in turn is observed, planned, noted, changed, and observed again.

use std::collections::{BTreeSet, VecDeque};

use linecamp_model::{
    Claim, DomainName, EventKind, OwnedRecord, OwnedRecordKey, ProviderFailure, ProviderRequest, RecordChange,
    RecordKey, RecordSet, Text,
};

use super::failure::records_of;
use super::zone::Zone;
use super::{Act, PASSES_MAX, Provider, RECONCILE_INTERVAL, Scope, State, is_claim};
use crate::dns::{DELETES_PER_ROUND_MAX, Plan, PlanInput, plan};

impl Provider {
    /// Whether the provider is leaving and may not delete its records.
    pub(super) const fn lets_go(&self) -> bool {
        self.spec.is_withdrawing && (self.spec.is_dry_run || !self.spec.dns.allow_deletes)
    }

    /// Leaves without a call: the records stay, including their ownership TXT records, and are reported once.
    pub(super) fn abandon_records(&mut self, scope: &Scope<'_>) -> Vec<Act> {
        self.todo.clear();
        self.zones.values_mut().for_each(Zone::settle_empty);
        let held: Vec<_> = scope.held.keys().filter(|key| key.provider == self.id).cloned().collect();
        let Some(zone) = held.first().map(|key| key.zone.clone()) else { return Vec::new() };
        self.state = State::Noting { zone, steps: VecDeque::new() };
        let records: Vec<_> = held.iter().map(|key| key.record.to_string()).collect();
        let why = if self.spec.is_dry_run { "a dry run changes nothing" } else { "deletes are not enabled" };
        let text = Text::lossy(&format!("{} leaves; {why}, so these stay: {}", self.spec.name, records.join(", ")));
        vec![Act::Event(EventKind::RecordsLeft, text), Act::Note(held.into_iter().map(|key| (key, None)).collect())]
    }

    /// Continues with the next zone, or ends the round.
    pub(super) fn next_zone(&mut self, scope: &mut Scope<'_>) -> Vec<Act> {
        while let Some(zone) = self.todo.pop_front() {
            if let Some(acts) = self.look(&zone, scope) {
                return acts;
            }
            self.zones.entry(zone).or_default().settle_empty();
        }
        self.state = State::Idle;
        self.is_look = false;
        self.backoff.reset();
        self.failure = None;
        // Rounds start up to a fifth early at random: sites that were powered on together spread out.
        let regular = RECONCILE_INTERVAL - scope.rng.delay_up_to(RECONCILE_INTERVAL / 5);
        let unsure_for = self.unsure_until.map(|until| until.saturating_since(scope.now));
        vec![Act::Wait(unsure_for.filter(|left| !left.is_zero()).unwrap_or(regular))]
    }

    /// Plans a zone from its observation.
    pub(super) fn decide(&mut self, name: DomainName, observed: &[RecordSet], scope: &mut Scope<'_>) -> Vec<Act> {
        let claim = Claim { owner: self.spec.dns.owner.clone(), site: scope.site };
        let held = scope.held_in(self.id, &name);
        let others = scope.of_others(self.id, &name);
        let rivals = scope.rivals(&self.spec, &name);
        let Some(abilities) = self.abilities else { return Vec::new() };
        let zone = self.zones.entry(name.clone()).or_default();
        zone.passes += 1;
        zone.note_unreadable(&held, observed);
        let deletes_max = if self.spec.is_withdrawing { usize::MAX } else { DELETES_PER_ROUND_MAX };
        let plan = plan(&PlanInput {
            claim: &claim,
            abilities,
            wanted: &zone.wanted,
            refused: &zone.refusals(),
            undone: &zone.undone,
            held: &held,
            others: &others,
            rivals: &rivals,
            observed,
            deletes: self.spec.dns.allow_deletes.then_some(deletes_max.saturating_sub(zone.deleted)),
            one_change_per_call: zone.one_change_per_call || self.has_small_steps,
        });
        let is_passive = self.spec.is_dry_run || self.is_look || !scope.may_change;
        zone.learn(&plan, observed, scope.wall);
        zone.settle(plan.steps.is_empty() || self.spec.is_dry_run, self.spec.is_withdrawing && !self.spec.is_dry_run);
        zone.failures = 0;
        match (is_passive, zone.passes) {
            (true, _) => self.next_zone(scope),
            (false, passes) if PASSES_MAX < passes && !plan.steps.is_empty() => {
                let records: BTreeSet<_> = plan.steps.iter().flat_map(|step| records_of(step)).collect();
                let records: Vec<_> = records.iter().take(3).map(ToString::to_string).collect();
                let reason = format!(
                    "zone {name} does not keep what it is told, after {PASSES_MAX} tries in a row: {}",
                    records.join(", ")
                );
                let failure = ProviderFailure::Retry { after: None, reason: Text::lossy(&reason) };
                self.zone_failed(&name, &failure, "changing records", scope)
            }
            (false, _) => self.carry_out(name, plan, scope),
        }
    }

    fn carry_out(&mut self, zone: DomainName, plan: Plan, scope: &mut Scope<'_>) -> Vec<Act> {
        let steps: VecDeque<_> = plan.steps.into();
        let mut changes: Vec<(OwnedRecordKey, Option<OwnedRecord>)> = Vec::new();
        let left = plan.left.iter().map(|(record, why)| format!("{record} ({why})")).collect::<Vec<_>>();
        let text = format!("{} leaves these in zone {zone}: {}", self.spec.name, left.join("; "));
        let event = (!left.is_empty()).then(|| Act::Event(EventKind::RecordsLeft, Text::lossy(&text)));
        let key = |record: RecordKey| OwnedRecordKey { provider: self.id, zone: zone.clone(), record };
        changes.extend(plan.notes.into_iter().map(|(record, note)| (key(record), Some(note))));
        changes.extend(plan.forget.into_iter().map(|record| (key(record), None)));
        if changes.is_empty() {
            return self.next_step(zone, steps, scope);
        }
        self.state = State::Noting { zone, steps };
        event.into_iter().chain([Act::Note(changes)]).collect()
    }

    /// Applies the next step; after the last one, observes the zone again.
    pub(super) fn next_step(
        &mut self,
        zone: DomainName,
        mut steps: VecDeque<Vec<RecordChange>>,
        scope: &mut Scope<'_>,
    ) -> Vec<Act> {
        if !scope.may_change && !steps.is_empty() {
            // The next round plans them again.
            return self.next_zone(scope);
        }
        let Some(step) = steps.pop_front() else {
            if !self.zones.get(&zone).is_some_and(Zone::is_at_rest) {
                self.todo.push_front(zone);
            }
            return self.next_zone(scope);
        };
        let call = scope.next_call();
        let key = Text::lossy(&format!("{}-{}-{:016x}", scope.run, self.steps_done, digest(&step)));
        let deleted = step.iter().filter(|change| change.after.is_none() && !is_claim(change)).count();
        self.zones.entry(zone.clone()).or_default().deleted += deleted;
        let request = ProviderRequest::Apply { zone: zone.clone(), key, changes: step.clone() };
        self.state = State::Applying { call, zone, step, steps };
        vec![Act::Call { call, request }]
    }
}

/// Returns a short hash of a step for its idempotency key: FNV-1a (Fowler, Noll, Vo), 64 bits. Collisions give no
/// attacker an advantage.
fn digest(step: &[RecordChange]) -> u64 {
    let words = format!("{step:?}");
    words.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
