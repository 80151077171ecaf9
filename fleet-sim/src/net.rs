//! The link model: it models what QUIC does with packets, without packets.
//!
//! A session is one stream in each direction. What is sent arrives once and in order, later if packets were lost (each
//! loss doubles the delay), and not at all while the line is cut. Silence is detected after the idle timeout, counted
//! from the last keep-alive. A restarted server answers packets of old sessions with a reset, so a site notices at its
//! next keep-alive; a server that lost a site notices by silence alone. A close carries its reason once: if it is lost,
//! the peer learns from silence or a reset. A NAT mapping that a router lost is recreated by the site's next packet,
//! and what the server sends until then is delayed.
//!
//! The server's machine processes handshakes one at a time, each taking some time: a storm results from this queue.
//!
//! Not modeled: packet sizes, congestion, the stages of a handshake. QUIC mode has those.

mod authorities;
mod event;
mod line;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use linecamp_core::{Credential, Dial, IssueRequest, LinkEvent, LossReason, Peer, SessionEvent, SiteIdentity};
use linecamp_model::{
    AuthorityRotation, AuthoritySet, DialId, FromMember, FromParent, GapCause, IdentityGrant, KeyFingerprint,
    KnownAuthorities, Pin, Refusal, RotationStep, SessionId, Text, WallTime,
};

use crate::clock::Clock;
use crate::line_profile::Profile;
use crate::queue::Queue;
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{Arrival, NodeId, Traffic, Transport};

use self::authorities::{Authorities, Trust};
use self::event::Event;
use self::line::NodeLine;
use self::session::Session;

/// Timeout of a dial: the limit of the production transport.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// Cost of a handshake at the server: about what was measured for one core, all included.
const HANDSHAKE_COST: Duration = Duration::from_micros(1_200);

/// Cost of a message at the server.
const MESSAGE_COST: Duration = Duration::from_micros(50);

/// Maximum messages of one session queued for sending at a site, as in the production driver.
const SITE_QUEUE_MAX: usize = 64;

/// Maximum messages of one session queued for sending at the server, as in the production driver.
const SERVER_QUEUE_MAX: usize = 24;

