//! The API's endpoints and their queries.
//!
//! | method | path | query | body | response |
//! |---|---|---|---|---|
//! | GET | [`HEALTH`] | | | 200, no key needed |
//! | GET | [`INSTALL`] | | | the script that installs a site, no key needed |
//! | GET | [`INSTALL_PACKAGE`] | | | a package it fetches, no key needed |
//! | GET | [`METRICS`] | | | 200, metrics in the Prometheus text format |
//! | GET | [`SERVER`] | | | [`Server`](super::Server) |
//! | GET | [`SITES`] | [`SiteQuery`] | | [`List`](super::List) of [`Site`](super::Site) |
//! | GET | [`SITE`] | [`NameQuery`] | | [`Site`](super::Site) |
//! | PATCH | [`SITE`] | [`NameQuery`] | [`Edit`](super::Edit) | [`Site`](super::Site) |
//! | DELETE | [`SITE`] | [`RemoveQuery`] | | [`Site`](super::Site), as it is afterwards |
//! | POST | [`SITE_LABELS`] | [`NameQuery`] | [`LabelChange`](super::LabelChange) | [`Site`](super::Site) |
//! | POST | [`SITE_DEACTIVATE`] [`SITE_ACTIVATE`] [`SITE_ACCEPT`] | [`NameQuery`] | | [`Site`](super::Site) |
//! | GET | [`HOSTS`] | [`HostQuery`] | | [`List`](super::List) of [`Host`](super::Host) |
//! | GET | [`HOST`] | [`HostNameQuery`] | | [`Host`](super::Host) |
//! | PATCH | [`HOST`] | [`HostNameQuery`] | [`Edit`](super::Edit) | [`Host`](super::Host) |
//! | POST | [`HOST_LABELS`] | [`HostNameQuery`] | [`LabelChange`](super::LabelChange) | [`Host`](super::Host) |
//! | POST | [`HOST_DEACTIVATE`] [`HOST_ACTIVATE`] | [`HostNameQuery`] | | [`Host`](super::Host) |
//! | GET | [`TOKENS`] | | | [`List`](super::List) of [`Token`](super::Token) |
//! | POST | [`TOKENS`] | | [`TokenRequest`](super::TokenRequest) | 201 [`TokenCreated`](super::TokenCreated) |
//! | DELETE | [`TOKEN`] | | | [`Token`](super::Token), revoked |
//! | GET | [`EVENTS`] | [`EventQuery`] | | [`List`](super::List) of [`Event`](super::Event), oldest first |
//! | GET | [`ENVIRONMENTS`] | | | [`List`](super::List) of [`Environment`](super::Environment) |
//! | POST | [`ENVIRONMENTS`] | | [`EnvironmentRequest`](super::EnvironmentRequest) | 201, the same |
//! | PATCH | [`ENVIRONMENT`] | | [`EnvironmentEdit`](super::EnvironmentEdit) | [`Environment`](super::Environment) |
//! | GET | [`PROVIDERS`] | [`NameQuery`] | | [`List`](super::List) of [`ProviderView`](super::ProviderView) |
//! | POST | [`PROVIDERS`] | | [`ProviderRequest`](super::ProviderRequest) | 201 [`ProviderView`](super::ProviderView) |
//! | GET | [`PROVIDER`] | [`NameQuery`] | | [`ProviderView`](super::ProviderView) |
//! | PATCH | [`PROVIDER`] | [`NameQuery`] | [`ProviderEdit`](super::ProviderEdit) | [`ProviderView`](super::ProviderView) |
//! | DELETE | [`PROVIDER`] | [`NameQuery`] | | [`ProviderView`](super::ProviderView), as it is afterwards |
//! | POST | [`PROVIDER_PREVIEW`] | [`PreviewQuery`] | as for [`PROVIDERS`] | the same, but it is not stored |
//! | GET | [`PLUGINS`] | | | [`List`](super::List) of [`PluginView`](super::PluginView) |
//! | POST | [`PLUGINS`] | [`PluginQuery`] | a description, and the component | 201 [`PluginPushed`](super::PluginPushed) |
//! | GET | [`PLUGIN`] | | | [`PluginView`](super::PluginView) |
//! | DELETE | [`PLUGIN`] | | | [`PluginView`](super::PluginView), as it was |
//! | GET | [`RECORDS`] | [`RecordQuery`] | | [`List`](super::List) of [`RecordView`](super::RecordView) |
//!
//! Every request except the first three carries `Authorization: Bearer lck_…`. An unknown query parameter is rejected.
//! The name of a site is unique within its environment, and the name of a host within its site. If a name and the query
//! fit several objects, the response is [`ErrorCode::Ambiguous`](super::ErrorCode::Ambiguous).

use serde::{Deserialize, Serialize};

