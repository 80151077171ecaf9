//! Bulk actions: one change to many sites, requested at once.

use std::fmt;

use crate::caller::CallerAccount;
use crate::generation::Generation;
use crate::id::SiteId;
use crate::label::LabelPatch;
use crate::name::{Name, Text};
use crate::time::WallTime;

/// What is requested of each site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteAction {
    /// Change its assigned labels.
    Label,
    /// Take it out of service.
    Deactivate,
    /// Bring it back into service.
    Activate,
    /// Accept it.
    Accept,
    /// Remove it, once it has confirmed.
    Remove,
    /// Remove it from any phase, without waiting for it.
    ForceRemove,
}

impl SiteAction {
    /// All actions.
    pub const ALL: &[Self] =
        &[Self::Label, Self::Deactivate, Self::Activate, Self::Accept, Self::Remove, Self::ForceRemove];

    /// Returns its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Deactivate => "deactivate",
            Self::Activate => "activate",
            Self::Accept => "accept",
            Self::Remove => "remove",
            Self::ForceRemove => "force-remove",
        }
    }

    /// Whether it ends with the site's removal.
    pub const fn removes(self) -> bool {
        matches!(self, Self::Remove | Self::ForceRemove)
    }
}

impl fmt::Display for SiteAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change to many sites that was requested at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkAction {
    /// What was requested.
    pub action: SiteAction,
    /// The change of the labels; empty for another action.
    pub labels: LabelPatch,
    /// Who requested it.
    pub actor: Text,
    /// Whose limits it uses up.
    pub account: CallerAccount,
    /// When.
    pub at: WallTime,
    /// The sites, each once, by environment and name.
    pub sites: Vec<BulkActionSite>,
}

/// A site of a bulk action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkActionSite {
    /// The site.
    pub site: SiteId,
    /// Its environment.
    pub environment: Name,
    /// Its name at that time.
    pub name: Name,
    /// Its outcome.
    pub outcome: BulkOutcome,
}

/// The outcome of a bulk action for one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkOutcome {
    /// The site's spec requests the change since this generation.
    Requested(Generation),
    /// Nothing changed.
    Rejected(BulkRejection),
}

/// Why a site was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRejection {
    /// The code for programs: that of the API.
    pub code: Text,
    /// The reason for people.
    pub text: Text,
}
