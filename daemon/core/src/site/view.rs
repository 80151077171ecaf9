//! What a site shows locally, also while the server is unreachable.

use linecamp_model::{
    DocumentKey, EffectiveLabels, Generation, HostSpec, Level, LinkState, LinkView, LocalHostView, LocalView, Now,
    Origin, OwnedLabels, SiteSpec, SpecBody, StatusBody, Text, WallTime, Why, effective, effective_of_site,
};

use super::uplink::State;
use super::{Site, Timer};
use crate::DISCONNECTED_AFTER;

impl Site {
    /// Returns the local view of the site.
    pub fn view(&self, now: Now) -> LocalView {
        let state = self.ledger.state();
        let spec = self.site_spec();
        let conditions = self.conditions.list();
        LocalView {
            id: self.identity.map(|identity| identity.site),
            name: spec.map(|spec| spec.name.clone()),
            environment: spec.map(|spec| spec.environment.clone()),
            target: spec.map(|spec| spec.target),
            link: self.link_view(now),
            link_doing: Text::lossy(&self.uplink.doing()),
            labels: self.site_labels(),
            applied_generation: state.spec.head(),
            converged_generation: self.converged(),
            daemon_version: self.config.daemon_version.clone(),
            certificate_expires_at: self.identity.map(|identity| identity.not_after),
            outbox_events: state.events.len() as u64,
            events_dropped: state.origin.unwrap_or_default().events_dropped,
            hosts: self.hosts(),
            conditions,
            providers: self.providers.statuses(&state.spec),
        }
    }

    fn converged(&self) -> Generation {
        match self.ledger.state().status.body(DocumentKey::Site) {
            Some(StatusBody::Site(status)) => status.converged,
            Some(StatusBody::Host(_) | StatusBody::Provider(_)) | None => Generation::ZERO,
        }
    }

    /// Describes what each part is doing and what it waits for.
    pub fn why(&self, now: Now) -> Vec<Why> {
        let state = self.ledger.state();
        let part = |part, state: String, next| Why { part, state, next };
        let status_held = self.following.as_ref().map(|following| following.status.held());
        let spec = match (state.spec.head(), self.converged()) {
            (head, converged) if head == converged => format!("holds {head}, applied and converged"),
            (head, converged) => format!("holds {head}, applied; converged to {converged}, waits for its providers"),
        };
        let status = match status_held {
            Some(held) if held == state.status.head() => format!("the server holds all of it, up to {held}"),
            Some(held) => format!("the server holds {held} of {}", state.status.head()),
            None => format!("at {}, sent when the link is up", state.status.head()),
        };
        let dropped = state.origin.unwrap_or_default().events_dropped;
        let events = match self.storage.events() {
            0 => format!("{} wait for the server, {dropped} dropped", state.events.len()),
            held => format!("{} wait for the server, {held} for the disk, {dropped} dropped", state.events.len()),
        };
        let store = match self.ledger.in_flight() {
            0 if self.is_store_failing() => "fails: see the conditions".to_owned(),
            0 => "everything is durable".to_owned(),
            writes => format!("writes on their way to the disk: {writes}"),
        };
        let certificate = self.identity.map_or_else(
            || "none".to_owned(),
            |identity| format!("holds until {}, renewed from {}", identity.not_after, identity.renew_at()),
        );
        let link_timer = self
            .next_of(&[Timer::DialLate, Timer::GreetingLate], "gives up this try", now)
            .or_else(|| self.next_of(&[Timer::Redial], "dials", now));
        let providers = self.providers.describe().map(|(id, doing)| {
            let waits = self
                .next_of(&[Timer::CallLate(id)], "gives up this call", now)
                .or_else(|| self.next_of(&[Timer::Round(id)], "observes again", now));
            part("provider", doing, waits)
        });
        let parts = vec![
            part("link", self.uplink.doing(), link_timer),
            part("spec", spec, None),
            part("status", status, None),
            part("events", events, None),
            part("store", store, self.next_of(&[Timer::StoreRetry], "tries the disk again", now)),
            part("facts", self.describe_facts(), self.next_of(&[Timer::Facts], "collects facts", now)),
            part(
                "certificate",
                certificate,
                self.next_of(&[Timer::SaveIdentity], "saves it again", now)
                    .or_else(|| self.next_of(&[Timer::Renew], "asks for a new one", now)),
            ),
        ];
        parts.into_iter().chain(providers).collect()
    }

