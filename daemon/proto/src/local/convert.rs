//! Conversion of the model's views to those of the local socket.

use linecamp_model as model;

use super::{LocalHost, LocalHostToken, LocalLabels, LocalProvider, LocalServers, LocalStatus, WhyLine, WhyNext};
use crate::api::{Condition, Label, Link, ProviderBody, ProviderKindName};

impl From<&model::LocalView> for LocalStatus {
    fn from(view: &model::LocalView) -> Self {
        Self {
            id: view.id.map(|id| id.to_string()),
            name: view.name.as_ref().map(ToString::to_string),
            environment: view.environment.as_ref().map(ToString::to_string),
            target: view.target.map(|target| target.to_string()),
            link: Link::from(&view.link),
            link_doing: view.link_doing.to_string(),
            servers: LocalServers::from(view),
            labels: Label::all(&view.labels),
            applied_generation: view.applied_generation.0,
            converged_generation: view.converged_generation.0,
            daemon_version: view.daemon_version.to_string(),
            certificate_expires_at: view.certificate_expires_at.map(|at| at.to_string()),
            outbox_events: view.outbox_events,
            events_dropped: view.events_dropped,
            hosts: view.hosts.iter().map(LocalHost::from).collect(),
            conditions: view.conditions.iter().map(Condition::from).collect(),
        }
    }
}

impl From<&model::LocalView> for LocalServers {
    fn from(view: &model::LocalView) -> Self {
        let texts = |addresses: &[model::ServerAddress]| addresses.iter().map(ToString::to_string).collect();
        let model::KnownServers { confirmed, candidate } = &view.servers;
        Self {
            set: confirmed.number,
            addresses: texts(&confirmed.addresses),
            candidate_set: candidate.as_ref().map(|set| set.number),
            candidates: candidate.as_ref().map(|set| texts(&set.addresses)).unwrap_or_default(),
            configured: texts(&view.configured_servers),
        }
    }
}

impl From<&model::HostTokenView> for LocalHostToken {
    fn from(token: &model::HostTokenView) -> Self {
        Self {
            id: token.id.to_string(),
            origin: if token.is_local { "local" } else { "central" }.to_owned(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            uses: token.uses,
            uses_max: token.uses_max,
            state: token.state.to_string(),
        }
    }
}

impl From<&model::LocalHostView> for LocalHost {
    fn from(host: &model::LocalHostView) -> Self {
        Self {
            id: host.id.to_string(),
            name: host.name.as_ref().map(ToString::to_string),
            origin: host.origin.to_string(),
            target: host.target.map(|target| target.to_string()),
            link: host.link.as_ref().map(Link::from),
            labels: Label::all(&host.labels),
        }
    }
}

impl From<&model::LocalView> for LocalLabels {
    fn from(view: &model::LocalView) -> Self {
        let own = view.hosts.iter().find(|host| host.link.is_none());
        Self { site: Label::all(&view.labels), host: own.map(|host| Label::all(&host.labels)).unwrap_or_default() }
    }
}

impl LocalProvider {
    /// Returns the provider from its status, with its settings if it has any.
    pub fn new(status: &model::ProviderStatus, spec: Option<&model::ProviderSpec>) -> Self {
        use model::RecordState as State;
        let is_failed = |record: &&model::RecordStatus| {
            matches!(record.state, State::Conflict | State::Quarantined | State::Retained)
        };
        Self {
            name: status.name.to_string(),
            origin: if status.is_local { "local" } else { "central" }.into(),
            kind: ProviderKindName::of_status(status),
            plugin: status.plugin.to_string(),
            failure: status.failure.as_ref().map(ToString::to_string),
            records: status.records().len(),
            records_failed: status.records().iter().filter(is_failed).count(),
            settings: spec.map(ProviderBody::from),
        }
    }
}

impl From<&model::Why> for WhyLine {
    fn from(why: &model::Why) -> Self {
        Self {
            part: why.part.into(),
            state: why.state.as_str().to_owned(),
            detail: why.detail.clone(),
            next: why.next.as_ref().map(|(at, does)| WhyNext { at: at.to_string(), does: does.clone() }),
        }
    }
}
