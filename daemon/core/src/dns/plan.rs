//! The plan: the changes that bring a zone to its desired state without touching records of other owners.

mod action;
mod observed;

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    Claim, DnsCapabilities, DomainName, Name, OwnedRecord, Ownership, RecordChange, RecordKey, RecordSet, RecordState,
    Text, Ttl,
};

use self::action::{Action, action_for_desired, action_for_undesired};
use self::observed::ObservedSets;
use super::desired::DesiredRecords;

/// The input of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanInput<'a> {
    /// Our ownership claim.
    pub(crate) claim: &'a Claim,
    /// The provider's capabilities.
    pub(crate) capabilities: DnsCapabilities,
    /// The desired records.
    pub(crate) desired: &'a DesiredRecords,
    /// Record sets the provider rejected.
    pub(crate) quarantined: &'a BTreeMap<RecordKey, Rejection>,
    /// Record sets deleted since they were last desired, as confirmed by the provider.
    pub(crate) deleted: &'a BTreeSet<RecordKey>,
    /// The ownership notes: record sets we own or have started to create.
    pub(crate) owned: &'a BTreeMap<RecordKey, OwnedRecord>,
    /// Record sets that other providers of the site own or want: they share its claim and manage those themselves.
    pub(crate) others: &'a BTreeSet<RecordKey>,
    /// Record sets that other providers of the site want under our claim.
    pub(crate) rivals: &'a BTreeMap<RecordKey, Vec<Rival>>,
    /// The observed record sets, at least those at desired and owned names.
    pub(crate) observed: &'a [RecordSet],
    /// How many record sets may be deleted; `None` if deletes are not enabled.
    pub(crate) deletes: Option<usize>,
    /// One record set per step, so that a rejected one does not block the others.
    pub(crate) one_change_per_call: bool,
}

/// Another provider of the site that wants the same record set in a zone of the same name.
#[derive(Clone, Debug)]
pub(crate) struct Rival {
    pub(crate) name: Name,
    /// Whether it takes precedence where both mean the same record set.
    pub(crate) goes_first: bool,
    /// Whether its settings write to the same place as ours. If not, the observation may still show that it does.
    pub(crate) is_same_place: bool,
    /// What it wrote last.
    pub(crate) note: Option<OwnedRecord>,
}

/// Why the provider rejected a record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) reason: Text,
    /// Whether it cannot even be observed: its contents are unknown, and it is not served.
    pub(crate) is_unobservable: bool,
    /// Whether nothing is tried for now, not even deleting an earlier write.
    pub(crate) is_blocked: bool,
}

/// The changes to make and the resulting states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The steps in order; the changes of a step go into one call.
    pub(crate) steps: Vec<Vec<RecordChange>>,
    /// Ownership notes to persist before the first step.
    pub(crate) notes: BTreeMap<RecordKey, OwnedRecord>,
    /// Ownership notes to drop: none of our records is left there.
    pub(crate) forget: Vec<RecordKey>,
    /// The state of each desired or owned record set.
    pub(crate) states: BTreeMap<RecordKey, (RecordState, Text)>,
    /// Record sets we wrote that now belong to another owner, and why: they stay, and their notes are dropped.
    pub(crate) left: BTreeMap<RecordKey, Text>,
    /// Record sets deleted without having been observed: a conflict means that they are not what was written.
    pub(crate) unobserved: BTreeSet<RecordKey>,
}

/// Returns the plan. The same input gives the same plan, and a zone in its desired state gives no step.
pub(crate) fn plan(input: &PlanInput<'_>) -> Plan {
    let observed = ObservedSets::of(input.observed);
    let mut plan = Plan::default();
    let mut units = Vec::new();
    for (key, reason) in &input.desired.rejected {
        plan.set_state(key, RecordState::Quarantined, reason.as_str());
    }
    for (key, rejection) in input.quarantined.iter().filter(|(key, _)| input.desired.sets.contains_key(key)) {
        plan.set_state(key, RecordState::Quarantined, rejection.reason.as_str());
    }
    let is_quarantined =
        |key: &RecordKey| input.desired.rejected.contains_key(key) || input.quarantined.contains_key(key);
    for set in input.desired.sets.values().filter(|set| !is_quarantined(&set.key)) {
        let set = RecordSet { ttl: input.capabilities.ttl_within(set.ttl), ..set.clone() };
        let action = action_for_desired(input, &observed, &set);
        plan.note(input, &set, &action);
        plan.add(&set.key, action, &mut units);
    }
    plan.withdraw(input, &observed, &mut units);
    plan.steps = steps(units, &plan.unobserved, input);
    plan
}

/// Groups changes into steps: a record set and its claim stay together where one call can hold both. An unobserved
/// record set gets a step of its own, so that its conflict affects no other.
fn steps(
    units: Vec<(RecordKey, Vec<RecordChange>)>,
    unobserved: &BTreeSet<RecordKey>,
    input: &PlanInput<'_>,
) -> Vec<Vec<RecordChange>> {
    let max_batch_size = usize::try_from(input.capabilities.max_batch_size).unwrap_or(usize::MAX);
    if !input.capabilities.atomic || max_batch_size < 2 {
        return units.into_iter().flat_map(|(_, unit)| unit).map(|change| vec![change]).collect();
    }
    let mut steps: Vec<Vec<RecordChange>> = Vec::new();
    let mut is_open = false;
    for (key, unit) in units {
        let is_alone = input.one_change_per_call || unobserved.contains(&key);
        match steps.last_mut() {
            Some(last) if is_open && !is_alone && last.len() + unit.len() <= max_batch_size => last.extend(unit),
            _ => steps.push(unit),
        }
        is_open = !is_alone;
    }
    steps
}

