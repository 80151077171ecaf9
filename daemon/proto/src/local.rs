//! The local socket: what somebody on the spot asks the daemon, also while the server is away.
//!
//! One JSON request on one line, one JSON response on one line, then the daemon closes. A request line is at most
//! [`REQUEST_BYTES_MAX`]; an unknown request or field is refused. Who may open the socket may do everything here:
//! the socket's file mode is the lock. The daemon says nothing here that its server could not know, and no secret. A
//! first line of HTTP is answered too: `GET /metrics`, with the daemon's numbers.

mod convert;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::{Condition, Error, Label, Link, ProviderBody};

/// Bytes of a request line: as many labels as one owner may have, with room. The daemon answers a longer one with
/// [`TooLarge`](crate::api::ErrorCode::TooLarge) and closes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a response line: a site with everything at its limit (every host with three owners' labels at both levels)
/// stays below 10 MiB, as do all its providers with their settings, and all its records as far as they are reported.
/// Who asks gives up on a longer one.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What can be asked: `{"do":"status"}` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum LocalRequest {
    /// How the site is. Answered by [`LocalStatus`].
    Status {},
    /// Why each part waits. Answered by a list of [`WhyLine`].
    Why {},
    /// The site's labels and those of its gateway. Answered by [`LocalLabels`].
    LabelList {},
    /// Sets local labels. Answered by [`LocalLabels`], as they are afterwards.
    LabelSet {
        /// What to set.
        labels: BTreeMap<String, String>,
        /// Of what.
        level: LabelLevel,
    },
    /// Takes local labels away; one that is not there is no error. Answered by [`LocalLabels`].
    LabelRemove {
        /// Which.
        keys: Vec<String>,
        /// Of what.
        level: LabelLevel,
    },
    /// The site's hosts. Answered by a list of [`LocalHost`].
    HostList {},
    /// The site's DNS records, as the last round left them. Answered by a list of [`LocalRecord`].
    DnsList {},
    /// Looks at all zones afresh and plans, changing nothing. Answered by a list of [`LocalRecord`], once that is done.
    DnsPlan {},
    /// Takes a DNS name over from whoever has it, with the next round. Answered by a list of [`LocalRecord`]: that one.
    DnsAdopt {
        /// The zone; Unicode is fine.
        zone: String,
        /// The name, absolute; Unicode is fine.
        name: String,
        /// The type, such as `A`.
        #[serde(rename = "type")]
        rtype: String,
        /// The provider that is to keep it.
        provider: String,
    },
    /// The site's providers. Answered by a list of [`LocalProvider`].
    ProviderList {},
    /// The daemon's numbers, as Prometheus reads them. Answered by a text.
    Metrics {},
}

/// What is answered: `{"ok":…}` or `{"error":{"code":…,"message":…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalResponse<T> {
    /// It was done, and this is the answer.
    Ok(T),
    /// It was not done.
    Error(Error),
}

/// Whether a label is the whole site's or the gateway host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelLevel {
    /// The whole site's.
    Site,
    /// The gateway host's.
    Host,
}

/// How a site is, as its daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStatus {
    /// Its id; `null` before it joined.
    pub id: Option<String>,
    /// Its name, as far as known.
    pub name: Option<String>,
    /// Its environment, as far as known.
    pub environment: Option<String>,
    /// What it should be doing, as far as known: `pending`, `active`, `inactive` or `removed`.
    pub target: Option<String>,
    /// Its link; the address is the server's.
    pub link: Link,
    /// What the link is doing, in words.
    pub link_doing: String,
    /// The labels that hold for the site.
    pub labels: Vec<Label>,
    /// The newest spec it holds.
    pub applied_generation: u64,
    /// The newest spec it matches.
    pub converged_generation: u64,
    /// The daemon's version.
    pub daemon_version: String,
    /// When its certificate expires; `null` before it joined.
    pub certificate_expires_at: Option<String>,
    /// Events that wait for the server.
    pub outbox_events: u64,
    /// Events dropped since its database began.
    pub events_dropped: u64,
    /// Its hosts.
    pub hosts: Vec<LocalHost>,
    /// Its troubles.
    pub conditions: Vec<Condition>,
}

/// A host, as the site's daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalHost {
    /// Its id.
    pub id: String,
    /// Its name, as far as known.
    pub name: Option<String>,
    /// Where it comes from: `gateway`, `custom` or `provider`.
    pub origin: String,
    /// What it should be doing, as far as known.
    pub target: Option<String>,
    /// The labels that hold, the site's included.
    pub labels: Vec<Label>,
}

/// A provider, as the site's daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalProvider {
    /// Its name.
    pub name: String,
    /// Who configured it: `local` for the site's own configuration, `central` for the server.
    pub origin: String,
    /// The plugin, with its version as far as known.
    pub plugin: String,
    /// Why it does not work; `null` if it does.
    pub trouble: Option<String>,
    /// How many records it has or wants, as far as they are reported.
    pub records: usize,
    /// How many of those are foreign, set aside, or held back.
    pub records_in_trouble: usize,
    /// Its settings, grants included; `null` of one that is not configured any more.
    pub settings: Option<ProviderBody>,
}

/// A DNS record set, as the site's daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRecord {
    /// Which provider.
    pub provider: String,
    /// Its zone.
    pub zone: String,
    /// Its name, absolute and without the trailing dot.
    pub name: String,
    /// Its type, such as `AAAA`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// What is wanted; empty if nothing is.
    pub values: Vec<String>,
    /// What was there when it was last observed; empty if it was absent, `null` if it was never observed.
    pub observed: Option<Vec<String>>,
    /// When that was.
    pub observed_at: Option<String>,
    /// `kept`, `create`, `update`, `delete`, `foreign`, `quarantined`, `held` or `unknown`, as it was last observed.
    pub state: String,
    /// Why it is no further; empty if there is nothing to say.
    pub detail: String,
    /// Why its provider cannot observe or change it for now; `null` if it can.
    pub trouble: Option<String>,
}

/// The labels that hold at each level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalLabels {
    /// The site's.
    pub site: Vec<Label>,
    /// The gateway host's, the site's included.
    pub host: Vec<Label>,
}

/// Why one part of the daemon waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLine {
    /// The part.
    pub part: String,
    /// Its state, in words.
    pub state: String,
    /// What it does next by itself; `null` if it waits for somebody else.
    pub next: Option<WhyNext>,
}

/// What a part does next by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNext {
    /// When.
    pub at: String,
    /// What, in words.
    pub does: String,
}

#[cfg(test)]
mod tests;