/// Lifetime of the server's own certificate.
const LEAF_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// The link model.
#[derive(Debug)]
pub(crate) struct Net {
    seed: u64,
    now: Duration,
    queue: Queue<Event>,
    arrived: VecDeque<Arrival>,
    lines: Vec<NodeLine>,
    sessions: BTreeMap<SessionId, Session>,
    /// The session of each successful dial.
    sessions_by_dial: BTreeMap<(NodeId, DialId), SessionId>,
    next_session: SessionId,
    is_server_up: bool,
    /// Counts the server's starts.
    server_run: u64,
    server_clock: Clock,
    authorities: Authorities,
    busy_until: Duration,
    slowness: u32,
}

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Duration::ZERO,
            queue: Queue::default(),
            arrived: VecDeque::new(),
            lines: Vec::new(),
            sessions: BTreeMap::new(),
            sessions_by_dial: BTreeMap::new(),
            next_session: SessionId(1),
            is_server_up: false,
            server_run: 0,
            server_clock: Clock::default(),
            authorities: Authorities::new(),
            busy_until: Duration::ZERO,
            slowness: 1,
        }
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.queue.push(self.now + delay, event);
    }

    /// Returns when the server completes an operation of this cost.
    fn schedule_work(&mut self, cost: Duration) -> Duration {
        self.busy_until = self.busy_until.max(self.now) + cost * self.slowness;
        self.busy_until
    }

    fn process(&mut self, event: Event) {
        match event {
            Event::DialArrives { node, dial, tries } => self.dial_arrives(node, dial, tries),
            Event::DialReady { node, dial, server } => self.dial_ready(node, dial, server),
            Event::DialTimeout { node, dial } => {
                if self.lines[node].dialing.remove(&dial) {
                    self.report(node, dial, unreachable(GapCause::NoAnswer, "the server did not answer within 10 s"));
                }
            }
            Event::Established(id) => {
                if let Some(session) = self.sessions.get(&id).filter(|session| session.has_site) {
                    self.arrived.push_back(Arrival::AtSite(session.node, LinkEvent::Dialed(session.dial)));
                }
            }
            Event::FirstMessageTimeout(id) => self.first_message_timeout(id),
            Event::Up { session, has_queued } => self.arrive_up(session, has_queued),
            Event::Down(id) => self.arrive_down(id),
            Event::CloseAtSite { session, refusal } => self.close_arrives_at_site(session, *refusal),
            Event::CloseAtServer { session, refusal } => self.close_arrives_at_server(session, &refusal),
            Event::SiteSilent(id, silence) => self.site_silent(id, silence),
            Event::ServerSilent(id, silence) => self.server_silent(id, silence),
            Event::SiteReset(id) => self.site_reset(id),
            Event::Rebound { node, address } => self.rebound(node, address),
        }
    }

    fn dial_arrives(&mut self, node: NodeId, dial: DialId, tries: u32) {
        let line = &mut self.lines[node];
        if !line.dialing.contains(&dial) {
            return;
        }
        if line.is_up_open {
            line.traffic.bytes += line::HELLO_BYTES;
        }
        if !(self.is_server_up && line.is_up_open && line.is_down_open) {
            // QUIC retransmits its first packet after one second, then two, then four.
            self.after(Duration::from_secs(1 << tries.min(4)), Event::DialArrives { node, dial, tries: tries + 1 });
            return;
        }
        line.traffic.dials_arrived += 1;
        let ready = self.schedule_work(HANDSHAKE_COST);
        self.queue.push(ready, Event::DialReady { node, dial, server: self.server_run });
    }

    fn dial_ready(&mut self, node: NodeId, dial: DialId, server: u64) {
        let (now, server_clock) = (self.now, self.server_clock);
        let line = &mut self.lines[node];
        if server != self.server_run || !line.dialing.remove(&dial) {
            return;
        }
        line.traffic.bytes += line::HANDSHAKE_BYTES;
        let delay = line.delay();
        if server_clock.wall(now) + LEAF_LIFE < line.clock.wall(now) {
            let why = "the server's certificate has expired by this machine's clock";
            return self.report(node, dial, unreachable(GapCause::Tls, why));
        }
        if !self.authorities.are_accepted_by(&line.trust) {
            return self.report_loss(node, dial, "the server's certificate is from an untrusted authority");
        }
        let credential = match line.certificate {
            None => Credential::SelfMade,
            Some(_) if !self.authorities.have_issued(&line.trust) => Credential::Foreign,
            Some((_, not_after)) if not_after < server_clock.wall(now) => Credential::Expired,
            Some(_) => Credential::Issued,
        };
        let peer = Peer { fingerprint: line.key, credential, address: line.address() };
        let id = self.next_session;
        self.next_session = id.next();
        self.sessions.insert(id, Session::new(node, dial, peer, now));
        self.sessions_by_dial.insert((node, dial), id);
        self.after(delay, Event::Established(id));
        self.after(DIAL_MAX, Event::FirstMessageTimeout(id));
    }

    fn report_loss(&mut self, node: NodeId, dial: DialId, why: &str) {
        self.report(node, dial, LossReason::Failed(Text::lossy(why)));
    }

    fn report(&mut self, node: NodeId, dial: DialId, reason: LossReason) {
        self.arrived.push_back(Arrival::AtSite(node, LinkEvent::Lost(dial, reason)));
    }
}

fn unreachable(cause: GapCause, why: &str) -> LossReason {
    LossReason::Unreachable(cause, Text::lossy(why))
}

impl Transport for Net {
    fn add_node(&mut self, node: NodeId, profile: Profile, clock: Clock) -> KeyFingerprint {
        let key = KeyFingerprint::of(&SimRng::of(self.seed, Purpose::Key, node as u64).bytes::<32>());
        self.lines.push(NodeLine::new(node, profile, key, clock, self.seed));
        key
    }

    fn copy_node(&mut self, node: NodeId, original: NodeId, clock: Clock) {
        let line = &self.lines[original];
        let (profile, key, certificate, trust) = (line.profile, line.key, line.certificate, line.trust.clone());
        let mut copy = NodeLine::new(node, profile, key, clock, self.seed);
        (copy.certificate, copy.trust) = (certificate, trust);
        self.lines.push(copy);
    }

    fn pin(&self) -> Pin {
        self.authorities.issuing()
    }

    fn set_node_clock(&mut self, node: NodeId, clock: Clock) {
        self.lines[node].clock = clock;
    }

    fn set_server_clock(&mut self, clock: Clock) {
        self.server_clock = clock;
    }

