//! A server that was restored from a backup, and what is held since.

use linecamp_model as model;
use serde::{Deserialize, Serialize};

use super::{List, Token};

/// Maximum sites, tokens and keys in one request to accept or reject. More are rejected: send several requests.
pub const HELD_ITEMS_MAX: usize = 500;

/// What is held since the server was restored from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Restore {
    /// The backup; `null` if the server was not restored, or nothing is held any more.
    pub restored: Option<Restored>,
    /// A page of the sites that the query matches, by environment and name.
    pub sites: Vec<HeldSite>,
    /// The cursor of the next page of sites; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many sites the query matches, on all pages.
    #[serde(default)]
    pub total: u64,
    /// The join tokens, newest first.
    pub tokens: Vec<Token>,
    /// The API keys, by name.
    pub api_keys: Vec<HeldApiKey>,
    /// Machines with a certificate of this server whose key it does not know, latest first: sites that joined after the
    /// backup, or whose machine was replaced.
    pub unknown: Vec<RefusedContact>,
}

/// The backup that a server was restored from, and how many objects are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Restored {
    /// When the backup was taken: changes after that are lost.
    pub taken_at: String,
    /// When it was restored.
    pub restored_at: String,
    /// How many sites are held.
    pub held_sites: usize,
    /// How many join tokens are held.
    pub held_tokens: usize,
    /// How many API keys are held.
    pub held_api_keys: usize,
}

/// A site that is held: its sessions are refused until it is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HeldSite {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// Its phase in the backup.
    pub state: String,
    /// When it was last linked, as far as the backup knows.
    pub last_contact: String,
    /// When and from where it asked to connect last; `null` if it has not since this server started.
    pub asked: Option<RefusedContact>,
    /// `not-seen`, `unchanged`, `changed` (its spec was changed after the backup) or `being-removed` (its spec requests
    /// its removal).
    pub evidence: String,
}

/// When and from where a machine asked to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RefusedContact {
    /// When.
    pub at: String,
    /// Its address.
    pub address: String,
}

/// An API key that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HeldApiKey {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The user it belongs to; `null` for a key of the server's console.
    pub user: Option<String>,
    /// When it was created.
    pub created_at: String,
}

/// What to accept or reject, at most [`HELD_ITEMS_MAX`] in all. What is not held any more is skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeldItems {
    /// Sites, by id.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Join tokens, by id.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// API keys, by id.
    #[serde(default)]
    pub api_keys: Vec<String>,
}

/// What is still held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HeldLeft {
    /// The backup; `null` if nothing is held any more.
    pub restored: Option<Restored>,
}

impl Restored {
    /// Describes the backup and the numbers of sites, join tokens and API keys that are held.
    pub fn new(from: &model::RestoredFrom, (sites, tokens, api_keys): (usize, usize, usize)) -> Self {
        Self {
            taken_at: from.taken_at.to_string(),
            restored_at: from.restored_at.to_string(),
            held_sites: sites,
            held_tokens: tokens,
            held_api_keys: api_keys,
        }
    }
}

impl From<&model::RefusedContact> for RefusedContact {
    fn from(contact: &model::RefusedContact) -> Self {
        Self { at: contact.at.to_string(), address: contact.address.to_string() }
    }
}

impl From<&model::HeldSiteView> for HeldSite {
    fn from(site: &model::HeldSiteView) -> Self {
        Self {
            id: site.id.to_string(),
            name: site.name.to_string(),
            environment: site.environment.to_string(),
            state: site.phase.to_string(),
            last_contact: site.last_contact.to_string(),
            asked: site.asked.as_ref().map(RefusedContact::from),
            evidence: site.evidence.to_string(),
        }
    }
}

impl Restore {
    /// Describes a restored server with these held sites; `counts` as for [`Restored::new`].
    pub fn new(view: &model::RestoreView, sites: List<HeldSite>, counts: (usize, usize, usize)) -> Self {
        let key = |key: &model::HeldApiKeyView| HeldApiKey {
            id: key.id.to_string(),
            name: key.name.to_string(),
            user: key.user.as_ref().map(ToString::to_string),
            created_at: key.created_at.to_string(),
        };
        Self {
            restored: Some(Restored::new(&view.from, counts)),
            sites: sites.items,
            next: sites.next,
            total: sites.total.unwrap_or_default(),
            tokens: view.tokens.iter().map(Token::from).collect(),
            api_keys: view.api_keys.iter().map(key).collect(),
            unknown: view.unknown.iter().map(RefusedContact::from).collect(),
        }
    }

    /// Describes a server that was not restored, or whose operator has settled everything.
    pub fn settled() -> Self {
        let (sites, tokens, api_keys, unknown) = <_>::default();
        Self { restored: None, sites, next: None, total: 0, tokens, api_keys, unknown }
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{
        HeldApiKeyView, HeldSiteView, KeyId, Name, Phase, RestoreView, RestoredFrom, SiteEvidence, SiteId, Text,
        WallTime,
    };

    use super::*;
    use crate::api::tests::written;

    #[test]
    fn a_restored_server_is_written_as_promised() {
        let at = |minutes: u64| WallTime::from_unix_millis(1_795_314_420_000 + minutes * 60_000);
        let name = |text: &str| Name::parse(text).expect("valid");
        let contact = model::RefusedContact { at: at(9), address: Text::lossy("192.0.2.7:4711") };
        let site = HeldSiteView {
            id: SiteId::from_bytes([0x11; 16]),
            name: name("camp-042"),
            environment: name("default"),
            phase: Phase::Active,
            last_contact: at(0),
            asked: Some(contact.clone()),
            evidence: SiteEvidence::Changed,
        };
        let view = RestoreView {
            from: RestoredFrom { taken_at: at(0), restored_at: at(5) },
            tokens: Vec::new(),
            api_keys: vec![HeldApiKeyView {
                id: KeyId::from_bytes([0x22; 8]),
                name: name("ci"),
                user: Some(name("anna")),
                created_at: at(1),
            }],
            unknown: vec![contact],
        };
        let all = [
            written(&Restore::new(&view, [HeldSite::from(&site)].into_iter().collect(), (1, 0, 1))),
            written(&Restore::settled()),
            written(&HeldItems { sites: vec!["11".into()], ..HeldItems::default() }),
            written(&HeldLeft { restored: None }),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }
}
