//! The plan: what to do to a zone so that it holds what is wanted, and nothing of anybody else's is touched.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    Claim, DnsAbilities, DomainName, Name, OwnedRecord, Ownership, RecordChange, RecordKey, RecordSet, RecordState,
    RecordType, Text, Ttl,
};

use super::wanted::Wanted;
use crate::mutants::{Mutant, planted};

/// Types that DNSSEC puts beside any other: no hindrance to an alias.
const SIGNATURES: [&str; 3] = ["RRSIG", "NSEC", "NSEC3"];

/// All that a plan is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanInput<'a> {
    /// Who we are.
    pub(crate) claim: &'a Claim,
    /// What the provider can.
    pub(crate) abilities: DnsAbilities,
    /// What should be.
    pub(crate) wanted: &'a Wanted,
    /// What the provider refused.
    pub(crate) refused: &'a BTreeMap<RecordKey, Refusal>,
    /// What was deleted since it was last desired, as the provider said.
    pub(crate) undone: &'a BTreeSet<RecordKey>,
    /// What we noted to have, or to have begun.
    pub(crate) held: &'a BTreeMap<RecordKey, OwnedRecord>,
    /// What other providers of the site have or want: they share its claim, and look after it themselves.
    pub(crate) others: &'a BTreeSet<RecordKey>,
    /// What other providers of the site want under our claim.
    pub(crate) rivals: &'a BTreeMap<RecordKey, Vec<Rival>>,
    /// What is, at least at the names that are wanted or held.
    pub(crate) observed: &'a [RecordSet],
    /// How many sets may be taken away; `None` if deletes are not enabled.
    pub(crate) deletes: Option<usize>,
    /// One record set a step, so that one that is refused does not hold up the others.
    pub(crate) one_change_per_call: bool,
}

/// Another provider of the site that wants one record set in a zone of the same name.
#[derive(Clone, Debug)]
pub(crate) struct Rival {
    pub(crate) name: Name,
    /// Whether it has the record set, and not we, where both mean the same one.
    pub(crate) goes_first: bool,
    /// Whether its settings say that it writes to where we write. Otherwise what is observed may tell.
    pub(crate) is_same_place: bool,
    /// What it wrote last.
    pub(crate) note: Option<OwnedRecord>,
}

/// What a provider refused about one record set, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Text,
    /// Whether it cannot even be observed: what is there is not known, and it serves nobody.
    pub(crate) is_hidden: bool,
    /// Whether nothing is tried for now, not even to delete what was written before.
    pub(crate) is_stuck: bool,
}

/// What to do, and how things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In order; the changes of each in one call.
    pub(crate) steps: Vec<Vec<RecordChange>>,
    /// To be noted before the first step.
    pub(crate) notes: BTreeMap<RecordKey, OwnedRecord>,
    /// Notes that have done their work: nothing of ours is there.
    pub(crate) forget: Vec<RecordKey>,
    /// How each set stands that is wanted or held.
    pub(crate) standing: BTreeMap<RecordKey, (RecordState, Text)>,
    /// What was written and is somebody else's by now: it stays, its note is forgotten, and why.
    pub(crate) left: BTreeMap<RecordKey, Text>,
    /// What is deleted without having been observed: a conflict says that it is not what was written.
    pub(crate) blind: BTreeSet<RecordKey>,
}

/// What a record set needs.
enum Action {
    /// Nothing.
    Kept,
    /// These changes, in this order.
    Change(RecordState, Vec<RecordChange>),
    /// What was written to be deleted, though it was not observed.
    Undo(RecordState, Vec<RecordChange>),
    /// Somebody else to give way.
    Foreign(String),
    /// Something else to be mended first.
    Aside(String),
    /// Nothing from us: another provider of the site has it.
    Yield(String),
    /// The note of it to be forgotten.
    Forget,
    /// The same, and to be named: what was written is there, changed or claimed by somebody else.
    Leave(String),
}

