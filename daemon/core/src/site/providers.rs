//! The site's providers: which ones run, their desired records, and their results.
//!
//! [`dns`](crate::dns) holds the rules; this module dispatches to them.
//! Providers come from the spec and from the site's own configuration; for equal names the site's own wins. Desired
//! records follow from spec, labels and addresses, and are recomputed whenever one of these may have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, REPORTED_RECORDS_BYTES_MAX};
use linecamp_model::{
    CallId, CommandId, ConditionKind, DocumentKey, DomainName, Generation, Now, OwnedRecord, OwnedRecordKey, Ownership,
    PluginDigest, ProviderFailure, ProviderId, ProviderReply, ProviderSpec, ProviderStatus, RecordState, SiteChange,
    SpecBody, StatusBody, Target, Text,
};

use super::{Release, Site, SiteCommandError, SiteOutput, Timer, WITHDRAW_MAX};
use crate::dns::{Act, CALL_MAX, Provider, Scope};
use crate::dns::{At, HostInput, Wanted, wanted};
use crate::sync::Documents;

/// How many records, facts or plugins a condition names; the rest is counted.
const NAMED_MAX: usize = 3;

/// The state machines of all providers.
#[derive(Clone, Debug, Default)]
pub(super) struct Providers {
    machines: BTreeMap<ProviderId, Provider>,
    last_call: CallId,
    /// Commands that wait for a plan, each with the providers it waits for.
    looks: Vec<(CommandId, BTreeSet<ProviderId>)>,
    /// Whether the site is being removed, and whether its withdraw deadline has passed.
    is_withdrawing: bool,
    has_given_up: bool,
}

impl Providers {
    /// Whether every provider is settled, or the withdraw deadline has passed.
    pub(super) fn is_settled(&self) -> bool {
        self.machines.values().all(Provider::is_settled) || (self.is_withdrawing && self.has_given_up)
    }

    /// Returns the status of each provider, by name; `spec` has the central ones.
    pub(super) fn statuses(&self, spec: &Documents<SpecBody>) -> Vec<ProviderStatus> {
        self.statuses_within(spec, REPORTED_RECORDS_BYTES_MAX / self.machines.len().max(1))
    }

    fn statuses_within(&self, spec: &Documents<SpecBody>, bytes_max: usize) -> Vec<ProviderStatus> {
        let status = |(id, machine): (&ProviderId, &Provider)| {
            let key = DocumentKey::Provider(*id);
            machine.status(bytes_max, if machine.is_local() { Generation::ZERO } else { spec.generation(key) })
        };
        let mut statuses: Vec<_> = self.machines.iter().map(status).collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }

    /// Starts a round of every provider: changes that were held back may proceed.
    pub(super) fn begin_again(&mut self) {
        self.machines.values_mut().for_each(|machine| machine.go_round(false));
    }

    /// Returns the provider that waits for the answer to a call.
    fn asking(&self, call: CallId) -> Option<ProviderId> {
        self.machines.iter().find(|(_, machine)| machine.call() == Some(call)).map(|(id, _)| *id)
    }

    /// Describes what each provider is doing, with its id.
    pub(super) fn doing(&self) -> impl Iterator<Item = (ProviderId, String)> {
        self.machines.iter().map(|(id, machine)| (*id, format!("{}: {}", machine.spec().name, machine.doing())))
    }
}

impl Site {
    /// Handles the answer to a call. An unexpected one is ignored and counted.
    pub fn handle_provider(&mut self, call: CallId, reply: ProviderReply, now: Now) {
        let Some(id) = self.providers.asking(call) else {
            self.ignored += 1;
            return;
        };
        self.fetch_what_is_missing(id, &reply);
        self.timers.clear(Timer::CallLate(id));
        let acts = self.drive(id, now, |machine, scope| machine.handle_reply(call, reply, scope));
        self.carry_out(id, acts.unwrap_or_default(), now);
        self.is_status_stale = true;
        self.settle_down(now);
    }

