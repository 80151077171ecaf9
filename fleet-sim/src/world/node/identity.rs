//! How a site's certificate is saved.

use linecamp_model::IdentityGrant;

use super::super::World;
use crate::transport::{NodeId, Transport};

impl<C: Transport> World<C> {
    pub(in crate::world) fn identity_saved(&mut self, number: NodeId, boot: u32, grant: &IdentityGrant) {
        let elapsed = self.elapsed;
        let node = &mut self.nodes[number];
        // A crash may come before or after the file is written: half of the time it is there.
        if node.boot != boot && (node.end.is_some() || node.site.is_some() || node.rng.happens(500)) {
            return;
        }
        let saved = self.transport.save_identity(number, grant);
        let node = &mut self.nodes[number];
        if let Ok(identity) = &saved {
            node.identity = Some(*identity);
        }
        let now = node.now(elapsed);
        let is_same = node.boot == boot;
        self.note(Some(number), "saved", &[u64::from(saved.is_ok())], || format!("certificate saved: {saved:?}"));
        if let Some(site) = self.nodes[number].site.as_mut().filter(|_| is_same) {
            site.handle_identity_saved(saved, now);
            self.drain_node(number);
        }
    }
}