/// Returns the plan. The same scene gives the same plan, and a zone that holds what is wanted gives no step.
pub(crate) fn plan(scene: &PlanInput<'_>) -> Plan {
    let seen = Seen::of(scene.observed);
    let mut plan = Plan::default();
    let mut units = Vec::new();
    for (key, reason) in &scene.wanted.set_aside {
        plan.stand(key, RecordState::Quarantined, reason.as_str());
    }
    for (key, refusal) in scene.refused.iter().filter(|(key, _)| scene.wanted.sets.contains_key(key)) {
        plan.stand(key, RecordState::Quarantined, refusal.reason.as_str());
    }
    let is_aside = |key: &RecordKey| scene.wanted.set_aside.contains_key(key) || scene.refused.contains_key(key);
    for set in scene.wanted.sets.values().filter(|set| !is_aside(&set.key)) {
        let set = RecordSet { ttl: within(set.ttl, &scene.abilities), ..set.clone() };
        let need = need_of_wanted(scene, &seen, &set);
        plan.note(scene, &set, &need);
        plan.take(&set.key, need, &mut units);
    }
    plan.withdraw(scene, &seen, &mut units);
    plan.steps = steps(units, &plan.blind, scene);
    plan
}

fn need_of_wanted(scene: &PlanInput<'_>, seen: &Seen<'_>, set: &RecordSet) -> Action {
    let claim = match scene.claim.record(&set.key, set.ttl) {
        Ok(claim) => claim,
        Err(error) => return Action::Aside(format!("it cannot be claimed: {error}")),
    };
    let held = scene.held.get(&set.key);
    let (there, claim_there) = (seen.set(&set.key), seen.set(&claim.key));
    if let Some(rival) = rival_at(scene, there, set).find(|rival| rival.goes_first) {
        return Action::Yield(format!("provider {} of this site has this name in this zone", rival.name));
    }
    let holder = claim_there.and_then(Claim::read);
    let is_ours = holder.as_ref().is_some_and(|holder| is_own(scene, holder, held));
    let state = held.map(|held| held.state);
    if !is_ours && state != Some(Ownership::Adopting) && !planted(Mutant::ForeignClaimIgnored) {
        match (&holder, claim_there, there) {
            (Some(other), _, _) => {
                return Action::Foreign(format!("claimed by owner {} for site {}", other.owner, other.site));
            }
            (None, Some(_), _) => return Action::Foreign(format!("{} holds a text that is no claim", claim.key.name)),
            // Where the claim alone was lost, what is there is still what we made.
            (None, None, Some(there))
                if state != Some(Ownership::Owned) || (there.values != set.values && !is_as_noted(held, there)) =>
            {
                return Action::Foreign(format!("there is one without a claim: {}", cut(there)));
            }
            (None, None, _) => {}
        }
    }
    if let Some(neighbour) = seen.neighbour(&set.key) {
        let is_leaving = scene.held.contains_key(neighbour) && !scene.wanted.sets.contains_key(neighbour);
        return match is_leaving && scene.deletes.is_some() {
            true => Action::Aside(format!("waits until {neighbour} is gone: an alias stands alone")),
            false => Action::Foreign(format!("{neighbour} is there, and an alias stands alone")),
        };
    }
    if let (None, None, Some(held)) = (there, claim_there, held)
        && held.state == Ownership::Pending
        && held.written(&set.key).is_some_and(|written| written.values != set.values)
        && scene.deletes.is_some()
        && !scene.undone.contains(&set.key)
    {
        // What was begun and never seen may be there: the new one would find the old one in its place.
        return Action::Undo(RecordState::Create, undoing(&set.key, held));
    }
    let mut changes = Vec::new();
    if holder.as_ref() != Some(scene.claim) {
        changes.push(RecordChange { before: claim_there.cloned(), after: Some(claim) });
    }
    if there != Some(set) {
        if changes.is_empty() {
            // The claim goes along as it is: a record is not made beside one that was seen late and is gone.
            changes.push(RecordChange { before: claim_there.cloned(), after: claim_there.cloned() });
        }
        changes.push(RecordChange { before: there.cloned(), after: Some(set.clone()) });
    }
    match (changes.is_empty(), there) {
        (true, _) => Action::Kept,
        (false, None) => Action::Change(RecordState::Create, changes),
        (false, Some(_)) => Action::Change(RecordState::Update, changes),
    }
}