    /// Returns the settings of the running providers.
    pub fn providers(&self) -> Vec<&ProviderSpec> {
        self.providers.machines.values().map(Provider::spec).collect()
    }

    /// Stores the name and version that the plugin of a call reports; arrives before the call's answer.
    pub fn handle_plugin_seen(&mut self, call: CallId, seen: Text) {
        let id = self.providers.asking(call);
        if let Some(machine) = id.and_then(|id| self.providers.machines.get_mut(&id)) {
            machine.see_plugin(seen);
        }
    }

    /// Handles a changed plugin file: it is now in use, or it was rejected for the reason in `Err`.
    pub fn handle_plugin_changed(&mut self, plugin: &linecamp_model::Name, result: Result<Text, Text>, now: Now) {
        let text = match &result {
            Ok(version) => format!("plugin {plugin} is used from here on: {version}"),
            Err(reason) => format!("plugin {plugin} was changed and is not used: {reason}"),
        };
        self.record(linecamp_model::EventKind::PluginChanged, &text, now);
        if result.is_ok() {
            let users = self.providers.machines.values_mut().filter(|machine| machine.spec().plugin.name == *plugin);
            users.for_each(Provider::plugin_changed);
        }
        self.is_status_stale = true;
        self.settle_down(now);
    }

    /// Handles changed secrets or changed access to them: providers that failed without them retry.
    pub fn handle_secrets_changed(&mut self, now: Now) {
        self.providers.machines.values_mut().for_each(Provider::plugin_changed);
        self.is_status_stale = true;
        self.settle_down(now);
    }

    /// Fetches a plugin that the server has and this site lacks.
    fn fetch_what_is_missing(&mut self, id: ProviderId, reply: &ProviderReply) {
        if let ProviderReply::Failed(ProviderFailure::Missing { .. }) = reply
            && let Some(digest) = self.providers.machines.get(&id).and_then(|machine| machine.spec().plugin.digest)
        {
            self.fetch_plugin(digest);
        }
    }

    /// Handles the arrival of a plugin: the providers that wait for it restart.
    pub(super) fn plugin_arrived(&mut self, digest: PluginDigest) {
        let users = self.providers.machines.values_mut();
        users.filter(|machine| machine.spec().plugin.digest == Some(digest)).for_each(Provider::plugin_changed);
    }

    /// Handles a provider's timer.
    pub(super) fn provider_timeout(&mut self, timer: Timer, now: Now) {
        match timer {
            Timer::Round(id) => {
                if let Some(machine) = self.providers.machines.get_mut(&id) {
                    machine.handle_timeout();
                }
            }
            Timer::CallLate(id) => {
                let acts = self.drive(id, now, |machine, scope| Some(machine.handle_silence(scope)));
                self.carry_out(id, acts.unwrap_or_default(), now);
            }
            Timer::Withdraw => self.providers.has_given_up = true,
            _ => {}
        }
        self.is_status_stale = true;
        self.settle_down(now);
    }

    /// Handles the outcome of writing a provider's ownership notes.
    pub(super) fn provider_noted(&mut self, id: ProviderId, is_durable: bool, now: Now) {
        let acts = self.drive(id, now, |machine, scope| {
            Some(if is_durable { machine.handle_noted(scope) } else { machine.handle_note_failed(scope) })
        });
        self.carry_out(id, acts.unwrap_or_default(), now);
        self.is_status_stale = true;
    }

    /// Lets every provider read and plan, and answers the command when all have finished.
    pub(super) fn plan_records(&mut self, command: CommandId, now: Now) {
        let ids: BTreeSet<_> = self.providers.machines.keys().copied().collect();
        self.providers.machines.values_mut().for_each(|machine| machine.go_round(true));
        self.providers.looks.push((command, ids));
        self.drive_all(now);
    }

