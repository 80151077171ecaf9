//! `within-limits`: nothing grows past its limit.

use linecamp_model::limits::{FRAME_BYTES_MAX, OUTBOX_EVENTS_MAX, SERVER_EVENTS_MAX};
use linecamp_model::{FleetChange, SiteChange};

use super::Watch;
use crate::disk::Disk;
use crate::transport::NodeId;

/// A site's writes pending on its disk: a machine has a handful in flight, and a slow disk takes seconds.
const SITE_WRITES_MAX: usize = 4_096;

/// The server's writes pending on its disk: a few for each of twenty thousand sites at once.
const SERVER_WRITES_MAX: usize = 200_000;

/// Events in the server's log: its own, and those of sites.
const BOOK_EVENTS_MAX: usize = 2 * SERVER_EVENTS_MAX;

/// Outputs that one input may produce at a site.
const SITE_OUTPUTS_MAX: usize = 256;

impl Watch {
    /// Checks a site's disk after a commit.
    pub(crate) fn check_site_disk(&mut self, node: NodeId, disk: &Disk<SiteChange>) {
        self.check_bound([node], "events in the site's outbox", disk.events(), OUTBOX_EVENTS_MAX);
        self.check_bound([node], "writes that wait for the site's disk", disk.depth(), SITE_WRITES_MAX);
    }

    /// Checks the server's disk after a commit.
    pub(crate) fn check_server_disk(&mut self, disk: &Disk<FleetChange>) {
        self.check_bound([], "events in the server's book", disk.events(), BOOK_EVENTS_MAX);
        self.check_bound([], "writes that wait for the server's disk", disk.depth(), SERVER_WRITES_MAX);
    }

    /// Checks the size of a message.
    pub(crate) fn check_frame(&mut self, node: impl IntoIterator<Item = NodeId>, bytes: usize) {
        self.check_bound(node, "bytes of a message", bytes, FRAME_BYTES_MAX);
    }

    /// Checks how many outputs one input produced at a site.
    pub(crate) fn check_outputs(&mut self, node: NodeId, outputs: usize) {
        self.check_bound([node], "outputs after one input of a site", outputs, SITE_OUTPUTS_MAX);
    }

    fn check_bound(&mut self, node: impl IntoIterator<Item = NodeId>, what: &str, found: usize, bound: usize) {
        if bound < found {
            self.find("within-limits", node, format!("{what}: {found}, and at most {bound} may be"));
        }
    }
}