impl Plan {
    /// Plans the deletes: record sets that are ours and not desired, or that are not served.
    fn withdraw(
        &mut self,
        input: &PlanInput<'_>,
        observed: &ObservedSets<'_>,
        units: &mut Vec<(RecordKey, Vec<RecordChange>)>,
    ) {
        let claimed = observed.claimed_by(input.claim).into_iter().filter(|key| !input.others.contains(key));
        let ours = input.owned.keys().cloned().chain(claimed).collect::<BTreeSet<_>>();
        let is_unobservable =
            |key: &RecordKey| input.quarantined.get(key).is_some_and(|rejection| rejection.is_unobservable);
        let is_desired = |key: &RecordKey| {
            input.desired.rejected.contains_key(key) || (input.desired.sets.contains_key(key) && !is_unobservable(key))
        };
        let mut deletes_left = input.deletes;
        for key in ours.into_iter().filter(|key| !is_desired(key)) {
            let action = action_for_undesired(input, observed, &key);
            let stuck = input.quarantined.get(&key).filter(|rejection| rejection.is_blocked);
            match (&action, stuck, &mut deletes_left) {
                (Action::Change(..) | Action::Undo(..), Some(rejection), _) => {
                    let detail = format!("it cannot be deleted: {}", rejection.reason);
                    self.set_retained(input, &key, &detail);
                }
                (Action::Change(..) | Action::Undo(..), None, None) => {
                    self.set_retained(input, &key, "deletes are not enabled for this provider");
                }
                (Action::Change(..) | Action::Undo(..), None, Some(0)) => {
                    self.set_retained(input, &key, "waits: the limit of deletes per round is reached");
                }
                (Action::Change(..) | Action::Undo(..), None, Some(left)) => {
                    *left -= 1;
                    self.note_undesired(input, &key);
                    self.add(&key, action, units);
                }
                _ => self.add(&key, action, units),
            }
        }
    }

    fn set_state(&mut self, key: &RecordKey, state: RecordState, detail: &str) {
        self.states.insert(key.clone(), (state, Text::lossy(detail)));
    }

    /// A desired record set that is not served stays quarantined, whatever was written of it.
    fn set_retained(&mut self, input: &PlanInput<'_>, key: &RecordKey, detail: &str) {
        if !input.desired.sets.contains_key(key) {
            self.set_state(key, RecordState::Retained, detail);
        }
    }

    fn add(&mut self, key: &RecordKey, action: Action, units: &mut Vec<(RecordKey, Vec<RecordChange>)>) {
        match action {
            Action::Nothing => self.set_state(key, RecordState::InSync, ""),
            Action::Change(state, changes) => {
                self.set_state(key, state, "");
                units.push((key.clone(), changes));
            }
            Action::Undo(state, changes) => {
                let detail = Text::lossy("an earlier write was not observed, and is deleted");
                self.states.entry(key.clone()).or_insert((state, detail));
                self.unobserved.insert(key.clone());
                units.push((key.clone(), changes));
            }
            Action::Conflict(detail) => self.set_state(key, RecordState::Conflict, &detail),
            Action::Quarantine(detail) => self.set_state(key, RecordState::Quarantined, &detail),
            Action::YieldTo(detail) => {
                self.set_state(key, RecordState::Quarantined, &detail);
                self.forget.push(key.clone());
            }
            Action::Forget => self.forget.push(key.clone()),
            Action::Leave(why) => {
                self.forget.push(key.clone());
                self.left.insert(key.clone(), Text::lossy(&why));
            }
        }
    }

    /// Adds or updates the ownership note of a record set that is, or is about to become, ours. An adoption ends once
    /// its claim is in place.
    fn note(&mut self, input: &PlanInput<'_>, set: &RecordSet, action: &Action) {
        let owned = input.owned.get(&set.key);
        let state = match (action, owned) {
            (Action::Nothing, _) => Ownership::Owned,
            (_, Some(owned)) => owned.state,
            (_, None) => Ownership::Pending,
        };
        // A note with an older owner id stays until the claim carries the new one.
        let is_older = matches!(action, Action::Change(..)) && owned.is_some_and(|owned| owned.claim != *input.claim);
        let claim = owned.filter(|_| is_older).map_or(input.claim, |owned| &owned.claim);
        let note = OwnedRecord { claim: claim.clone(), state, ttl: set.ttl, values: set.values.clone() };
        if matches!(action, Action::Nothing | Action::Change(..)) && owned != Some(&note) {
            self.notes.insert(set.key.clone(), note);
        }
    }

    /// Adds an ownership note for a record set that was found by its claim, before it is deleted.
    fn note_undesired(&mut self, input: &PlanInput<'_>, key: &RecordKey) {
        if !input.owned.contains_key(key) {
            let (claim, state) = (input.claim.clone(), Ownership::Pending);
            self.notes.insert(key.clone(), OwnedRecord { claim, state, ttl: Ttl::DEFAULT, values: BTreeSet::new() });
        }
    }
}

/// Tracks what `step`, which was applied, deleted: the claim is deleted last.
pub(crate) fn track_deleted(deleted: &mut BTreeSet<RecordKey>, step: &[RecordChange]) {
    for change in step {
        match change.key().and_then(|key| Claim::key_of(&key.name)) {
            Some(record) if change.after.is_none() => deleted.insert(record),
            Some(record) => deleted.remove(&record),
            None => false,
        };
    }
}

/// Returns the names to observe for the given record sets: their own and those of their claims.
pub(crate) fn names_of<'a>(keys: impl Iterator<Item = &'a RecordKey>) -> BTreeSet<DomainName> {
    keys.flat_map(|key| [Some(key.name.clone()), Claim::name_of(key).ok()]).flatten().collect()
}
