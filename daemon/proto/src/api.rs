//! The REST API's paths and JSON shapes: what `linecamp-server` says and `linecamp` reads.
//!
//! Field names never change and never change their meaning; new ones may appear, so who reads an answer ignores
//! what it does not know. Requests are read strictly: an unknown field is refused, because ignoring what somebody
//! asked for is worse than an error. Times are RFC 3339 in UTC, durations are whole seconds, words such as
//! `state` are the model's. Nothing here decides anything, and nothing here holds a secret except
//! [`TokenCreated`], whose `Debug` hides it.
//!
//! A list is answered as [`List`], anything refused as [`ErrorBody`] with the status of its [`ErrorCode`].

mod convert;
pub mod path;
mod provider;

use std::collections::BTreeMap;
use std::fmt;

use linecamp_model as model;
use serde::{Deserialize, Serialize};

pub use provider::{
    ExtraRecordBody, PluginView, ProviderBody, ProviderCount, ProviderEdit, ProviderRequest, ProviderView, RecordPlace,
    RecordView, SettingError, domain_name, plugin_digest,
};

/// The longest a long poll for events waits, in seconds: below the minute after which proxies give up. A longer
/// `wait` is cut to this.
pub const EVENT_WAIT_SECONDS_MAX: u64 = 50;

/// The most events in one answer: the rest is asked for with `after`. A larger `limit` is cut to this.
pub const EVENTS_PER_ANSWER_MAX: usize = 1_000;

/// Several of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List<T> {
    /// All of them.
    pub items: Vec<T>,
}

/// A site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// Words of an operator about it.
    pub description: String,
    /// The word of its phase; its link is said beside it.
    pub state: String,
    /// Since when.
    pub state_since: String,
    /// What a transitional state waits for.
    pub waits_for: Option<String>,
    /// Whether it can be reached.
    pub link: Link,
    /// The labels that hold.
    pub labels: Vec<Label>,
    /// The newest spec.
    pub spec_generation: u64,
    /// The newest spec the site holds.
    pub applied_generation: u64,
    /// The newest spec the site matches.
    pub converged_generation: u64,
    /// Its daemon's version.
    pub daemon_version: String,
    /// When it joined.
    pub joined_at: String,
    /// The id of the token it joined with.
    pub token: String,
    /// How often it came back with an expired certificate.
    pub recoveries: u32,
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// Its troubles.
    pub conditions: Vec<Condition>,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its site's name.
    pub site: String,
    /// Its environment.
    pub environment: String,
    /// Where it comes from: `gateway`, `custom` or `provider`.
    pub origin: String,
    /// Words of an operator about it.
    pub description: String,
    /// The word of its phase.
    pub state: String,
    /// Since when.
    pub state_since: String,
    /// What a transitional state waits for.
    pub waits_for: Option<String>,
    /// Its site's link.
    pub link: Link,
    /// The labels that hold, its site's included.
    pub labels: Vec<Label>,
}

/// A link, as seen from one end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `connected`, `reconnecting` or `disconnected`.
    pub state: String,
    /// Since when.
    pub since: String,
    /// The other end's address, as last seen; empty if never.
    pub address: String,
}

impl Link {
    /// Whether a session is up. A site that is not connected is *dark*: what it is told waits for it.
    pub fn is_connected(&self) -> bool {
        self.state == model::LinkState::Connected.as_str()
    }
}

/// A label that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Who says so: `reported`, `local` or `assigned`.
    pub owner: String,
    /// Since when.
    pub since: String,
    /// Where it is said: `site` or `host`.
    pub level: String,
}

/// A trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Its code.
    pub kind: String,
    /// Since when.
    pub since: String,
    /// In what way, and what to do.
    pub detail: String,
}

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Where its sites go.
    pub environment: String,
    /// When it was made.
    pub created_at: String,
    /// When it stops working.
    pub expires_at: String,
    /// How many sites it may create.
    pub uses_max: u32,
    /// How many it may still create.
    pub uses_left: u32,
    /// Labels its sites are given.
    pub labels: Vec<Label>,
    /// `valid`, `expired`, `used-up` or `revoked`.
    pub state: String,
}

