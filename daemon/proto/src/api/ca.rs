//! The server's certificate authorities, and how far the replacement of one is.

use linecamp_model as model;
use serde::{Deserialize, Serialize};

/// The most sites in one response; `waiting` counts all.
pub const CA_WAITING_SITES_MAX: usize = 1_000;

/// The server's certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CaStatus {
    /// `stable`, `added` (the next authority exists) or `switched` (it issues all certificates).
    pub state: String,
    /// The authorities, the one that issues certificates first.
    pub authorities: Vec<CaAuthority>,
    /// The number of the set of authorities that the sites are told; absent before the first replacement.
    pub set: Option<u64>,
    /// Since when the sites are told this set.
    pub since: Option<String>,
    /// The number of sites.
    pub sites: usize,
    /// The number of sites that the retirement waits for.
    pub waiting: usize,
    /// These sites, by environment and name; at most 1,000.
    pub waiting_sites: Vec<CaWaitingSite>,
    /// The number of valid join tokens that carry the pin of the authority that is to be retired.
    pub old_tokens: usize,
}

/// A certificate authority of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CaAuthority {
    /// `current`, `next` (replaces the current one) or `previous` (is to be retired).
    pub role: String,
    /// The pin of its key.
    pub pin: String,
    /// The end of its validity, which sites do not check.
    pub expires_at: String,
}

/// A site that the retirement of an authority waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CaWaitingSite {
    /// Its environment.
    pub environment: String,
    /// Its name.
    pub name: String,
    /// What it lacks: the next `authority`, or a `certificate` from it.
    pub lacks: String,
    /// The state of its link.
    pub link: String,
    /// Since when the link is in this state: for a site that is offline, the last contact.
    pub since: String,
}

/// The retirement of an authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct CaRetirement {
    /// Retire it although sites wait.
    #[serde(default)]
    pub force: bool,
}

impl CaStatus {
    /// Describes the authorities in the server's data directory, with the end of validity of each.
    pub fn new(rotation: &model::AuthorityRotation, ends: &[model::WallTime]) -> Self {
        let (state, roles) = match rotation.phase {
            model::RotationPhase::Stable => ("stable", ["current", "current"]),
            model::RotationPhase::Added => ("added", ["current", "next"]),
            model::RotationPhase::Switched => ("switched", ["current", "previous"]),
        };
        let authority = |((found, role), end): ((&model::TrustedAuthority, &str), &model::WallTime)| CaAuthority {
            role: role.to_owned(),
            pin: found.pin.to_string(),
            expires_at: end.to_string(),
        };
        Self {
            state: state.to_owned(),
            authorities: rotation.authorities.iter().zip(roles).zip(ends).map(authority).collect(),
            set: None,
            since: None,
            sites: 0,
            waiting: 0,
            waiting_sites: Vec::new(),
            old_tokens: 0,
        }
    }

    /// Returns the pin of the authority that issues certificates.
    pub fn pin(&self) -> Option<&str> {
        self.authorities.first().map(|authority| authority.pin.as_str())
    }
}
