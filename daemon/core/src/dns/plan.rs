//! The plan: the changes that bring a zone to its desired state without touching records of other owners.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    Claim, DnsAbilities, DomainName, Name, OwnedRecord, Ownership, RecordChange, RecordKey, RecordSet, RecordState,
    RecordType, Text, Ttl,
};

use super::desired::Wanted;
use crate::mutants::{Mutant, planted};

/// Types that DNSSEC adds next to any other: they do not conflict with a CNAME.
const SIGNATURES: [&str; 3] = ["RRSIG", "NSEC", "NSEC3"];

/// The input of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanInput<'a> {
    /// Our ownership claim.
    pub(crate) claim: &'a Claim,
    /// The provider's capabilities.
    pub(crate) abilities: DnsAbilities,
    /// The desired records.
    pub(crate) wanted: &'a Wanted,
    /// Record sets the provider rejected.
    pub(crate) refused: &'a BTreeMap<RecordKey, Refusal>,
    /// Record sets deleted since they were last desired, as confirmed by the provider.
    pub(crate) undone: &'a BTreeSet<RecordKey>,
    /// The ownership notes: record sets we own or have started to create.
    pub(crate) held: &'a BTreeMap<RecordKey, OwnedRecord>,
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
pub(crate) struct Refusal {
    pub(crate) reason: Text,
    /// Whether it cannot even be observed: its contents are unknown, and it is not served.
    pub(crate) is_hidden: bool,
    /// Whether nothing is tried for now, not even deleting an earlier write.
    pub(crate) is_stuck: bool,
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
    pub(crate) standing: BTreeMap<RecordKey, (RecordState, Text)>,
    /// Record sets we wrote that now belong to another owner, and why: they stay, and their notes are dropped.
    pub(crate) left: BTreeMap<RecordKey, Text>,
    /// Record sets deleted without having been observed: a conflict means that they are not what was written.
    pub(crate) blind: BTreeSet<RecordKey>,
}

/// The action a record set needs.
enum Action {
    /// None.
    Nothing,
    /// Apply these changes, in this order.
    Change(RecordState, Vec<RecordChange>),
    /// Delete what was written although it was not observed.
    Undo(RecordState, Vec<RecordChange>),
    /// None possible: another owner has it.
    Conflict(String),
    /// Quarantine: something else must be fixed first.
    Aside(String),
    /// None: another provider of the site has it.
    Yield(String),
    /// Drop its ownership note.
    Forget,
    /// Drop its ownership note and report it: what was written exists, but was changed or claimed by another owner.
    Leave(String),
}

/// Returns the plan. The same input gives the same plan, and a zone in its desired state gives no step.
pub(crate) fn plan(input: &PlanInput<'_>) -> Plan {
    let seen = Seen::of(input.observed);
    let mut plan = Plan::default();
    let mut units = Vec::new();
    for (key, reason) in &input.wanted.set_aside {
        plan.stand(key, RecordState::Quarantined, reason.as_str());
    }
    for (key, refusal) in input.refused.iter().filter(|(key, _)| input.wanted.sets.contains_key(key)) {
        plan.stand(key, RecordState::Quarantined, refusal.reason.as_str());
    }
    let is_aside = |key: &RecordKey| input.wanted.set_aside.contains_key(key) || input.refused.contains_key(key);
    for set in input.wanted.sets.values().filter(|set| !is_aside(&set.key)) {
        let set = RecordSet { ttl: within(set.ttl, &input.abilities), ..set.clone() };
        let action = action_for_wanted(input, &seen, &set);
        plan.note(input, &set, &action);
        plan.take(&set.key, action, &mut units);
    }
    plan.withdraw(input, &seen, &mut units);
    plan.steps = steps(units, &plan.blind, input);
    plan
}

