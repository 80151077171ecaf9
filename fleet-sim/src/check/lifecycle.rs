//! `removed-stays-removed`, `one-session`, `legal-moves`, `token-rules`: phases, links and sessions.

use linecamp_core::{Fleet, SessionEvent};
use linecamp_model::{
    FleetChange, HostId, KeyFingerprint, Life, LinkState, Phase, PhaseEvent, Registration, SessionId, SiteId,
};

use super::durability::token;
use super::{Watch, is_revoked, registration};
use crate::disk::Disk;
use crate::transport::NodeId;

impl Watch {
    /// Records an event of a session at the server.
    pub(crate) fn session_event(&mut self, session: SessionId, event: &SessionEvent) {
        match event {
            SessionEvent::Opened(peer) => {
                self.sessions.insert(session, peer.fingerprint);
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
        let site = self.site_of(session).and_then(|site| self.sites.get_mut(&site));
        if let Some(site) = site.filter(|site| site.live == Some(session)) {
            site.live = None;
        }
    }

    /// The server admits a session.
    pub(crate) fn server_admits(&mut self, session: SessionId, id: SiteId, disk: &Disk<FleetChange>) {
        if !self.sessions.contains_key(&session) {
            return;
        }
        let key_owner = self.site_of(session);
        let Some(site) = self.sites.get_mut(&id) else { return };
        if key_owner != Some(id) {
            let node = site.node;
            return self.find(
                "one-session",
                [node],
                format!("session {session} was admitted as site {id}, its key belongs to {key_owner:?}"),
            );
        }
        let (before, node, key) = (site.live.replace(session), site.node, site.key);
        if let Some(before) = before.filter(|before| *before != session) {
            let what = format!("session {session} was admitted while session {before} is up");
            self.find("one-session", [node], what);
        }
        self.check_not_removed((id, &key), node, disk, "was admitted");
    }

    /// The server issues a certificate.
    pub(crate) fn check_grant(&mut self, site: SiteId, disk: &Disk<FleetChange>) {
        if let Some((node, key)) = self.sites.get(&site).map(|site| (site.node, site.key)) {
            self.check_not_removed((site, &key), node, disk, "was issued a certificate");
        }
    }

    fn check_not_removed(
        &mut self,
        (site, key): (SiteId, &KeyFingerprint),
        node: NodeId,
        disk: &Disk<FleetChange>,
        what: &str,
    ) {
        let is_gone = registration(disk, site).is_some_and(|of| of.life.phase.is_gone());
        if is_gone || is_revoked(disk, key) {
            self.find("removed-stays-removed", [node], format!("a removed site {what}"));
        }
    }

    /// Compares the link state that the server reports for a site with its sessions.
    pub(crate) fn check_link(&mut self, id: SiteId, fleet: &Fleet) {
        let Some(site) = self.sites.get_mut(&id) else { return };
        let Some((state, session)) = fleet.view().link(id) else { return };
        let before = site.link.replace(state);
        let (live, node) = (site.live, site.node);
        if let Some(live) = live.filter(|live| state != LinkState::Connected || session != Some(*live)) {
            let what = format!("session {live} is up, the server reports the site as {state} with session {session:?}");
            self.find("one-session", [node], what);
        }
        if (before, state) == (Some(LinkState::Connected), LinkState::Disconnected) {
            self.find(
                "legal-moves",
                [node],
                "a link changed from connected to disconnected without reconnecting".to_owned(),
            );
        }
    }

    /// Returns the site of a session.
    pub(crate) fn site_of(&self, session: SessionId) -> Option<SiteId> {
        self.sessions.get(&session).and_then(|key| self.site_of_key(key))
    }

    /// Returns the machine at the other end of a session, registered or not.
    pub(crate) fn node_of_session(&self, session: SessionId) -> Option<NodeId> {
        self.sessions.get(&session).and_then(|key| self.machines.get(key)).map(|machine| machine.node)
    }

    /// Checks a change of a phase that the server is about to write.
    pub(crate) fn server_writes_life(&mut self, change: &FleetChange, disk: &Disk<FleetChange>) {
        if let FleetChange::Host(site, host, Some(after)) = change {
            return self.server_writes_host(*site, *host, after.life, disk);
        }
        let FleetChange::Site(id, after) = change else { return };
        let before = registration(disk, *id);
        let node = self.node_of(*id);
        match (&before, after) {
            (Some(before), Some(after)) => {
                self.check_move(node, (before.life, after.life), after.life.phase.is_gone());
            }
            (None, Some(after)) => self.check_new_site(node, *id, after, disk),
            (Some(before), None) if before.life.phase != Phase::Removed => {
                self.find(
                    "legal-moves",
                    node,
                    format!("a site in phase {} was purged, and only removed ones may be", before.life.phase),
                );
            }
            (_, None) => {}
        }
    }

    fn server_writes_host(&mut self, site: SiteId, host: HostId, after: Life, disk: &Disk<FleetChange>) {
        let before = match disk.find(&FleetChange::Host(site, host, None)) {
            Some(FleetChange::Host(_, _, Some(before))) => before.life,
            _ => return,
        };
        // The registration of the site is written first.
        let is_gone = registration(disk, site).is_some_and(|of| of.life.phase.is_gone());
        self.check_move(self.node_of(site), (before, after), is_gone);
    }

    fn check_move(&mut self, node: Option<NodeId>, (from, to): (Life, Life), is_site_gone: bool) {
        if !may_move(from, to, is_site_gone) {
            let what =
                format!("a phase changed from {} to {}, which the state graph does not allow", from.phase, to.phase);
            self.find("legal-moves", node, what);
        }
    }

    fn check_new_site(&mut self, node: Option<NodeId>, id: SiteId, of: &Registration, disk: &Disk<FleetChange>) {
        if !matches!(of.life.phase, Phase::Pending | Phase::Registering) {
            self.find(
                "legal-moves",
                node,
                format!("a new site has phase {}, not pending or registering", of.life.phase),
            );
        }
        let key = self.sites.get(&id).map(|site| site.key);
        if key.is_some_and(|key| is_revoked(disk, &key)) {
            self.find("removed-stays-removed", node, "a removed key was registered again".to_owned());
        }
        let Some(held) = token(disk, of.token) else {
            return self.find("token-rules", node, format!("site {id} joined with a token that is not on the disk"));
        };
        let prefix = format!("token-use/{}/", of.token);
        let uses = disk.with_prefix(prefix.as_bytes()).count();
        let token = of.token;
        if held.revoked_at.is_some() {
            self.find("token-rules", node, format!("site {id} joined with token {token}, which was revoked"));
        } else if held.uses_max as usize <= uses {
            self.find(
                "token-rules",
                node,
                format!("site {id} joined with token {token}, which was already used {uses} times"),
            );
        } else if held.expires_at <= of.joined_at {
            self.find("token-rules", node, format!("site {id} joined with token {token}, which had expired"));
        }
    }
}

/// Returns whether a phase may change to the other. A gateway is removed with its site in any phase.
fn may_move(from: Life, to: Life, is_site_gone: bool) -> bool {
    from.phase == to.phase
        || (is_site_gone && to.phase.is_gone())
        || PhaseEvent::ALL.into_iter().any(|event| from.phase.after(event) == Some(to.phase))
}
