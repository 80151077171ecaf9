//! The REST API's operations and JSON types: what `linecamp-server` sends and `linecamp` reads.
//!
//! Field names never change, nor does their meaning. New ones may be added, so clients ignore response fields they do
//! not know. Requests are parsed strictly: an unknown field is rejected, because silently ignoring what an operator
//! asked for is worse than an error. Times are RFC 3339 in UTC, durations are whole seconds, and enum values such as
//! `state` are the model's. This module decides nothing and holds no secret except in [`TokenCreated`], whose `Debug`
//! hides it.
//!
//! [`operation`] is the table of operations. A list is returned as [`List`], an error as [`Problem`] with the HTTP
//! status of its [`ErrorCode`].

pub mod account;
mod audit;
mod bulk_action;
mod ca;
mod convert;
mod dns;
mod error;
mod host;
mod link_gap;
mod list;
pub mod oidc_login;
pub mod openapi;
pub mod operation;
mod plugin;
mod provider;
pub mod query;
mod request_report;
mod restore;
mod setting;
mod stream;
pub mod strict_json;

use std::collections::BTreeMap;
use std::fmt;

use linecamp_model as model;
use serde::{Deserialize, Serialize};

pub use audit::{AUDIT_PER_ANSWER_MAX, AuditActor, AuditChange, AuditEntry, AuditHead, AuditPage, AuditRepeats};
pub use bulk_action::{
    BulkAction, BulkActionProgress, BulkActionRequest, BulkActionSite, BulkActionState, BulkLabels, BulkRejection,
    SiteAction,
};
pub use ca::{CA_WAITING_SITES_MAX, CaAuthority, CaRetirement, CaStatus, CaWaitingSite};
pub use dns::{DnsRecord, ExtraRecordBody, RecordPlace, RecordView, domain_name};
pub use error::{Error, ErrorBody, ErrorCode, Problem};
pub use host::{Candidate, Host};
pub use link_gap::{CauseTime, LinkGap};
pub use list::{CURSOR_CHARS_MAX, Cursor, CursorError, List, PagedQuery};
pub use plugin::{
    CapabilitiesBody, DnsCapabilitiesBody, FieldProblem, InvalidProvider, PluginDescriptionBody, PluginPushed,
    PluginView, SecretRequirementBody,
};
pub use provider::{
    ProviderBody, ProviderCount, ProviderEdit, ProviderKindName, ProviderRequest, ProviderView, plugin_digest,
};
pub use request_report::{ForwardingHeaderReport, IgnoredHeaderReason, RequestHeaderReport, RequestReport};
pub use restore::{HELD_ITEMS_MAX, HeldApiKey, HeldItems, HeldLeft, HeldSite, RefusedContact, Restore, Restored};
pub use setting::SettingError;
pub use stream::{
    HostState, STREAM_HEARTBEAT_SECONDS, STREAM_ID_CHARS_MAX, STREAM_RETRY_MILLISECONDS, SiteState, StreamEnd,
    StreamEndReason, StreamMessage, StreamReset, StreamResetReason,
};

/// The longest a long poll for events waits, in seconds: below the minute after which proxies time out. A longer `wait`
/// is capped to this.
pub const EVENT_WAIT_SECONDS_MAX: u64 = 50;

/// The most events in one response; the rest is fetched with `after`. A larger `limit` is capped to this.
pub const EVENTS_PER_ANSWER_MAX: usize = 1_000;

/// A site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Site {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// An operator's description of it.
    pub description: String,
    /// The name of its phase; `link` is separate.
    pub state: String,
    /// When it entered this state.
    pub state_since: String,
    /// What a transitional state waits for.
    pub waits_for: Option<String>,
    /// Whether it is connected.
    pub link: Link,
    /// The effective labels.
    pub labels: Vec<Label>,
    /// The newest spec generation.
    pub spec_generation: u64,
    /// The newest spec generation the site has stored.
    pub applied_generation: u64,
    /// The newest spec generation the site has converged to.
    pub converged_generation: u64,
    /// Its daemon's version.
    pub daemon_version: String,
    /// When it joined.
    pub joined_at: String,
    /// The id of the token it joined with.
    pub token: String,
    /// How often it recovered with an expired certificate.
    pub recoveries: u32,
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// Its active conditions.
    pub conditions: Vec<Condition>,
}

/// A link, as seen from one end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Link {
    /// `connected`, `reconnecting` or `disconnected`.
    pub state: String,
    /// When it entered this state.
    pub since: String,
    /// The peer's address, as last seen; empty if never.
    pub address: String,
}

impl Link {
    /// Whether a session is up. A site without one is *offline*: changes apply when it reconnects.
    pub fn is_connected(&self) -> bool {
        self.state == model::LinkState::Connected.as_str()
    }
}

/// An effective label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Who set it: `reported`, `local` or `assigned`.
    pub owner: String,
    /// When it was set.
    pub since: String,
    /// Where it is set: `site` or `host`.
    pub level: String,
}

/// A condition: a problem that is active now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Condition {
    /// Its code.
    pub kind: String,
    /// When it became active.
    pub since: String,
    /// What is wrong, and what to do.
    pub detail: String,
}

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Token {
    /// Its id.
    pub id: String,
    /// The environment its sites join, or that of its site.
    pub environment: String,
    /// When it was created.
    pub created_at: String,
    /// When it expires.
    pub expires_at: String,
    /// How many sites or hosts it may create.
    pub uses_max: u32,
    /// How many more it may create.
    pub uses_left: u32,
    /// Labels assigned to its sites or hosts.
    pub labels: Vec<Label>,
    /// The site whose machine it replaces; absent for a token that creates sites or hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The site whose hosts join the server with it; absent for a token that creates or replaces sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts_of: Option<String>,
    /// `valid`, `expired`, `used-up`, `revoked` or `held`.
    pub state: String,
}

