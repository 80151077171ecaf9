//! The shape of a host.

use serde::{Deserialize, Serialize};

use super::{Condition, Label, Link};

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// An operator's description of it.
    pub description: String,
    /// The name of its phase.
    pub state: String,
    /// When it entered this state.
    pub state_since: String,
    /// What a transitional state waits for.
    pub waits_for: Option<String>,
    /// Its link; of a gateway, its site's.
    pub link: Link,
    /// Who it is linked with: `server` or `gateway`.
    pub via: String,
    /// When it joined; a gateway joined with its site.
    pub joined_at: String,
    /// The version of its daemon, as last reported.
    pub daemon_version: String,
    /// Its conditions; of a gateway, its site's.
    pub conditions: Vec<Condition>,
    /// The effective labels, including its site's.
    pub labels: Vec<Label>,
    /// The newest spec generation of its site.
    pub spec_generation: u64,
}

/// A host that may be selected for something new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// Its name, which is unique within its site.
    pub name: String,
    /// Its site.
    pub site: String,
    /// The environment of its site.
    pub environment: String,
    /// Whether it is eligible.
    pub eligible: bool,
    /// Why it is not: `label`, `phase` or `link`; absent if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// The reason in words; absent if it is eligible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
