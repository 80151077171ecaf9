//! Hostile members: registered sites that lie and flood instead of running a daemon.
//!
//! A hostile member replaces a site's daemon. It has its own key and certificate, but no disk. It joins, sends hello,
//! stays linked, and performs the acts of the plan. [`hostile_messages`] defines what it sends; this module
//! defines when. It is stopped when the faults end, and honest sites have to converge.

use std::collections::VecDeque;
use std::time::Duration;

use linecamp_core::{Dial, LinkEvent, Purpose as DialPurpose};
use linecamp_model::{
    DialId, FromMember, FromParent, Generation, Hello, HostId, Incarnation, JoinRequest, Refusal, RefusalCode, RunId,
    ServerAddress, SiteId,
};
use linecamp_proto::VERSIONS;

use super::{End, SERVER, SimEvent, World, name, text};
use crate::act_kind::ActKind;
use crate::hostile_messages::{self, MemberState};
use crate::plan::Act;
use crate::sim_rng::{Purpose, SimRng};
use crate::transport::{NodeId, Transport};

/// Messages per turn: a quarter of what the production driver queues for the link.
const MESSAGES_PER_TURN: usize = 16;

/// Interval between two turns of a flood: more than a hundred messages per second.
const TURN: Duration = Duration::from_millis(100);

/// Delay between an acknowledgement and the next message, for a member that waits for acknowledgements.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Maximum queued messages. More are dropped, or the run would do nothing else.
const WAITING_MAX: usize = 2_000;

/// Maximum delay between the end of a link and the next dial.
const REDIAL_MAX: Duration = Duration::from_secs(30);

/// A hostile member.
#[derive(Debug)]
pub(super) struct Hostile {
    known: MemberState,
    rng: SimRng,
    /// The pending or successful dial.
    dial: Option<DialId>,
    last_dial: DialId,
    /// Whether a session is up.
    is_up: bool,
    waiting: VecDeque<FromMember>,
    /// Whether it waits for each acknowledgement, so that its messages build on what the server accepted.
    is_patient: bool,
    /// The next hello, if it is false.
    false_hello: Option<Hello>,
    /// How many more times it sends hello and leaves.
    hellos_left: u64,
    /// Whether it sends nothing on its next connection.
    is_mute: bool,
    /// Number of the last scheduled turn; earlier ones are void.
    turn: u32,
}

impl<C: Transport> World<C> {
    /// Replaces a site's daemon with a hostile member.
    pub(super) fn make_hostile(&mut self, number: NodeId) {
        let mut rng = SimRng::of(self.seed, Purpose::Hostile, number as u64);
        let node = &mut self.nodes[number];
        let known = MemberState {
            site: SiteId::from_bytes(rng.bytes()),
            gateway: HostId::from_bytes(rng.bytes()),
            run: RunId::from_bytes(rng.bytes()),
            status_incarnation: Incarnation(rng.bits() | 1),
            spec_incarnation: Incarnation::default(),
            spec_head: Generation::ZERO,
            status_held: Generation::ZERO,
            events_held: 0,
            wall: node.now(Duration::ZERO).wall,
        };
        self.watch.add_hostile(&node.key);
        node.hostile = Some(Box::new(Hostile {
            known,
            rng,
            dial: None,
            last_dial: DialId(0),
            is_up: false,
            waiting: VecDeque::new(),
            is_patient: false,
            false_hello: None,
            hellos_left: 0,
            is_mute: false,
            turn: 0,
        }));
    }

    pub(super) fn start_hostile(&mut self, number: NodeId) {
        self.transport.start_node(number);
        self.hostile_dials(number);
    }

    /// Removes a hostile member.
    pub(super) fn end_hostile(&mut self, number: NodeId) {
        if let Some(hostile) = &mut self.nodes[number].hostile {
            hostile.waiting.clear();
            hostile.turn += 1;
        }
        self.end_node(number, End::Retired);
    }

    /// Performs an act on a hostile member. Faults of daemons and their disks do not apply to it.
    pub(super) fn act_on_hostile(&mut self, number: NodeId, act: Act) {
        let Some(hostile) = self.nodes[number].hostile.as_deref_mut() else { return };
        let mut rng = SimRng::of(act.draw, Purpose::Hostile, u64::from(act.site));
        match act.kind {
            ActKind::LieGreeting => {
                hostile.false_hello = Some(hostile_messages::wild_greeting(&mut hostile.known, &mut rng))
            }
            ActKind::FloodGreetings => hostile.hellos_left = 10 + rng.below(90),
            ActKind::Mute => hostile.is_mute = true,
            kind => {
                hostile.is_patient = rng.happens(500);
                let messages = hostile_messages::messages(kind, &hostile.known, &mut rng);
                let room = WAITING_MAX.saturating_sub(hostile.waiting.len());
                hostile.waiting.extend(messages.into_iter().take(room));
                return self.schedule_hostile(number, TURN);
            }
        }
        self.hostile_dials(number);
    }

    /// Dials, after leaving the current session.
    fn hostile_dials(&mut self, number: NodeId) {
        self.hostile_hangs_up(number);
        let node = &mut self.nodes[number];
        let (is_member, is_over) = (node.identity.is_some(), node.end.is_some());
        let Some(hostile) = node.hostile.as_deref_mut().filter(|_| !is_over) else { return };
        hostile.last_dial = hostile.last_dial.next();
        hostile.dial = Some(hostile.last_dial);
        let dial = Dial {
            dial: hostile.last_dial,
            server: ServerAddress::parse(SERVER).expect("an address"),
            purpose: if is_member { DialPurpose::Link } else { DialPurpose::Join },
        };
        self.note(Some(number), "dial", &[dial.dial.0], || format!("dials {} ({:?})", dial.dial, dial.purpose));
        self.transport.dial(number, &dial);
    }

