//! What an operator sees of a server that was restored from a backup.

use std::fmt;

use crate::condition::words;
use crate::id::{KeyId, SiteId};
use crate::name::{Name, Text};
use crate::phase::Phase;
use crate::store_record::RestoredFrom;
use crate::time::WallTime;
use crate::view::TokenView;

words! {
    /// What is known about the time between the backup and the restore, from what the site says.
    SiteEvidence {
        /// It has not asked to connect since the restore.
        NotSeen = "not-seen",
        /// It holds the spec of the backup, or an earlier one.
        Unchanged = "unchanged",
        /// It holds a later spec than the backup: it was changed after the backup.
        Changed = "changed",
        /// Its spec requests its removal.
        BeingRemoved = "being-removed",
    }
}

/// When and from where a site asked to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedContact {
    /// When it asked last.
    pub at: WallTime,
    /// Its address.
    pub address: Text,
}

/// A site that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSiteView {
    /// Its ID.
    pub id: SiteId,
    /// Its name.
    pub name: Name,
    /// Its environment.
    pub environment: Name,
    /// Its phase in the backup.
    pub phase: Phase,
    /// When it was last linked, as far as the backup knows: the time of the backup if it was linked then.
    pub last_contact: WallTime,
    /// When it asked to connect since this server started; `None` if it has not.
    pub asked: Option<RefusedContact>,
    /// What it says about its spec.
    pub evidence: SiteEvidence,
}

/// An API key that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldApiKeyView {
    /// Its ID.
    pub id: KeyId,
    /// Its name.
    pub name: Name,
    /// The user it belongs to; `None` for a key of the server's console.
    pub user: Option<Name>,
    /// When it was created.
    pub created_at: WallTime,
}

/// A server that was restored from a backup, and what is held beside sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreView {
    /// The backup.
    pub from: RestoredFrom,
    /// The join tokens, newest first.
    pub tokens: Vec<TokenView>,
    /// The API keys, by name.
    pub api_keys: Vec<HeldApiKeyView>,
    /// Machines with a certificate of this server whose key it does not know, latest first: sites that joined after the
    /// backup, or whose machine was replaced.
    pub unknown: Vec<RefusedContact>,
}
