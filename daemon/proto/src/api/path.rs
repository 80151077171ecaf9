//! Where things are, and what may be asked of them.
//!
//! | method | path | query | body | answer |
//! |---|---|---|---|---|
//! | GET | [`HEALTH`] | | | 200, no key needed |
//! | GET | [`INSTALL`] | | | the script that installs a site, no key needed |
//! | GET | [`INSTALL_PACKAGE`] | | | a package it fetches, no key needed |
//! | GET | [`METRICS`] | | | 200, a text as Prometheus reads it |
//! | GET | [`SERVER`] | | | [`Server`](super::Server) |
//! | GET | [`SITES`] | [`SiteQuery`] | | [`List`](super::List) of [`Site`](super::Site) |
//! | GET | [`SITE`] | [`NameQuery`] | | [`Site`](super::Site) |
//! | PATCH | [`SITE`] | [`NameQuery`] | [`Edit`](super::Edit) | [`Site`](super::Site) |
//! | DELETE | [`SITE`] | [`RemoveQuery`] | | [`Site`](super::Site), as it is afterwards |
//! | POST | [`SITE_LABELS`] | [`NameQuery`] | [`LabelChange`](super::LabelChange) | [`Site`](super::Site) |
//! | POST | [`SITE_DEACTIVATE`] [`SITE_ACTIVATE`] [`SITE_ACCEPT`] | [`NameQuery`] | | [`Site`](super::Site) |
//! | GET | [`HOSTS`] | [`HostQuery`] | | [`List`](super::List) of [`Host`](super::Host) |
//! | GET | [`HOST`] | [`NameQuery`] | | [`Host`](super::Host) |
//! | PATCH | [`HOST`] | [`NameQuery`] | [`Edit`](super::Edit) | [`Host`](super::Host) |
//! | POST | [`HOST_LABELS`] | [`NameQuery`] | [`LabelChange`](super::LabelChange) | [`Host`](super::Host) |
//! | POST | [`HOST_DEACTIVATE`] [`HOST_ACTIVATE`] | [`NameQuery`] | | [`Host`](super::Host) |
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
//! | GET | [`PLUGINS`] | | | [`List`](super::List) of [`PluginView`](super::PluginView) |
//! | POST | [`PLUGINS`] | [`PluginQuery`] | the component | 201 [`PluginView`](super::PluginView) |
//! | DELETE | [`PLUGIN`] | | | [`PluginView`](super::PluginView), as it was |
//! | GET | [`RECORDS`] | [`RecordQuery`] | | [`List`](super::List) of [`RecordView`](super::RecordView) |
//!
//! Every request but the first three carries `Authorization: Bearer lck_…`. A query with a field that is not its own is
//! refused. A name is unique within its environment only: where several environments have it and the query names
//! none, the answer is [`ErrorCode::Ambiguous`](super::ErrorCode::Ambiguous).

use serde::{Deserialize, Serialize};

/// Whether the server serves.
pub const HEALTH: &str = "/healthz";
/// The script that installs a site.
pub const INSTALL: &str = "/install";
/// A package that it fetches.
pub const INSTALL_PACKAGE: &str = "/install/{name}";
/// The server's numbers.
pub const METRICS: &str = "/metrics";
/// The server itself.
pub const SERVER: &str = "/api/v1/server";
/// The sites.
pub const SITES: &str = "/api/v1/sites";
/// One site.
pub const SITE: &str = "/api/v1/sites/{name}";
/// A site's assigned labels.
pub const SITE_LABELS: &str = "/api/v1/sites/{name}/labels";
/// Takes a site out of service.
pub const SITE_DEACTIVATE: &str = "/api/v1/sites/{name}/deactivate";
/// Takes a site back into service.
pub const SITE_ACTIVATE: &str = "/api/v1/sites/{name}/activate";
/// Accepts a pending site.
pub const SITE_ACCEPT: &str = "/api/v1/sites/{name}/accept";
/// The hosts.
pub const HOSTS: &str = "/api/v1/hosts";
/// One host.
pub const HOST: &str = "/api/v1/hosts/{name}";
/// A host's assigned labels.
pub const HOST_LABELS: &str = "/api/v1/hosts/{name}/labels";
/// Takes a host out of service.
pub const HOST_DEACTIVATE: &str = "/api/v1/hosts/{name}/deactivate";
/// Takes a host back into service.
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
/// The plugins that were pushed.
pub const PLUGINS: &str = "/api/v1/plugins";
/// One of them, by the digest of its component.
pub const PLUGIN: &str = "/api/v1/plugins/{digest}";
/// The DNS records of all sites.
pub const RECORDS: &str = "/api/v1/records";

/// Returns `path` with its one `{…}` replaced by `word`: a name or an id, which need no escaping.
pub fn at(path: &str, word: &impl std::fmt::Display) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(open), Some(close)) => format!("{}{word}{}", &path[..open], &path[close + 1..]),
        (_, _) => path.into(),
    }
}

/// Which sites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteQuery {
    /// Those that this selector matches.
    pub selector: Option<String>,
    /// Those of this environment.
    pub environment: Option<String>,
    /// Which labels the selector sees; without it, all that hold.
    pub labels: Option<SelectorLabels>,
}

/// Which labels of a site a selector sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectorLabels {
    /// All that hold, whoever set them.
    #[default]
    Effective,
    /// Those that were assigned to the site: what a provider is placed by.
    Assigned,
    /// Those, and what its gateway reports: what a provider with `match_facts` is placed by.
    AssignedAndReported,
}

/// Which hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostQuery {
    /// Those that this selector matches.
    pub selector: Option<String>,
    /// Those of this environment.
    pub environment: Option<String>,
    /// Those of the site of this name.
    pub site: Option<String>,
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordQuery {
    /// Those of the sites that this selector matches.
    pub selector: Option<String>,
    /// Those of this environment.
    pub environment: Option<String>,
    /// Those of the site of this name.
    pub site: Option<String>,
    /// Those of the provider of this name.
    pub provider: Option<String>,
    /// Those in this state, such as `foreign`.
    pub state: Option<String>,
}

/// What is pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginQuery {
    /// The plugin's name, such as `dns-powerdns`.
    pub name: String,
}

/// Which one of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameQuery {
    /// The one of this environment.
    pub environment: Option<String>,
}

/// Which site or provider to remove, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveQuery {
    /// The one of this environment.
    pub environment: Option<String>,
    /// Whatever state it is in, and without waiting for it: what it has outside, such as DNS records, stays and is
    /// named in an event.
    #[serde(default)]
    pub force: bool,
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Those of the site of this name.
    pub site: Option<String>,
    /// Which site of that name.
    pub environment: Option<String>,
    /// Those that the server says, or those that sites do.
    pub source: Option<super::EventSource>,
    /// Those above this number, the oldest of them first. Without it: the newest there are.
    pub after: Option<u64>,
    /// If there is none, wait this many seconds for one; an empty list is the answer when none came. With `after`
    /// only. Cut to [`EVENT_WAIT_SECONDS_MAX`](super::EVENT_WAIT_SECONDS_MAX).
    pub wait: Option<u64>,
    /// At most this many. Cut to [`EVENTS_PER_ANSWER_MAX`](super::EVENTS_PER_ANSWER_MAX), which is also the default.
    pub limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_its_place_in_a_path() {
        assert_eq!(at(SITE_LABELS, &"camp-042"), "/api/v1/sites/camp-042/labels");
        assert_eq!(at(TOKEN, &"07ff"), "/api/v1/tokens/07ff");
        assert_eq!(at(SITES, &"unused"), SITES);
    }
}
