//! Bulk actions: one change to many sites, and their progress.

use std::collections::BTreeMap;

use linecamp_model as model;
use serde::{Deserialize, Serialize};

use super::LabelChange;

/// What is requested of each site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SiteAction {
    /// Change its assigned labels.
    Label,
    /// Take it out of service.
    Deactivate,
    /// Bring it back into service.
    Activate,
    /// Accept it.
    Accept,
    /// Remove it, once it has confirmed. It must be inactive.
    Remove,
    /// Remove it in any state, without waiting for it.
    ForceRemove,
}

/// A request to change many sites at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct BulkActionRequest {
    /// What is requested of each site.
    pub action: SiteAction,
    /// The change of the labels, for the action `label`.
    #[serde(default)]
    pub labels: LabelChange,
    /// The sites: the ID of each, and the `spec_generation` with which it was listed. A site whose spec has changed
    /// since stays as it is; with `null`, it is changed whatever its generation. At most
    /// [`SITES_PER_BULK_ACTION_MAX`](model::limits::SITES_PER_BULK_ACTION_MAX).
    pub sites: BTreeMap<String, Option<u64>>,
}

/// A change to many sites that was requested at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BulkAction {
    /// Its id.
    pub id: String,
    /// What was requested of each site.
    pub action: SiteAction,
    /// The change of the labels; empty for another action.
    pub labels: BulkLabels,
    /// When it was requested.
    pub created_at: String,
    /// Who requested it.
    pub created_by: String,
    /// The number of sites in each state.
    pub progress: BulkActionProgress,
    /// The sites, by environment and name; `null` in a list.
    pub sites: Option<Vec<BulkActionSite>>,
}

/// The change of the labels that was requested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BulkLabels {
    /// Labels to set.
    pub set: BTreeMap<String, String>,
    /// Keys to remove.
    pub remove: Vec<String>,
}

/// The number of sites in each state. Only sites that the caller sees count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BulkActionProgress {
    /// All.
    pub sites: u64,
    /// Those that have applied the change.
    pub applied: u64,
    /// Those that have not yet.
    pub waiting: u64,
    /// Those that have not yet, and are not connected: they apply it when they reconnect.
    pub offline: u64,
    /// Those that were not changed.
    pub rejected: u64,
}

/// A site of a bulk action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BulkActionSite {
    /// Its id.
    pub id: String,
    /// Its name at that time.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// Its state.
    pub state: BulkActionState,
    /// Why it was not changed; `null` if it was.
    pub error: Option<BulkRejection>,
}

/// The state of a site in a bulk action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum BulkActionState {
    /// It has applied the change, or was removed.
    Applied,
    /// It is connected, and has not applied the change yet.
    Waiting,
    /// It is not connected, and applies the change when it reconnects.
    Offline,
    /// It was not changed.
    Rejected,
}

/// Why a site was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BulkRejection {
    /// The code that a request for this site alone would have got.
    pub code: String,
    /// The reason for people.
    pub detail: String,
}

impl BulkActionState {
    /// Returns its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Waiting => "waiting",
            Self::Offline => "offline",
            Self::Rejected => "rejected",
        }
    }
}

impl SiteAction {
    /// Returns its name in JSON.
    pub const fn as_str(self) -> &'static str {
        self.to_model().as_str()
    }

    /// Converts it to the model's.
    pub const fn to_model(self) -> model::SiteAction {
        match self {
            Self::Label => model::SiteAction::Label,
            Self::Deactivate => model::SiteAction::Deactivate,
            Self::Activate => model::SiteAction::Activate,
            Self::Accept => model::SiteAction::Accept,
            Self::Remove => model::SiteAction::Remove,
            Self::ForceRemove => model::SiteAction::ForceRemove,
        }
    }
}

impl From<model::SiteAction> for SiteAction {
    fn from(action: model::SiteAction) -> Self {
        match action {
            model::SiteAction::Label => Self::Label,
            model::SiteAction::Deactivate => Self::Deactivate,
            model::SiteAction::Activate => Self::Activate,
            model::SiteAction::Accept => Self::Accept,
            model::SiteAction::Remove => Self::Remove,
            model::SiteAction::ForceRemove => Self::ForceRemove,
        }
    }
}

impl BulkAction {
    /// Describes an action, without its sites.
    pub fn new(id: model::BulkActionId, action: &model::BulkAction, progress: BulkActionProgress) -> Self {
        let labels = LabelChange::from(&action.labels);
        Self {
            id: id.to_string(),
            action: action.action.into(),
            labels: BulkLabels { set: labels.set, remove: labels.remove },
            created_at: action.at.to_string(),
            created_by: action.actor.to_string(),
            progress,
            sites: None,
        }
    }
}

impl BulkActionSite {
    /// Describes a site of an action.
    pub fn new(site: &model::BulkActionSite, state: BulkActionState) -> Self {
        let error = match &site.outcome {
            model::BulkOutcome::Requested(_) => None,
            model::BulkOutcome::Rejected(rejection) => {
                Some(BulkRejection { code: rejection.code.to_string(), detail: rejection.text.to_string() })
            }
        };
        Self {
            id: site.site.to_string(),
            name: site.name.to_string(),
            environment: site.environment.to_string(),
            state,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use linecamp_model::{BulkOutcome, CallerAccount, Generation, LabelPatch, Name, SiteId, Text, WallTime};

    use super::*;
    use crate::api::tests::written;

    #[test]
    fn a_bulk_action_is_written_as_promised() {
        let rejection =
            model::BulkRejection { code: Text::lossy("not-possible"), text: Text::lossy("site camp-007 was removed") };
        let site = |id, name: &str, outcome| model::BulkActionSite {
            site: SiteId::from_bytes([id; 16]),
            environment: Name::parse("default").expect("valid"),
            name: Name::parse(name).expect("valid"),
            outcome,
        };
        let action = model::BulkAction {
            action: model::SiteAction::Deactivate,
            labels: LabelPatch::default(),
            actor: Text::lossy("user anna"),
            account: CallerAccount::Console,
            at: WallTime::from_unix_millis(1_795_314_420_000),
            sites: vec![
                site(0x11, "camp-042", BulkOutcome::Requested(Generation(19))),
                site(0x12, "camp-007", BulkOutcome::Rejected(rejection)),
            ],
        };
        let states = [BulkActionState::Offline, BulkActionState::Rejected];
        let sites = action.sites.iter().zip(states).map(|(site, state)| BulkActionSite::new(site, state));
        let progress = BulkActionProgress { sites: 2, applied: 0, waiting: 1, offline: 1, rejected: 1 };
        let listed = BulkAction::new(model::BulkActionId::from_bytes([0x22; 8]), &action, progress);
        let shown = BulkAction { sites: Some(sites.collect()), ..listed.clone() };
        let request = BulkActionRequest {
            action: SiteAction::ForceRemove,
            labels: LabelChange::default(),
            sites: [("11".repeat(16), Some(19)), ("12".repeat(16), None)].into(),
        };
        insta::assert_snapshot!([written(&shown), written(&listed), written(&request)].join("\n"));
    }

    #[test]
    fn an_action_has_the_same_name_everywhere() {
        for action in model::SiteAction::ALL {
            let action = SiteAction::from(*action);
            assert_eq!(serde_json::to_value(action).expect("a text"), action.as_str());
            assert_eq!(SiteAction::from(action.to_model()), action);
        }
    }
}
