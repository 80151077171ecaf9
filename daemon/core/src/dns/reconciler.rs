//! Provider: the state machine of one provider, which reconciles its zones in rounds.
//!
//! ```text
//! idle ─► checking ─► observing ─► noting ─► applying ─► observing … ─► idle
//!            any call that fails ─► waiting ─► checking
//! ```
//!
//! A round handles each zone in turn: observe it, plan ([`dns`](crate::dns)), persist ownership notes for what
//! is about to start, apply the steps (one call each), and observe again until there is nothing to do. A step that was
//! lost, applied twice or applied in part is therefore detected by the next observation, and a zone counts as settled
//! only when it was *observed* in its desired state. A round starts at once when something changed, and otherwise every
//! [`RECONCILE_INTERVAL`], which repairs drift. After a start, and after a failed call, an earlier call may still take
//! effect late: one more round follows after [`RECHECK_DELAY`].
//!
//! Retries live here and not in plugins. A failed call ends the round; the next one starts after a delay that grows at
//! random from [`RETRY_FIRST`] to [`RETRY_MAX`], and no sooner than the service asked for. It starts with a check of
//! the settings, so that a service that is down costs one small call per retry: a circuit breaker. A rejected record is
//! quarantined for [`QUARANTINE`], and the others continue. So is a record whose name cannot even be observed; what was
//! written of it before is deleted according to its ownership note. [`look`] observes a zone in calls of bounded size.
//! After a conflict the changes are tried one record set per call; the one that conflicts again is quarantined,
//! starting with [`CONFLICT_RETRY_FIRST`]. A zone that failed comes last in the next round.
//!
//! The machine requests work through [`Act`]s; each call gets one answer, and a missing answer is covered by
//! [`CALL_MAX`].

mod act;
mod failure;
mod observe;
mod report;
mod round;
mod zone;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use linecamp_model::{
    CallId, Claim, ConditionKind, DnsAbilities, DomainName, EventKind, Generation, Instant, Now, OwnedRecord,
    OwnedRecordKey, ProviderFailure, ProviderId, ProviderReply, ProviderRequest, ProviderSpec, ProviderStatus,
    RecordChange, RecordKey, RunId, SiteId, Text, WallTime,
};

pub(crate) use self::act::Act;
use self::observe::{Gathered, LOOK_NAMES_MAX};
pub(crate) use self::report::{bytes_of, status_of_gone};
use self::zone::Zone;
use crate::backoff::Backoff;
use crate::dns::{Rival, Wanted};
use crate::rng::Rng;

/// The interval between rounds of a provider that has nothing to do: drift is repaired within it. With 500 sites at one
/// name server this is about one query per second.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(600);

/// The delay before a provider observes again when an abandoned call may still be running: as long as the plugin host
/// lets a call take.
pub const RECHECK_DELAY: Duration = Duration::from_secs(30);

/// The upper bound of the first delay after a failed call.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);

/// The upper bound of all delays after failed calls: a recovered service is used again within it.
pub const RETRY_MAX: Duration = Duration::from_secs(600);

/// The longest wait a service can ask for: it cannot stop a provider for more than an hour.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How long a call may take, as seen from here. The plugin host ends calls sooner; this covers a call that never
/// returns.
pub const CALL_MAX: Duration = Duration::from_secs(120);

/// How long a rejected record is left alone before a retry, unless its desired values change first.
pub const QUARANTINE: Duration = Duration::from_secs(3600);

/// How long a record set whose change met a conflict is left alone at first; the delay doubles each time, up to
/// [`QUARANTINE`].
pub const CONFLICT_RETRY_FIRST: Duration = RECHECK_DELAY;

/// How often a zone is observed in one round. A service that does not keep changes is then left alone for a while.
const PASSES_MAX: u32 = 4;

/// What the machine is doing or waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to do before the next round.
    Idle,
    /// Checking whether the settings work.
    Checking { call: CallId },
    /// Observing a zone: some names or, without names, a search of the whole zone.
    Observing { call: CallId, zone: DomainName, names: BTreeSet<DomainName>, gathered: Gathered },
    /// Ownership notes are being persisted; the steps follow.
    Noting { zone: DomainName, steps: VecDeque<Vec<RecordChange>> },
    /// A step is in flight; the others follow.
    Applying { call: CallId, zone: DomainName, step: Vec<RecordChange>, steps: VecDeque<Vec<RecordChange>> },
    /// The settings changed during a call: its answer will be discarded.
    Draining { call: CallId },
    /// Waiting before a retry.
    Waiting,
}

