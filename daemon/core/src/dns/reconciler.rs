//! Reconciler: the state machine of one DNS provider, which reconciles its zones in rounds.
//!
//! ```text
//! round: observe a zone ─► plan ─► note ─► apply … ─► observe again … ─► next zone
//! ```
//!
//! A round handles each zone in turn: observe it, plan ([`plan`](super::plan)), persist ownership notes for what is
//! about to start, apply the steps (one call each), and observe again until there is nothing to do. A step that was
//! lost, applied twice or applied in part is therefore detected by the next observation, and a zone counts as settled
//! only when it was *observed* in its desired state.
//!
//! [`provider_calls`](crate::provider_calls) runs the calls: when a round starts, retries, deadlines, and the
//! validation of the settings. This module has what concerns records. A rejected record is quarantined for
//! [`QUARANTINE`], and the others continue. So is a record whose name cannot even be observed; what was written of it
//! before is deleted according to its ownership note. [`observe`] observes a zone in calls of bounded size. After a
//! conflict the changes are tried one record set per call; the one that conflicts again is quarantined, starting with
//! [`CONFLICT_RETRY_FIRST`]. A zone that failed comes last in the next round.
//!
//! The machine requests work through [`DnsEffect`]s.

mod context;
mod failure;
mod interruption;
mod observe;
mod report;
mod round;
mod zone;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use linecamp_model::{
    CallId, Capabilities, Claim, DnsCapabilities, DnsReply, DnsStatus, DomainName, Generation, OwnedRecord,
    OwnedRecordKey, PartState, ProviderFailure, ProviderId, ProviderReply, ProviderRequest, ProviderSpec,
    ProviderStatus, RecordChange, RecordKey, Text,
};

pub(crate) use self::context::Context;
use self::interruption::Pace;
use self::observe::{NAMES_PER_CALL_MAX, Observation};
pub(crate) use self::report::status_of_removed;
use self::zone::Zone;
use super::DesiredRecords;
use crate::provider_calls::{Answered, CallRunner, Effect, Failure, RECHECK_DELAY};

/// How long a rejected record is left alone before a retry, unless its desired values change first.
pub const QUARANTINE: Duration = Duration::from_secs(3600);

/// How long a record set whose change met a conflict is left alone at first; the delay doubles each time, up to
/// [`QUARANTINE`].
pub const CONFLICT_RETRY_FIRST: Duration = RECHECK_DELAY;

/// Ownership notes to persist; `None` deletes one.
pub(crate) type Notes = Vec<(OwnedRecordKey, Option<OwnedRecord>)>;

/// A request of the machine to the site.
pub(crate) type DnsEffect = Effect<ProviderRequest, Notes>;

/// The work that a call or a note belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    /// Observe a zone: some names or, without names, a search of the whole zone.
    Observe { zone: DomainName, names: BTreeSet<DomainName>, observation: Observation },
    /// Apply these steps once their ownership notes are durable.
    Prepare { zone: DomainName, steps: VecDeque<Vec<RecordChange>> },
    /// Apply a step; the others follow.
    Apply { zone: DomainName, step: Vec<RecordChange>, steps: VecDeque<Vec<RecordChange>> },
}

/// The state machine of one DNS provider.
#[derive(Clone, Debug)]
pub(crate) struct Reconciler {
    id: ProviderId,
    spec: ProviderSpec,
    is_local: bool,
    plugin: Text,
    calls: CallRunner<Work, DnsCapabilities>,
    zones: BTreeMap<DomainName, Zone>,
    /// Zones that this round still has to handle.
    todo: VecDeque<DomainName>,
    /// Whether a step of several records exceeded a call's limits.
    has_small_steps: bool,
    /// What the provider's last validation returned.
    capabilities: Option<DnsCapabilities>,
    /// The number of names per observe call; reduced when a call exceeded its limits.
    names_per_call: usize,
    /// The pace that the service permits, and the observation that waits for it.
    pace: Pace,
    steps_done: u64,
}

