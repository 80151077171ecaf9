//! The events of the link model.

use linecamp_model::{DialId, Refusal, SessionId};

use crate::transport::NodeId;

/// An event in transit.
#[derive(Debug)]
pub(super) enum Event {
    DialArrives { node: NodeId, dial: DialId, tries: u32 },
    DialReady { node: NodeId, dial: DialId, server: u64 },
    DialTimeout { node: NodeId, dial: DialId },
    Established(SessionId),
    FirstMessageTimeout(SessionId),
    Up { session: SessionId, has_queued: bool },
    Down(SessionId),
    CloseAtSite { session: SessionId, refusal: Box<Refusal> },
    CloseAtServer { session: SessionId, refusal: Box<Refusal> },
    SiteSilent(SessionId, Silence),
    ServerSilent(SessionId, Silence),
    SiteReset(SessionId),
    Rebound { node: NodeId, address: u32 },
}

/// Why an end receives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The line is cut, since this change of the line.
    Cut(u32),
    /// The other end is gone.
    Orphan,
}
