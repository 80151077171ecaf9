//! What a site shows locally, also while the server is unreachable.

use linecamp_model::{
    Generation, LinkView, LocalHostView, LocalView, Now, PartState, ProviderId, ProviderSpec, Text, Why,
};

use super::Site;
use super::authorities::TrustedAuthorities;
use super::certificate::Certificate;
use super::config::SiteConfig;
use super::documents::SiteDocuments;
use super::effects::Effects;
use super::facts::FactCollection;
use super::hosts::Hosts;
use super::output::Timer;
use super::plugins::PluginTransfers;
use super::providers::SiteProviders;
use super::replication::Replication;
use super::uplink::Uplink;
use crate::convergence::is_converged;

impl Site {
    /// Returns the local view of the site.
    pub fn view(&self, now: Now) -> LocalView {
        self.overview().view(now)
    }

    /// Describes what each part is doing and what it waits for.
    pub fn why(&self, now: Now) -> Vec<Why> {
        self.overview().why(now)
    }

    /// Returns the settings of the running providers.
    pub fn providers(&self) -> Vec<&ProviderSpec> {
        self.providers.specs().collect()
    }

    const fn overview(&self) -> Overview<'_> {
        let Self { config, effects, uplink, replication, certificate, authorities, .. } = self;
        let Self { facts, plugins, providers, hosts, .. } = self;
        Overview { config, effects, uplink, replication, certificate, authorities, facts, plugins, providers, hosts }
    }
}

/// The parts of a site, to be shown.
#[derive(Debug)]
struct Overview<'a> {
    config: &'a SiteConfig,
    effects: &'a Effects,
    uplink: &'a Uplink,
    replication: &'a Replication,
    certificate: &'a Certificate,
    authorities: &'a TrustedAuthorities,
    facts: &'a FactCollection,
    plugins: &'a PluginTransfers,
    providers: &'a SiteProviders,
    hosts: &'a Hosts,
}

impl Overview<'_> {
    /// Returns the local view of the site.
    fn view(&self, now: Now) -> LocalView {
        let state = self.effects.state();
        let documents = self.documents();
        let spec = documents.site_spec();
        let (known, configured) = self.uplink.servers();
        LocalView {
            id: self.certificate.site(),
            name: documents.name().cloned(),
            environment: spec.map(|spec| spec.environment.clone()),
            target: documents.target(),
            link: self.uplink.view(now),
            link_doing: Text::lossy(&self.uplink.doing()),
            servers: known.clone(),
            configured_servers: configured.to_vec(),
            labels: documents.site_labels(),
            applied_generation: state.spec.head(),
            converged_generation: documents.converged(),
            daemon_version: self.config.daemon_version.clone(),
            certificate_expires_at: self.certificate.identity().map(|identity| identity.not_after),
            outbox_events: state.events.len() as u64,
            events_dropped: state.origin.unwrap_or_default().events_dropped,
            hosts: documents.hosts().into_iter().map(|host| self.with_link(host)).collect(),
            conditions: self.effects.conditions().list(),
            providers: self.providers.statuses(state),
        }
    }

    /// Adds its link with this gateway to a host that joined it.
    fn with_link(&self, host: LocalHostView) -> LocalHostView {
        let link = self.hosts.link(host.id).map(|link| LinkView {
            state: link.state(),
            since: link.since(),
            address: link.address().clone(),
        });
        LocalHostView { link, ..host }
    }

    /// Describes what each part is doing and what it waits for.
    fn why(&self, now: Now) -> Vec<Why> {
        let part = |part, (state, detail), next| Why { part, state, detail, next };
        let next = |timer, what: &str| {
            let deadline = self.effects.deadline(timer)?;
            Some((now.wall + deadline.saturating_since(now.instant), what.to_owned()))
        };
        let link_timer = next(Timer::DialLate, "gives up this try")
            .or_else(|| next(Timer::GreetingLate, "gives up this try"))
            .or_else(|| next(Timer::Redial, "dials"));
        let certificate_timer =
            next(Timer::SaveIdentity, "saves it again").or_else(|| next(Timer::Renew, "asks for a new one"));
        let certificate = match self.effects.deadline(Timer::SaveIdentity) {
            Some(_) => (PartState::Failing, self.certificate.describe()),
            None if self.certificate.site().is_none() => (PartState::Waiting, self.certificate.describe()),
            None => (PartState::Ok, self.certificate.describe()),
        };
        let facts = self.facts.describe(&self.documents().reported_facts());
        let parts = vec![
            part("link", (self.uplink.part_state(), self.uplink.doing()), link_timer),
            part("servers", self.uplink.describe_servers(), next(Timer::SaveServers, "saves them again")),
            part("spec", describe_spec(self.effects, &self.documents(), self.providers.is_settled()), None),
            part("status", describe_status(self.effects, self.replication.status_held()), None),
            part("events", describe_events(self.effects), None),
            part("store", describe_store(self.effects), next(Timer::StoreRetry, "tries the disk again")),
            part("facts", facts, next(Timer::Facts, "collects facts")),
            part("certificate", certificate, certificate_timer),
            part("authorities", self.authorities.describe(), next(Timer::SaveAuthorities, "saves them again")),
        ];
        let providers = self.providers.describe().map(|(id, described)| {
            let described = self.describe_download(id).unwrap_or(described);
            let waits =
                next(Timer::CallLate(id), "gives up this call").or_else(|| next(Timer::Round(id), "observes again"));
            part("provider", described, waits)
        });
        parts.into_iter().chain(providers).collect()
    }

    /// Describes the download that a provider waits for.
    fn describe_download(&self, id: ProviderId) -> Option<(PartState, String)> {
        let spec = self.providers.waiting_for_plugin(id)?;
        let (name, plugin) = (&spec.name, &spec.plugin.name);
        let progress = self.plugins.progress(spec.plugin.digest?)?;
        Some((PartState::Waiting, format!("{name}: downloading plugin {plugin}, {progress}")))
    }

    fn documents(&self) -> SiteDocuments<'_> {
        SiteDocuments::new(self.effects.state(), self.certificate.member())
    }
}

