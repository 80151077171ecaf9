//! What happens on a site's link, as its driver reports it.

use linecamp_model::{DialId, FromParent, GapCause, Refusal, Text};

/// Why a link was lost or could not be established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The server closed it and gave a reason.
    Closed(Refusal),
    /// The dial failed for a known cause; the text includes the address.
    Unreachable(GapCause, Text),
    /// The dial failed for another reason, or the connection broke; the text includes the address.
    Failed(Text),
}

/// A link event, as seen by the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The dial succeeded.
    Dialed(DialId),
    /// A message arrived.
    Received(DialId, FromParent),
    /// The dial failed, or its session ended.
    Lost(DialId, LossReason),
}