fn need_of_unwanted(scene: &PlanInput<'_>, seen: &Seen<'_>, key: &RecordKey) -> Action {
    let Ok(claim_name) = Claim::name_of(key) else { return Action::Forget };
    let written = scene.held.get(key).and_then(|held| held.written(key));
    let ours = written.unwrap_or_else(|| RecordSet::observed(key.clone(), Ttl::DEFAULT, &[]));
    if rival_at(scene, seen.set(key), &ours).next().is_some() {
        // It is not ours to delete any more.
        return Action::Forget;
    }
    let claim_key = RecordKey { name: claim_name, rtype: RecordType::Txt };
    let (held, refusal) = (scene.held.get(key), scene.refused.get(key));
    let there = seen.set(key);
    let Some(claim_there) = seen.set(&claim_key) else {
        let is_hidden = refusal.is_some_and(|refusal| refusal.is_hidden);
        // Once seen, it would be seen again. What never was may be there all the same.
        let was_seen = held.is_none_or(|held| held.state == Ownership::Owned) && !is_hidden;
        return match (held, there) {
            (Some(held), Some(there)) if held.state == Ownership::Owned && is_as_noted(Some(held), there) => {
                let delete = RecordChange { before: Some(there.clone()), after: None };
                Action::Change(RecordState::Delete, vec![delete])
            }
            (Some(held), Some(there)) if !held.values.is_empty() => {
                Action::Leave(format!("its claim is gone, and it holds {}", cut(there)))
            }
            (Some(held), _) if !was_seen && !scene.undone.contains(key) => {
                Action::Undo(RecordState::Delete, undoing(key, held))
            }
            _ => Action::Forget,
        };
    };
    let holder = Claim::read(claim_there);
    if !holder.as_ref().is_some_and(|holder| is_own(scene, holder, held)) {
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

/// Returns the changes that delete what was written, and nothing else.
fn undoing(key: &RecordKey, held: &OwnedRecord) -> Vec<RecordChange> {
    let written = held.written(key);
    let ttl = written.as_ref().map_or(Ttl::DEFAULT, |set| set.ttl);
    let sets = written.into_iter().chain(held.claim.record(key, ttl).ok());
    sets.map(|set| RecordChange { before: Some(set), after: None }).collect()
}

/// Returns the other providers that want the record set of `ours` where we write: their settings say so, or what is
/// there is what they wrote, and not what we would.
fn rival_at<'a>(
    scene: &'a PlanInput<'_>,
    there: Option<&RecordSet>,
    ours: &RecordSet,
) -> impl Iterator<Item = &'a Rival> {
    let theirs = there.filter(|there| *there != ours).cloned();
    let is_here = move |rival: &&Rival| {
        let written = rival.note.as_ref().zip(theirs.as_ref());
        rival.is_same_place || written.is_some_and(|(note, there)| note.written(&there.key).as_ref() == Some(there))
    };
    scene.rivals.get(&ours.key).into_iter().flatten().filter(is_here)
}

/// Whether what is there is what the note says was written last, to the value.
fn is_as_noted(held: Option<&OwnedRecord>, there: &RecordSet) -> bool {
    held.is_some_and(|held| held.values == there.values)
}

/// Whether `holder` is us, now or under the owner id that we had when the note was made.
fn is_own(scene: &PlanInput<'_>, holder: &Claim, held: Option<&OwnedRecord>) -> bool {
    holder == scene.claim || held.is_some_and(|held| held.claim == *holder)
}

/// Returns what stays of a set when its claim is taken out: texts that somebody put beside it.
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

/// Puts what belongs together into steps: a claim never goes without its record where both can go together. What was
/// not observed goes alone, so that a conflict there is nobody else's.
fn steps(
    units: Vec<(RecordKey, Vec<RecordChange>)>,
    blind: &BTreeSet<RecordKey>,
    scene: &PlanInput<'_>,
) -> Vec<Vec<RecordChange>> {
    let changes_max = usize::try_from(scene.abilities.changes_max).unwrap_or(usize::MAX);
    if !scene.abilities.atomic || changes_max < 2 {
        return units.into_iter().flat_map(|(_, unit)| unit).map(|change| vec![change]).collect();
    }
    let mut steps: Vec<Vec<RecordChange>> = Vec::new();
    let mut is_open = false;
    for (key, unit) in units {
        let is_alone = scene.one_change_per_call || blind.contains(&key);
        match steps.last_mut() {
            Some(last) if is_open && !is_alone && last.len() + unit.len() <= changes_max => last.extend(unit),
            _ => steps.push(unit),
        }
        is_open = !is_alone;
    }
    steps
}