/// A newly created join token. The secret is shown in this response only. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TokenCreated {
    /// The token.
    pub token: Token,
    /// The token to join with, secret included: `lct_…@HOST:PORT[,HOST:PORT…]`.
    pub join: String,
    /// The command to run at a site that has the daemon installed.
    pub command: String,
    /// The one-line command that installs and joins a bare Debian machine; `null` if the server has no packages to
    /// install.
    #[serde(default)]
    pub install: Option<String>,
    /// The packages that command may fetch, by name.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Whether the secret is missing, and with it `join`, `command` and `install`, because the request was sent again
    /// with the same `Idempotency-Key`: only the first response had it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret_withheld: bool,
}

impl fmt::Debug for TokenCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCreated").field("token", &self.token).finish_non_exhaustive()
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// Its sequence number at the server; only increases.
    pub seq: u64,
    /// When it happened.
    pub at: String,
    /// The kind of event.
    pub kind: String,
    /// The site it is about, by name; `null` for the server itself or a site that no longer exists.
    pub site: Option<String>,
    /// The message.
    pub text: String,
    /// Who reported it.
    pub source: EventSource,
    /// When the server received it from the site, by the server's clock; `null` if the server itself reported it.
    pub received_at: Option<String>,
    /// Who caused it: the caller of the operation that it follows from; `null` if it follows from none.
    pub actor: Option<String>,
}

/// Who reported an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EventSource {
    /// The server.
    Server,
    /// The site: message and time are the site's own.
    Site,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Whether joined sites wait for an operator's approval.
    pub approval: bool,
    /// How many recoveries with an expired certificate one site may have in any 24 hours.
    pub recoveries_per_day_max: u32,
    /// How long a removed site is retained before it is purged.
    pub removed_keep_seconds: u64,
    /// How many sites it has.
    pub sites: u64,
}

/// The server itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The pin of its certificate authority, `sha256:…`.
    pub pin: String,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// The URL at which operators reach the server; empty from a server that does not tell it.
    #[serde(default)]
    pub server_url: String,
    /// How many sites are connected.
    pub connected: u64,
    /// How many lost their link recently.
    pub reconnecting: u64,
    /// How many have been offline for longer.
    pub disconnected: u64,
    /// The backup that it was restored from, while something is held; `null` otherwise.
    #[serde(default)]
    pub restored: Option<Restored>,
}

/// The server's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Health {
    /// `ok`: the server answers.
    pub status: String,
    /// `ok`, or why changes are rejected: `disk-full`, `read-only` or `failed`. A fault is no reason to restart the
    /// server: its sites stay linked.
    pub store: String,
    /// The server's version; the `doctor` of a site compares it.
    pub version: String,
}

/// The answer of a server that can do everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Readiness {
    /// `ready`. A server that is not ready answers with an error.
    pub status: String,
}

/// What a command with a selector would affect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// How many match.
    pub matched: usize,
    /// How many of those are not connected: the change applies when they reconnect.
    pub offline: usize,
    /// The matches.
    pub items: Vec<PreviewItem>,
}

/// One match of a command with a selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewItem {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// The name of its phase.
    pub state: String,
    /// When it entered this state.
    pub state_since: String,
    /// The generation of its spec: a bulk action on this preview does not change a site whose spec changed since.
    pub spec_generation: u64,
    /// Its link.
    pub link: Link,
}

/// A change of the assigned labels of a site or a host, key by key; keys that are not named stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct LabelChange {
    /// Labels to set.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Keys to remove. A key that is also in `set` is set.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// An edit of a site or a host. Fields that are `null` or absent stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct Edit {
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its new description; empty removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A request to create a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct TokenRequest {
    /// The environment its sites join.
    pub environment: String,
    /// How long it is valid, at most [`TOKEN_TTL_MAX`](model::limits::TOKEN_TTL_MAX).
    pub ttl_seconds: u64,
    /// How many sites or hosts it may create, 1 to [`TOKEN_USES_MAX`](model::limits::TOKEN_USES_MAX).
    pub uses: u32,
    /// Labels assigned to its sites or hosts.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The site of the environment whose machine it replaces: the machine that joins with it becomes this site, and the
    /// keys of the earlier machine are revoked. Such a token has one use and no labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The site of the environment whose hosts join the server with it. Not together with `replaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts_of: Option<String>,
}

/// A request to create an environment. Absent fields take the server's defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct EnvironmentRequest {
    /// Its name.
    pub name: String,
    /// See [`Environment::approval`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<bool>,
    /// See [`Environment::recoveries_per_day_max`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recoveries_per_day_max: Option<u32>,
    /// See [`Environment::removed_keep_seconds`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_keep_seconds: Option<u64>,
}

/// An edit of an environment's settings. Absent fields stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct EnvironmentEdit {
    /// See [`Environment::approval`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<bool>,
    /// See [`Environment::recoveries_per_day_max`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recoveries_per_day_max: Option<u32>,
    /// See [`Environment::removed_keep_seconds`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_keep_seconds: Option<u64>,
}

#[cfg(test)]
pub(crate) mod tests;
