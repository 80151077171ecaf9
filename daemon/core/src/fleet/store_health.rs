//! The health of the server's own store.
//!
//! While it fails, sites stay connected, changes are refused, and the store is retried every [`STORE_RETRY`], even
//! without a command. It has recovered when it has room for what it refused
//! ([`FleetOutput::TryStore`](super::FleetOutput::TryStore)): a smaller write may fit where that one does not.

use linecamp_model::{Instant, Now};

use super::config::STORE_RETRY;
use crate::StoreFault;

/// Whether the store fails, and when it is tried next.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreHealth {
    fault: Option<StoreFault>,
    retry_at: Option<Instant>,
}

impl StoreHealth {
    /// Returns why the store fails to commit, if it does.
    pub(super) const fn fault(&self) -> Option<StoreFault> {
        self.fault
    }

    /// Returns when to try the store.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Handles a failure. Further failures do not postpone the retry.
    pub(super) fn failed(&mut self, fault: StoreFault, now: Now) {
        self.fault = Some(fault);
        self.retry_at.get_or_insert(now.instant + STORE_RETRY);
    }

    /// Handles the retry: the next one follows unless the store recovers.
    pub(super) fn retried(&mut self, now: Now) {
        self.retry_at = Some(now.instant + STORE_RETRY);
    }

    /// Handles a successful retry.
    pub(super) const fn recovered(&mut self) {
        self.fault = None;
        self.retry_at = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linecamp_model::WallTime;

    use super::*;

    #[test]
    fn further_failures_do_not_postpone_the_retry() {
        let now = |seconds| Now { instant: Instant::ORIGIN + Duration::from_secs(seconds), wall: WallTime::EPOCH };
        let mut health = StoreHealth::default();
        health.failed(StoreFault::DiskFull, now(0));
        health.failed(StoreFault::ReadOnly, now(9));
        assert_eq!(health.retry_at(), Some(Instant::ORIGIN + STORE_RETRY));
        health.retried(now(30));
        assert_eq!(health.retry_at(), Some(now(30).instant + STORE_RETRY));
        health.recovered();
        assert_eq!((health.fault(), health.retry_at()), (None, None));
    }
}
