//! What hosts of the LAN wait for until a write is durable.

use linecamp_model::{HostId, SessionId};

use crate::downlink;
use crate::membership::IssueRequest;

/// What is released to a host when a write is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostRelease {
    /// A certificate.
    Issue { session: SessionId, request: IssueRequest },
    /// Something that the downlink waits for.
    Downlink(downlink::Release),
    /// A write to the spec of these hosts.
    Spec(Vec<HostId>),
}
