//! Rate limit: how much work and how many writes one member can cause.
//!
//! A token bucket per site, stored as the one instant at which the bucket will be full again (the generic cell rate
//! algorithm of ATM, ITU-T I.371). It outlives sessions, so that reconnecting gains nothing. Every message is charged.
//! An overdraft delays the acknowledgements the site waits for; meanwhile its status and events are batched. A site
//! that keeps sending without waiting is disconnected and told when to come back.

use std::time::Duration;

use linecamp_model::{EventBatch, FromMember, Instant, StatusBody, StatusDelta};

/// The burst a site may send at once: an outbox of a thousand events, plus several full statuses.
pub const MEMBER_BURST: u32 = 2_048;

/// The sustained rate: 64 events, or a dozen status changes, per second. Hundreds of sites at this rate are within what
/// the server's disk can commit.
pub const MEMBER_RATE_PER_SECOND: u32 = 64;

/// How far a site may overdraw before it is disconnected: a minute's worth.
pub const MEMBER_OVERDRAFT_MAX: Duration = Duration::from_secs(60);

/// The cost of a handshake: it may cause a commit and a snapshot.
const HANDSHAKE_COST: u32 = 16;

/// The cost of a message that causes no write.
const MESSAGE_COST: u32 = 1;

/// The cost of a storage report, for which the server records an event for each condition that is raised or cleared,
/// and of a report of the stored authorities, which is written if it differs from the last one.
const STORAGE_COST: u32 = 16;

/// The cost of a document in addition to its bytes.
const DOCUMENT_COST: u32 = 4;

/// Bytes of a document that cost as much as one event, which is a row of its own. The largest status that a site may
/// have is accepted at any time, also when the bucket is empty:
/// [`DOCUMENTS_BYTES_MAX`](linecamp_model::limits::DOCUMENTS_BYTES_MAX) cost 2,048, and the number of documents and
/// messages half as much; that is less than a minute's worth.
const BYTES_PER_COST: usize = 2_048;

/// The bucket of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberRateLimit {
    /// When the bucket is full again; it is full if this is in the past.
    full_at: Instant,
}

impl MemberRateLimit {
    /// Charges `cost` and returns how long the site has to wait for an answer.
    pub(crate) fn charge(&mut self, cost: u32, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + Duration::from_secs(1) * cost / MEMBER_RATE_PER_SECOND;
        self.delay(now)
    }

    /// Returns how long the bucket stays overdrawn.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        let burst = Duration::from_secs(1) * MEMBER_BURST / MEMBER_RATE_PER_SECOND;
        self.full_at.saturating_since(now).saturating_sub(burst)
    }
}

/// Returns the cost of a message.
pub(super) fn cost_of(message: &FromMember) -> u32 {
    match message {
        FromMember::Join(_) | FromMember::Hello(_) => HANDSHAKE_COST,
        FromMember::Status(delta) => status_cost(delta),
        FromMember::Events(batch) => events_cost(batch),
        FromMember::SpecAck(_)
        | FromMember::Renew
        | FromMember::Alive
        | FromMember::Leave
        | FromMember::WantPlugin(_)
        | FromMember::ServersStored(_) => MESSAGE_COST,
        FromMember::Storage(_) | FromMember::Trust(_) => STORAGE_COST,
    }
}

fn events_cost(batch: &EventBatch) -> u32 {
    MESSAGE_COST + u32::try_from(batch.events.len()).unwrap_or(u32::MAX)
}

fn status_cost(delta: &StatusDelta) -> u32 {
    let bytes_cost = |body: &StatusBody| u32::try_from(body.encoded_size_max() / BYTES_PER_COST).unwrap_or(u32::MAX);
    let of = |body: &StatusBody| DOCUMENT_COST.saturating_add(bytes_cost(body));
    let documents = delta.documents.values().map(|document| document.body.as_ref().map_or(DOCUMENT_COST, of));
    documents.fold(MESSAGE_COST, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use linecamp_model::limits::{DOCUMENTS_BYTES_MAX, DOCUMENTS_PER_DELTA_MAX, FRAME_BYTES_MAX};

    use super::*;

    #[test]
    fn the_largest_status_is_accepted_from_a_site_whose_bucket_is_empty() {
        let bytes = u32::try_from(DOCUMENTS_BYTES_MAX / BYTES_PER_COST).expect("small");
        let documents = u32::try_from(DOCUMENTS_PER_DELTA_MAX).expect("small") * DOCUMENT_COST;
        // A part is at least half full.
        let messages = u32::try_from(2 * DOCUMENTS_BYTES_MAX / FRAME_BYTES_MAX).expect("small") * MESSAGE_COST;
        let (mut limit, start) = (MemberRateLimit::default(), Instant::ORIGIN);
        limit.charge(MEMBER_BURST, start);
        assert!(limit.charge(bytes + documents + messages, start) < MEMBER_OVERDRAFT_MAX);
    }

    #[test]
    fn a_burst_passes_and_the_excess_waits() {
        let (mut limit, start) = (MemberRateLimit::default(), Instant::ORIGIN + Duration::from_secs(1_000));
        assert_eq!(limit.charge(MEMBER_BURST, start), Duration::ZERO);
        assert_eq!(limit.charge(MEMBER_RATE_PER_SECOND, start), Duration::from_secs(1));
        let later = start + Duration::from_secs(1);
        assert_eq!(limit.delay(later), Duration::ZERO);
        assert_eq!(limit.charge(MEMBER_RATE_PER_SECOND * 3, later), Duration::from_secs(3));
        assert_eq!(limit.charge(MEMBER_BURST, start + Duration::from_secs(3_600)), Duration::ZERO, "an hour fills it");
    }
}
