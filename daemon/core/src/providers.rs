//! Providers: all providers of a site, their desired records, and what the site reports about them.
//!
//! Providers come from the spec and from the site's own configuration; for equal names the site's own wins. Each runs a
//! machine of its own, so that one that fails blocks no other. Desired records follow from spec, labels and addresses,
//! and are recomputed whenever one of these may have changed.
//!
//! Every machine is a DNS [`Reconciler`] so far. A second kind gets a module beside [`dns`](crate::dns) and makes its
//! calls through [`provider_calls`](crate::provider_calls) too.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, REPORTED_RECORDS_BYTES_MAX};
use linecamp_model::{
    CallId, Claim, CommandId, ConditionKind, DocumentKey, DomainName, Generation, Name, Now, OwnedRecord,
    OwnedRecordKey, Ownership, PartState, PluginDigest, ProviderFailure, ProviderId, ProviderReply, ProviderSpec,
    ProviderStatus, RecordState, RunId, SiteId, SpecBody, StatusBody, Text,
};

use crate::dns::{Context, DesiredRecords, HostInput, Location, Reconciler, desired_records, status_of_removed};
use crate::document_sync::Documents;
use crate::provider_calls::Failure;
use crate::rng::Rng;

/// The ownership notes of a site.
type Owned = BTreeMap<OwnedRecordKey, OwnedRecord>;

/// The configured providers, and whether each comes from the site's own configuration.
pub(crate) type Configured = BTreeMap<ProviderId, (ProviderSpec, bool)>;

/// The state machines of all providers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Providers {
    machines: BTreeMap<ProviderId, Reconciler>,
    last_call: CallId,
    /// Commands that wait for a plan, each with the providers it waits for.
    previews: Vec<(CommandId, BTreeSet<ProviderId>)>,
    /// Whether the site is being removed, and whether its withdraw deadline has passed.
    is_withdrawing: bool,
    is_withdraw_expired: bool,
}

/// What the desired records of a site depend on, beside the providers' settings.
pub(crate) struct SiteInput<'a> {
    pub(crate) name: &'a Name,
    pub(crate) environment: &'a Name,
    pub(crate) hosts: &'a [HostInput],
    /// Whether the site is being removed.
    pub(crate) is_removed: bool,
    pub(crate) owned: &'a Owned,
    /// The statuses reported so far.
    pub(crate) reported: &'a Documents<StatusBody>,
}

/// What a machine needs from the site to handle an input.
pub(crate) struct Environment<'a> {
    pub(crate) site: SiteId,
    pub(crate) run: RunId,
    pub(crate) owned: &'a Owned,
    pub(crate) rng: &'a mut Rng,
    pub(crate) now: Now,
    /// Whether changes may be started: not while the site's store cannot persist notes.
    pub(crate) may_change: bool,
}

/// How the withdraw deadline of a removed site changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithdrawDeadline {
    Start,
    Keep,
    Clear,
}

/// Returns the configured providers: the site's own, then those in its spec while there is room.
pub(crate) fn configured(own: &[ProviderSpec], spec: &Documents<SpecBody>) -> Configured {
    let own = own.iter().map(|spec| (ProviderId::of(&spec.name), (spec.clone(), true)));
    let mut configured: Configured = own.collect();
    for key in spec.keys() {
        if let Some(SpecBody::Provider(spec)) = spec.body(key)
            && configured.len() < PROVIDERS_PER_SITE_MAX
        {
            configured.entry(ProviderId::of(&spec.name)).or_insert_with(|| ((**spec).clone(), false));
        }
    }
    configured
}

impl Providers {
    /// Whether there is no provider.
    pub(crate) fn is_empty(&self) -> bool {
        self.machines.is_empty()
    }

    /// Whether every provider is settled, or the withdraw deadline has passed.
    pub(crate) fn is_settled(&self) -> bool {
        self.machines.values().all(Reconciler::is_settled) || (self.is_withdrawing && self.is_withdraw_expired)
    }