/// Why a provider fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: ConditionKind,
    pub(crate) text: Text,
}

/// The state machine of one provider.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    id: ProviderId,
    spec: ProviderSpec,
    is_local: bool,
    plugin: Text,
    abilities: Option<DnsAbilities>,
    zones: BTreeMap<DomainName, Zone>,
    /// Zones that this round still has to handle.
    todo: VecDeque<DomainName>,
    state: State,
    /// Whether something changed since the round began.
    is_due: bool,
    /// Whether this is a plan-only round for a waiting command.
    is_look: bool,
    /// Whether a step of several records exceeded a call's limits.
    has_small_steps: bool,
    /// The number of names per observe call; reduced when a call exceeded its limits.
    look_names_max: usize,
    /// Until when an abandoned call may still change something; `None` before the first round.
    unsure_until: Option<Instant>,
    backoff: Backoff,
    failure: Option<Failure>,
    steps_done: u64,
}

/// The context of one input of the machine.
pub(crate) struct Scope<'a> {
    pub(crate) site: SiteId,
    pub(crate) run: RunId,
    pub(crate) held: &'a BTreeMap<OwnedRecordKey, OwnedRecord>,
    /// The other providers of the site. They share its claim and manage their own records.
    pub(crate) others: &'a BTreeMap<ProviderId, Provider>,
    pub(crate) calls: &'a mut CallId,
    pub(crate) rng: &'a mut Rng,
    pub(crate) now: Instant,
    pub(crate) wall: WallTime,
    /// Whether changes may be started: not while the site's store cannot persist notes.
    pub(crate) may_change: bool,
}

impl Provider {
    pub(crate) fn new(spec: ProviderSpec, is_local: bool) -> Self {
        Self {
            id: ProviderId::of(&spec.name),
            plugin: Text::lossy(spec.plugin.name.as_str()),
            spec,
            is_local,
            abilities: None,
            zones: BTreeMap::new(),
            todo: VecDeque::new(),
            state: State::Idle,
            is_due: true,
            is_look: false,
            has_small_steps: false,
            look_names_max: LOOK_NAMES_MAX,
            unsure_until: None,
            backoff: Backoff::new(),
            failure: None,
            steps_done: 0,
        }
    }

    pub(crate) const fn spec(&self) -> &ProviderSpec {
        &self.spec
    }

    /// Whether it comes from the site's own configuration rather than from the server.
    pub(crate) const fn is_local(&self) -> bool {
        self.is_local
    }

    /// Applies new settings. Failures under the old settings do not count for the new ones.
    pub(crate) fn configure(&mut self, spec: ProviderSpec, is_local: bool) {
        if (&spec, is_local) != (&self.spec, self.is_local) {
            let state = self.call().map_or(State::Idle, |call| State::Draining { call });
            let (zones, steps_done) = (std::mem::take(&mut self.zones), self.steps_done);
            *self = Self { zones, state, steps_done, ..Self::new(spec, is_local) };
            self.zones.values_mut().for_each(Zone::unsettle);
        }
    }

    /// Handles a change of the plugin or of a secret it uses: earlier failures no longer count.
    pub(crate) fn plugin_changed(&mut self) {
        self.abilities = None;
        (self.has_small_steps, self.look_names_max) = (false, LOOK_NAMES_MAX);
        self.backoff.reset();
        self.is_due = true;
        if self.state == State::Waiting {
            self.state = State::Idle;
        }
    }

    /// Sets the desired records of each zone; a zone that is no longer named should hold none. Returns whether anything
    /// changed.
    pub(crate) fn want(&mut self, mut wanted: BTreeMap<DomainName, Wanted>) -> bool {
        for zone in self.zones.keys() {
            wanted.entry(zone.clone()).or_default();
        }
        let mut is_new = false;
        for (name, wanted) in wanted {
            is_new |= self.zones.entry(name).or_default().want(wanted);
        }
        self.is_due |= is_new;
        is_new
    }

