//! Pace: how fast one member may make the server work and write.
//!
//! A token bucket for each site, kept as the one instant at which the bucket will be full again (the generic cell rate
//! algorithm of ATM, ITU-T I.371). It outlives sessions, so that dialing again buys nothing. Everything a site says is
//! charged. What it has overdrawn delays the acknowledgements it waits for: while it waits, its status and its events
//! gather, and leave together. A site that does not wait and goes on is cut off, and told when to come back.

use std::time::Duration;

use linecamp_model::{EventBatch, Instant, LabelSet, StatusBody, StatusDelta};

use crate::provider::bytes_of;

/// What a site may say in one go: an outbox of a thousand events, and a dozen whole statuses with it.
pub const PACE_BURST: u32 = 2_048;

/// What it may say for ever: 64 events, or a dozen changes of its status, a second. Hundreds of sites at this rate are
/// within what the server's disk commits.
pub const PACE_PER_SECOND: u32 = 64;

/// How far a site may overdraw before it is cut off: a minute's worth.
pub const PACE_OVERDRAFT_MAX: Duration = Duration::from_secs(60);

/// What a greeting costs: a commit and a snapshot may follow from it.
pub(super) const GREETING_COST: u32 = 16;

/// What any message costs that nothing is written for.
pub(super) const MESSAGE_COST: u32 = 1;

/// What a document costs beside its bytes.
const DOCUMENT_COST: u32 = 4;

/// Bytes of a document that cost as much as one event.
const BYTES_PER_COST: usize = 512;

/// One member's bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When the bucket is full again. In the past: it is full.
    full_at: Instant,
}

impl Pace {
    /// Charges `cost` and returns how long the site has to wait for an answer.
    pub(crate) fn charge(&mut self, cost: u32, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + Duration::from_secs(1) * cost / PACE_PER_SECOND;
        self.delay(now)
    }

    /// Returns how long it is until the bucket is not overdrawn any more.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        let burst = Duration::from_secs(1) * PACE_BURST / PACE_PER_SECOND;
        self.full_at.saturating_since(now).saturating_sub(burst)
    }
}

/// Returns what a batch of events costs.
pub(super) fn events_cost(batch: &EventBatch) -> u32 {
    MESSAGE_COST + u32::try_from(batch.events.len()).unwrap_or(u32::MAX)
}

/// Returns what a delta of status costs.
pub(super) fn status_cost(delta: &StatusDelta) -> u32 {
    let of = |body: &StatusBody| DOCUMENT_COST + u32::try_from(status_bytes(body) / BYTES_PER_COST).unwrap_or(u32::MAX);
    let documents = delta.documents.values().map(|document| document.body.as_ref().map_or(DOCUMENT_COST, of));
    documents.fold(MESSAGE_COST, u32::saturating_add)
}

/// Returns how many bytes of [`REPORTED_RECORDS_BYTES_MAX`](linecamp_model::limits::REPORTED_RECORDS_BYTES_MAX) the
/// record sets of a status take.
pub(super) fn record_bytes(body: &StatusBody) -> usize {
    match body {
        StatusBody::Provider(status) => status.records.iter().map(bytes_of).sum(),
        StatusBody::Site(_) | StatusBody::Host(_) => 0,
    }
}

fn status_bytes(body: &StatusBody) -> usize {
    match body {
        StatusBody::Site(status) => {
            let details = status.conditions.iter().map(|condition| condition.detail.as_str().len());
            label_bytes(&status.local) + details.sum::<usize>()
        }
        StatusBody::Host(status) => label_bytes(&status.local) + label_bytes(&status.reported),
        StatusBody::Provider(_) => record_bytes(body),
    }
}

fn label_bytes(labels: &LabelSet) -> usize {
    labels.iter().map(|(key, held)| key.as_str().len() + held.value.as_str().len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_what_goes_beyond_waits_for_its_time() {
        let (mut pace, start) = (Pace::default(), Instant::ORIGIN + Duration::from_secs(1_000));
        assert_eq!(pace.charge(PACE_BURST, start), Duration::ZERO);
        assert_eq!(pace.charge(PACE_PER_SECOND, start), Duration::from_secs(1));
        let later = start + Duration::from_secs(1);
        assert_eq!(pace.delay(later), Duration::ZERO);
        assert_eq!(pace.charge(PACE_PER_SECOND * 3, later), Duration::from_secs(3));
        assert_eq!(pace.charge(PACE_BURST, start + Duration::from_secs(3_600)), Duration::ZERO, "an hour fills it");
    }
}
