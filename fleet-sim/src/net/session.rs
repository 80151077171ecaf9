//! One session, and how each end detects that it is closed.

use std::collections::VecDeque;
use std::time::Duration;

use linecamp_core::{LinkEvent, LossReason, Peer, SessionEvent};
use linecamp_model::{DialId, FromMember, FromParent, Refusal, SessionId, Text};

use super::event::{Event, Silence};
use super::{MESSAGE_COST, Net};
use crate::transport::{Arrival, NodeId};

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) node: NodeId,
    pub(super) dial: DialId,
    /// The peer to announce to the server's machine with the first message.
    pub(super) peer_to_announce: Option<Peer>,
    pub(super) since: Duration,
    pub(super) has_site: bool,
    pub(super) has_server: bool,
    /// Messages sent and not yet delivered, oldest first.
    pub(super) up: VecDeque<FromMember>,
    pub(super) down: VecDeque<FromParent>,
    /// When the last of them arrives, if nothing delays it.
    pub(super) up_at: Duration,
    pub(super) down_at: Duration,
    /// The first incremental spec, kept to be replayed.
    pub(super) old_spec: Option<FromParent>,
    /// How many specs arrived after it.
    pub(super) newer_specs: u32,
    /// How many messages wait for the line to be restored.
    stalled_up: u32,
    stalled_down: u32,
}

impl Session {
    pub(super) const fn new(node: NodeId, dial: DialId, peer_to_announce: Peer, now: Duration) -> Self {
        Self {
            node,
            dial,
            peer_to_announce: Some(peer_to_announce),
            since: now,
            has_site: true,
            has_server: true,
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_at: now,
            down_at: now,
            old_spec: None,
            newer_specs: 0,
            stalled_up: 0,
            stalled_down: 0,
        }
    }
}

impl Net {
    pub(super) fn sessions_of(&self, node: NodeId) -> Vec<SessionId> {
        self.sessions_by_dial.range((node, DialId(0))..=(node, DialId(u64::MAX))).map(|(_, session)| *session).collect()
    }

