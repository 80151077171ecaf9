//! The queries of the API's operations. An unknown query parameter is rejected.
//!
//! The name of a site is unique within its environment, and the name of a host within its site. If a name and the query
//! fit several objects, the response is [`ErrorCode::Ambiguous`](super::ErrorCode::Ambiguous).

use serde::{Deserialize, Serialize};

/// No query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

/// Filters sites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SiteQuery {
    /// Sites that this selector matches.
    pub selector: Option<String>,
    /// Sites of this environment.
    pub environment: Option<String>,
    /// Which labels the selector is matched against; by default all effective ones.
    pub labels: Option<SelectorLabels>,
    /// Sites in this state, such as `active`.
    pub state: Option<String>,
    /// Sites whose link is in this state.
    pub link: Option<LinkFilter>,
    /// Sites that have this condition, such as `clock-skew`.
    pub condition: Option<String>,
    /// Sites with this text in the name or the description, in upper or lower case.
    pub text: Option<String>,
    /// By what they are sorted; by default environment and name.
    pub sort: Option<SiteSort>,
    /// Whether the highest come first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub descending: bool,
    /// At most this many items; at most [`PAGE_ITEMS_MAX`](linecamp_model::limits::PAGE_ITEMS_MAX), by default
    /// [`PAGE_ITEMS_DEFAULT`](linecamp_model::limits::PAGE_ITEMS_DEFAULT).
    pub limit: Option<usize>,
    /// The page that begins where another one ended: its `next`.
    pub cursor: Option<String>,
}

/// Selects sites by their link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LinkFilter {
    /// A session is established.
    Connected,
    /// The session was lost recently.
    Reconnecting,
    /// No session for longer than a reconnect takes.
    Disconnected,
    /// No session: `reconnecting` or `disconnected`.
    Offline,
}

/// By what a list of sites is sorted. Equal ones are sorted by environment and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SiteSort {
    /// Environment and name.
    #[default]
    Name,
    /// The state, in the order of a life.
    State,
    /// The state of the link: connected sites first.
    Link,
    /// Since when the link is in its state.
    LinkSince,
    /// When the site joined.
    Joined,
}

/// By what a list of hosts is sorted. Equal ones are sorted by environment, name and site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HostSort {
    /// Environment, name and site.
    #[default]
    Name,
    /// Environment, site and name.
    Site,
    /// The state, in the order of a life.
    State,
    /// The state of the site's link: connected sites first.
    Link,
    /// Since when the site's link is in its state.
    LinkSince,
}

/// Which of a site's labels a selector is matched against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// Filters the sites that are held since a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RestoreQuery {
    /// Sites that this selector matches.
    pub selector: Option<String>,
    /// Sites of this environment.
    pub environment: Option<String>,
    /// At most this many items; at most [`PAGE_ITEMS_MAX`](linecamp_model::limits::PAGE_ITEMS_MAX), by default
    /// [`PAGE_ITEMS_DEFAULT`](linecamp_model::limits::PAGE_ITEMS_DEFAULT).
    pub limit: Option<usize>,
    /// The page that begins where another one ended: its `next`.
    pub cursor: Option<String>,
}

/// Filters hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostQuery {
    /// Hosts that this selector matches.
    pub selector: Option<String>,
    /// Hosts of this environment.
    pub environment: Option<String>,
    /// Hosts of the site of this name.
    pub site: Option<String>,
    /// Hosts in this state, such as `active`.
    pub state: Option<String>,
    /// Hosts whose site's link is in this state.
    pub link: Option<LinkFilter>,
    /// Hosts whose site has this condition, such as `clock-skew`.
    pub condition: Option<String>,
    /// Hosts with this text in the name or the description, in upper or lower case.
    pub text: Option<String>,
    /// By what they are sorted; by default environment, name and site.
    pub sort: Option<HostSort>,
    /// Whether the highest come first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub descending: bool,
    /// At most this many items; at most [`PAGE_ITEMS_MAX`](linecamp_model::limits::PAGE_ITEMS_MAX), by default
    /// [`PAGE_ITEMS_DEFAULT`](linecamp_model::limits::PAGE_ITEMS_DEFAULT).
    pub limit: Option<usize>,
    /// The page that begins where another one ended: its `next`.
    pub cursor: Option<String>,
}

