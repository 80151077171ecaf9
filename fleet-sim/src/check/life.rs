//! `removed-stays-removed`, `one-session`, `legal-moves`, `token-rules`: lives, links and sessions.

use linecamp_core::{Fleet, SessionEvent};
use linecamp_model::{
    FleetChange, KeyFingerprint, Life, LinkState, Phase, PhaseEvent, Registration, SessionId, SiteId,
};

use super::promises::token;
use super::{Watch, is_revoked, registration};
use crate::carrier::NodeId;
use crate::disk::Disk;

impl Watch {
    /// Records an event of a session at the server.
    pub(crate) fn session_event(&mut self, session: SessionId, event: &SessionEvent) {
        match event {
            SessionEvent::Opened(peer) => {
                self.sessions.insert(session, SiteId::of_key(&peer.fingerprint));
            }
            SessionEvent::Closed(_) => {
                self.session_over(session);
                self.sessions.remove(&session);
            }
            SessionEvent::Received(_) | SessionEvent::Moved(_) => {}
        }
    }

    /// The server closed a session.
    pub(crate) fn session_over(&mut self, session: SessionId) {
        let site = self.sessions.get(&session).and_then(|site| self.sites.get_mut(site));
        if let Some(site) = site.filter(|site| site.live == Some(session)) {
            site.live = None;
        }
    }

    /// The server admits a session.
    pub(crate) fn server_admits(&mut self, session: SessionId, id: SiteId, disk: &Disk<FleetChange>) {
        let Some(key_owner) = self.sessions.get(&session).copied() else { return };
        let Some(site) = self.sites.get_mut(&id) else { return };
        if key_owner != id {
            let node = site.node;
            return self.find("one-session", [node], format!("session {session} was let in as site {id}"));
        }
        let (before, node, key) = (site.live.replace(session), site.node, site.key);
        if let Some(before) = before.filter(|before| *before != session) {
            let what = format!("session {session} was let in while session {before} is up");
            self.find("one-session", [node], what);
        }
        self.check_not_removed(&key, node, disk, "was let in");
    }

    /// The server issues a certificate.
    pub(crate) fn check_grant(&mut self, site: SiteId, disk: &Disk<FleetChange>) {
        if let Some((node, key)) = self.sites.get(&site).map(|site| (site.node, site.key)) {
            self.check_not_removed(&key, node, disk, "was given a certificate");
        }
    }

    fn check_not_removed(&mut self, key: &KeyFingerprint, node: NodeId, disk: &Disk<FleetChange>, what: &str) {
        let is_gone = registration(disk, SiteId::of_key(key)).is_some_and(|of| of.life.phase.is_gone());
        if is_gone || is_revoked(disk, key) {
            self.find("removed-stays-removed", [node], format!("a site that was removed {what}"));
        }
    }

    /// Compares the link state that the server reports for a site with its sessions.
    pub(crate) fn check_link(&mut self, id: SiteId, fleet: &Fleet) {
        let Some(site) = self.sites.get_mut(&id) else { return };
        let Some((state, session)) = fleet.view().link(id) else { return };
        let before = site.link.replace(state);
        let (live, node) = (site.live, site.node);
        if let Some(live) = live.filter(|live| state != LinkState::Connected || session != Some(*live)) {
            let what = format!("session {live} is up, and the server calls the site {state} with {session:?}");
            self.find("one-session", [node], what);
        }
        if (before, state) == (Some(LinkState::Connected), LinkState::Disconnected) {
            self.find("legal-moves", [node], "a link went from connected to disconnected at once".to_owned());
        }
    }

    /// Returns the site of a session.
    pub(crate) fn site_of(&self, session: SessionId) -> Option<SiteId> {
        self.sessions.get(&session).copied()
    }

    /// Checks a change to a life that the server is about to write.
    pub(crate) fn server_writes_life(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        let FleetChange::Site(id, after) = change else { return };
        let before = registration(disk, *id);
        let node = self.node_of(*id);
        match (&before, after) {
            (Some(before), Some(after)) => {
                let moves = [(before.life, after.life), (before.gateway, after.gateway)];
                let is_gone = after.life.phase.is_gone();
                for (from, to) in moves.into_iter().filter(|(from, to)| !may_move(*from, *to, is_gone)) {
                    let what = format!("a life went from {} to {}", from.phase, to.phase);
                    self.find("legal-moves", node, what);
                }
            }
            (None, Some(after)) => self.check_newcomer(node, *id, after, disk),
            (Some(before), None) if before.life.phase != Phase::Removed => {
                self.find("legal-moves", node, format!("a site that is {} was purged", before.life.phase));
            }
            (_, None) => {}
        }
    }

    fn check_newcomer(&mut self, node: Option<NodeId>, id: SiteId, of: &Registration, disk: &Disk<FleetChange>) {
        if !matches!(of.life.phase, Phase::Pending | Phase::Registering) {
            self.find("legal-moves", node, format!("a new site is {}", of.life.phase));
        }
        if is_revoked(disk, &of.fingerprint) {
            self.find("removed-stays-removed", node, "a removed key was registered again".to_owned());
        }
        let Some(held) = token(disk, of.token) else {
            return self.find("token-rules", node, format!("{id} joined with a token that the disk does not have"));
        };
        let prefix = format!("token-use/{}/", of.token);
        let uses = disk.with_prefix(prefix.as_bytes()).count();
        let token = of.token;
        if held.revoked_at.is_some() {
            self.find("token-rules", node, format!("{id} joined with token {token}, which was revoked"));
        } else if held.uses_max as usize <= uses {
            self.find("token-rules", node, format!("{id} joined with token {token}, which had its {uses} uses"));
        } else if held.expires_at <= of.joined_at {
            self.find("token-rules", node, format!("{id} joined with token {token}, which had expired"));
        }
    }
}

/// Returns whether a life may move from one phase to the other. A gateway leaves with its site from any phase.
fn may_move(from: Life, to: Life, is_site_gone: bool) -> bool {
    from.phase == to.phase
        || (is_site_gone && to.phase.is_gone())
        || PhaseEvent::ALL.into_iter().any(|event| from.phase.after(event) == Some(to.phase))
}
