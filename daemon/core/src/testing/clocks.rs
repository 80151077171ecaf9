//! What the clocks of the server and of each site show. A story may set them wrong at any time.

use std::time::Duration;

use linecamp_model::{Now, WallTime};

use super::Pair;

impl Pair {
    /// Returns the clocks of a site.
    pub(super) fn now_at(&self, index: usize) -> Now {
        let node = &self.nodes[index];
        off_by(self.now(), node.clock_behind, node.clock_ahead)
    }

    /// Returns the clocks of the server.
    pub(crate) fn server_now(&self) -> Now {
        off_by(self.now(), self.fleet_clock_behind, self.fleet_clock_ahead)
    }
}

/// Returns the clocks of a machine whose wall clock is wrong by this much.
fn off_by(now: Now, behind: Duration, ahead: Duration) -> Now {
    let late = now.wall + ahead;
    Now { wall: WallTime::EPOCH + late.saturating_since(WallTime::EPOCH + behind), ..now }
}