    /// Adds an ownership note to adopt a name from its current owner.
    pub(super) fn adopt_record(&mut self, command: CommandId, key: OwnedRecordKey, now: Now) {
        let status = self
            .providers
            .machines
            .get(&key.provider)
            .map(|machine| (machine, machine.status(REPORTED_RECORDS_BYTES_MAX, Generation::ZERO)));
        let is_foreign = |status: &ProviderStatus| {
            let mut records = status.records.iter();
            records.any(|held| held.zone == key.zone && held.key == key.record && held.state == RecordState::Conflict)
        };
        match status {
            Some((machine, status)) if is_foreign(&status) => {
                let claim = linecamp_model::Claim { owner: machine.spec().dns.owner.clone(), site: self.site_id() };
                let (ttl, values) = (machine.spec().dns.ttl, BTreeSet::new());
                let note = OwnedRecord { claim, state: Ownership::Adopting, ttl, values };
                let provider = key.provider;
                self.stage(&[SiteChange::OwnedRecord(key, Some(note))], vec![Release::Reply(command)]);
                if let Some(machine) = self.providers.machines.get_mut(&provider) {
                    machine.go_round(false);
                }
            }
            Some(_) | None => {
                let text = format!("{} is not a name that is wanted here and belongs to somebody else", key.record);
                let result = Err(SiteCommandError::Record(Text::lossy(&text)));
                self.outputs.push_back(SiteOutput::Reply { command, result });
            }
        }
        self.is_status_stale = true;
        let _ = now;
    }

    /// Reconciles the providers with their configuration and desired records, and starts those with work to do.
    pub(super) fn reconcile_providers(&mut self, now: Now) {
        let specs = self.provider_specs();
        if specs.is_empty() && self.providers.machines.is_empty() && self.ledger.state().held.is_empty() {
            return;
        }
        let Some((site_name, environment, target)) = self.site_spec().map(place_of) else { return };
        self.apply_withdraw(target == Target::Removed, now);
        let hosts = self.host_inputs(target);
        let gone: Vec<_> = self.providers.machines.keys().filter(|id| !specs.contains_key(id)).copied().collect();
        for id in gone {
            self.providers.machines.remove(&id);
            self.timers.clear(Timer::Round(id));
            self.timers.clear(Timer::CallLate(id));
        }
        let mut is_new_want = false;
        for (id, (mut spec, is_local)) in specs {
            spec.is_withdrawing |= target == Target::Removed;
            let held = self.ledger.state().held.keys().filter(|key| key.provider == id).map(|key| key.zone.clone());
            let mut zones: BTreeMap<DomainName, Wanted> = held.map(|zone| (zone, Wanted::default())).collect();
            for zone in &spec.dns.zones {
                let at = At { site: &site_name, environment: &environment, zone };
                let should = if spec.is_withdrawing { Wanted::default() } else { wanted(&spec.dns, at, &hosts) };
                zones.insert(zone.clone(), should);
            }
            let is_new = !self.providers.machines.contains_key(&id);
            let machine = self.providers.machines.entry(id).or_insert_with(|| Provider::new(spec.clone(), is_local));
            machine.configure(spec, is_local);
            is_new_want |= machine.want(zones);
            if let (true, Some(StatusBody::Provider(status))) =
                (is_new, self.ledger.state().status.body(DocumentKey::Provider(id)))
            {
                machine.remember(status);
            }
            machine.restore_pending(self.ledger.state().held.keys());
        }
        if is_new_want {
            // Another provider may be waiting for a record set that this one no longer wants.
            self.providers.begin_again();
        }
        self.drive_all(now);
        self.provider_conditions(now);
    }

    fn drive_all(&mut self, now: Now) {
        let ready: Vec<_> =
            self.providers.machines.iter().filter(|(_, machine)| machine.is_ready()).map(|(id, _)| *id).collect();
        for id in ready {
            let acts = self.drive(id, now, |machine, scope| Some(machine.begin(scope)));
            self.carry_out(id, acts.unwrap_or_default(), now);
        }
        self.answer_looks();
    }