impl Reconciler {
    pub(crate) fn new(spec: ProviderSpec, is_local: bool) -> Self {
        Self {
            id: ProviderId::of(&spec.name),
            plugin: Text::lossy(spec.plugin.name.as_str()),
            spec,
            is_local,
            calls: CallRunner::new(),
            zones: BTreeMap::new(),
            todo: VecDeque::new(),
            has_small_steps: false,
            names_per_call: NAMES_PER_CALL_MAX,
            pace: Pace::default(),
            capabilities: None,
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

    /// Returns the call in flight.
    pub(crate) const fn call(&self) -> Option<CallId> {
        self.calls.call()
    }

    /// Whether a round is due and can start.
    pub(crate) const fn is_ready(&self) -> bool {
        self.calls.is_ready()
    }

    /// Whether a command waits for this provider's plan.
    pub(crate) const fn is_preview(&self) -> bool {
        self.calls.is_preview()
    }

    /// Applies new settings. Failures under the old settings do not count for the new ones.
    pub(crate) fn configure(&mut self, spec: ProviderSpec, is_local: bool) {
        if (&spec, is_local) != (&self.spec, self.is_local) {
            let (zones, mut calls, steps_done) = (
                std::mem::take(&mut self.zones),
                std::mem::replace(&mut self.calls, CallRunner::new()),
                self.steps_done,
            );
            calls.restart();
            *self = Self { zones, calls, steps_done, ..Self::new(spec, is_local) };
            self.zones.values_mut().for_each(Zone::unsettle);
        }
    }

    /// Handles a change of the plugin or of a secret it uses: earlier failures no longer count.
    pub(crate) fn handle_plugin_changed(&mut self) {
        (self.has_small_steps, self.names_per_call) = (false, NAMES_PER_CALL_MAX);
        self.pace = Pace::default();
        self.calls.reset_failures();
    }

    /// Sets the desired records of each zone; a zone that is no longer named should hold none. Returns whether anything
    /// changed.
    pub(crate) fn set_desired(&mut self, mut desired: BTreeMap<DomainName, DesiredRecords>) -> bool {
        for zone in self.zones.keys() {
            desired.entry(zone.clone()).or_default();
        }
        let mut is_changed = false;
        for (name, desired) in desired {
            is_changed |= self.zones.entry(name).or_default().set_desired(desired);
        }
        if is_changed {
            self.calls.request_round();
        }
        is_changed
    }

    /// Restores records from the ownership notes. For a provider that withdraws its records, a record that was started
    /// but not observed since counts as existing: a call whose answer was lost may have created it.
    pub(crate) fn restore_pending<'a>(&mut self, notes: impl Iterator<Item = &'a OwnedRecordKey>) {
        if self.spec.is_withdrawing && !self.must_abandon_records() {
            for key in notes.filter(|key| key.provider == self.id) {
                self.zones.entry(key.zone.clone()).or_default().restore_pending(&key.record);
            }
        }
    }

    /// Restores the statuses of the managed zones from an earlier daemon run: a restart loses no observation.
    pub(crate) fn restore_status(&mut self, status: &ProviderStatus) {
        for record in status.records() {
            if let Some(zone) = self.zones.get_mut(&record.zone) {
                zone.restore_status(record);
            }
        }
    }

    /// Returns the desired record sets of a zone.
    fn desired_in(&self, zone: &DomainName) -> impl Iterator<Item = &RecordKey> {
        self.zones.get(zone).into_iter().flat_map(|zone| zone.desired.sets.keys())
    }

    /// Requests a round now.
    pub(crate) const fn request_round(&mut self) {
        self.calls.request_round();
    }

    /// Requests a round now that only observes and plans.
    pub(crate) const fn request_preview(&mut self) {
        self.calls.request_preview();
    }

    /// Whether every zone was observed in its desired state, as far as that is possible.
    pub(crate) fn is_settled(&self) -> bool {
        self.calls.failure().is_none() && self.zones.values().all(Zone::is_settled)
    }

    /// Starts a round, or continues one that was interrupted.
    pub(crate) fn begin_round(&mut self, context: &mut Context<'_>) -> Vec<DnsEffect> {
        if let Some(effects) = self.continue_round(context) {
            return effects;
        }
        self.calls.begin_round(context.now.instant);
        if self.must_abandon_records() {
            return self.abandon_records(context);
        }
        // A zone that failed comes last, so that it delays no other.
        let mut zones: Vec<_> = self.zones.iter().map(|(name, zone)| (zone.failures, name.clone())).collect();
        zones.sort();
        self.todo = zones.into_iter().map(|(_, name)| name).collect();
        for zone in self.zones.values_mut() {
            zone.begin_round(context.now.instant, self.calls.is_preview());
        }
        match self.calls.capabilities() {
            None => vec![self.calls.validate(context.next_call(), ProviderRequest::Validate)],
            Some(_) => self.next_zone(context),
        }
    }

    /// Handles the answer to a call; `None` if the call is unknown.
    pub(crate) fn handle_reply(
        &mut self,
        call: CallId,
        reply: ProviderReply,
        context: &mut Context<'_>,
    ) -> Option<Vec<DnsEffect>> {
        Some(match (self.calls.handle_answer(call)?, reply) {
            (Answered::Discarded, _) => Vec::new(),
            (Answered::Validation, ProviderReply::Validated(Capabilities::Dns(capabilities))) => {
                self.capabilities = Some(capabilities);
                self.calls.set_capabilities(capabilities);
                self.next_zone(context)
            }
            (
                Answered::Work(Work::Observe { zone, names, observation }),
                ProviderReply::Dns(DnsReply::Observed(observed)),
            ) => self.handle_observed(zone, names, observation, observed, context),
            (Answered::Work(Work::Observe { zone, names, observation }), ProviderReply::Failed(failure)) => {
                self.handle_observe_failed(zone, &names, observation, &failure, context)
            }
            (Answered::Work(Work::Apply { zone, step, steps }), ProviderReply::Dns(DnsReply::Applied)) => {
                self.handle_applied(zone, &step, steps, context)
            }
            (Answered::Work(Work::Apply { zone, .. }), ProviderReply::Failed(failure))
                if self.makes_steps_smaller(&failure) =>
            {
                self.todo.push_front(zone);
                self.next_zone(context)
            }
            (Answered::Work(Work::Apply { zone, step, steps }), ProviderReply::Failed(failure)) => {
                self.handle_apply_failed(zone, &step, steps, &failure, context)
            }
            (answered, ProviderReply::Failed(failure)) => self.fail(&failure, &attempt(&answered), context),
            (answered, _) => {
                let reason = Text::lossy("the plugin returned a result of the wrong kind");
                self.fail(&ProviderFailure::Broken { reason }, &attempt(&answered), context)
            }
        })
    }

    /// Handles a call whose plugin is being downloaded: the next round looks for it after `wait`. Nothing failed.
    pub(crate) fn wait_for_plugin(&mut self, call: CallId, wait: Duration) -> Vec<DnsEffect> {
        match self.calls.handle_answer(call) {
            None | Some(Answered::Discarded) => Vec::new(),
            Some(Answered::Validation | Answered::Work(_)) => {
                self.todo.clear();
                vec![self.calls.pause(wait)]
            }
        }
    }

    /// Whether it has not failed and waits for the timer of its next round, as it does for a missing plugin.
    pub(crate) const fn is_waiting_for_plugin(&self) -> bool {
        self.calls.is_waiting() && self.calls.failure().is_none()
    }

    /// Handles durable ownership notes: their steps may start.
    pub(crate) fn handle_noted(&mut self, context: &mut Context<'_>) -> Vec<DnsEffect> {
        match self.calls.handle_noted() {
            Some(Work::Prepare { zone, steps }) => self.next_step(zone, steps, context),
            Some(Work::Observe { .. } | Work::Apply { .. }) | None => Vec::new(),
        }
    }

    /// Handles notes that could not be persisted.
    pub(crate) fn handle_note_failed(&mut self, context: &mut Context<'_>) -> Vec<DnsEffect> {
        self.calls.handle_note_failed(context.rng).into_iter().collect()
    }

    /// Handles a call that was never answered.
    pub(crate) fn handle_unanswered(&mut self, context: &mut Context<'_>) -> Vec<DnsEffect> {
        let Some((call, failure)) = self.calls.unanswered() else { return Vec::new() };
        self.handle_reply(call, ProviderReply::Failed(failure), context).unwrap_or_default()
    }

    /// Handles the timer of the next round or retry.
    pub(crate) fn handle_timeout(&mut self) {
        self.calls.handle_timeout();
    }

    /// Stores the plugin's name and version as it describes itself.
    pub(crate) fn set_plugin(&mut self, described: Text) {
        self.plugin = described;
    }

    /// Returns the status of the provider and as many of its records as fit in `bytes_max`. `generation` is that of its
    /// central settings.
    pub(crate) fn status(&self, bytes_max: usize, generation: Generation) -> ProviderStatus {
        let deletes = self.spec.dns().allow_deletes;
        let records = self.zones.iter().flat_map(|(zone, state)| state.statuses(zone, deletes, self.capabilities));
        ProviderStatus {
            name: self.spec.name.clone(),
            is_local: self.is_local,
            plugin: self.plugin.clone(),
            failure: self.failure().map(|failure| failure.text.clone()),
            converged: if self.is_settled() { generation } else { Generation::ZERO },
            kind: DnsStatus { records: report::within(bytes_max, records) }.into(),
        }
    }

    pub(crate) const fn failure(&self) -> Option<&Failure> {
        self.calls.failure()
    }

    /// Returns the records for which no valid name could be built.
    pub(crate) fn nameless(&self) -> impl Iterator<Item = &Text> {
        self.zones.values().flat_map(Zone::nameless)
    }

    /// Describes what the provider is doing.
    pub(crate) fn describe(&self) -> (PartState, String) {
        let idle = || match self.is_settled() {
            true => match self.zones.values().map(Zone::count_out_of_sync).sum::<usize>() {
                0 => (PartState::Ok, format!("all records in sync{}{}", self.retained(), self.unsearched())),
                count => (
                    PartState::Waiting,
                    format!("records not in sync: {count}; see `linecampd dns plan`{}", self.unsearched()),
                ),
            },
            false => (PartState::Waiting, format!("reconcile incomplete{}", self.unsearched())),
        };
        let work = |work: &Work| match work {
            Work::Observe { zone, .. } => format!("observes zone {zone}"),
            Work::Prepare { zone, .. } => format!("is about to change records in zone {zone}"),
            Work::Apply { zone, steps, .. } => {
                format!("changes records in zone {zone}, {} steps left", steps.len() + 1)
            }
        };
        match (self.calls.call(), self.pace.waiting(), self.failure()) {
            (None, Some(waiting), None) => (PartState::Waiting, waiting),
            _ => self.calls.describe(idle, work),
        }
    }

    /// Describes how many records are kept although they are no longer desired.
    fn retained(&self) -> String {
        match self.zones.values().map(Zone::count_retained).sum::<usize>() {
            0 => String::new(),
            count => format!("; {count} no longer desired and retained, because deletes are not allowed"),
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
}

/// Describes what was attempted, for a message about its failure.
fn attempt(answered: &Answered<Work>) -> String {
    match answered {
        Answered::Discarded | Answered::Validation => "validating its settings".to_owned(),
        Answered::Work(Work::Observe { zone, .. }) => format!("observing zone {zone}"),
        Answered::Work(Work::Prepare { zone, .. } | Work::Apply { zone, .. }) => format!("changing zone {zone}"),
    }
}

fn is_claim(change: &RecordChange) -> bool {
    change.key().is_some_and(|key| Claim::key_of(&key.name).is_some())
}
