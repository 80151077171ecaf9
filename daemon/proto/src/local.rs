//! The local socket: the daemon's API for commands run on the same machine, also while the server is unreachable.
//!
//! One JSON request on one line, one JSON response on one line, then the daemon closes the connection. A request line
//! is at most [`REQUEST_BYTES_MAX`]; an unknown request or field is rejected. Anyone who can open the socket can run
//! every command: the socket's file mode is the access control. Responses contain nothing that the server could not
//! know, and no secret. An HTTP request line is also served: `GET /metrics` returns the daemon's metrics.

mod convert;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::{Condition, Error, Label, Link, ProviderBody, ProviderKindName};

/// Bytes of a request line: as many labels as one owner may have, with room to spare. The daemon answers a longer one
/// with [`TooLarge`](crate::api::ErrorCode::TooLarge) and closes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a response line: a site with everything at its limit (every host with three owners' labels at both levels)
/// stays below 10 MiB, as do all its providers with their settings, and all its reported records. Clients abort on a
/// longer one.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A request: `{"do":"status"}` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum LocalRequest {
    /// Show the site's status. Returns [`LocalStatus`].
    Status {},
    /// Show what each part waits for. Returns a list of [`WhyLine`].
    Why {},
    /// List the labels of the site and its gateway. Returns [`LocalLabels`].
    LabelList {},
    /// Set local labels. Returns the resulting [`LocalLabels`].
    LabelSet {
        /// The labels to set.
        labels: BTreeMap<String, String>,
        /// The level to set them at.
        level: LabelLevel,
    },
    /// Remove local labels; an absent one is not an error. Returns [`LocalLabels`].
    LabelRemove {
        /// The keys to remove.
        keys: Vec<String>,
        /// The level to remove them from.
        level: LabelLevel,
    },
    /// List the site's hosts. Returns a list of [`LocalHost`].
    HostList {},
    /// List the site's DNS records as of the last reconcile. Returns a list of [`DnsRecord`](crate::api::DnsRecord).
    DnsList {},
    /// Observe all zones and plan without changing anything. Returns a list of [`DnsRecord`](crate::api::DnsRecord) when done.
    DnsPlan {},
    /// Take over a DNS name from its current owner with the next reconcile. Returns a list with that one
    /// [`DnsRecord`](crate::api::DnsRecord).
    DnsAdopt {
        /// The zone; Unicode is allowed.
        zone: String,
        /// The name, absolute; Unicode is allowed.
        name: String,
        /// The type, such as `A`.
        #[serde(rename = "type")]
        rtype: String,
        /// The provider that is to manage it.
        provider: String,
    },
    /// List the site's providers. Returns a list of [`LocalProvider`].
    ProviderList {},
    /// The daemon's metrics in the Prometheus text format. Returns a string.
    Metrics {},
}

/// A response: `{"ok":…}` or `{"error":{"code":…,"message":…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalResponse<T> {
    /// The request succeeded, with this result.
    Ok(T),
    /// The request failed.
    Error(Error),
}

/// Whether a label belongs to the site or to the gateway host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelLevel {
    /// The site.
    Site,
    /// The gateway host.
    Host,
}

/// A site's status, as its daemon reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStatus {
    /// Its id; `null` before it joined.
    pub id: Option<String>,
    /// Its name, if known.
    pub name: Option<String>,
    /// Its environment, if known.
    pub environment: Option<String>,
    /// Its desired state, if known: `pending`, `active`, `inactive` or `removed`.
    pub target: Option<String>,
    /// Its link; the address is the server's.
    pub link: Link,
    /// What the link is doing, for people.
    pub link_doing: String,
    /// The site's effective labels.
    pub labels: Vec<Label>,
    /// The newest spec generation it has stored.
    pub applied_generation: u64,
    /// The newest spec generation it has converged to.
    pub converged_generation: u64,
    /// The daemon's version.
    pub daemon_version: String,
    /// When its certificate expires; `null` before it joined.
    pub certificate_expires_at: Option<String>,
    /// Events queued for the server.
    pub outbox_events: u64,
    /// Events dropped since its database was created.
    pub events_dropped: u64,
    /// Its hosts.
    pub hosts: Vec<LocalHost>,
    /// Its active conditions.
    pub conditions: Vec<Condition>,
}

/// A host, as the site's daemon reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalHost {
    /// Its id.
    pub id: String,
    /// Its name, if known.
    pub name: Option<String>,
    /// Where it comes from: `gateway`, `custom` or `provider`.
    pub origin: String,
    /// Its desired state, if known.
    pub target: Option<String>,
    /// The effective labels, including the site's.
    pub labels: Vec<Label>,
}

/// A provider, as the site's daemon reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalProvider {
    /// Its name.
    pub name: String,
    /// Who configured it: `local` for the site's own configuration, `central` for the server.
    pub origin: String,
    /// What it provides.
    pub kind: ProviderKindName,
    /// The plugin, with its version if known.
    pub plugin: String,
    /// Why it does not work; `null` if it does.
    pub failure: Option<String>,
    /// How many records it manages or wants, as far as they are reported.
    pub records: usize,
    /// How many of those are `conflict`, `quarantined` or `retained`.
    pub records_failed: usize,
    /// Its settings, including grants; `null` if it is no longer configured.
    pub settings: Option<ProviderBody>,
}

/// The effective labels at each level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalLabels {
    /// The site's.
    pub site: Vec<Label>,
    /// The gateway host's, including the site's.
    pub host: Vec<Label>,
}

/// What one part of the daemon waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLine {
    /// The part.
    pub part: String,
    /// Its state: `ok`, `active`, `waiting` or `failing`.
    pub state: String,
    /// What it is doing, for people.
    pub detail: String,
    /// What it does next by itself; `null` if it waits for an external event.
    pub next: Option<WhyNext>,
}

/// What a part does next by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNext {
    /// When.
    pub at: String,
    /// What, for people.
    pub does: String,
}

#[cfg(test)]
mod tests;