    /// Answers the commands whose plan is complete.
    fn answer_looks(&mut self) {
        let machines = &self.providers.machines;
        let is_over = |id: &ProviderId| machines.get(id).is_none_or(|machine| !machine.is_looking());
        let (over, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.providers.looks).into_iter().partition(|(_, ids)| ids.iter().all(is_over));
        self.providers.looks = open;
        for (command, _) in over {
            self.outputs.push_back(SiteOutput::Reply { command, result: Ok(()) });
        }
    }

    fn drive<T>(
        &mut self,
        id: ProviderId,
        now: Now,
        input: impl FnOnce(&mut Provider, &mut Scope<'_>) -> Option<T>,
    ) -> Option<T> {
        let site = self.site_id();
        let may_change = !self.is_store_failing();
        let Providers { machines, last_call, .. } = &mut self.providers;
        let mut machine = machines.remove(&id)?;
        let mut scope = Scope {
            site,
            run: self.config.run,
            held: &self.ledger.state().held,
            others: machines,
            calls: last_call,
            rng: &mut self.rng,
            now: now.instant,
            wall: now.wall,
            may_change,
        };
        let result = input(&mut machine, &mut scope);
        machines.insert(id, machine);
        result
    }

    fn carry_out(&mut self, id: ProviderId, acts: Vec<Act>, now: Now) {
        for act in acts {
            match act {
                Act::Call { call, request } => {
                    let Some(machine) = self.providers.machines.get(&id) else { continue };
                    let (provider, is_local) = (Box::new(machine.spec().clone()), machine.is_local());
                    self.timers.set(Timer::CallLate(id), now.instant + CALL_MAX);
                    self.timers.clear(Timer::Round(id));
                    self.outputs.push_back(SiteOutput::Call { call, provider, is_local, request });
                }
                Act::Note(notes) => {
                    let changes: Vec<_> =
                        notes.into_iter().map(|(key, note)| SiteChange::OwnedRecord(key, note)).collect();
                    self.stage(&changes, vec![Release::Noted(id)]);
                }
                Act::Wait(delay) => self.timers.set(Timer::Round(id), now.instant + delay),
                Act::Event(kind, text) => self.record(kind, text.as_str(), now),
            }
        }
    }

    /// Returns the status of each provider, including providers that are no longer configured but have left records: an
    /// operator who removes the site sees there what remains.
    pub(super) fn reported_providers(&self) -> Vec<ProviderStatus> {
        let state = self.ledger.state();
        let (specs, machines) = (self.provider_specs(), &self.providers.machines);
        let notes = state.held.keys().filter(|key| !specs.contains_key(&key.provider));
        let gone: BTreeSet<_> = notes.map(|key| key.provider).filter(|id| !machines.contains_key(id)).collect();
        let gone: Vec<_> = gone.into_iter().take(PROVIDERS_PER_SITE_MAX.saturating_sub(machines.len())).collect();
        let bytes_max = REPORTED_RECORDS_BYTES_MAX / (machines.len() + gone.len()).max(1);
        let mut statuses = self.providers.statuses_within(&state.spec, bytes_max);
        // Its name comes from its last status.
        let last = gone.iter().filter_map(|id| match state.status.body(DocumentKey::Provider(*id)) {
            Some(StatusBody::Provider(last)) => Some((*id, last)),
            Some(StatusBody::Site(_) | StatusBody::Host(_)) | None => None,
        });
        statuses.extend(last.map(|(id, last)| {
            let notes = state.held.keys().filter(|key| key.provider == id);
            crate::dns::status_of_gone(last, notes, bytes_max)
        }));
        statuses
    }

    fn provider_specs(&self) -> BTreeMap<ProviderId, (ProviderSpec, bool)> {
        let own = self.config.providers.iter().map(|spec| (ProviderId::of(&spec.name), (spec.clone(), true)));
        let mut specs: BTreeMap<_, _> = own.collect();
        let documents = &self.ledger.state().spec;
        for key in documents.keys() {
            if let Some(SpecBody::Provider(spec)) = documents.body(key)
                && specs.len() < PROVIDERS_PER_SITE_MAX
            {
                specs.entry(ProviderId::of(&spec.name)).or_insert_with(|| ((**spec).clone(), false));
            }
        }
        specs
    }

    fn host_inputs(&self, site_target: Target) -> Vec<HostInput> {
        let input = |host: linecamp_model::LocalHostView| {
            let target = if site_target == Target::Active { host.target? } else { site_target };
            let observed = self.ledger.state().observed.filter(|_| host.origin == linecamp_model::Origin::Gateway);
            Some(HostInput { name: host.name?, target, labels: host.labels, observed })
        };
        self.hosts().into_iter().filter_map(input).collect()
    }

    /// Persists the address that the server observed for the site: DNS records may use it while the server is
    /// unreachable.
    pub(super) fn note_observed(&mut self, address: &Text) {
        let address = address.as_str();
        let observed = address.parse::<SocketAddr>().map(|at| at.ip()).or_else(|_| address.parse()).ok();
        let observed = observed.map(|at: IpAddr| at.to_canonical());
        if observed.is_some() && observed != self.ledger.state().observed {
            self.stage(&[SiteChange::ObservedAddress(observed)], Vec::new());
        }
    }

    fn apply_withdraw(&mut self, is_withdrawing: bool, now: Now) {
        if is_withdrawing && !self.providers.is_withdrawing {
            self.timers.set(Timer::Withdraw, now.instant + WITHDRAW_MAX);
        } else if !is_withdrawing {
            self.timers.clear(Timer::Withdraw);
            self.providers.has_given_up = false;
        }
        self.providers.is_withdrawing = is_withdrawing;
    }

    fn provider_conditions(&mut self, now: Now) {
        for kind in [ConditionKind::PluginFailed, ConditionKind::ProviderFailed] {
            let failures = self.providers.machines.values().filter_map(Provider::failure);
            let texts: Vec<_> = failures.filter(|failure| failure.kind == kind).map(|t| t.text.to_string()).collect();
            self.level(kind, named(&texts), now);
        }
        let statuses = self.providers.statuses(&self.ledger.state().spec);
        let in_state = |state| {
            let records = statuses.iter().flat_map(|status| &status.records).filter(move |held| held.state == state);
            records.map(|held| format!("{}: {}", held.key, held.detail)).collect::<Vec<_>>()
        };
        self.level(ConditionKind::RecordConflict, named(&in_state(RecordState::Conflict)), now);
        let mut aside = in_state(RecordState::Quarantined);
        aside.extend(self.providers.machines.values().flat_map(Provider::nameless).map(Text::to_string));
        self.level(ConditionKind::RecordQuarantined, named(&aside), now);
        let mut held = in_state(RecordState::Retained);
        let orphans =
            self.ledger.state().held.keys().filter(|key| !self.providers.machines.contains_key(&key.provider));
        held.extend(orphans.map(|key| {
            format!("{}: its provider is not configured any more: put it back with `withdraw = true`", key.record)
        }));
        self.level(ConditionKind::RecordsRetained, named(&held), now);
    }

    fn site_id(&self) -> linecamp_model::SiteId {
        self.identity.map_or(linecamp_model::SiteId::from_bytes([0; 16]), |identity| identity.site)
    }
}

fn place_of(spec: &linecamp_model::SiteSpec) -> (linecamp_model::Name, linecamp_model::Name, Target) {
    (spec.name.clone(), spec.environment.clone(), spec.target)
}

/// Joins the first few of `texts` and counts the rest; `None` if there are none.
pub(super) fn named(texts: &[String]) -> Option<Text> {
    let words = texts.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = texts.len().saturating_sub(NAMED_MAX);
    let more = if 0 < more { format!("; and {more} more") } else { String::new() };
    (!texts.is_empty()).then(|| Text::lossy(&format!("{words}{more}")))
}