fn action_for_wanted(input: &PlanInput<'_>, seen: &Seen<'_>, set: &RecordSet) -> Action {
    let claim = match input.claim.record(&set.key, set.ttl) {
        Ok(claim) => claim,
        Err(error) => return Action::Aside(format!("it cannot be claimed: {error}")),
    };
    let held = input.held.get(&set.key);
    let (there, claim_there) = (seen.set(&set.key), seen.set(&claim.key));
    if let Some(rival) = rival_at(input, there, set).find(|rival| rival.goes_first) {
        return Action::Yield(format!("provider {} of this site has this name in this zone", rival.name));
    }
    let holder = claim_there.and_then(Claim::read);
    let is_ours = holder.as_ref().is_some_and(|holder| is_own(input, holder, held));
    let state = held.map(|held| held.state);
    if !is_ours && state != Some(Ownership::Adopting) && !planted(Mutant::ForeignClaimIgnored) {
        match (&holder, claim_there, there) {
            (Some(other), _, _) => {
                return Action::Conflict(format!("claimed by owner {} for site {}", other.owner, other.site));
            }
            (None, Some(_), _) => return Action::Conflict(format!("{} holds a text that is no claim", claim.key.name)),
            // If only the ownership TXT record was lost, the record set is still the one we created.
            (None, None, Some(there))
                if state != Some(Ownership::Owned) || (there.values != set.values && !is_as_noted(held, there)) =>
            {
                return Action::Conflict(format!("there is one without a claim: {}", cut(there)));
            }
            (None, None, _) => {}
        }
    }
    if let Some(neighbour) = seen.neighbour(&set.key) {
        let is_withdrawing = input.held.contains_key(neighbour) && !input.wanted.sets.contains_key(neighbour);
        return match is_withdrawing && input.deletes.is_some() {
            true => Action::Aside(format!("waits until {neighbour} is gone: an alias stands alone")),
            false => Action::Conflict(format!("{neighbour} is there, and an alias stands alone")),
        };
    }
    if let (None, None, Some(held)) = (there, claim_there, held)
        && held.state == Ownership::Pending
        && held.written(&set.key).is_some_and(|written| written.values != set.values)
        && input.deletes.is_some()
        && !input.undone.contains(&set.key)
    {
        // A record set that was started and never observed may exist: the new one would conflict with it.
        return Action::Undo(RecordState::Create, undoing(&set.key, held));
    }
    let mut changes = Vec::new();
    if holder.as_ref() != Some(input.claim) {
        changes.push(RecordChange { before: claim_there.cloned(), after: Some(claim) });
    }
    if there != Some(set) {
        if changes.is_empty() {
            // Includes the claim unchanged as a precondition: no record is created next to a stale observation of a
            // deleted claim.
            changes.push(RecordChange { before: claim_there.cloned(), after: claim_there.cloned() });
        }
        changes.push(RecordChange { before: there.cloned(), after: Some(set.clone()) });
    }
    match (changes.is_empty(), there) {
        (true, _) => Action::Nothing,
        (false, None) => Action::Change(RecordState::Create, changes),
        (false, Some(_)) => Action::Change(RecordState::Update, changes),
    }
}

