//! Commands of users on the site's own machine, and why one fails.

use linecamp_model::{HostId, HostToken, LabelError, LabelPatch, Level, OwnedRecordKey, Text, TokenId};

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
    /// Change what the site knows of its hosts.
    Host(HostCommand),
}

/// Commands about the hosts of the LAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCommand {
    /// Create a token that hosts join this gateway with.
    CreateToken(TokenId, HostToken),
    /// Revoke a token that was created here.
    RevokeToken(TokenId),
    /// Remove a host that joined this gateway.
    Remove(HostId),
    /// Leave the site: on a host, about itself.
    Leave,
}

/// Why a local command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteCommandError {
    /// The labels would exceed a limit.
    Labels(LabelError),
    /// The record does not exist, or no other owner holds it; the text explains.
    Record(Text),
    /// The request about a host or a host token is not possible here; the text says why.
    Host(Text),
    /// The store could not commit; nothing was changed.
    Store(StoreFault),
}