    fn start_node(&mut self, node: NodeId) {
        // A new daemon restarts its dial numbers: an echo of an earlier daemon's dial would match one of its own.
        self.lines[node].last_session = None;
    }

    fn kill_node(&mut self, node: NodeId) {
        self.lines[node].dialing.clear();
        for id in self.sessions_of(node) {
            self.close_site_end(id);
        }
    }

    fn start_server(&mut self) {
        self.is_server_up = true;
        self.server_run += 1;
        self.busy_until = self.now;
        let orphans: Vec<_> = self.sessions.keys().copied().collect();
        for id in orphans {
            self.expect_reset(id);
        }
    }

    fn kill_server(&mut self) {
        self.is_server_up = false;
        self.server_run += 1;
        let all: Vec<_> = self.sessions.keys().copied().collect();
        for id in all {
            self.close_server_end(id);
        }
    }

    fn dial(&mut self, node: NodeId, dial: &Dial) {
        let line = &mut self.lines[node];
        line.dialing.insert(dial.dial);
        let delay = line.delay();
        self.after(delay, Event::DialArrives { node, dial: dial.dial, tries: 0 });
        self.after(DIAL_MAX, Event::DialTimeout { node, dial: dial.dial });
    }

    fn send_to_server(&mut self, node: NodeId, dial: DialId, message: &FromMember, bytes: &[u8]) {
        let Some(id) = self.sessions_by_dial.get(&(node, dial)).copied() else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_site) else {
            return;
        };
        if SITE_QUEUE_MAX <= session.up.len() {
            self.report_loss(node, dial, "more than 64 messages wait for the link");
            return self.close_site_end(id);
        }
        session.up.push_back(message.clone());
        let line = &mut self.lines[node];
        line.traffic.bytes += line::message_bytes(bytes.len());
        let at = session.up_at.max(self.now + line.delay());
        session.up_at = at;
        self.queue.push(at, Event::Up { session: id, has_queued: false });
    }

    fn hang_up_on_server(&mut self, node: NodeId, dial: DialId, refusal: &Refusal) {
        self.lines[node].dialing.remove(&dial);
        let Some(id) = self.sessions_by_dial.get(&(node, dial)).copied() else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_site) else {
            return;
        };
        let at = session.up_at.max(self.now + self.lines[node].delay());
        if self.lines[node].is_up_open && !self.lines[node].loses() {
            self.queue.push(at, Event::CloseAtServer { session: id, refusal: Box::new(refusal.clone()) });
        }
        self.close_site_end(id);
    }

    fn save_identity(&mut self, node: NodeId, grant: &IdentityGrant) -> Result<SiteIdentity, Text> {
        let moment = |from: usize| -> Option<WallTime> {
            let bytes = grant.certificate.get(from..from + 8)?.try_into().ok()?;
            Some(WallTime::from_unix_millis(u64::from_be_bytes(bytes)))
        };
        let (Some(not_before), Some(not_after)) = (moment(0), moment(8)) else {
            return Err(Text::lossy("not a certificate"));
        };
        let line = &mut self.lines[node];
        line.trust.handle_grant(grant, line.certificate.is_some());
        line.certificate = Some((not_before, not_after));
        Ok(SiteIdentity {
            kind: grant.kind,
            site: grant.site,
            host: grant.host,
            not_before,
            not_after,
            issuer: line.trust.issuer(),
        })
    }

    fn forget_identity(&mut self, node: NodeId) {
        (self.lines[node].certificate, self.lines[node].trust) = (None, Trust::default());
    }

    fn save_authorities(&mut self, node: NodeId, told: &AuthoritySet) -> Result<(KnownAuthorities, Option<Pin>), Text> {
        self.lines[node].trust.save(told)
    }

    fn authorities(&self, node: NodeId) -> (KnownAuthorities, Option<Pin>) {
        let trust = &self.lines[node].trust;
        (trust.known.clone(), trust.issuer())
    }

    fn rotate(&mut self, step: RotationStep, _now: WallTime) {
        self.authorities.rotate(step);
    }

    fn rotation(&self) -> AuthorityRotation {
        self.authorities.rotation().clone()
    }

    fn send_to_site(&mut self, id: SessionId, message: &FromParent, bytes: &[u8]) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_server) else {
            return;
        };
        if SERVER_QUEUE_MAX <= session.down.len() {
            self.arrived.push_back(Arrival::AtServer(id, SessionEvent::Closed(Text::lossy("the site does not read"))));
            return self.close_server_end(id);
        }
        session.down.push_back(message.clone());
        let line = &mut self.lines[session.node];
        line.traffic.bytes += line::message_bytes(bytes.len());
        let at = session.down_at.max(self.now + line.delay());
        session.down_at = at;
        self.queue.push(at, Event::Down(id));
    }

    fn issue(&mut self, session: SessionId, request: IssueRequest) {
        let validity = [request.not_before, request.not_after].map(|at| at.unix_millis().to_be_bytes()).concat();
        let certificate = [validity.as_slice(), self.authorities.issuing().as_bytes()].concat();
        let grant = IdentityGrant {
            kind: request.kind,
            name: request.name,
            environment: request.environment,
            site: request.site,
            host: request.host,
            certificate,
            gateway_chain: Vec::new(),
            authorities: self.authorities.rotation().authorities.iter().map(|one| one.certificate.clone()).collect(),
        };
        // A real certificate and its CA certificate take 700 bytes.
        self.send_to_site(session, &FromParent::Identity(grant), &[0; 700]);
    }

    fn hang_up_on_site(&mut self, id: SessionId, refusal: &Refusal) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.has_server) else {
            return;
        };
        let line = &mut self.lines[session.node];
        let at = session.down_at.max(self.now + line.delay());
        if line.is_down_open && !line.loses() {
            self.queue.push(at, Event::CloseAtSite { session: id, refusal: Box::new(refusal.clone()) });
        }
        self.arrived.push_back(Arrival::AtServer(id, SessionEvent::Closed(Text::lossy("closed here"))));
        self.close_server_end(id);
        self.expect_reset(id);
    }

    fn set_line(&mut self, node: NodeId, is_up_open: bool, is_down_open: bool) {
        self.change_line(node, is_up_open, is_down_open);
    }

    fn rebind(&mut self, node: NodeId) {
        let line = &mut self.lines[node];
        line.address_number += 1;
        line.is_mapped = false;
        let (address, delay) = (line.address_number, line.until_keep_alive() + line.delay());
        self.after(delay, Event::Rebound { node, address });
    }

    fn set_server_slowness(&mut self, factor: u32) {
        self.slowness = factor;
    }

    /// Besides replaying a closed session, resends an old spec on the current session, as a faulty server might.
    fn echo(&mut self, node: NodeId) {
        for id in self.sessions_of(node) {
            let Some(session) = self.sessions.get(&id).filter(|session| session.has_site) else {
                continue;
            };
            if let Some(spec) = session.old_spec.clone().filter(|_| 0 < session.newer_specs) {
                self.arrived.push_back(Arrival::AtSite(node, LinkEvent::Received(session.dial, spec)));
            }
        }
        let Some((dial, session)) = self.lines[node].last_session else {
            return;
        };
        self.arrived.push_back(Arrival::AtSite(node, LinkEvent::Dialed(dial)));
        self.arrived.push_back(Arrival::AtSite(node, LinkEvent::Received(dial, FromParent::Probe)));
        self.report_loss(node, dial, "replayed");
        self.arrived.push_back(Arrival::AtServer(session, SessionEvent::Received(FromMember::Alive)));
        self.arrived.push_back(Arrival::AtServer(session, SessionEvent::Closed(Text::lossy("replayed"))));
    }

    fn next_at(&self) -> Option<Duration> {
        if self.arrived.is_empty() { self.queue.next_at() } else { Some(self.now) }
    }

    fn poll(&mut self, now: Duration) -> Option<Arrival> {
        self.now = now;
        loop {
            if let Some(arrival) = self.arrived.pop_front() {
                return Some(arrival);
            }
            let event = self.queue.pop(now)?;
            self.process(event);
        }
    }

    fn traffic(&self, node: NodeId, now: Duration) -> Traffic {
        let line = &self.lines[node];
        let linked = self.sessions.values().filter(|session| session.node == node && session.has_site);
        let keep_alive: u64 = linked.map(|session| line.keep_alive_bytes(now.saturating_sub(session.since))).sum();
        Traffic { bytes: line.traffic.bytes + keep_alive, ..line.traffic }
    }

    fn wire_hash(&self) -> Option<u64> {
        None
    }
}
