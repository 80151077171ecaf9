//! The wiring of a site's providers: [`providers`](crate::providers) and [`dns`](crate::dns) hold the rules.

use std::net::{IpAddr, SocketAddr};

use linecamp_model::{
    CallId, CommandId, EventKind, LocalHostView, Name, Now, Origin, OwnedRecordKey, PluginDigest, ProviderId,
    ProviderReply, ProviderSpec, ProviderStatus, SiteChange, SiteId, Target, Text,
};

use super::{Release, Site, SiteCommandError, SiteOutput, Timer, WITHDRAW_MAX};
use crate::calls::{CALL_MAX, Effect};
use crate::dns::{Context, DnsEffect, HostInput, Reconciler};
use crate::providers::{Configured, Environment, SiteInput, WithdrawDeadline, configured};

/// How many records, facts or plugins a condition names; the rest is counted.
const NAMED_MAX: usize = 3;

impl Site {
    /// Handles the answer to a call. An unexpected one is ignored and counted.
    pub fn handle_provider(&mut self, call: CallId, reply: ProviderReply, now: Now) {
        let Some(id) = self.providers.caller(call) else {
            self.ignored += 1;
            return;
        };
        if let Some(digest) = self.providers.missing_plugin(id, &reply) {
            self.fetch_plugin(digest);
        }
        self.timers.clear(Timer::CallLate(id));
        self.drive(id, now, |machine, context| machine.handle_reply(call, reply, context).unwrap_or_default());
        self.providers_changed(now);
    }

    /// Returns the settings of the running providers.
    pub fn providers(&self) -> Vec<&ProviderSpec> {
        self.providers.specs().collect()
    }

    /// Stores the name and version that the plugin of a call reports; arrives before the call's answer.
    pub fn handle_plugin_seen(&mut self, call: CallId, seen: Text) {
        self.providers.set_plugin(call, seen);
    }

    /// Handles a changed plugin file: it is now in use, or it was rejected for the reason in `Err`.
    pub fn handle_plugin_changed(&mut self, plugin: &Name, result: Result<Text, Text>, now: Now) {
        let text = match &result {
            Ok(version) => format!("plugin {plugin} is used from here on: {version}"),
            Err(reason) => format!("plugin {plugin} was changed and is not used: {reason}"),
        };
        self.record(EventKind::PluginChanged, &text, now);
        if result.is_ok() {
            self.providers.handle_plugin_changed(|spec| spec.plugin.name == *plugin);
        }
        self.providers_changed(now);
    }

    /// Handles changed secrets or changed access to them: providers that failed without them retry.
    pub fn handle_secrets_changed(&mut self, now: Now) {
        self.providers.handle_plugin_changed(|_| true);
        self.providers_changed(now);
    }

    /// Handles the arrival of a plugin: the providers that wait for it restart.
    pub(super) fn plugin_arrived(&mut self, digest: PluginDigest) {
        self.providers.handle_plugin_changed(|spec| spec.plugin.digest == Some(digest));
    }

    /// Handles the timer of a provider's next round or retry.
    pub(super) fn handle_round_due(&mut self, id: ProviderId, now: Now) {
        self.providers.handle_timeout(id);
        self.providers_changed(now);
    }

    /// Handles the deadline of a provider's call.
    pub(super) fn handle_call_late(&mut self, id: ProviderId, now: Now) {
        self.drive(id, now, |machine, context| machine.handle_unanswered(context));
        self.providers_changed(now);
    }

    /// Handles the withdraw deadline of a removed site.
    pub(super) fn handle_withdraw_expired(&mut self, now: Now) {
        self.providers.handle_withdraw_expired();
        self.providers_changed(now);
    }

    fn providers_changed(&mut self, now: Now) {
        self.is_status_stale = true;
        self.settle_down(now);
    }

    /// Handles the outcome of writing a provider's ownership notes.
    pub(super) fn provider_noted(&mut self, id: ProviderId, is_durable: bool, now: Now) {
        self.drive(id, now, |machine, context| match is_durable {
            true => machine.handle_noted(context),
            false => machine.handle_note_failed(context),
        });
        self.is_status_stale = true;
    }

    /// Lets every provider observe and plan, and answers the command when all have finished.
    pub(super) fn plan_records(&mut self, command: CommandId, now: Now) {
        self.providers.request_preview(command);
        self.begin_rounds(now);
    }

    /// Adds an ownership note to adopt a name from its current owner.
    pub(super) fn adopt_record(&mut self, command: CommandId, key: OwnedRecordKey) {
        match self.providers.adoption(&key, self.site_id()) {
            Ok(note) => {
                let provider = key.provider;
                self.stage(&[SiteChange::OwnedRecord(key, Some(note))], vec![Release::Reply(command)]);
                self.providers.request_round(provider);
            }
            Err(reason) => {
                let result = Err(SiteCommandError::Record(reason));
                self.outputs.push_back(SiteOutput::Reply { command, result });
            }
        }
        self.is_status_stale = true;
    }

