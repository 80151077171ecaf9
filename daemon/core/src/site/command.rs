//! Commands of users on the site's own machine, and why one fails.

use linecamp_model::{LabelError, LabelPatch, Level, OwnedRecordKey, Text};

use crate::StoreFault;

/// Commands accepted on the local socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteCommand {
    /// Change the labels set by hand.
    PatchLabels(Level, LabelPatch),
    /// Let every provider read its zones and plan, without changing anything. Answered when all have finished.
    PlanRecords,
    /// Adopt a DNS name from its current owner.
    AdoptRecord(OwnedRecordKey),
}

/// Why a local command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteCommandError {
    /// The labels would exceed a limit.
    Labels(LabelError),
    /// The record does not exist, or no other owner holds it; the text explains.
    Record(Text),
    /// The store could not commit; nothing was changed.
    Store(StoreFault),
}