    /// Restores records from the ownership notes. For a leaving provider, a record that was started but not observed
    /// since counts as existing: a call whose answer was lost may have created it.
    pub(crate) fn restore_pending<'a>(&mut self, notes: impl Iterator<Item = &'a OwnedRecordKey>) {
        if self.spec.is_withdrawing && !self.lets_go() {
            for key in notes.filter(|key| key.provider == self.id) {
                self.zones.entry(key.zone.clone()).or_default().restore_pending(&key.record);
            }
        }
    }

    /// Restores the statuses of the managed zones from an earlier daemon run: a restart loses no observation.
    pub(crate) fn remember(&mut self, status: &ProviderStatus) {
        for record in &status.records {
            if let Some(zone) = self.zones.get_mut(&record.zone) {
                zone.remember(record);
            }
        }
    }

    /// Returns the desired record sets of a zone.
    fn wanted_in(&self, zone: &DomainName) -> impl Iterator<Item = &RecordKey> {
        self.zones.get(zone).into_iter().flat_map(|zone| zone.wanted.sets.keys())
    }

    /// Requests a round now; with `is_look`, a plan-only one. A provider that waits for its service cannot plan: its
    /// last observation is all there is.
    pub(crate) fn go_round(&mut self, is_look: bool) {
        self.is_due = true;
        self.is_look |= is_look && self.state != State::Waiting;
    }

    /// Whether a command waits for this provider's plan.
    pub(crate) const fn is_looking(&self) -> bool {
        self.is_look
    }

    /// Whether a call is in flight, or a write that steps wait for.
    pub(crate) const fn is_busy(&self) -> bool {
        !matches!(self.state, State::Idle | State::Waiting)
    }

    /// Whether every zone was observed in its desired state, as far as that is possible.
    pub(crate) fn is_settled(&self) -> bool {
        self.failure.is_none() && self.zones.values().all(Zone::is_settled)
    }

    /// Whether a round is due and can start.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_due && self.state == State::Idle
    }

    /// Starts a round.
    pub(crate) fn begin(&mut self, scope: &mut Scope<'_>) -> Vec<Act> {
        if self.is_busy() {
            return Vec::new();
        }
        self.is_due = false;
        self.unsure_until.get_or_insert(scope.now + RECHECK_DELAY);
        if self.lets_go() {
            return self.abandon_records(scope);
        }
        // A zone that failed comes last, so that it delays no other.
        let mut zones: Vec<_> = self.zones.iter().map(|(name, zone)| (zone.failures, name.clone())).collect();
        zones.sort();
        self.todo = zones.into_iter().map(|(_, name)| name).collect();
        for zone in self.zones.values_mut() {
            zone.begin(scope.now, self.is_look);
        }
        match self.abilities {
            None => {
                let call = scope.next_call();
                self.state = State::Checking { call };
                vec![Act::Call { call, request: ProviderRequest::Check }]
            }
            Some(_) => self.next_zone(scope),
        }
    }

    /// Handles the answer to a call; `None` if the call is unknown.
    pub(crate) fn handle_reply(
        &mut self,
        call: CallId,
        reply: ProviderReply,
        scope: &mut Scope<'_>,
    ) -> Option<Vec<Act>> {
        if self.call() != Some(call) {
            return None;
        }
        let state = std::mem::replace(&mut self.state, State::Idle);
        let tried = tried(&state);
        let acts = match (state, reply) {
            (State::Draining { .. }, _) => Vec::new(),
            (State::Checking { .. }, ProviderReply::Checked(abilities)) => {
                self.abilities = Some(abilities);
                self.next_zone(scope)
            }
            (State::Observing { zone, names, gathered, .. }, ProviderReply::Observed(observed)) => {
                self.observed(zone, names, gathered, observed, scope)
            }
            (State::Observing { zone, names, gathered, .. }, ProviderReply::Failed(failure)) => {
                self.look_failed(zone, &names, gathered, &failure, scope)
            }
            (State::Applying { zone, step, steps, .. }, ProviderReply::Applied) => {
                self.steps_done += 1;
                self.zones.entry(zone.clone()).or_default().done(&step);
                let mut acts = Vec::new();
                if !step.iter().all(is_claim) {
                    acts.push(Act::Event(EventKind::RecordsChanged, words_of(&self.spec, &step)));
                }
                acts.extend(self.next_step(zone, steps, scope));
                acts
            }
            (State::Applying { zone, .. }, ProviderReply::Failed(failure)) if self.makes_steps_smaller(&failure) => {
                self.todo.push_front(zone);
                self.next_zone(scope)
            }
            (State::Applying { zone, step, steps, .. }, ProviderReply::Failed(failure)) => {
                self.step_failed(zone, &step, steps, &failure, scope)
            }
            (_, ProviderReply::Failed(failure)) => self.fail(&failure, &tried, scope),
            (_, _) => {
                let reason = Text::lossy("the plugin answered something else than it was asked");
                self.fail(&ProviderFailure::Broken { reason }, &tried, scope)
            }
        };
        Some(acts)
    }

    /// Handles durable ownership notes: their steps may start.
    pub(crate) fn handle_noted(&mut self, scope: &mut Scope<'_>) -> Vec<Act> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Noting { zone, steps } => self.next_step(zone, steps, scope),
            other => {
                self.state = other;
                Vec::new()
            }
        }
    }

    /// Handles notes that could not be persisted: nothing was started, and the round is retried later.
    pub(crate) fn handle_note_failed(&mut self, scope: &mut Scope<'_>) -> Vec<Act> {
        if !matches!(self.state, State::Noting { .. }) {
            return Vec::new();
        }
        self.is_due = true;
        self.state = State::Waiting;
        vec![Act::Wait(self.backoff.next(RETRY_FIRST, RETRY_MAX, scope.rng))]
    }

    /// Handles a call that was never answered.
    pub(crate) fn handle_silence(&mut self, scope: &mut Scope<'_>) -> Vec<Act> {
        let Some(call) = self.call() else { return Vec::new() };
        let reason = Text::lossy(&format!("no answer within {} s", CALL_MAX.as_secs()));
        let reply = ProviderReply::Failed(ProviderFailure::Broken { reason });
        self.handle_reply(call, reply, scope).unwrap_or_default()
    }

    /// Handles the timer of the next round or retry.
    pub(crate) fn handle_timeout(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Idle;
        }
        self.is_due = true;
    }

    /// Stores the plugin's name and version as it describes itself.
    pub(crate) fn see_plugin(&mut self, seen: Text) {
        self.plugin = seen;
    }

    /// Returns the status of the provider and as many of its records as fit in `bytes_max`. `generation` is that of its
    /// central settings.
    pub(crate) fn status(&self, bytes_max: usize, generation: Generation) -> ProviderStatus {
        let records = self.zones.iter().flat_map(|(zone, state)| state.statuses(zone, self.spec.dns.allow_deletes));
        ProviderStatus {
            name: self.spec.name.clone(),
            is_local: self.is_local,
            plugin: self.plugin.clone(),
            failure: self.failure.as_ref().map(|failure| failure.text.clone()),
            converged: if self.is_settled() { generation } else { Generation::ZERO },
            records: report::within(bytes_max, records),
        }
    }

    pub(crate) const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Returns the records for which no valid name could be built.
    pub(crate) fn nameless(&self) -> impl Iterator<Item = &Text> {
        self.zones.values().flat_map(Zone::nameless)
    }

    /// Describes what the provider is doing.
    pub(crate) fn doing(&self) -> String {
        match (&self.state, &self.failure) {
            (State::Idle, _) if self.is_settled() => format!("every record is as it is wanted{}", self.unsearched()),
            (State::Idle, None) => format!("looked, and has not done all{}", self.unsearched()),
            (State::Checking { .. }, _) => "checks its settings".to_owned(),
            (State::Draining { .. }, _) => "waits for a call under its former settings to end".to_owned(),
            (State::Observing { zone, .. }, _) => format!("looks at zone {zone}"),
            (State::Noting { .. }, _) => "waits for the disk before it changes records".to_owned(),
            (State::Applying { zone, steps, .. }, _) => {
                format!("changes records in zone {zone}, {} steps to go", steps.len() + 1)
            }
            (State::Idle | State::Waiting, Some(failure)) => {
                format!("failed {} times: {}", self.backoff.tries(), failure.text)
            }
            (State::Waiting, None) => "waits for the disk".to_owned(),
        }
    }

    /// Describes which zones could not be searched for records that an earlier run left.
    fn unsearched(&self) -> String {
        let why = |(name, zone): (&DomainName, &Zone)| {
            let why = zone.why_unsearched()?;
            Some(format!("; zone {name} cannot be searched for records left by an earlier run: {why}"))
        };
        self.zones.iter().filter_map(why).collect()
    }

    /// Returns the call in flight.
    pub(crate) const fn call(&self) -> Option<CallId> {
        match self.state {
            State::Checking { call }
            | State::Observing { call, .. }
            | State::Applying { call, .. }
            | State::Draining { call } => Some(call),
            State::Idle | State::Noting { .. } | State::Waiting => None,
        }
    }
}

