//! What a dial of a story reaches.

use linecamp_model::RefusalCode;

use super::*;
use crate::{Credential, Peer};

impl Pair {
    pub(super) fn connect(&mut self, index: usize, dial: DialId, server: &ServerAddress) {
        if let Some(gateway) = hosts::gateway_at(server) {
            return self.connect_to_gateway(index, dial, gateway);
        }
        let now = self.server_now();
        if self.refuses_at.contains(server) {
            let refusal = Refusal::new(RefusalCode::NotRegistered, "no site with this key is registered here");
            self.after(LATENCY, PairEvent::AtSite(index, LinkEvent::Lost(dial, LossReason::Closed(refusal))));
            return;
        }
        let node = &self.nodes[index];
        if node.is_cut || self.is_fleet_down || !self.listens_at.contains(server) {
            return self.fail_dial(index, dial, server);
        }
        if !self.is_trusted_by(index) {
            let reason = LossReason::Failed(Text::lossy("the certificate is from an untrusted authority"));
            self.after(LATENCY, PairEvent::AtSite(index, LinkEvent::Lost(dial, reason)));
            return;
        }
        let is_ours = |pin| self.authorities.authorities.iter().any(|found| found.pin == pin);
        let credential = match node.identity {
            Some(_) if !node.issuer.is_some_and(is_ours) => Credential::Foreign,
            None => Credential::SelfMade,
            Some(identity) if now.wall <= identity.not_after => Credential::Issued,
            Some(_) => Credential::Expired,
        };
        self.open_session(index, dial, None, credential);
    }

    /// Lets a dial fail because nothing answers.
    pub(super) fn fail_dial(&mut self, index: usize, dial: DialId, server: &ServerAddress) {
        let node = &self.nodes[index];
        let (cause, delay) = match node.obstacle.filter(|_| node.is_cut) {
            Some(cause) => (cause, LATENCY),
            None => (GapCause::NoAnswer, Duration::from_secs(10)),
        };
        let reason = LossReason::Unreachable(cause, Text::lossy(&format!("{server}: {cause}")));
        self.after(delay, PairEvent::AtSite(index, LinkEvent::Lost(dial, reason)));
    }

    /// Opens a session of a member with its parent.
    pub(super) fn open_session(&mut self, member: usize, dial: DialId, parent: Parent, credential: Credential) {
        let fingerprint = self.nodes[member].key;
        let peer = Peer { fingerprint, credential, address: Text::lossy(&format!("10.0.0.{member}:7000")) };
        let session = self.next_session;
        self.next_session = session.next();
        self.sessions.insert(session, Route { member, dial, parent });
        self.nodes[member].sessions.insert(dial, session);
        let opened = SessionEvent::Opened(peer);
        match parent {
            None => self.fleet.handle_session(session, opened, self.server_now()),
            Some(gateway) => {
                let at = self.now_at(gateway);
                self.nodes[gateway].site.handle_host_session(session, opened, at);
            }
        }
        self.after(LATENCY, PairEvent::AtSite(member, LinkEvent::Dialed(dial)));
    }
}