/// Selects hosts to place something on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SelectionQuery {
    /// The selector; without one, all hosts match.
    pub selector: Option<String>,
    /// Hosts of this environment.
    pub environment: Option<String>,
    /// Hosts of the site of this name.
    pub site: Option<String>,
    /// Whether the hosts that are not eligible are listed too, each with its reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// At most this many items; at most [`PAGE_ITEMS_MAX`](linecamp_model::limits::PAGE_ITEMS_MAX), by default
    /// [`PAGE_ITEMS_DEFAULT`](linecamp_model::limits::PAGE_ITEMS_DEFAULT).
    pub limit: Option<usize>,
    /// The page that begins where another one ended: its `next`.
    pub cursor: Option<String>,
}

/// Filters records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// At most this many items; at most [`PAGE_ITEMS_MAX`](linecamp_model::limits::PAGE_ITEMS_MAX), by default
    /// [`PAGE_ITEMS_DEFAULT`](linecamp_model::limits::PAGE_ITEMS_DEFAULT).
    pub limit: Option<usize>,
    /// The page that begins where another one ended: its `next`.
    pub cursor: Option<String>,
}

/// A page of a list without filters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// At most this many items; at most [`PAGE_ITEMS_MAX`](linecamp_model::limits::PAGE_ITEMS_MAX), by default
    /// [`PAGE_ITEMS_DEFAULT`](linecamp_model::limits::PAGE_ITEMS_DEFAULT).
    pub limit: Option<usize>,
    /// The page that begins where another one ended: its `next`.
    pub cursor: Option<String>,
}

/// Filters providers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderQuery {
    /// Providers of this environment.
    pub environment: Option<String>,
    /// At most this many items; at most [`PAGE_ITEMS_MAX`](linecamp_model::limits::PAGE_ITEMS_MAX), by default
    /// [`PAGE_ITEMS_DEFAULT`](linecamp_model::limits::PAGE_ITEMS_DEFAULT).
    pub limit: Option<usize>,
    /// The page that begins where another one ended: its `next`.
    pub cursor: Option<String>,
}

/// Selects entries of the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Entries above this number: the oldest of them first. Without it and `before`: the newest ones.
    pub after: Option<u64>,
    /// Entries below this number: the newest of them. Not with `after`.
    pub before: Option<u64>,
    /// How many; at most and by default [`AUDIT_PER_ANSWER_MAX`](super::AUDIT_PER_ANSWER_MAX).
    pub limit: Option<usize>,
}

/// Names the plugin to upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NameQuery {
    /// The environment of the object.
    pub environment: Option<String>,
}

/// Previews a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PreviewQuery {
    /// Whether an existing provider of that name would be replaced.
    #[serde(default)]
    pub replace: bool,
}

/// Selects among hosts of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostNameQuery {
    /// The environment of the host.
    pub environment: Option<String>,
    /// The name of its site.
    pub site: Option<String>,
}

/// Selects the site or provider to remove, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoveQuery {
    /// The environment of the object.
    pub environment: Option<String>,
    /// Remove it in any state, without waiting for it: what it owns externally, such as DNS records, stays and is
    /// listed in an event.
    #[serde(default)]
    pub force: bool,
}

/// Selects the host to remove, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HostRemoveQuery {
    /// The environment of the host.
    pub environment: Option<String>,
    /// The name of its site.
    pub site: Option<String>,
    /// Remove it in any state, without waiting for its site to confirm.
    #[serde(default)]
    pub force: bool,
}

/// Filters events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// At most [`EVENT_WAIT_SECONDS_MAX`](super::EVENT_WAIT_SECONDS_MAX).
    pub wait: Option<u64>,
    /// How many; at most and by default [`EVENTS_PER_ANSWER_MAX`](super::EVENTS_PER_ANSWER_MAX).
    pub limit: Option<usize>,
}

/// Selects the messages of an event stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StreamQuery {
    /// Messages about the site of this name.
    pub site: Option<String>,
    /// Messages about sites of this environment; with `site`, the environment of that site.
    pub environment: Option<String>,
    /// Of the events, those that the server reported, or that sites reported.
    pub source: Option<super::EventSource>,
    /// Only events, or only states; by default both.
    pub topic: Option<StreamTopic>,
    /// The `id` of the last message received, for clients that cannot set the header `Last-Event-ID`, which counts
    /// before it.
    pub last_event_id: Option<String>,
}

/// A kind of messages of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StreamTopic {
    /// The events.
    Events,
    /// The states of sites and hosts.
    States,
}
