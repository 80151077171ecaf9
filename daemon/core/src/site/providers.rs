//! The providers of this site: turns what [`providers`](crate::providers) decide into outputs, timers and changes.

use std::net::{IpAddr, SocketAddr};

use linecamp_model::{
    CallId, CommandId, EventKind, HostId, LocalHostView, MemberKind, Name, Now, Origin, OwnedRecordKey, PartState,
    PluginDigest, ProviderId, ProviderReply, ProviderSpec, ProviderStatus, RunId, SiteChange, SiteId, Target, Text,
};

use super::command::SiteCommandError;
use super::config::SiteIdentity;
use super::config::WITHDRAW_MAX;
use super::documents::SiteDocuments;
use super::effects::{Effects, Release};
use super::output::{SiteOutput, Timer};
use super::plugins::PluginTransfers;
use super::state::SiteState;
use super::text::named;
use crate::dns::{Context, DnsEffect, HostInput, Reconciler};
use crate::provider_calls::{CALL_MAX, Effect};
use crate::providers::{Configured, Environment, Providers, SiteInput, WithdrawDeadline, configured};

/// The providers of a site.
#[derive(Clone, Debug)]
pub(super) struct SiteProviders {
    machines: Providers,
    /// The providers from the site's own configuration.
    own: Vec<ProviderSpec>,
    run: RunId,
    /// The id of the site; zero before it has joined.
    site: SiteId,
    /// The host that runs the daemon, if it is the site's gateway.
    gateway: Option<HostId>,
}

impl SiteProviders {
    /// Starts without a running provider.
    pub(super) fn new(own: Vec<ProviderSpec>, run: RunId, identity: Option<SiteIdentity>) -> Self {
        let site = SiteId::from_bytes([0; 16]);
        let mut providers = Self { machines: Providers::default(), own, run, site, gateway: None };
        providers.set_identity(identity);
        providers
    }

    /// Sets the identity of the site; `None` before it has joined.
    pub(super) fn set_identity(&mut self, identity: Option<SiteIdentity>) {
        if let Some(identity) = identity.filter(|identity| identity.kind == MemberKind::Site) {
            (self.site, self.gateway) = (identity.site, Some(identity.host));
        }
    }

    /// Handles the answer to a call. An unexpected one is ignored and counted. A missing plugin is fetched from the
    /// server; while it is being downloaded, the provider waits and looks again, unless the plugin arrives before.
    pub(super) fn handle_reply(
        &mut self,
        (call, reply): (CallId, ProviderReply),
        plugins: &mut PluginTransfers,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(id) = self.machines.caller(call) else { return effects.ignore() };
        effects.clear_timer(Timer::CallLate(id));
        let missing = self.machines.missing_plugin(id, &reply);
        let wait = missing.and_then(|digest| plugins.begin(digest, now, effects));
        self.drive(id, now, effects, |machine, context| match wait {
            Some(wait) => machine.wait_for_plugin(call, wait),
            None => machine.handle_reply(call, reply, context).unwrap_or_default(),
        });
        effects.touch_status();
    }

    /// Returns the settings of a provider that waits for its plugin.
    pub(super) fn waiting_for_plugin(&self, id: ProviderId) -> Option<&ProviderSpec> {
        self.machines.waiting_for_plugin(id)
    }

    /// Stores the name and version that the plugin of a call reports.
    pub(super) fn set_plugin(&mut self, call: CallId, described: Text) {
        self.machines.set_plugin(call, described);
    }

    /// Handles a changed plugin file: it is now in use, or it was rejected for the reason in `Err`.
    pub(super) fn handle_plugin_changed(
        &mut self,
        plugin: &Name,
        result: Result<Text, Text>,
        now: Now,
        effects: &mut Effects,
    ) {
        let text = match &result {
            Ok(version) => format!("plugin {plugin} is used from now on: {version}"),
            Err(reason) => format!("plugin {plugin} was changed and is not used: {reason}"),
        };
        effects.record(EventKind::PluginChanged, &text, now);
        if result.is_ok() {
            self.machines.handle_plugin_changed(|spec| spec.plugin.name == *plugin);
        }
        effects.touch_status();
    }

    /// Handles changed secrets or changed access to them: providers that failed without them retry.
    pub(super) fn handle_secrets_changed(&mut self, effects: &mut Effects) {
        self.machines.handle_plugin_changed(|_| true);
        effects.touch_status();
    }

