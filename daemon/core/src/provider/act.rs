//! What the machine of a provider asks of the site.

use std::time::Duration;

use linecamp_model::{CallId, EventKind, HeldKey, OwnedRecord, ProviderRequest, Text};

/// One thing to do. A call and a note are answered once each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Ask the plugin.
    Call { call: CallId, request: ProviderRequest },
    /// Make these notes durable.
    Note(Vec<(HeldKey, Option<OwnedRecord>)>),
    /// Come back after this long.
    Wait(Duration),
    /// Something an operator would want to read about.
    Event(EventKind, Text),
}