    /// Returns the value of one of the site's effective labels.
    pub fn label(&self, key: &str) -> Option<String> {
        let labels = self.site_labels();
        labels.iter().find(|(held, _)| held.as_str() == key).map(|(_, label)| label.value.to_string())
    }

    fn next_of(&self, timers: &[Timer], what: &str, now: Now) -> Option<(WallTime, String)> {
        let deadline = timers.iter().find_map(|timer| self.timers.deadline(*timer))?;
        Some((now.wall + deadline.saturating_since(now.instant), what.to_owned()))
    }

    fn link_view(&self, now: Now) -> LinkView {
        let for_long = DISCONNECTED_AFTER <= now.wall.saturating_since(self.uplink.since);
        let state = match (&self.uplink.state, for_long) {
            (State::Up { .. }, _) => LinkState::Connected,
            (State::Idle | State::Stopped(_), _) | (_, true) => LinkState::Disconnected,
            (_, false) => LinkState::Reconnecting,
        };
        let address = self.uplink.server().map(ToString::to_string).unwrap_or_default();
        LinkView { state, since: self.uplink.since, address: Text::lossy(&address) }
    }

    pub(super) fn site_spec(&self) -> Option<&SiteSpec> {
        match self.ledger.state().spec.body(DocumentKey::Site) {
            Some(SpecBody::Site(spec)) => Some(spec),
            Some(SpecBody::Host(_) | SpecBody::Provider(_)) | None => None,
        }
    }

    fn gateway(&self) -> Option<DocumentKey> {
        self.identity.map(|identity| DocumentKey::Host(identity.site.gateway()))
    }

    fn owned(&self, key: DocumentKey) -> OwnedLabels<'_> {
        let state = self.ledger.state();
        let assigned = match state.spec.body(key) {
            Some(SpecBody::Site(spec)) => Some(&spec.assigned),
            Some(SpecBody::Host(spec)) => Some(&spec.assigned),
            Some(SpecBody::Provider(_)) | None => None,
        };
        match state.status.body(key) {
            Some(StatusBody::Site(status)) => OwnedLabels { reported: None, local: Some(&status.local), assigned },
            Some(StatusBody::Host(status)) => {
                OwnedLabels { reported: Some(&status.reported), local: Some(&status.local), assigned }
            }
            Some(StatusBody::Provider(_)) | None => OwnedLabels { assigned, ..OwnedLabels::default() },
        }
    }

    fn site_labels(&self) -> EffectiveLabels {
        if self.identity.is_none() {
            return self.labels_before_joining();
        }
        let gateway = self.gateway().map(|key| self.owned(key)).unwrap_or_default();
        effective_of_site(self.owned(DocumentKey::Site), gateway)
    }

    /// Before the site has joined there is no status, but labels set locally are shown.
    fn labels_before_joining(&self) -> EffectiveLabels {
        let by_hand = |level| self.ledger.state().local.get(&level);
        let local = |level| OwnedLabels { local: by_hand(level), ..OwnedLabels::default() };
        effective(local(Level::Site), local(Level::Host))
    }

    pub(super) fn hosts(&self) -> Vec<LocalHostView> {
        let spec_of = |key| match self.ledger.state().spec.body(key) {
            Some(SpecBody::Host(spec)) => Some(spec),
            Some(SpecBody::Site(_) | SpecBody::Provider(_)) | None => None,
        };
        let view = |key: DocumentKey| match key {
            DocumentKey::Site | DocumentKey::Provider(_) => None,
            DocumentKey::Host(id) => {
                let spec: Option<&HostSpec> = spec_of(key);
                Some(LocalHostView {
                    id,
                    name: spec.map(|spec| spec.name.clone()),
                    origin: spec.map_or(Origin::Gateway, |spec| spec.origin),
                    target: spec.map(|spec| spec.target),
                    labels: effective(self.owned(DocumentKey::Site), self.owned(key)),
                })
            }
        };
        self.gateway().into_iter().filter_map(view).collect()
    }
}