    /// Reconciles the providers with their configuration and desired records, and starts those with work to do.
    pub(super) fn reconcile_providers(&mut self, now: Now) {
        let configured = self.configured_providers();
        if configured.is_empty() && self.providers.is_empty() && self.ledger.state().held.is_empty() {
            return;
        }
        let Some(spec) = self.site_spec() else { return };
        let (name, environment, target) = (spec.name.clone(), spec.environment.clone(), spec.target);
        let is_removed = target == Target::Removed;
        match self.providers.set_withdrawing(is_removed) {
            WithdrawDeadline::Start => self.timers.set(Timer::Withdraw, now.instant + WITHDRAW_MAX),
            WithdrawDeadline::Keep => {}
            WithdrawDeadline::Clear => self.timers.clear(Timer::Withdraw),
        }
        for id in self.providers.remove_others(&configured) {
            self.timers.clear(Timer::Round(id));
            self.timers.clear(Timer::CallLate(id));
        }
        let hosts = self.host_inputs(target);
        let state = self.ledger.state();
        let (name, environment) = (&name, &environment);
        let (owned, reported) = (&state.held, &state.status);
        let site = SiteInput { name, environment, hosts: &hosts, is_removed, owned, reported };
        self.providers.configure(configured, &site);
        self.begin_rounds(now);
        let state = self.ledger.state();
        for (kind, concerned) in self.providers.conditions(&state.spec, &state.held) {
            self.level(kind, named(&concerned), now);
        }
    }

    /// Starts the rounds that are due, and answers the commands whose plan is complete.
    fn begin_rounds(&mut self, now: Now) {
        for id in self.providers.ready() {
            self.drive(id, now, |machine, context| machine.begin_round(context));
        }
        for command in self.providers.take_complete_previews() {
            self.outputs.push_back(SiteOutput::Reply { command, result: Ok(()) });
        }
    }

    /// Passes an input to a provider and executes what it requests.
    fn drive(
        &mut self,
        id: ProviderId,
        now: Now,
        input: impl FnOnce(&mut Reconciler, &mut Context<'_>) -> Vec<DnsEffect>,
    ) {
        let environment = Environment {
            site: self.site_id(),
            run: self.config.run,
            may_change: !self.is_store_failing(),
            owned: &self.ledger.state().held,
            rng: &mut self.rng,
            now,
        };
        for effect in self.providers.drive(id, environment, input).unwrap_or_default() {
            self.execute(id, effect, now);
        }
    }

    fn execute(&mut self, id: ProviderId, effect: DnsEffect, now: Now) {
        match effect {
            Effect::Call { call, request } => {
                let Some((spec, is_local)) = self.providers.spec(id) else { return };
                let provider = Box::new(spec.clone());
                self.timers.set(Timer::CallLate(id), now.instant + CALL_MAX);
                self.timers.clear(Timer::Round(id));
                self.outputs.push_back(SiteOutput::Call { call, provider, is_local, request });
            }
            Effect::Note(notes) => {
                let changes = notes.into_iter().map(|(key, note)| SiteChange::OwnedRecord(key, note));
                self.stage(&changes.collect::<Vec<_>>(), vec![Release::Noted(id)]);
            }
            Effect::Wait(delay) => self.timers.set(Timer::Round(id), now.instant + delay),
            Effect::Event(kind, text) => self.record(kind, text.as_str(), now),
        }
    }

    /// Returns the status of each provider, including providers that are no longer configured but have left records.
    pub(super) fn reported_providers(&self) -> Vec<ProviderStatus> {
        let state = self.ledger.state();
        let configured = self.configured_providers();
        self.providers.statuses_with_removed(&configured, (&state.held, &state.spec), &state.status)
    }

    fn configured_providers(&self) -> Configured {
        configured(&self.config.providers, &self.ledger.state().spec)
    }

    fn host_inputs(&self, site_target: Target) -> Vec<HostInput> {
        let input = |host: LocalHostView| {
            let target = if site_target == Target::Active { host.target? } else { site_target };
            let observed = self.ledger.state().observed.filter(|_| host.origin == Origin::Gateway);
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

    fn site_id(&self) -> SiteId {
        self.identity.map_or(SiteId::from_bytes([0; 16]), |identity| identity.site)
    }
}

/// Joins the first few of `texts` and counts the rest; `None` if there are none.
pub(super) fn named(texts: &[String]) -> Option<Text> {
    let words = texts.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join("; ");
    let more = texts.len().saturating_sub(NAMED_MAX);
    let more = if 0 < more { format!("; and {more} more") } else { String::new() };
    (!texts.is_empty()).then(|| Text::lossy(&format!("{words}{more}")))
}
