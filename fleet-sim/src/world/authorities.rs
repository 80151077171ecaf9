//! The server's certificate authorities: how they are replaced, and what the sites have stored in the end.

use std::time::Duration;

use linecamp_core::{Fleet, Force};
use linecamp_model::{AuthoritySet, RotationStep};

use super::{SimEvent, World};
use crate::transport::{NodeId, Transport};

impl<C: Transport> World<C> {
    /// Performs a step if the server runs and allows it.
    pub(super) fn rotate(&mut self, step: RotationStep, force: Force) {
        let now = self.server.now(self.elapsed);
        let Some(fleet) = &self.server.fleet else { return };
        let checked = fleet.check_rotation(step, force, now);
        self.note(None, "rotates", &[u64::from(checked == Ok(true))], || format!("{step:?}: {checked:?}"));
        if checked == Ok(true) {
            self.transport.rotate(step, now.wall);
            self.report_authorities();
            self.drain_server();
        }
    }

    /// Tells the server's machine which authorities are in its data directory.
    pub(super) fn report_authorities(&mut self) {
        let (rotation, now) = (self.transport.rotation(), self.server.now(self.elapsed));
        if let Some(fleet) = &mut self.server.fleet {
            fleet.handle_authorities(rotation, now);
        }
    }

    pub(super) fn save_authorities(&mut self, number: NodeId, told: AuthoritySet) {
        let node = &mut self.nodes[number];
        let (delay, boot) = (node.rng.between(Duration::from_millis(1), Duration::from_millis(20)), node.boot);
        self.after(delay, SimEvent::AuthoritiesSaved(number, boot, Box::new(told)));
    }

    pub(super) fn authorities_saved(&mut self, number: NodeId, boot: u32, told: &AuthoritySet) {
        // A crash comes before the file is written.
        if self.nodes[number].boot != boot {
            return;
        }
        let saved = self.transport.save_authorities(number, told);
        self.note(Some(number), "saved", &[u64::from(saved.is_ok())], || format!("authorities saved: {saved:?}"));
        let node = &mut self.nodes[number];
        if let (Ok((_, issuer)), Some(identity)) = (&saved, &mut node.identity) {
            identity.issuer = *issuer;
        }
        let now = node.now(self.elapsed);
        if let Some(site) = &mut node.site {
            site.handle_authorities_saved(saved, now);
            self.drain_node(number);
        }
    }

    /// Returns why a site differs from what the server told of its authorities.
    pub(super) fn why_untrusting(&self, number: NodeId, fleet: &Fleet) -> Option<String> {
        let told = fleet.told_authorities()?;
        let (stored, issuer) = self.transport.authorities(number);
        let name = &self.nodes[number].name;
        if stored != told.known() {
            return Some(format!("{name} has stored {stored:?}, the server told set {}", told.number));
        }
        let is_current = issuer == told.pins().next();
        (!is_current).then(|| format!("the certificate of {name} is not from the authority that issues certificates"))
    }
}