fn action_for_unwanted(input: &PlanInput<'_>, seen: &Seen<'_>, key: &RecordKey) -> Action {
    let Ok(claim_name) = Claim::name_of(key) else { return Action::Forget };
    let written = input.held.get(key).and_then(|held| held.written(key));
    let ours = written.unwrap_or_else(|| RecordSet::observed(key.clone(), Ttl::DEFAULT, &[]));
    if rival_at(input, seen.set(key), &ours).next().is_some() {
        // It belongs to the other provider and must not be deleted.
        return Action::Forget;
    }
    let claim_key = RecordKey { name: claim_name, rtype: RecordType::Txt };
    let (held, refusal) = (input.held.get(key), input.refused.get(key));
    let there = seen.set(key);
    let Some(claim_there) = seen.set(&claim_key) else {
        let is_hidden = refusal.is_some_and(|refusal| refusal.is_hidden);
        // A record set that was observed before would be observed again. One that never was may exist all the same.
        let was_seen = held.is_none_or(|held| held.state == Ownership::Owned) && !is_hidden;
        return match (held, there) {
            (Some(held), Some(there)) if held.state == Ownership::Owned && is_as_noted(Some(held), there) => {
                let delete = RecordChange { before: Some(there.clone()), after: None };
                Action::Change(RecordState::Delete, vec![delete])
            }
            (Some(held), Some(there)) if !held.values.is_empty() => {
                Action::Leave(format!("its claim is gone, and it holds {}", cut(there)))
            }
            (Some(held), _) if !was_seen && !input.undone.contains(key) => {
                Action::Undo(RecordState::Delete, undoing(key, held))
            }
            _ => Action::Forget,
        };
    };
    let holder = Claim::read(claim_there);
    if !holder.as_ref().is_some_and(|holder| is_own(input, holder, held)) {
        let was_ours = held.is_some_and(|held| held.state == Ownership::Owned);
        let why = match holder {
            Some(other) => format!("it is claimed by owner {} for site {}", other.owner, other.site),
            None => "its claim was changed".to_owned(),
        };
        return if was_ours && there.is_some() { Action::Leave(why) } else { Action::Forget };
    }
    let record = there.map(|there| RecordChange { before: Some(there.clone()), after: None });
    let unclaim = RecordChange { before: Some(claim_there.clone()), after: without_claim(claim_there) };
    Action::Change(RecordState::Delete, record.into_iter().chain([unclaim]).collect())
}

/// Returns the changes that delete exactly what was written.
fn undoing(key: &RecordKey, held: &OwnedRecord) -> Vec<RecordChange> {
    let written = held.written(key);
    let ttl = written.as_ref().map_or(Ttl::DEFAULT, |set| set.ttl);
    let sets = written.into_iter().chain(held.claim.record(key, ttl).ok());
    sets.map(|set| RecordChange { before: Some(set), after: None }).collect()
}

/// Returns the other providers that want the record set of `ours` in the same place: by their settings, or because the
/// existing record set is what they wrote and not what we would write.
fn rival_at<'a>(
    input: &'a PlanInput<'_>,
    there: Option<&RecordSet>,
    ours: &RecordSet,
) -> impl Iterator<Item = &'a Rival> {
    let theirs = there.filter(|there| *there != ours).cloned();
    let is_here = move |rival: &&Rival| {
        let written = rival.note.as_ref().zip(theirs.as_ref());
        rival.is_same_place || written.is_some_and(|(note, there)| note.written(&there.key).as_ref() == Some(there))
    };
    input.rivals.get(&ours.key).into_iter().flatten().filter(is_here)
}

/// Whether the existing record set has exactly the values of the note.
fn is_as_noted(held: Option<&OwnedRecord>, there: &RecordSet) -> bool {
    held.is_some_and(|held| held.values == there.values)
}

/// Whether `holder` is this site, under its current owner id or the one recorded in the note.
fn is_own(input: &PlanInput<'_>, holder: &Claim, held: Option<&OwnedRecord>) -> bool {
    holder == input.claim || held.is_some_and(|held| held.claim == *holder)
}

/// Returns what remains of a TXT record set without the claim: texts that others added to it.
fn without_claim(set: &RecordSet) -> Option<RecordSet> {
    let key = |value: &str| RecordSet::observed(set.key.clone(), set.ttl, &[value]);
    let values: BTreeSet<_> = set.values.iter().filter(|value| Claim::read(&key(value)).is_none()).cloned().collect();
    (!values.is_empty()).then(|| RecordSet { values, ..set.clone() })
}

fn within(ttl: Ttl, abilities: &DnsAbilities) -> Ttl {
    ttl.max(abilities.ttl_min).min(abilities.ttl_max)
}

fn cut(set: &RecordSet) -> String {
    let values: Vec<_> = set.values.iter().take(3).map(|value| &**value).collect();
    values.join(" ")
}

