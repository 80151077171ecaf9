//! The action that one record set needs: all rules that protect the records of other owners.

use std::collections::BTreeSet;

use linecamp_model::{Claim, OwnedRecord, Ownership, RecordChange, RecordKey, RecordSet, RecordState, RecordType, Ttl};

use super::observed::ObservedSets;
use super::{PlanInput, Rival};

/// The action a record set needs.
pub(super) enum Action {
    /// None.
    Nothing,
    /// Apply these changes, in this order.
    Change(RecordState, Vec<RecordChange>),
    /// Delete what was written although it was not observed.
    Undo(RecordState, Vec<RecordChange>),
    /// None possible: another owner has it.
    Conflict(String),
    /// Quarantine: something else must be fixed first.
    Quarantine(String),
    /// None: another provider of the site has it.
    YieldTo(String),
    /// Drop its ownership note.
    Forget,
    /// Drop its ownership note and report it: what was written exists, but was changed or claimed by another owner.
    Leave(String),
}

pub(super) fn action_for_desired(input: &PlanInput<'_>, observed: &ObservedSets<'_>, set: &RecordSet) -> Action {
    let claim = match input.claim.record(&set.key, set.ttl) {
        Ok(claim) => claim,
        Err(error) => return Action::Quarantine(format!("it cannot be claimed: {error}")),
    };
    let owned = input.owned.get(&set.key);
    let (there, claim_there) = (observed.set(&set.key), observed.set(&claim.key));
    if let Some(rival) = rival_at(input, there, set).find(|rival| rival.goes_first) {
        return Action::YieldTo(format!("provider {} of this site has this name in this zone", rival.name));
    }
    let holder = claim_there.and_then(Claim::read);
    let is_ours = holder.as_ref().is_some_and(|holder| is_own(input, holder, owned));
    let state = owned.map(|owned| owned.state);
    if !is_ours && state != Some(Ownership::Adopting) {
        match (&holder, claim_there, there) {
            (Some(other), _, _) => {
                return Action::Conflict(format!("claimed by owner {} for site {}", other.owner, other.site));
            }
            (None, Some(_), _) => {
                return Action::Conflict(format!(
                    "{} holds a TXT value that is not an ownership record",
                    claim.key.name
                ));
            }
            // If only the ownership TXT record was lost, the record set is still the one we created.
            (None, None, Some(there))
                if state != Some(Ownership::Owned) || (there.values != set.values && !is_as_noted(owned, there)) =>
            {
                return Action::Conflict(format!(
                    "the record exists without an ownership TXT record: {}; adopt, delete or rename it",
                    cut(there)
                ));
            }
            (None, None, _) => {}
        }
    }
    if let Some(neighbour) = observed.neighbour(&set.key) {
        let is_withdrawing = input.owned.contains_key(neighbour) && !input.desired.sets.contains_key(neighbour);
        return match is_withdrawing && input.deletes.is_some() {
            true => Action::Quarantine(format!("waits until {neighbour} is deleted: a CNAME cannot share its name")),
            false => Action::Conflict(format!("{neighbour} exists, and a CNAME cannot share its name")),
        };
    }
    if let (None, None, Some(owned)) = (there, claim_there, owned)
        && owned.state == Ownership::Pending
        && owned.written(&set.key).is_some_and(|written| written.values != set.values)
        && input.deletes.is_some()
        && !input.deleted.contains(&set.key)
    {
        // A record set that was started and never observed may exist: the new one would conflict with it.
        return Action::Undo(RecordState::Create, changes_to_undo(&set.key, owned));
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

pub(super) fn action_for_undesired(input: &PlanInput<'_>, observed: &ObservedSets<'_>, key: &RecordKey) -> Action {
    let Ok(claim_name) = Claim::name_of(key) else { return Action::Forget };
    let written = input.owned.get(key).and_then(|owned| owned.written(key));
    let ours = written.unwrap_or_else(|| RecordSet::observed(key.clone(), Ttl::DEFAULT, &[]));
    if rival_at(input, observed.set(key), &ours).next().is_some() {
        // It belongs to the other provider and must not be deleted.
        return Action::Forget;
    }
    let claim_key = RecordKey { name: claim_name, rtype: RecordType::Txt };
    let (owned, rejection) = (input.owned.get(key), input.quarantined.get(key));
    let there = observed.set(key);
    let Some(claim_there) = observed.set(&claim_key) else {
        let is_unobservable = rejection.is_some_and(|rejection| rejection.is_unobservable);
        // A record set that was observed before would be observed again. One that never was may exist all the same.
        let was_seen = owned.is_none_or(|owned| owned.state == Ownership::Owned) && !is_unobservable;
        return match (owned, there) {
            (Some(owned), Some(there)) if owned.state == Ownership::Owned && is_as_noted(Some(owned), there) => {
                let delete = RecordChange { before: Some(there.clone()), after: None };
                Action::Change(RecordState::Delete, vec![delete])
            }
            (Some(owned), Some(there)) if !owned.values.is_empty() => {
                Action::Leave(format!("its claim is gone, and it holds {}", cut(there)))
            }
            (Some(owned), _) if !was_seen && !input.deleted.contains(key) => {
                Action::Undo(RecordState::Delete, changes_to_undo(key, owned))
            }
            _ => Action::Forget,
        };
    };
    let holder = Claim::read(claim_there);
    if !holder.as_ref().is_some_and(|holder| is_own(input, holder, owned)) {
        let was_ours = owned.is_some_and(|owned| owned.state == Ownership::Owned);
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
fn changes_to_undo(key: &RecordKey, owned: &OwnedRecord) -> Vec<RecordChange> {
    let written = owned.written(key);
    let ttl = written.as_ref().map_or(Ttl::DEFAULT, |set| set.ttl);
    let sets = written.into_iter().chain(owned.claim.record(key, ttl).ok());
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
fn is_as_noted(owned: Option<&OwnedRecord>, there: &RecordSet) -> bool {
    owned.is_some_and(|owned| owned.values == there.values)
}

/// Whether `holder` is this site, under its current owner id or the one recorded in the note.
fn is_own(input: &PlanInput<'_>, holder: &Claim, owned: Option<&OwnedRecord>) -> bool {
    holder == input.claim || owned.is_some_and(|owned| owned.claim == *holder)
}

/// Returns what remains of a TXT record set without the claim: texts that others added to it.
fn without_claim(set: &RecordSet) -> Option<RecordSet> {
    let key = |value: &str| RecordSet::observed(set.key.clone(), set.ttl, &[value]);
    let values: BTreeSet<_> = set.values.iter().filter(|value| Claim::read(&key(value)).is_none()).cloned().collect();
    (!values.is_empty()).then(|| RecordSet { values, ..set.clone() })
}

fn cut(set: &RecordSet) -> String {
    let values: Vec<_> = set.values.iter().take(3).map(|value| &**value).collect();
    values.join(" ")
}
