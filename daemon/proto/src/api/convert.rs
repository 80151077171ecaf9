//! Conversion of the model's views to API types, and of requests to model types.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model as model;
use linecamp_model::limits::LABELS_PER_OWNER_MAX;
use linecamp_model::{LabelError, LabelKey, LabelPatch, LabelValue};

use super::{
    Condition, Environment, Event, EventSource, Host, Label, LabelChange, Link, Preview, PreviewItem, Site, Token,
    TokenCreated,
};

impl From<&model::SiteView> for Site {
    fn from(site: &model::SiteView) -> Self {
        Self {
            id: site.id.to_string(),
            name: site.name.to_string(),
            environment: site.environment.to_string(),
            description: site.description.to_string(),
            state: site.phase.to_string(),
            state_since: site.phase_since.to_string(),
            waits_for: site.waits_for.as_ref().map(ToString::to_string),
            link: Link::from(&site.link),
            labels: Label::all(&site.labels),
            spec_generation: site.spec_generation.0,
            applied_generation: site.applied_generation.0,
            converged_generation: site.converged_generation.0,
            daemon_version: site.daemon_version.to_string(),
            joined_at: site.joined_at.to_string(),
            token: site.token.to_string(),
            recoveries: site.recoveries,
            hosts: site.hosts.iter().map(Host::from).collect(),
            conditions: site.conditions.iter().map(Condition::from).collect(),
        }
    }
}

impl From<&model::HostView> for Host {
    fn from(host: &model::HostView) -> Self {
        Self {
            id: host.id.to_string(),
            name: host.name.to_string(),
            site: host.site.to_string(),
            environment: host.environment.to_string(),
            origin: host.origin.to_string(),
            description: host.description.to_string(),
            state: host.phase.to_string(),
            state_since: host.phase_since.to_string(),
            waits_for: host.waits_for.as_ref().map(ToString::to_string),
            link: Link::from(&host.link),
            via: host.via.to_string(),
            joined_at: host.joined_at.to_string(),
            daemon_version: host.daemon_version.to_string(),
            conditions: host.conditions.iter().map(Condition::from).collect(),
            labels: Label::all(&host.labels),
            spec_generation: host.spec_generation.0,
        }
    }
}

impl From<&model::LinkView> for Link {
    fn from(link: &model::LinkView) -> Self {
        Self { state: link.state.to_string(), since: link.since.to_string(), address: link.address.to_string() }
    }
}

impl Label {
    /// Returns `labels` sorted by key.
    pub fn all(labels: &model::EffectiveLabels) -> Vec<Self> {
        let one = |(key, label): (&LabelKey, &model::EffectiveLabel)| Self {
            key: key.to_string(),
            value: label.value.to_string(),
            owner: label.owner.to_string(),
            since: label.since.to_string(),
            level: label.level.to_string(),
        };
        labels.iter().map(one).collect()
    }
}

impl From<&model::Condition> for Condition {
    fn from(condition: &model::Condition) -> Self {
        Self {
            kind: condition.kind.to_string(),
            since: condition.since.to_string(),
            detail: condition.detail.to_string(),
        }
    }
}

impl From<&model::TokenView> for Token {
    fn from(token: &model::TokenView) -> Self {
        Self {
            id: token.id.to_string(),
            environment: token.environment.to_string(),
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            uses_max: token.uses_max,
            uses_left: token.uses_left,
            labels: Label::all(&token.labels),
            replaces: token.replaces.as_ref().map(ToString::to_string),
            hosts_of: token.hosts_of.as_ref().map(ToString::to_string),
            state: token.state.to_string(),
        }
    }
}

impl TokenCreated {
    /// Returns the response that shows `token` once; `target` is what its sites join with.
    pub fn new(token: Token, target: &model::JoinTarget) -> Self {
        let servers: Vec<_> = target.servers.iter().map(ToString::to_string).collect();
        let name = token.replaces.as_deref().unwrap_or("NAME").to_owned();
        let host = token.hosts_of.as_ref().map_or_else(String::new, |site| format!(" --host --site {site}"));
        let join = format!("{}@{}", target.token.reveal(), servers.join(","));
        Self {
            token,
            // `printf` is a builtin of the shell, so the token is in no process's arguments.
            command: format!(
                "printf '%s\\n' {} | sudo linecampd join - --data /var/lib/linecamp{host} --name {name}",
                model::shell_quoted(&join)
            ),
            install: None,
            packages: Vec::new(),
            join,
            secret_withheld: false,
        }
    }

    /// Returns the response to a request that is sent again, without the secret.
    pub fn without_secret(token: Token) -> Self {
        let (join, command) = (String::new(), String::new());
        Self { token, join, command, install: None, packages: Vec::new(), secret_withheld: true }
    }
}

impl From<&model::EventView> for Event {
    fn from(view: &model::EventView) -> Self {
        Self {
            seq: view.seq,
            at: view.event.at.to_string(),
            kind: view.event.kind.to_string(),
            site: view.site.as_ref().map(ToString::to_string),
            text: view.event.text.to_string(),
            source: if view.received_at.is_some() { EventSource::Site } else { EventSource::Server },
            received_at: view.received_at.map(|at| at.to_string()),
            actor: view.actor.as_ref().map(ToString::to_string),
        }
    }
}

impl Environment {
    /// Returns the environment `name` with `sites` sites.
    pub fn new(name: &model::Name, environment: &model::Environment, sites: u64) -> Self {
        Self {
            name: name.to_string(),
            approval: environment.approval,
            recoveries_per_day_max: environment.recoveries_per_day_max,
            removed_keep_seconds: environment.removed_keep.as_secs(),
            sites,
        }
    }
}

impl From<&[Site]> for Preview {
    fn from(sites: &[Site]) -> Self {
        let item = |site: &Site| PreviewItem {
            id: site.id.clone(),
            name: site.name.clone(),
            environment: site.environment.clone(),
            state: site.state.clone(),
            state_since: site.state_since.clone(),
            spec_generation: site.spec_generation,
            link: site.link.clone(),
        };
        Self {
            matched: sites.len(),
            offline: sites.iter().filter(|site| !site.link.is_connected()).count(),
            items: sites.iter().map(item).collect(),
        }
    }
}

impl LabelChange {
    /// Validates every key and value of the change.
    ///
    /// # Errors
    /// [`LabelError`] of the first invalid one, or of too many.
    pub fn to_patch(&self) -> Result<LabelPatch, LabelError> {
        let most = self.set.len().max(self.remove.len());
        if LABELS_PER_OWNER_MAX < most {
            return Err(LabelError::TooMany { count: most });
        }
        let set = self
            .set
            .iter()
            .map(|(key, value)| Ok((LabelKey::parse(key)?, LabelValue::parse(value)?)))
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let remove = self.remove.iter().map(|key| LabelKey::parse(key)).collect::<Result<BTreeSet<_>, _>>()?;
        Ok(LabelPatch { set, remove })
    }
}

impl From<&LabelPatch> for LabelChange {
    fn from(patch: &LabelPatch) -> Self {
        Self {
            set: patch.set.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            remove: patch.remove.iter().map(ToString::to_string).collect(),
        }
    }
}