impl Scope<'_> {
    const fn time(&self) -> Now {
        Now { instant: self.now, wall: self.wall }
    }

    fn next_call(&mut self) -> CallId {
        *self.calls = self.calls.next();
        *self.calls
    }

    fn of_others(&self, provider: ProviderId, zone: &DomainName) -> BTreeSet<RecordKey> {
        let others = self.held.keys().filter(|key| key.provider != provider && key.zone == *zone);
        let wanted = self.others.values().flat_map(|other| other.wanted_in(zone)).cloned();
        others.map(|key| key.record.clone()).chain(wanted).collect()
    }

    /// Returns which other providers want which record sets of a zone under the owner id of `spec`.
    fn rivals(&self, spec: &ProviderSpec, zone: &DomainName) -> BTreeMap<RecordKey, Vec<Rival>> {
        let mut rivals = BTreeMap::<_, Vec<_>>::new();
        let is_rival = |other: &ProviderSpec| !other.is_dry_run && other.dns.owner == spec.dns.owner;
        for (id, other) in self.others.iter().filter(|(_, other)| is_rival(&other.spec)) {
            for record in other.wanted_in(zone) {
                let note = OwnedRecordKey { provider: *id, zone: zone.clone(), record: record.clone() };
                rivals.entry(record.clone()).or_default().push(Rival {
                    name: other.spec.name.clone(),
                    goes_first: other.spec.name < spec.name,
                    is_same_place: other.spec.plugin.name == spec.plugin.name && other.spec.config == spec.config,
                    note: self.held.get(&note).cloned(),
                });
            }
        }
        rivals
    }

    fn held_in(&self, provider: ProviderId, zone: &DomainName) -> BTreeMap<RecordKey, OwnedRecord> {
        let is_meant = |key: &OwnedRecordKey| key.provider == provider && key.zone == *zone;
        let held = self.held.iter().filter(|(key, _)| is_meant(key));
        held.map(|(key, record)| (key.record.clone(), record.clone())).collect()
    }
}

fn tried(state: &State) -> String {
    match state {
        State::Checking { .. } | State::Draining { .. } => "checking its settings".to_owned(),
        State::Observing { zone, .. } => format!("looking at zone {zone}"),
        State::Applying { zone, .. } => format!("changing zone {zone}"),
        State::Idle | State::Noting { .. } | State::Waiting => String::new(),
    }
}

fn is_claim(change: &RecordChange) -> bool {
    change.key().is_some_and(|key| Claim::key_of(&key.name).is_some())
}

/// Describes a step, without ownership TXT records: `dns: made gw.camp.example A 300 192.0.2.1`.
fn words_of(spec: &ProviderSpec, step: &[RecordChange]) -> Text {
    let records = step.iter().filter(|change| !is_claim(change));
    let words = records.map(|change| match (&change.before, &change.after) {
        (None, Some(after)) => format!("made {after}"),
        (Some(_), Some(after)) => format!("changed to {after}"),
        (Some(before), None) => format!("took away {before}"),
        (None, None) => String::new(),
    });
    let words = words.collect::<Vec<_>>().join("; ");
    Text::lossy(&format!("{}: {words}", spec.name))
}
