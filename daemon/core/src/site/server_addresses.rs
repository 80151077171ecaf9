//! The answers to requests to save the server's addresses. [`uplink`](super::uplink) decides which they are.

use linecamp_model::{Now, Text};

use super::Site;

impl Site {
    /// Handles the outcome of saving the server addresses. A failure is retried later.
    pub fn handle_servers_saved(&mut self, saved: Result<(), Text>, now: Now) {
        self.uplink.handle_servers_saved(saved, now, &mut self.effects);
        self.settle_down(now);
    }
}