    /// Returns the settings of the running providers.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &ProviderSpec> {
        self.machines.values().map(Reconciler::spec)
    }

    /// Returns a provider's settings, and whether it comes from the site's own configuration.
    pub(crate) fn spec(&self, id: ProviderId) -> Option<(&ProviderSpec, bool)> {
        self.machines.get(&id).map(|machine| (machine.spec(), machine.is_local()))
    }

    /// Describes what each provider is doing, with its id.
    pub(crate) fn describe(&self) -> impl Iterator<Item = (ProviderId, (PartState, String))> {
        self.machines.iter().map(|(id, machine)| {
            let (state, detail) = machine.describe();
            (*id, (state, format!("{}: {detail}", machine.spec().name)))
        })
    }

    /// Returns the provider that waits for the answer to a call.
    pub(crate) fn caller(&self, call: CallId) -> Option<ProviderId> {
        self.machines.iter().find(|(_, machine)| machine.call() == Some(call)).map(|(id, _)| *id)
    }

    /// Returns the plugin to fetch from the server because a call found it missing at the site.
    pub(crate) fn missing_plugin(&self, id: ProviderId, reply: &ProviderReply) -> Option<PluginDigest> {
        match reply {
            ProviderReply::Failed(ProviderFailure::Missing { .. }) => self.machines.get(&id)?.spec().plugin.digest,
            _ => None,
        }
    }

    /// Returns the settings of a provider that waits for its plugin.
    pub(crate) fn waiting_for_plugin(&self, id: ProviderId) -> Option<&ProviderSpec> {
        self.machines.get(&id).filter(|machine| machine.is_waiting_for_plugin()).map(Reconciler::spec)
    }

    /// Stores the name and version that the plugin of a call reports.
    pub(crate) fn set_plugin(&mut self, call: CallId, described: Text) {
        let id = self.caller(call);
        if let Some(machine) = id.and_then(|id| self.machines.get_mut(&id)) {
            machine.set_plugin(described);
        }
    }

    /// Handles a change of the plugin, or of a secret, of all providers whose settings match.
    pub(crate) fn handle_plugin_changed(&mut self, is_affected: impl Fn(&ProviderSpec) -> bool) {
        let affected = self.machines.values_mut().filter(|machine| is_affected(machine.spec()));
        affected.for_each(Reconciler::handle_plugin_changed);
    }

    /// Handles the timer of a provider's next round or retry.
    pub(crate) fn handle_timeout(&mut self, id: ProviderId) {
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.handle_timeout();
        }
    }

    /// Handles the withdraw deadline of a removed site.
    pub(crate) const fn handle_withdraw_expired(&mut self) {
        self.is_withdraw_expired = true;
    }

    /// Requests a round of every provider: changes that were held back may proceed.
    pub(crate) fn request_rounds(&mut self) {
        self.machines.values_mut().for_each(Reconciler::request_round);
    }

    /// Requests a round of one provider.
    pub(crate) fn request_round(&mut self, id: ProviderId) {
        if let Some(machine) = self.machines.get_mut(&id) {
            machine.request_round();
        }
    }

    /// Lets every provider observe and plan; `command` waits for all of them.
    pub(crate) fn request_preview(&mut self, command: CommandId) {
        self.machines.values_mut().for_each(Reconciler::request_preview);
        self.previews.push((command, self.machines.keys().copied().collect()));
    }

    /// Removes and returns the commands whose plan is complete.
    pub(crate) fn take_complete_previews(&mut self) -> Vec<CommandId> {
        let machines = &self.machines;
        let is_over = |id: &ProviderId| machines.get(id).is_none_or(|machine| !machine.is_preview());
        let (complete, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.previews).into_iter().partition(|(_, ids)| ids.iter().all(is_over));
        self.previews = open;
        complete.into_iter().map(|(command, _)| command).collect()
    }

    /// Returns the ownership note that takes a record set over from its current owner.
    ///
    /// # Errors
    /// The record set is not desired here, or no other owner has it.
    pub(crate) fn adoption(&self, key: &OwnedRecordKey, site: SiteId) -> Result<OwnedRecord, Text> {
        let is_in_conflict = |machine: &&Reconciler| {
            let status = machine.status(REPORTED_RECORDS_BYTES_MAX, Generation::ZERO);
            let mut records = status.records().iter();
            records.any(|record| {
                record.zone == key.zone && record.key == key.record && record.state == RecordState::Conflict
            })
        };
        match self.machines.get(&key.provider).filter(is_in_conflict) {
            Some(machine) => {
                let dns = &machine.spec().dns();
                let claim = Claim { owner: dns.owner.clone(), site };
                Ok(OwnedRecord { claim, state: Ownership::Adopting, ttl: dns.ttl, values: BTreeSet::new() })
            }
            None => {
                let text =
                    format!("{} is not in conflict: it is not desired here, or no other owner has it", key.record);
                Err(Text::lossy(&text))
            }
        }
    }

    /// Starts or clears the withdraw deadline of a removed site.
    pub(crate) fn set_withdrawing(&mut self, is_withdrawing: bool) -> WithdrawDeadline {
        let was_withdrawing = std::mem::replace(&mut self.is_withdrawing, is_withdrawing);
        if is_withdrawing {
            return if was_withdrawing { WithdrawDeadline::Keep } else { WithdrawDeadline::Start };
        }
        self.is_withdraw_expired = false;
        WithdrawDeadline::Clear
    }

    /// Removes the providers that are no longer configured, and returns them.
    pub(crate) fn remove_others(&mut self, configured: &Configured) -> Vec<ProviderId> {
        let removed: Vec<_> = self.machines.keys().filter(|id| !configured.contains_key(id)).copied().collect();
        self.machines.retain(|id, _| configured.contains_key(id));
        removed
    }

    /// Applies the settings and the desired records of all configured providers.
    pub(crate) fn configure(&mut self, configured: Configured, site: &SiteInput<'_>) {
        let mut is_changed = false;
        for (id, (mut spec, is_local)) in configured {
            spec.is_withdrawing |= site.is_removed;
            let desired = site.desired(id, &spec);
            let is_new = !self.machines.contains_key(&id);
            let machine = self.machines.entry(id).or_insert_with(|| Reconciler::new(spec.clone(), is_local));
            machine.configure(spec, is_local);
            is_changed |= machine.set_desired(desired);
            if let (true, Some(StatusBody::Provider(status))) = (is_new, site.reported.body(DocumentKey::Provider(id)))
            {
                machine.restore_status(status);
            }
            machine.restore_pending(site.owned.keys());
        }
        if is_changed {
            // Another provider may be waiting for a record set that this one no longer wants.
            self.request_rounds();
        }
    }

    /// Returns the providers whose round can start.
    pub(crate) fn ready(&self) -> Vec<ProviderId> {
        self.machines.iter().filter(|(_, machine)| machine.is_ready()).map(|(id, _)| *id).collect()
    }

    /// Passes an input to one machine; `None` if there is no such provider.
    pub(crate) fn drive<T>(
        &mut self,
        id: ProviderId,
        environment: Environment<'_>,
        input: impl FnOnce(&mut Reconciler, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let Environment { site, run, owned, rng, now, may_change } = environment;
        let mut machine = self.machines.remove(&id)?;
        let (others, last_call) = (&self.machines, &mut self.last_call);
        let mut context = Context { site, run, owned, others, last_call, rng, now, may_change };
        let result = input(&mut machine, &mut context);
        self.machines.insert(id, machine);
        Some(result)
    }

    /// Returns the status of each provider, by name; `spec` has the central ones.
    pub(crate) fn statuses(&self, spec: &Documents<SpecBody>) -> Vec<ProviderStatus> {
        self.statuses_within(spec, REPORTED_RECORDS_BYTES_MAX / self.machines.len().max(1))
    }

    fn statuses_within(&self, spec: &Documents<SpecBody>, bytes_max: usize) -> Vec<ProviderStatus> {
        let status = |(id, machine): (&ProviderId, &Reconciler)| {
            let key = DocumentKey::Provider(*id);
            machine.status(bytes_max, if machine.is_local() { Generation::ZERO } else { spec.generation(key) })
        };
        let mut statuses: Vec<_> = self.machines.iter().map(status).collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }

    /// Returns the status of each provider, including providers that are no longer configured but have left records: an
    /// operator who removes the site sees there what remains.
    pub(crate) fn statuses_with_removed(
        &self,
        configured: &Configured,
        (owned, spec): (&Owned, &Documents<SpecBody>),
        reported: &Documents<StatusBody>,
    ) -> Vec<ProviderStatus> {
        let machines = &self.machines;
        let notes = owned.keys().filter(|key| !configured.contains_key(&key.provider));
        let removed: BTreeSet<_> = notes.map(|key| key.provider).filter(|id| !machines.contains_key(id)).collect();
        let removed: Vec<_> = removed.into_iter().take(PROVIDERS_PER_SITE_MAX.saturating_sub(machines.len())).collect();
        let bytes_max = REPORTED_RECORDS_BYTES_MAX / (machines.len() + removed.len()).max(1);
        let mut statuses = self.statuses_within(spec, bytes_max);
        // Its name comes from its last status.
        let last = removed.iter().filter_map(|id| match reported.body(DocumentKey::Provider(*id)) {
            Some(StatusBody::Provider(last)) => Some((*id, last)),
            Some(StatusBody::Site(_) | StatusBody::Host(_)) | None => None,
        });
        statuses.extend(last.map(|(id, last)| {
            let notes = owned.keys().filter(|key| key.provider == id);
            status_of_removed(last, notes, bytes_max)
        }));
        statuses
    }

    /// Returns the providers that fail, each with the condition that it causes and why.
    pub(crate) fn failing(&self) -> BTreeMap<Name, (ConditionKind, Text)> {
        let failing = self.machines.values().filter_map(|machine| Some((machine, machine.failure()?)));
        failing.map(|(machine, Failure { kind, text })| (machine.spec().name.clone(), (*kind, text.clone()))).collect()
    }

    /// Returns the conditions of the providers, each with what it concerns; nothing if it is clear.
    pub(crate) fn conditions(&self, spec: &Documents<SpecBody>, owned: &Owned) -> [(ConditionKind, Vec<String>); 5] {
        let failed = |kind| {
            let failures = self.machines.values().filter_map(Reconciler::failure);
            let failures = failures.filter(|failure: &&Failure| failure.kind == kind);
            (kind, failures.map(|failure| failure.text.to_string()).collect())
        };
        let statuses = self.statuses(spec);
        let in_state = |state| {
            let records =
                statuses.iter().flat_map(|status| status.records()).filter(move |record| record.state == state);
            records.map(|record| format!("{}: {}", record.key, record.detail)).collect::<Vec<_>>()
        };
        let mut quarantined = in_state(RecordState::Quarantined);
        quarantined.extend(self.machines.values().flat_map(Reconciler::nameless).map(Text::to_string));
        let mut retained = in_state(RecordState::Retained);
        let orphans = owned.keys().filter(|key| !self.machines.contains_key(&key.provider));
        retained.extend(orphans.map(|key| {
            format!("{}: its provider is no longer configured: add it again with `withdraw = true`", key.record)
        }));
        [
            failed(ConditionKind::PluginFailed),
            failed(ConditionKind::ProviderFailed),
            (ConditionKind::RecordConflict, in_state(RecordState::Conflict)),
            (ConditionKind::RecordQuarantined, quarantined),
            (ConditionKind::RecordsRetained, retained),
        ]
    }
}

impl SiteInput<'_> {
    /// Returns the desired records of each zone of a provider; a zone where it owns records and wants none is empty.
    fn desired(&self, id: ProviderId, spec: &ProviderSpec) -> BTreeMap<DomainName, DesiredRecords> {
        let owned = self.owned.keys().filter(|key| key.provider == id).map(|key| key.zone.clone());
        let mut zones: BTreeMap<_, _> = owned.map(|zone| (zone, DesiredRecords::default())).collect();
        for zone in &spec.dns().zones {
            let location = Location { site: self.name, environment: self.environment, zone };
            let desired = match spec.is_withdrawing {
                true => DesiredRecords::default(),
                false => desired_records(spec.dns(), location, self.hosts),
            };
            zones.insert(zone.clone(), desired);
        }
        zones
    }
}