    fn hostile_hangs_up(&mut self, number: NodeId) {
        let Some(hostile) = self.nodes[number].hostile.as_deref_mut() else { return };
        hostile.is_up = false;
        if let Some(dial) = hostile.dial.take() {
            let refusal = Refusal::new(RefusalCode::SiteStopping, "more to come");
            self.transport.hang_up_on_server(number, dial, &refusal);
        }
    }

    pub(super) fn hostile_link_event(&mut self, number: NodeId, event: LinkEvent) {
        let (LinkEvent::Dialed(dial) | LinkEvent::Received(dial, _) | LinkEvent::Lost(dial, _)) = &event;
        let wall = self.nodes[number].now(self.elapsed).wall;
        let Some(hostile) = self.nodes[number].hostile.as_deref_mut().filter(|of| of.dial == Some(*dial)) else {
            return;
        };
        hostile.known.wall = wall;
        match event {
            LinkEvent::Dialed(dial) => self.hostile_opens(number, dial),
            LinkEvent::Received(dial, message) => self.hostile_receives(number, dial, message),
            LinkEvent::Lost(..) => {
                hostile.dial = None;
                hostile.is_up = false;
                let delay = hostile.rng.between(Duration::from_millis(100), REDIAL_MAX);
                self.schedule_hostile(number, delay);
            }
        }
    }

    /// Sends the first message of a session, or none.
    fn hostile_opens(&mut self, number: NodeId, dial: DialId) {
        let node = &mut self.nodes[number];
        let Some(hostile) = node.hostile.as_deref_mut() else { return };
        if std::mem::take(&mut hostile.is_mute) {
            return;
        }
        let first = match (&node.identity, &node.join) {
            (None, Some(pending_join)) => FromMember::Join(JoinRequest {
                versions: VERSIONS,
                token: pending_join.token.id,
                secret: pending_join.token.secret,
                kind: pending_join.kind,
                name: name(node.name.as_str()),
                site: None,
                daemon_version: text("0.1.0"),
            }),
            _ => FromMember::Hello(
                hostile.false_hello.take().unwrap_or_else(|| hostile_messages::greeting(&hostile.known)),
            ),
        };
        self.send_to_server(number, dial, &first);
    }

    fn hostile_receives(&mut self, number: NodeId, dial: DialId, message: FromParent) {
        let Some(hostile) = self.nodes[number].hostile.as_deref_mut() else { return };
        let known = &mut hostile.known;
        let mut answer = None;
        match message {
            FromParent::Identity(grant) => {
                (known.site, known.gateway) = (grant.site, grant.host);
                if let Ok(identity) = self.transport.save_identity(number, &grant) {
                    self.nodes[number].identity = Some(identity);
                }
                self.hostile_hangs_up(number);
                return self.schedule_hostile(number, TURN);
            }
            FromParent::Welcome(welcome) => {
                known.spec_incarnation = welcome.spec_incarnation;
                known.status_held = welcome.status_held;
                known.events_held = welcome.events_held;
                hostile.is_up = true;
                if 0 < hostile.hellos_left {
                    hostile.hellos_left -= 1;
                    return self.hostile_dials(number);
                }
                return self.schedule_hostile(number, TURN);
            }
            FromParent::Spec(delta) => {
                known.spec_head = delta.to;
                answer = hostile.rng.happens(500).then_some(FromMember::SpecAck(delta.to));
            }
            FromParent::StatusAck(held) => {
                known.status_held = held;
                return self.schedule_hostile(number, ROUND_TRIP);
            }
            FromParent::EventsAck(held) => {
                known.events_held = held;
                return self.schedule_hostile(number, ROUND_TRIP);
            }
            FromParent::Probe => answer = hostile.rng.happens(500).then_some(FromMember::Alive),
            FromParent::Plugin(_) | FromParent::Servers(_) | FromParent::Authorities(_) => {}
        }
        if let Some(answer) = answer {
            self.send_to_server(number, dial, &answer);
        }
    }

    /// Schedules a hostile member's next turn.
    fn schedule_hostile(&mut self, number: NodeId, delay: Duration) {
        if let Some(hostile) = self.nodes[number].hostile.as_deref_mut() {
            hostile.turn += 1;
            let turn = hostile.turn;
            self.after(delay, SimEvent::Hostile(number, turn));
        }
    }

    /// Sends some of the queued messages, or dials if there is no session.
    pub(super) fn hostile_turn(&mut self, number: NodeId, turn: u32) {
        let Some(hostile) = self.nodes[number].hostile.as_deref_mut().filter(|of| of.turn == turn) else { return };
        let Some(dial) = hostile.dial else { return self.hostile_dials(number) };
        if !hostile.is_up {
            // Wait until its hello is answered or its dial fails.
            return;
        }
        let count = hostile.waiting.len().min(if hostile.is_patient { 1 } else { MESSAGES_PER_TURN });
        let messages: Vec<_> = hostile.waiting.drain(..count).collect();
        let is_answered = |message: &FromMember| match message {
            FromMember::Status(part) => !part.more,
            message => matches!(message, FromMember::Events(_)),
        };
        let has_turn = !(hostile.waiting.is_empty() || hostile.is_patient && messages.iter().any(is_answered));
        for message in messages {
            self.send_to_server(number, dial, &message);
        }
        if has_turn {
            self.schedule_hostile(number, TURN);
        }
    }
}