impl Plan {
    /// Plans what is to be taken away: what is ours and not wanted, and what serves nobody where it lies.
    fn withdraw(&mut self, scene: &PlanInput<'_>, seen: &Seen<'_>, units: &mut Vec<(RecordKey, Vec<RecordChange>)>) {
        let claimed = seen.claimed_by(scene.claim).into_iter().filter(|key| !scene.others.contains(key));
        let ours = scene.held.keys().cloned().chain(claimed).collect::<BTreeSet<_>>();
        let is_hidden = |key: &RecordKey| scene.refused.get(key).is_some_and(|refusal| refusal.is_hidden);
        let is_kept = |key: &RecordKey| {
            scene.wanted.set_aside.contains_key(key) || (scene.wanted.sets.contains_key(key) && !is_hidden(key))
        };
        let mut deletes_left = scene.deletes;
        for key in ours.into_iter().filter(|key| !is_kept(key)) {
            let need = need_of_unwanted(scene, seen, &key);
            let stuck = scene.refused.get(&key).filter(|refusal| refusal.is_stuck);
            match (&need, stuck, &mut deletes_left) {
                (Action::Change(..) | Action::Undo(..), Some(refusal), _) => {
                    let detail = format!("it cannot be deleted: {}", refusal.reason);
                    self.stand_left(scene, &key, &detail);
                }
                (Action::Change(..) | Action::Undo(..), None, None) => {
                    self.stand_left(scene, &key, "deletes are not enabled for this provider");
                }
                (Action::Change(..) | Action::Undo(..), None, Some(0)) => {
                    self.stand_left(scene, &key, "waits: so many deletes are done at once");
                }
                (Action::Change(..) | Action::Undo(..), None, Some(left)) => {
                    *left -= 1;
                    if planted(Mutant::ForgottenTooEarly) {
                        self.forget.push(key.clone());
                    } else {
                        self.note_unwanted(scene, &key);
                    }
                    self.take(&key, need, units);
                }
                _ => self.take(&key, need, units),
            }
        }
    }

    fn stand(&mut self, key: &RecordKey, state: RecordState, detail: &str) {
        self.standing.insert(key.clone(), (state, Text::lossy(detail)));
    }

    /// What is wanted and serves nobody stays quarantined, whatever was written of it.
    fn stand_left(&mut self, scene: &PlanInput<'_>, key: &RecordKey, detail: &str) {
        if !scene.wanted.sets.contains_key(key) {
            self.stand(key, RecordState::Held, detail);
        }
    }

    fn take(&mut self, key: &RecordKey, need: Action, units: &mut Vec<(RecordKey, Vec<RecordChange>)>) {
        match need {
            Action::Kept => self.stand(key, RecordState::Kept, ""),
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
            Action::Foreign(detail) => self.stand(key, RecordState::Foreign, &detail),
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

    /// Notes what is about to be ours, or was found to be. An adoption is over once its claim stands.
    fn note(&mut self, scene: &PlanInput<'_>, set: &RecordSet, need: &Action) {
        let held = scene.held.get(&set.key);
        let state = match (need, held) {
            (Action::Kept, _) => Ownership::Owned,
            (_, Some(held)) => held.state,
            (_, None) => Ownership::Pending,
        };
        // A note of an older owner id stays until the claim is ours under the new one.
        let is_older = matches!(need, Action::Change(..)) && held.is_some_and(|held| held.claim != *scene.claim);
        let claim = held.filter(|_| is_older).map_or(scene.claim, |held| &held.claim);
        let note = OwnedRecord { claim: claim.clone(), state, ttl: set.ttl, values: set.values.clone() };
        if matches!(need, Action::Kept | Action::Change(..)) && held != Some(&note) {
            self.notes.insert(set.key.clone(), note);
        }
    }

    /// Notes what was found by its claim, before it is taken away.
    fn note_unwanted(&mut self, scene: &PlanInput<'_>, key: &RecordKey) {
        if !scene.held.contains_key(key) {
            let (claim, state) = (scene.claim.clone(), Ownership::Pending);
            self.notes.insert(key.clone(), OwnedRecord { claim, state, ttl: Ttl::DEFAULT, values: BTreeSet::new() });
        }
    }
}

/// What was observed, by name and type.
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

    /// Returns what cannot stand at one name with `key`: anything beside an alias, an alias beside anything.
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

/// Keeps in mind what `step`, which was done, deleted: the claim goes last.
pub(crate) fn note_undone(undone: &mut BTreeSet<RecordKey>, step: &[RecordChange]) {
    for change in step {
        match change.key().and_then(|key| Claim::key_of(&key.name)) {
            Some(record) if change.after.is_none() => undone.insert(record),
            Some(record) => undone.remove(&record),
            None => false,
        };
    }
}

/// Returns the names that have to be observed for what is wanted and held: those of the records, and those of their
/// claims.
pub(crate) fn names_of<'a>(keys: impl Iterator<Item = &'a RecordKey>) -> BTreeSet<DomainName> {
    keys.flat_map(|key| [Some(key.name.clone()), Claim::name_of(key).ok()]).flatten().collect()
}
