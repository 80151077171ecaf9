//! One round: each zone in turn is observed, planned, noted, changed, and observed again.

use std::collections::{BTreeSet, VecDeque};

use linecamp_model::{
    Claim, DnsRequest, DomainName, EventKind, OwnedRecord, OwnedRecordKey, ProviderFailure, ProviderRequest,
    ProviderSpec, RecordChange, RecordKey, RecordSet, Text,
};

use super::failure::records_of;
use super::zone::Zone;
use super::{Context, DnsEffect, Reconciler, Work, is_claim};
use crate::dns::{DELETES_PER_ROUND_MAX, Plan, PlanInput, plan};
use crate::provider_calls::Effect;

/// How often a zone is observed in one round. A service that does not keep changes is then left alone for a while.
const PASSES_MAX: u32 = 4;

impl Reconciler {
    /// Whether the provider is to withdraw its records and may not delete them.
    pub(super) const fn must_abandon_records(&self) -> bool {
        self.spec.is_withdrawing && (self.spec.is_dry_run || !self.spec.dns().allow_deletes)
    }

    /// Withdraws without a call: the records stay, including their ownership TXT records, and are reported once.
    pub(super) fn abandon_records(&mut self, context: &Context<'_>) -> Vec<DnsEffect> {
        self.todo.clear();
        self.zones.values_mut().for_each(Zone::settle_empty);
        let owned: Vec<_> = context.owned.keys().filter(|key| key.provider == self.id).cloned().collect();
        let Some(zone) = owned.first().map(|key| key.zone.clone()) else { return Vec::new() };
        let records: Vec<_> = owned.iter().map(|key| key.record.to_string()).collect();
        let why = if self.spec.is_dry_run { "a dry run changes nothing" } else { "deletes are not enabled" };
        let text = Text::lossy(&format!(
            "{} is withdrawn; {why}, so these records stay: {}",
            self.spec.name,
            records.join(", ")
        ));
        let notes = owned.into_iter().map(|key| (key, None)).collect();
        let work = Work::Prepare { zone, steps: VecDeque::new() };
        vec![Effect::Event(EventKind::RecordsLeft, text), self.calls.note(work, notes)]
    }

    /// Continues with the next zone, or ends the round.
    pub(super) fn next_zone(&mut self, context: &mut Context<'_>) -> Vec<DnsEffect> {
        while let Some(zone) = self.todo.pop_front() {
            if let Some(effects) = self.observe(&zone, context) {
                return effects;
            }
            self.zones.entry(zone).or_default().settle_empty();
        }
        vec![self.calls.end_round(context.now.instant, context.rng)]
    }

    /// Plans a zone from its observation.
    pub(super) fn plan_zone(
        &mut self,
        name: DomainName,
        observed: &[RecordSet],
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        let claim = Claim { owner: self.spec.dns().owner.clone(), site: context.site };
        let owned = context.owned_in(self.id, &name);
        let others = context.of_others(self.id, &name);
        let rivals = context.rivals(&self.spec, &name);
        let Some(&capabilities) = self.calls.capabilities() else { return Vec::new() };
        let zone = self.zones.entry(name.clone()).or_default();
        zone.passes += 1;
        zone.note_unreadable(&owned, observed);
        let deletes_max = if self.spec.is_withdrawing { usize::MAX } else { DELETES_PER_ROUND_MAX };
        let plan = plan(&PlanInput {
            claim: &claim,
            capabilities,
            desired: &zone.desired,
            quarantined: &zone.quarantined(),
            deleted: &zone.deleted_since_desired,
            owned: &owned,
            others: &others,
            rivals: &rivals,
            observed,
            deletes: self.spec.dns().allow_deletes.then_some(deletes_max.saturating_sub(zone.deletes_done)),
            one_change_per_call: zone.one_change_per_call || self.has_small_steps,
        });
        let is_passive = self.spec.is_dry_run || self.calls.is_preview() || !context.may_change;
        zone.set_plan(&plan, observed, context.now.wall);
        zone.settle(plan.steps.is_empty() || self.spec.is_dry_run, self.spec.is_withdrawing && !self.spec.is_dry_run);
        zone.failures = 0;
        match (is_passive, zone.passes) {
            (true, _) => self.next_zone(context),
            (false, passes) if PASSES_MAX < passes && !plan.steps.is_empty() => {
                let records: BTreeSet<_> = plan.steps.iter().flat_map(|step| records_of(step)).collect();
                let records: Vec<_> = records.iter().take(3).map(ToString::to_string).collect();
                let reason = format!(
                    "zone {name} does not keep changes, after {PASSES_MAX} attempts in a row: {}",
                    records.join(", ")
                );
                let failure = ProviderFailure::Retry { after: None, reason: Text::lossy(&reason) };
                self.zone_failed(&name, &failure, "changing records", context)
            }
            (false, _) => self.apply_plan(name, plan, context),
        }
    }