    /// Handles the end of a plugin's download, also of one that failed: the providers that wait for it restart.
    pub(super) fn handle_plugin_arrived(&mut self, digest: PluginDigest) {
        self.machines.handle_plugin_changed(|spec| spec.plugin.digest == Some(digest));
    }

    /// Handles the timer of a provider's next round or retry.
    pub(super) fn handle_round_due(&mut self, id: ProviderId, effects: &mut Effects) {
        self.machines.handle_timeout(id);
        effects.touch_status();
    }

    /// Handles the deadline of a provider's call.
    pub(super) fn handle_call_late(&mut self, id: ProviderId, now: Now, effects: &mut Effects) {
        self.drive(id, now, effects, |machine, context| machine.handle_unanswered(context));
        effects.touch_status();
    }

    /// Handles the withdraw deadline of a removed site.
    pub(super) const fn handle_withdraw_expired(&mut self, effects: &mut Effects) {
        self.machines.handle_withdraw_expired();
        effects.touch_status();
    }

    /// Handles the outcome of writing a provider's ownership notes.
    pub(super) fn handle_noted(&mut self, id: ProviderId, is_durable: bool, now: Now, effects: &mut Effects) {
        self.drive(id, now, effects, |machine, context| match is_durable {
            true => machine.handle_noted(context),
            false => machine.handle_note_failed(context),
        });
        effects.touch_status();
    }

    /// Handles releases of failed writes: ownership notes among them are not durable.
    pub(super) fn handle_failed(&mut self, releases: &[Release], now: Now, effects: &mut Effects) {
        for release in releases {
            if let Release::Noted(id) = release {
                self.handle_noted(*id, false, now, effects);
            }
        }
    }

    /// Requests a round of every provider: changes that were held back may proceed.
    pub(super) fn request_rounds(&mut self) {
        self.machines.request_rounds();
    }

    /// Lets every provider observe and plan, and answers the command when all have finished.
    pub(super) fn plan_records(&mut self, command: CommandId, now: Now, effects: &mut Effects) {
        self.machines.request_preview(command);
        self.begin_rounds(now, effects);
    }

    /// Adds an ownership note to adopt a name from its current owner.
    pub(super) fn adopt_record(&mut self, command: CommandId, key: OwnedRecordKey, effects: &mut Effects) {
        match self.machines.adoption(&key, self.site) {
            Ok(note) => {
                let provider = key.provider;
                effects.stage(&[SiteChange::OwnedRecord(key, Some(note))], vec![Release::Reply(command)]);
                self.machines.request_round(provider);
            }
            Err(reason) => effects.reply(command, Err(SiteCommandError::Record(reason))),
        }
        effects.touch_status();
    }

    /// Reconciles the providers with their configuration and desired records, and starts those with work to do.
    pub(super) fn reconcile(&mut self, now: Now, effects: &mut Effects) {
        let configured = self.configured(effects.state());
        if configured.is_empty() && self.machines.is_empty() && effects.state().held.is_empty() {
            return;
        }
        let Some(spec) = gateway_documents(effects.state(), self.gateway).site_spec() else { return };
        let (name, environment, target) = (spec.name.clone(), spec.environment.clone(), spec.target);
        let is_removed = target == Target::Removed;
        match self.machines.set_withdrawing(is_removed) {
            WithdrawDeadline::Start => effects.set_timer(Timer::Withdraw, now, WITHDRAW_MAX),
            WithdrawDeadline::Keep => {}
            WithdrawDeadline::Clear => effects.clear_timer(Timer::Withdraw),
        }
        for id in self.machines.remove_others(&configured) {
            effects.clear_timer(Timer::Round(id));
            effects.clear_timer(Timer::CallLate(id));
        }
        let state = effects.state();
        let hosts = host_inputs(state, self.gateway, target);
        let (name, environment, owned, reported) = (&name, &environment, &state.held, &state.status);
        let site = SiteInput { name, environment, hosts: &hosts, is_removed, owned, reported };
        self.machines.configure(configured, &site);
        self.begin_rounds(now, effects);
        let state = effects.state();
        for (kind, concerned) in self.machines.conditions(&state.spec, &state.held) {
            effects.set_condition(kind, named(&concerned), now);
        }
        effects.set_failing_providers(&self.machines.failing(), now);
    }

    /// Returns the status of each provider, including providers that are no longer configured but have left records.
    pub(super) fn reported(&self, state: &SiteState) -> Vec<ProviderStatus> {
        let configured = self.configured(state);
        self.machines.statuses_with_removed(&configured, (&state.held, &state.spec), &state.status)
    }