    /// Delivers a message to the server if the line is open and the server has time for it.
    pub(super) fn arrive_up(&mut self, id: SessionId, has_queued: bool) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_server) else {
            return;
        };
        if !self.lines[session.node].is_up_open && !has_queued {
            session.stalled_up += 1;
            return;
        }
        if !has_queued {
            let is_busy = self.now < self.busy_until;
            let ready = self.schedule_work(MESSAGE_COST);
            if is_busy {
                self.queue.push(ready, Event::Up { session: id, has_queued: true });
                return;
            }
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(message) = session.up.pop_front() {
            if let Some(peer) = session.peer_to_announce.take() {
                self.arrived.push_back(Arrival::AtServer(id, SessionEvent::Opened(peer)));
            }
            self.arrived.push_back(Arrival::AtServer(id, SessionEvent::Received(message)));
        }
    }

    /// Delivers a message to a site if the line is open.
    pub(super) fn arrive_down(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_site) else {
            return;
        };
        let line = &self.lines[session.node];
        if !(line.is_down_open && line.is_mapped) {
            session.stalled_down += 1;
        } else if let Some(message) = session.down.pop_front() {
            if let FromParent::Spec(delta) = &message {
                session.newer_specs += u32::from(session.old_spec.is_some());
                session.old_spec =
                    session.old_spec.take().or_else(|| (!delta.snapshot && !delta.more).then(|| message.clone()));
            }
            self.arrived.push_back(Arrival::AtSite(session.node, LinkEvent::Received(session.dial, message)));
        }
    }

    pub(super) fn first_message_timeout(&mut self, id: SessionId) {
        let is_late = |session: &&mut Session| session.has_server && session.peer_to_announce.is_some();
        if let Some(session) = self.sessions.get_mut(&id).filter(is_late) {
            session.peer_to_announce = None;
            self.close_server_end(id);
            self.expect_reset(id);
        }
    }

    pub(super) fn close_arrives_at_site(&mut self, id: SessionId, refusal: Refusal) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.has_site) else {
            return;
        };
        let (node, dial) = (session.node, session.dial);
        if self.lines[node].is_down_open {
            self.arrived.push_back(Arrival::AtSite(node, LinkEvent::Lost(dial, LossReason::Closed(refusal))));
            self.close_site_end(id);
        }
    }

    pub(super) fn close_arrives_at_server(&mut self, id: SessionId, refusal: &Refusal) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.has_server) else {
            return;
        };
        if self.lines[session.node].is_up_open {
            let is_known = session.peer_to_announce.is_none();
            self.close_at_server(id, is_known, &refusal.to_string());
        }
    }

    pub(super) fn site_silent(&mut self, id: SessionId, silence: Silence) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.has_site) else {
            return;
        };
        let is_silent = match silence {
            Silence::Cut(change) => self.lines[session.node].changes == change,
            Silence::Orphan => !session.has_server,
        };
        if is_silent {
            let (node, dial) = (session.node, session.dial);
            self.report_loss(node, dial, "idle timeout: no packets from the server");
            self.close_site_end(id);
        }
    }

    pub(super) fn server_silent(&mut self, id: SessionId, silence: Silence) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.has_server) else {
            return;
        };
        let is_silent = match silence {
            Silence::Cut(change) => self.lines[session.node].changes == change,
            Silence::Orphan => !session.has_site,
        };
        if is_silent {
            let is_known = session.peer_to_announce.is_none();
            self.close_at_server(id, is_known, "idle timeout: no packets from the site");
        }
    }

    /// A server that does not know a session answers its packets with a reset.
    pub(super) fn site_reset(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.has_site && !session.has_server) else {
            return;
        };
        let (node, dial) = (session.node, session.dial);
        let line = &self.lines[node];
        if self.is_server_up && line.is_up_open && line.is_down_open {
            self.report_loss(node, dial, "the server restarted");
            self.close_site_end(id);
        }
    }

    /// Schedules the next packet of a site that still considers its session open; the server answers it with a reset.
    pub(super) fn expect_reset(&mut self, id: SessionId) {
        let is_orphan = |session: &&Session| session.has_site && !session.has_server;
        if let Some(session) = self.sessions.get(&id).filter(is_orphan) {
            let line = &mut self.lines[session.node];
            let delay = line.until_keep_alive() + line.delay() * 2;
            self.after(delay, Event::SiteReset(id));
        }
    }

    /// Closes the site's end; the server notices by silence.
    pub(super) fn close_site_end(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_site) else {
            return;
        };
        session.has_site = false;
        session.down.clear();
        let (node, dial, since) = (session.node, session.dial, session.since);
        let line = &mut self.lines[node];
        line.traffic.bytes += line.keep_alive_bytes(self.now.saturating_sub(since));
        line.last_session = Some((dial, id));
        let silent = line.until_silent();
        self.after(silent, Event::ServerSilent(id, Silence::Orphan));
        self.remove_closed(id);
    }

    /// Closes the server's end; the site notices by silence, or earlier by a reset.
    pub(super) fn close_server_end(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_server) else {
            return;
        };
        session.has_server = false;
        session.up.clear();
        let silent = self.lines[session.node].until_silent();
        self.after(silent, Event::SiteSilent(id, Silence::Orphan));
        self.remove_closed(id);
    }

    pub(super) fn change_line(&mut self, node: NodeId, is_up_open: bool, is_down_open: bool) {
        let line = &mut self.lines[node];
        let was_whole = line.is_up_open && line.is_down_open;
        let is_whole = is_up_open && is_down_open;
        let cut_for = self.now.saturating_sub(line.changed_at);
        line.is_up_open = is_up_open;
        line.is_down_open = is_down_open;
        // A line that was already cut continues its silence.
        if was_whole != is_whole {
            line.changes += 1;
            line.changed_at = self.now;
        }
        let change = Silence::Cut(line.changes);
        for id in self.sessions_of(node) {
            if is_whole {
                self.expect_reset(id);
            } else if was_whole {
                let (site, server) = (self.lines[node].until_silent(), self.lines[node].until_silent());
                self.after(site, Event::SiteSilent(id, change));
                self.after(server, Event::ServerSilent(id, change));
            }
            self.retransmit(id, cut_for);
        }
    }

    /// The site's first packet after losing its NAT mapping reaches the server.
    pub(super) fn rebound(&mut self, node: NodeId, address: u32) {
        let line = &mut self.lines[node];
        if line.address_number != address {
            return;
        }
        line.is_mapped = true;
        let (is_open, address) = (line.is_up_open, line.address());
        for id in self.sessions_of(node) {
            let is_known =
                |session: &&Session| session.has_server && session.has_site && session.peer_to_announce.is_none();
            if is_open && self.sessions.get(&id).filter(is_known).is_some() {
                self.arrived.push_back(Arrival::AtServer(id, SessionEvent::Moved(address.clone())));
            }
            self.retransmit(id, Duration::ZERO);
        }
    }

    /// Retransmits what waits for the line, in each direction that is open.
    fn retransmit(&mut self, id: SessionId, cut_for: Duration) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let line = &mut self.lines[session.node];
        let (mut up, mut down) = (0, 0);
        if line.is_up_open {
            up = std::mem::take(&mut session.stalled_up);
        }
        if line.is_down_open && line.is_mapped {
            down = std::mem::take(&mut session.stalled_down);
        }
        let delay = line.until_retransmitted(cut_for);
        for _ in 0..up {
            self.after(delay, Event::Up { session: id, has_queued: false });
        }
        for _ in 0..down {
            self.after(delay, Event::Down(id));
        }
    }

    fn close_at_server(&mut self, id: SessionId, is_known: bool, why: &str) {
        if is_known {
            self.arrived.push_back(Arrival::AtServer(id, SessionEvent::Closed(Text::lossy(why))));
        }
        self.close_server_end(id);
    }

    /// Deletes a session whose ends are both closed.
    fn remove_closed(&mut self, id: SessionId) {
        if self.sessions.get(&id).is_some_and(|session| !session.has_site && !session.has_server)
            && let Some(session) = self.sessions.remove(&id)
        {
            // A restarted daemon restarts its dial numbers: the entry may belong to a later session.
            let place = (session.node, session.dial);
            if self.sessions_by_dial.get(&place) == Some(&id) {
                self.sessions_by_dial.remove(&place);
            }
        }
    }
}