/// Groups changes into steps: a record set and its claim stay together where one call can hold both. An unobserved
/// record set gets a step of its own, so that its conflict affects no other.
fn steps(
    units: Vec<(RecordKey, Vec<RecordChange>)>,
    blind: &BTreeSet<RecordKey>,
    input: &PlanInput<'_>,
) -> Vec<Vec<RecordChange>> {
    let changes_max = usize::try_from(input.abilities.changes_max).unwrap_or(usize::MAX);
    if !input.abilities.atomic || changes_max < 2 {
        return units.into_iter().flat_map(|(_, unit)| unit).map(|change| vec![change]).collect();
    }
    let mut steps: Vec<Vec<RecordChange>> = Vec::new();
    let mut is_open = false;
    for (key, unit) in units {
        let is_alone = input.one_change_per_call || blind.contains(&key);
        match steps.last_mut() {
            Some(last) if is_open && !is_alone && last.len() + unit.len() <= changes_max => last.extend(unit),
            _ => steps.push(unit),
        }
        is_open = !is_alone;
    }
    steps
}

impl Plan {
    /// Plans the deletes: record sets that are ours and not desired, or that are not served.
    fn withdraw(&mut self, input: &PlanInput<'_>, seen: &Seen<'_>, units: &mut Vec<(RecordKey, Vec<RecordChange>)>) {
        let claimed = seen.claimed_by(input.claim).into_iter().filter(|key| !input.others.contains(key));
        let ours = input.held.keys().cloned().chain(claimed).collect::<BTreeSet<_>>();
        let is_hidden = |key: &RecordKey| input.refused.get(key).is_some_and(|refusal| refusal.is_hidden);
        let is_kept = |key: &RecordKey| {
            input.wanted.set_aside.contains_key(key) || (input.wanted.sets.contains_key(key) && !is_hidden(key))
        };
        let mut deletes_left = input.deletes;
        for key in ours.into_iter().filter(|key| !is_kept(key)) {
            let action = action_for_unwanted(input, seen, &key);
            let stuck = input.refused.get(&key).filter(|refusal| refusal.is_stuck);
            match (&action, stuck, &mut deletes_left) {
                (Action::Change(..) | Action::Undo(..), Some(refusal), _) => {
                    let detail = format!("it cannot be deleted: {}", refusal.reason);
                    self.stand_left(input, &key, &detail);
                }
                (Action::Change(..) | Action::Undo(..), None, None) => {
                    self.stand_left(input, &key, "deletes are not enabled for this provider");
                }
                (Action::Change(..) | Action::Undo(..), None, Some(0)) => {
                    self.stand_left(input, &key, "waits: so many deletes are done at once");
                }
                (Action::Change(..) | Action::Undo(..), None, Some(left)) => {
                    *left -= 1;
                    if planted(Mutant::ForgottenTooEarly) {
                        self.forget.push(key.clone());
                    } else {
                        self.note_unwanted(input, &key);
                    }
                    self.take(&key, action, units);
                }
                _ => self.take(&key, action, units),
            }
        }
    }

    fn stand(&mut self, key: &RecordKey, state: RecordState, detail: &str) {
        self.standing.insert(key.clone(), (state, Text::lossy(detail)));
    }

    /// A desired record set that is not served stays quarantined, whatever was written of it.
    fn stand_left(&mut self, input: &PlanInput<'_>, key: &RecordKey, detail: &str) {
        if !input.wanted.sets.contains_key(key) {
            self.stand(key, RecordState::Retained, detail);
        }
    }