    /// Returns the status of each running provider.
    pub(super) fn statuses(&self, state: &SiteState) -> Vec<ProviderStatus> {
        self.machines.statuses(&state.spec)
    }

    /// Whether every provider is settled, or the withdraw deadline has passed.
    pub(super) fn is_settled(&self) -> bool {
        self.machines.is_settled()
    }

    /// Returns the settings of the running providers.
    pub(super) fn specs(&self) -> impl Iterator<Item = &ProviderSpec> {
        self.machines.specs()
    }

    /// Whether a provider uses the plugin with this digest.
    pub(super) fn needs(&self, digest: PluginDigest) -> bool {
        self.specs().any(|spec| spec.plugin.digest == Some(digest))
    }

    /// Describes what each provider is doing, with its id.
    pub(super) fn describe(&self) -> impl Iterator<Item = (ProviderId, (PartState, String))> {
        self.machines.describe()
    }

    /// Starts the rounds that are due, and answers the commands whose plan is complete.
    fn begin_rounds(&mut self, now: Now, effects: &mut Effects) {
        for id in self.machines.ready() {
            self.drive(id, now, effects, |machine, context| machine.begin_round(context));
        }
        for command in self.machines.take_complete_previews() {
            effects.reply(command, Ok(()));
        }
    }

    /// Passes an input to a provider and executes what it requests.
    fn drive(
        &mut self,
        id: ProviderId,
        now: Now,
        effects: &mut Effects,
        input: impl FnOnce(&mut Reconciler, &mut Context<'_>) -> Vec<DnsEffect>,
    ) {
        let may_change = !effects.is_store_failing();
        let (state, rng) = effects.state_and_rng();
        let environment = Environment { site: self.site, run: self.run, may_change, owned: &state.held, rng, now };
        for effect in self.machines.drive(id, environment, input).unwrap_or_default() {
            self.execute(id, effect, now, effects);
        }
    }

    fn execute(&self, id: ProviderId, effect: DnsEffect, now: Now, effects: &mut Effects) {
        match effect {
            Effect::Call { call, request } => {
                let Some((spec, is_local)) = self.machines.spec(id) else { return };
                debug_assert_eq!(self.machines.caller(call), Some(id), "a call has one owner");
                let provider = Box::new(spec.clone());
                effects.set_timer(Timer::CallLate(id), now, CALL_MAX);
                effects.clear_timer(Timer::Round(id));
                effects.output(SiteOutput::Call { call, provider, is_local, request });
            }
            Effect::Note(notes) => {
                let changes = notes.into_iter().map(|(key, note)| SiteChange::OwnedRecord(key, note));
                effects.stage(&changes.collect::<Vec<_>>(), vec![Release::Noted(id)]);
            }
            Effect::Wait(delay) => effects.set_timer(Timer::Round(id), now, delay),
            Effect::Event(kind, text) => effects.record(kind, text.as_str(), now),
        }
    }

    fn configured(&self, state: &SiteState) -> Configured {
        configured(&self.own, &state.spec)
    }
}

fn host_inputs(state: &SiteState, gateway: Option<HostId>, site_target: Target) -> Vec<HostInput> {
    let input = |host: LocalHostView| {
        let target = match host.target? {
            Target::Removed => Target::Removed,
            target if site_target == Target::Active => target,
            _ => site_target,
        };
        let observed = state.observed.filter(|_| host.origin == Origin::Gateway);
        Some(HostInput { name: host.name?, target, labels: host.labels, observed })
    };
    gateway_documents(state, gateway).hosts().into_iter().filter_map(input).collect()
}

fn gateway_documents(state: &SiteState, gateway: Option<HostId>) -> SiteDocuments<'_> {
    SiteDocuments::new(state, gateway.map(|gateway| (MemberKind::Site, gateway)))
}

/// Persists the address that the server observed for the site: DNS records may use it while the server is unreachable.
pub(super) fn note_observed_address(address: &Text, effects: &mut Effects) {
    let address = address.as_str();
    let observed = address.parse::<SocketAddr>().map(|at| at.ip()).or_else(|_| address.parse()).ok();
    let observed = observed.map(|at: IpAddr| at.to_canonical());
    if observed.is_some() && observed != effects.state().observed {
        effects.stage(&[SiteChange::ObservedAddress(observed)], Vec::new());
    }
}