/// Health check: whether the server is ready.
pub const HEALTH: &str = "/healthz";
/// The script that installs a site.
pub const INSTALL: &str = "/install";
/// A package that the script fetches.
pub const INSTALL_PACKAGE: &str = "/install/{name}";
/// The server's metrics.
pub const METRICS: &str = "/metrics";
/// The server itself.
pub const SERVER: &str = "/api/v1/server";
/// The sites.
pub const SITES: &str = "/api/v1/sites";
/// One site.
pub const SITE: &str = "/api/v1/sites/{name}";
/// A site's assigned labels.
pub const SITE_LABELS: &str = "/api/v1/sites/{name}/labels";
/// Deactivates a site.
pub const SITE_DEACTIVATE: &str = "/api/v1/sites/{name}/deactivate";
/// Activates a site.
pub const SITE_ACTIVATE: &str = "/api/v1/sites/{name}/activate";
/// Accepts a pending site.
pub const SITE_ACCEPT: &str = "/api/v1/sites/{name}/accept";
/// The hosts.
pub const HOSTS: &str = "/api/v1/hosts";
/// One host.
pub const HOST: &str = "/api/v1/hosts/{name}";
/// A host's assigned labels.
pub const HOST_LABELS: &str = "/api/v1/hosts/{name}/labels";
/// Deactivates a host.
pub const HOST_DEACTIVATE: &str = "/api/v1/hosts/{name}/deactivate";
/// Activates a host.
pub const HOST_ACTIVATE: &str = "/api/v1/hosts/{name}/activate";
/// The join tokens.
pub const TOKENS: &str = "/api/v1/tokens";
/// One join token, by its id.
pub const TOKEN: &str = "/api/v1/tokens/{id}";
/// The events.
pub const EVENTS: &str = "/api/v1/events";
/// The environments.
pub const ENVIRONMENTS: &str = "/api/v1/environments";
/// One environment.
pub const ENVIRONMENT: &str = "/api/v1/environments/{name}";

/// The providers.
pub const PROVIDERS: &str = "/api/v1/providers";
/// One provider.
pub const PROVIDER: &str = "/api/v1/providers/{name}";
/// Validates a provider without storing it.
pub const PROVIDER_PREVIEW: &str = "/api/v1/providers/{name}/preview";
/// The uploaded plugins.
pub const PLUGINS: &str = "/api/v1/plugins";
/// One plugin, by the digest of its component.
pub const PLUGIN: &str = "/api/v1/plugins/{digest}";
/// The DNS records of all sites.
pub const RECORDS: &str = "/api/v1/records";

/// Returns `path` with its one `{…}` replaced by `value`: a name or an id, neither of which needs escaping.
pub fn at(path: &str, value: &impl std::fmt::Display) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(open), Some(close)) => format!("{}{value}{}", &path[..open], &path[close + 1..]),
        (_, _) => path.into(),
    }
}

/// Filters sites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteQuery {
    /// Sites that this selector matches.
    pub selector: Option<String>,
    /// Sites of this environment.
    pub environment: Option<String>,
    /// Which labels the selector is matched against; by default all effective ones.
    pub labels: Option<SelectorLabels>,
}

/// Which of a site's labels a selector is matched against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectorLabels {
    /// All effective labels, of every owner.
    #[default]
    Effective,
    /// The labels assigned to the site: those that place a provider.
    Assigned,
    /// The assigned labels and those its gateway reports: those that place a provider with `match_facts`.
    AssignedAndReported,
}

/// Filters hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostQuery {
    /// Hosts that this selector matches.
    pub selector: Option<String>,
    /// Hosts of this environment.
    pub environment: Option<String>,
    /// Hosts of the site of this name.
    pub site: Option<String>,
}

/// Filters records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordQuery {
    /// Records of the sites that this selector matches.
    pub selector: Option<String>,
    /// Records of this environment.
    pub environment: Option<String>,
    /// Records of the site of this name.
    pub site: Option<String>,
    /// Records of the provider of this name.
    pub provider: Option<String>,
    /// Records in this state, such as `conflict`.
    pub state: Option<String>,
}

/// Names the plugin to upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginQuery {
    /// The plugin's name, such as `dns-powerdns`.
    pub name: String,
    /// How many bytes at the start of the body are the plugin's description in JSON; by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description_bytes: Option<u64>,
}

/// Selects among objects of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameQuery {
    /// The environment of the object.
    pub environment: Option<String>,
}

/// Previews a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewQuery {
    /// Whether an existing provider of that name would be replaced.
    #[serde(default)]
    pub replace: bool,
}

/// Selects among hosts of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostNameQuery {
    /// The environment of the host.
    pub environment: Option<String>,
    /// The name of its site.
    pub site: Option<String>,
}

/// Selects the site or provider to remove, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveQuery {
    /// The environment of the object.
    pub environment: Option<String>,
    /// Remove it in any state, without waiting for it: what it owns externally, such as DNS records, stays and is
    /// listed in an event.
    #[serde(default)]
    pub force: bool,
}

/// Filters events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Events of the site of this name.
    pub site: Option<String>,
    /// The environment of that site.
    pub environment: Option<String>,
    /// Events that the server reported, or that sites reported.
    pub source: Option<super::EventSource>,
    /// Events above this sequence number, oldest first. Without it: the newest ones.
    pub after: Option<u64>,
    /// If there is none, wait this many seconds for one; if none arrives, return an empty list. With `after` only.
    /// Capped to [`EVENT_WAIT_SECONDS_MAX`](super::EVENT_WAIT_SECONDS_MAX).
    pub wait: Option<u64>,
    /// At most this many. Capped to [`EVENTS_PER_ANSWER_MAX`](super::EVENTS_PER_ANSWER_MAX), which is also the default.
    pub limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_inserted_into_a_path() {
        assert_eq!(at(SITE_LABELS, &"camp-042"), "/api/v1/sites/camp-042/labels");
        assert_eq!(at(TOKEN, &"07ff"), "/api/v1/tokens/07ff");
        assert_eq!(at(SITES, &"unused"), SITES);
    }
}