    fn take(&mut self, key: &RecordKey, action: Action, units: &mut Vec<(RecordKey, Vec<RecordChange>)>) {
        match action {
            Action::Nothing => self.stand(key, RecordState::InSync, ""),
            Action::Change(state, changes) => {
                self.stand(key, state, "");
                units.push((key.clone(), changes));
            }
            Action::Undo(state, changes) => {
                let detail = Text::lossy("what was written before, or begun, is not observed, and is deleted");
                self.standing.entry(key.clone()).or_insert((state, detail));
                self.blind.insert(key.clone());
                units.push((key.clone(), changes));
            }
            Action::Conflict(detail) => self.stand(key, RecordState::Conflict, &detail),
            Action::Aside(detail) => self.stand(key, RecordState::Quarantined, &detail),
            Action::Yield(detail) => {
                self.stand(key, RecordState::Quarantined, &detail);
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
        let held = input.held.get(&set.key);
        let state = match (action, held) {
            (Action::Nothing, _) => Ownership::Owned,
            (_, Some(held)) => held.state,
            (_, None) => Ownership::Pending,
        };
        // A note with an older owner id stays until the claim carries the new one.
        let is_older = matches!(action, Action::Change(..)) && held.is_some_and(|held| held.claim != *input.claim);
        let claim = held.filter(|_| is_older).map_or(input.claim, |held| &held.claim);
        let note = OwnedRecord { claim: claim.clone(), state, ttl: set.ttl, values: set.values.clone() };
        if matches!(action, Action::Nothing | Action::Change(..)) && held != Some(&note) {
            self.notes.insert(set.key.clone(), note);
        }
    }

    /// Adds an ownership note for a record set that was found by its claim, before it is deleted.
    fn note_unwanted(&mut self, input: &PlanInput<'_>, key: &RecordKey) {
        if !input.held.contains_key(key) {
            let (claim, state) = (input.claim.clone(), Ownership::Pending);
            self.notes.insert(key.clone(), OwnedRecord { claim, state, ttl: Ttl::DEFAULT, values: BTreeSet::new() });
        }
    }
}

/// The observed record sets, by name and type.
struct Seen<'a> {
    sets: BTreeMap<&'a RecordKey, &'a RecordSet>,
}

impl<'a> Seen<'a> {
    fn of(observed: &'a [RecordSet]) -> Self {
        Self { sets: observed.iter().map(|set| (&set.key, set)).collect() }
    }

    fn set(&self, key: &RecordKey) -> Option<&'a RecordSet> {
        self.sets.get(key).copied()
    }

    /// Returns the record sets that carry our claim.
    fn claimed_by(&self, claim: &Claim) -> Vec<RecordKey> {
        let ours = self.sets.values().filter(|set| Claim::read(set).as_ref() == Some(claim));
        ours.filter_map(|set| Claim::key_of(&set.key.name)).collect()
    }

    /// Returns a record set that cannot share a name with `key`: any next to a CNAME, or a CNAME next to any.
    fn neighbour(&self, key: &RecordKey) -> Option<&'a RecordKey> {
        let is_signature = |other: &RecordKey| SIGNATURES.contains(&other.rtype.as_str());
        let hinders = |other: &RecordKey| {
            other.name == key.name
                && other.rtype != key.rtype
                && (key.rtype == RecordType::Cname || other.rtype == RecordType::Cname)
                && !is_signature(other)
        };
        self.sets.keys().copied().find(|other| hinders(other))
    }
}

/// Tracks what `step`, which was applied, deleted: the claim is deleted last.
pub(crate) fn note_undone(undone: &mut BTreeSet<RecordKey>, step: &[RecordChange]) {
    for change in step {
        match change.key().and_then(|key| Claim::key_of(&key.name)) {
            Some(record) if change.after.is_none() => undone.insert(record),
            Some(record) => undone.remove(&record),
            None => false,
        };
    }
}

/// Returns the names to observe for the given record sets: their own and those of their claims.
pub(crate) fn names_of<'a>(keys: impl Iterator<Item = &'a RecordKey>) -> BTreeSet<DomainName> {
    keys.flat_map(|key| [Some(key.name.clone()), Claim::name_of(key).ok()]).flatten().collect()
}
