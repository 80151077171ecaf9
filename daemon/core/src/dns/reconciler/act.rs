//! Requests from a provider's state machine to the site.

use std::time::Duration;

use linecamp_model::{CallId, EventKind, OwnedRecord, OwnedRecordKey, ProviderRequest, Text};

/// One request. `Call` and `Note` are answered once each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Call the plugin.
    Call { call: CallId, request: ProviderRequest },
    /// Persist these ownership notes; `None` deletes one.
    Note(Vec<(OwnedRecordKey, Option<OwnedRecord>)>),
    /// Wait this long before the next round.
    Wait(Duration),
    /// Record an event for operators.
    Event(EventKind, Text),
}