/// A join token at its making, the only moment its secret is shown. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCreated {
    /// The token.
    pub token: Token,
    /// What lets whoever reads it join: `lct_…@HOST:PORT[,HOST:PORT…]`.
    pub join: String,
    /// What to run at a site that has the daemon.
    pub command: String,
    /// The one line that makes a bare Debian a site; `null` if the server has no packages to install it with.
    #[serde(default)]
    pub install: Option<String>,
    /// The packages it may fetch, by name.
    #[serde(default)]
    pub packages: Vec<String>,
}

impl fmt::Debug for TokenCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCreated").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number at the server; only rises.
    pub seq: u64,
    /// When.
    pub at: String,
    /// What kind of thing.
    pub kind: String,
    /// To which site, by name; `null` for the server itself or a site that is no longer known.
    pub site: Option<String>,
    /// In words.
    pub text: String,
    /// Who says so.
    pub source: EventSource,
    /// When the server received it from the site, by the server's clock; `null` if the server itself says so.
    pub received_at: Option<String>,
}

/// Who says that something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventSource {
    /// The server.
    Server,
    /// The site: text and time are its own.
    Site,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Whether joined sites wait until an operator accepts them.
    pub approval: bool,
    /// How many recoveries with an expired certificate one site may have in any 24 hours.
    pub recoveries_per_day_max: u32,
    /// How long a removed site is kept before it is purged.
    pub removed_keep_seconds: u64,
    /// How many sites it has.
    pub sites: u64,
}

/// The server itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The pin of its certificate authority, `sha256:…`.
    pub pin: String,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// How many sites can be reached.
    pub connected: u64,
    /// How many were lost a moment ago.
    pub reconnecting: u64,
    /// How many are dark for longer.
    pub disconnected: u64,
}

/// Whom a command with a selector hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// How many.
    pub matched: usize,
    /// How many of those are not connected: the change waits for them.
    pub dark: usize,
    /// Which.
    pub items: Vec<PreviewItem>,
}

/// One that a command with a selector hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewItem {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// The word of its phase.
    pub state: String,
    /// Since when.
    pub state_since: String,
    /// Its link.
    pub link: Link,
}

/// A change of the assigned labels of a site or a host, key by key: what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelChange {
    /// Labels to set.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Keys to take away. A key that is also set is set.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// An edit of a site or a host. What is `null` or absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its new description; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Asks for a join token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Where its sites go.
    pub environment: String,
    /// How long it works, at most [`TOKEN_TTL_MAX`](model::limits::TOKEN_TTL_MAX).
    pub ttl_seconds: u64,
    /// How many sites it may create, 1 to [`TOKEN_USES_MAX`](model::limits::TOKEN_USES_MAX).
    pub uses: u32,
    /// Labels its sites are given.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Asks for an environment. What is absent has the server's default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// An edit of an environment's rules. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// What is answered instead of anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: Error,
}

/// What went wrong: for machines and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// For machines.
    pub code: ErrorCode,
    /// For people: what was tried, and what to do.
    pub message: String,
}

impl Error {
    /// Makes an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Why something was refused: the closed list that programs may act on. On the wire `bad-request` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request does not read, or names what cannot be.
    BadRequest,
    /// No API key, or one the server does not know.
    Unauthorized,
    /// The API key is known, and may not do this.
    Forbidden,
    /// Nothing of this name.
    NotFound,
    /// The name exists in several environments; say which.
    Ambiguous,
    /// Another one has this name.
    NameTaken,
    /// It cannot do this in its present state.
    NotPossible,
    /// It would be more than a limit allows.
    Limit,
    /// The request is larger than the server reads.
    TooLarge,
    /// The server has too much to do, or is stopping; later is better.
    Busy,
    /// The server could not write to its store; nothing was changed.
    StoreFailed,
    /// A fault of the server's own.
    Internal,
    /// A code this build does not know. Never sent.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// Returns the HTTP status that goes with it.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Ambiguous | Self::NameTaken | Self::NotPossible | Self::Limit => 409,
            Self::TooLarge => 413,
            Self::Busy | Self::StoreFailed => 503,
            Self::Internal | Self::Unknown => 500,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