    fn apply_plan(&mut self, zone: DomainName, plan: Plan, context: &mut Context<'_>) -> Vec<DnsEffect> {
        let steps: VecDeque<_> = plan.steps.into();
        let mut changes: Vec<(OwnedRecordKey, Option<OwnedRecord>)> = Vec::new();
        let left = plan.left.iter().map(|(record, why)| format!("{record} ({why})")).collect::<Vec<_>>();
        let text = format!("{} leaves these records in zone {zone}: {}", self.spec.name, left.join("; "));
        let event = (!left.is_empty()).then(|| Effect::Event(EventKind::RecordsLeft, Text::lossy(&text)));
        let key = |record: RecordKey| OwnedRecordKey { provider: self.id, zone: zone.clone(), record };
        changes.extend(plan.notes.into_iter().map(|(record, note)| (key(record), Some(note))));
        changes.extend(plan.forget.into_iter().map(|record| (key(record), None)));
        if changes.is_empty() {
            return self.next_step(zone, steps, context);
        }
        event.into_iter().chain([self.calls.note(Work::Prepare { zone, steps }, changes)]).collect()
    }

    /// Applies the next step; after the last one, observes the zone again.
    pub(super) fn next_step(
        &mut self,
        zone: DomainName,
        mut steps: VecDeque<Vec<RecordChange>>,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        if !context.may_change && !steps.is_empty() {
            // The next round plans them again.
            return self.next_zone(context);
        }
        let Some(step) = steps.pop_front() else {
            if !self.zones.get(&zone).is_some_and(Zone::is_at_rest) {
                self.todo.push_front(zone);
            }
            return self.next_zone(context);
        };
        let key = Text::lossy(&format!("{}-{}-{:016x}", context.run, self.steps_done, digest(&step)));
        let deleted = step.iter().filter(|change| change.after.is_none() && !is_claim(change)).count();
        self.zones.entry(zone.clone()).or_default().deletes_done += deleted;
        let request = DnsRequest::Apply { zone: zone.clone(), key, changes: step.clone() };
        vec![self.calls.start(context.next_call(), Work::Apply { zone, step, steps }, ProviderRequest::Dns(request))]
    }

    /// Handles an applied step.
    pub(super) fn handle_applied(
        &mut self,
        zone: DomainName,
        step: &[RecordChange],
        steps: VecDeque<Vec<RecordChange>>,
        context: &mut Context<'_>,
    ) -> Vec<DnsEffect> {
        self.steps_done += 1;
        self.pace.handle_applied();
        self.zones.entry(zone.clone()).or_default().handle_applied(step);
        let is_of_claims = step.iter().all(is_claim);
        let event = Effect::Event(EventKind::RecordsChanged, describe_step(&self.spec, step));
        let event = (!is_of_claims).then_some(event);
        event.into_iter().chain(self.next_step(zone, steps, context)).collect()
    }
}

/// Returns a short hash of a step for its idempotency key: FNV-1a (Fowler, Noll, Vo), 64 bits. Collisions give no
/// attacker an advantage.
fn digest(step: &[RecordChange]) -> u64 {
    let words = format!("{step:?}");
    words.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Describes a step, without ownership TXT records: `dns: created gw.camp.example A 300 192.0.2.1`.
fn describe_step(spec: &ProviderSpec, step: &[RecordChange]) -> Text {
    let records = step.iter().filter(|change| !is_claim(change));
    let words = records.map(|change| match (&change.before, &change.after) {
        (None, Some(after)) => format!("created {after}"),
        (Some(_), Some(after)) => format!("updated to {after}"),
        (Some(before), None) => format!("deleted {before}"),
        (None, None) => String::new(),
    });
    let words = words.collect::<Vec<_>>().join("; ");
    Text::lossy(&format!("{}: {words}", spec.name))
}
