//! The local socket: the daemon's API for commands run on the same machine, also while the server is unreachable.
//!
//! It is HTTP/1.1 over a Unix socket, with JSON bodies in the manner of the server's [API](crate::api):
//!
//! ```sh
//! curl --unix-socket /run/linecamp/linecampd.sock http://localhost/v1/status
//! ```
//!
//! | method | path | body | response |
//! |---|---|---|---|
//! | GET | [`STATUS`] | | [`LocalStatus`] |
//! | GET | [`WHY`] | | what each part waits for: a list of [`WhyLine`] |
//! | GET | [`LABELS`] | | [`LocalLabels`] |
//! | POST | [`SITE_LABELS`] [`HOST_LABELS`] | [`LabelChange`](crate::api::LabelChange) | [`LocalLabels`] |
//! | GET | [`HOSTS`] | | a list of [`LocalHost`] |
//! | POST | [`REMOVE_HOST`] | [`HostRemoval`] | the list without it |
//! | GET | [`HOST_TOKENS`] | | a list of [`LocalHostToken`] |
//! | POST | [`CREATE_HOST_TOKEN`] | [`NewHostToken`] | [`CreatedHostToken`] |
//! | POST | [`REVOKE_HOST_TOKEN`] | [`HostTokenRevocation`] | the list without it |
//! | POST | [`LEAVE`] | | [`LocalStatus`]: a host that leaves is removed soon |
//! | GET | [`PROVIDERS`] | | a list of [`LocalProvider`] |
//! | GET | [`RECORDS`] | | records as of the last reconcile: a list of [`DnsRecord`](crate::api::DnsRecord) |
//! | POST | [`PLAN_RECORDS`] | | the same, after observing all zones |
//! | POST | [`ADOPT_RECORD`] | [`RecordAdoption`] | a list with this [`DnsRecord`](crate::api::DnsRecord) |
//! | GET | [`METRICS`] | | metrics in the Prometheus text format |
//!
//! A success is 200. An error has the body and the status of the server's API ([`ErrorBody`](crate::api::ErrorBody),
//! [`ErrorCode::http_status`](crate::api::ErrorCode::http_status)), or 405 with `Allow`. A body has at most
//! [`REQUEST_BYTES_MAX`] bytes; unknown fields are rejected. A connection carries one request and one response.
//!
//! Anyone who can open the socket can make every request: the socket's file mode is the access control. Responses
//! contain nothing that the server could not know, and no secret but that of a token that the request created.

mod convert;
mod request;

use serde::{Deserialize, Serialize};

pub use request::{
    CreatedHostToken, HostRemoval, HostTokenRevocation, LocalRequest, LocalRequestError, NewHostToken, RecordAdoption,
};

use crate::api::{Condition, Label, Link, ProviderBody, ProviderKindName};

/// The site's status.
pub const STATUS: &str = "/v1/status";
/// What each part of the daemon waits for.
pub const WHY: &str = "/v1/why";
/// The effective labels of the site and its gateway.
pub const LABELS: &str = "/v1/labels";
/// Changes the site's local labels.
pub const SITE_LABELS: &str = "/v1/labels/site";
/// Changes the gateway's local labels.
pub const HOST_LABELS: &str = "/v1/labels/host";
/// The site's hosts.
pub const HOSTS: &str = "/v1/hosts";
/// Removes a host that joined this gateway.
pub const REMOVE_HOST: &str = "/v1/hosts/remove";
/// The tokens that hosts join this gateway with.
pub const HOST_TOKENS: &str = "/v1/host-tokens";
/// Creates a token that hosts join this gateway with.
pub const CREATE_HOST_TOKEN: &str = "/v1/host-tokens/create";
/// Revokes a token that was created at this gateway.
pub const REVOKE_HOST_TOKEN: &str = "/v1/host-tokens/revoke";
/// Lets a host leave its site.
pub const LEAVE: &str = "/v1/leave";
/// The site's providers.
pub const PROVIDERS: &str = "/v1/providers";
/// The site's DNS records.
pub const RECORDS: &str = "/v1/dns/records";
/// Observes all zones and plans, without changing anything.
pub const PLAN_RECORDS: &str = "/v1/dns/plan";
/// Takes over a DNS name from its current owner.
pub const ADOPT_RECORD: &str = "/v1/dns/adopt";
/// The daemon's metrics.
pub const METRICS: &str = "/metrics";

/// Bytes of a request's body: as many labels as one owner may have, with room to spare. The daemon answers a longer one
/// with [`TooLarge`](crate::api::ErrorCode::TooLarge).
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a response's body: a site with everything at its limit (256 hosts, each with 64 labels of three owners and
/// with those of the site that it inherits, of some 480 bytes as JSON) stays below 48 MiB; all its providers with their
/// settings, and all its reported records, are far below. Clients abort on a longer one.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;

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
    /// The addresses of its server.
    pub servers: LocalServers,
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

/// The addresses of the server, as a site keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalServers {
    /// The number of the confirmed set; 0 for the addresses of the join token.
    pub set: u64,
    /// Its addresses: one of them has carried a link.
    pub addresses: Vec<String>,
    /// The number of the set that the server told last, while none of its addresses has carried a link; else `null`.
    pub candidate_set: Option<u64>,
    /// The addresses of that set. They are dialed in turn with the confirmed ones.
    pub candidates: Vec<String>,
    /// Addresses from the site's own configuration. If there are any, only these are dialed.
    pub configured: Vec<String>,
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
    /// Its link with this daemon; `null` for the machine of the daemon.
    pub link: Option<Link>,
}

/// A token that hosts join this gateway with, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalHostToken {
    /// Its id.
    pub id: String,
    /// Where it was created: `local` at this gateway, `central` at the server.
    pub origin: String,
    /// When it was created.
    pub created_at: String,
    /// When it expires.
    pub expires_at: String,
    /// How many hosts have joined with it.
    pub uses: u32,
    /// How many hosts may join with it.
    pub uses_max: u32,
    /// `valid`, `expired` or `used-up`.
    pub state: String,
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