/// `is_settled` says whether every provider was last observed in its desired state.
fn describe_spec(effects: &Effects, documents: &SiteDocuments<'_>, is_settled: bool) -> (PartState, String) {
    let (head, converged) = (effects.state().spec.head(), documents.converged());
    match (is_converged(head, converged), is_settled) {
        (true, true) => (PartState::Ok, format!("holds {head}, applied and converged")),
        (true, false) => (
            PartState::Waiting,
            format!("holds {head}, applied; converged to {converged} before, waits for its providers again"),
        ),
        (false, _) => {
            (PartState::Waiting, format!("holds {head}, applied; converged to {converged}, waits for its providers"))
        }
    }
}

fn describe_status(effects: &Effects, held: Option<Generation>) -> (PartState, String) {
    match (held, effects.state().status.head()) {
        (Some(held), head) if held == head => (PartState::Ok, format!("the server holds all of it, up to {held}")),
        (Some(held), head) => (PartState::Active, format!("the server holds {held} of {head}")),
        (None, head) => (PartState::Waiting, format!("at {head}, sent when the link is up")),
    }
}

fn describe_events(effects: &Effects) -> (PartState, String) {
    let state = effects.state();
    let (waiting, dropped) = (state.events.len(), state.origin.unwrap_or_default().events_dropped);
    match (waiting, effects.events().queued()) {
        (0, 0) => (PartState::Ok, format!("none queued, {dropped} dropped")),
        (waiting, 0) => (PartState::Waiting, format!("{waiting} queued for the server, {dropped} dropped")),
        (waiting, queued) => {
            (PartState::Waiting, format!("{waiting} queued for the server, {queued} for the disk, {dropped} dropped"))
        }
    }
}

fn describe_store(effects: &Effects) -> (PartState, String) {
    match effects.in_flight() {
        0 if effects.is_store_failing() => (PartState::Failing, "cannot write: see the conditions".to_owned()),
        0 => (PartState::Ok, "everything is durable".to_owned()),
        writes => (PartState::Active, format!("{writes} writes in flight")),
    }
}
