//! Downlink: a machine for the members that are registered below a parent: the sites of a server, or the hosts of a
//! site's gateway.
//!
//! It has the sessions of the members, arbitrates between two sessions of one member, limits what a member may send,
//! knows who is connected, sends spec down and receives status, events and storage reports. It knows nothing of
//! environments, operators or providers: it reads the members' records through [`Members`] and gives its decisions to
//! its owner as [`Output`]s.
//!
//! ```text
//! opened ─► hello ───► up            at most one session of a member is up
//!              │   └─► probing       another session is up: probe it
//!              └─► closing           refused, or completed (a join, a recovery)
//! ```
//!
//! A second handshake with an identity that is already up comes from the same daemon on a new path, from a machine that
//! was power-cycled, or from a clone of its disk. The same daemon run takes over at once. Another run waits while the
//! established session is probed: if it answers, the newcomer is a duplicate and is refused, and the established
//! session stays; if it does not answer within [`PROBE_MAX`], it is replaced.
//!
//! Invariants: the session number is an epoch, so events of a session that is not a member's current one have no effect
//! on the member; the session of a link is up and belongs to the link's member; spec is sent only when all of it is
//! durable.
//!
//! After each call, the owner takes the outputs with [`Downlink::take_outputs`] and handles them in order, before the
//! next call.

mod admission;
mod conditions;
mod config;
mod established_session;
mod handshake;
mod link;
mod link_history;
mod members;
mod output;
mod presence;
mod rate_limit;
mod replication;
mod sessions;
mod slots;
#[cfg(test)]
mod tests;

use std::time::Duration;

use linecamp_model::{
    FromMember, FromParent, Instant, MemberId, Now, Parent, Refusal, RefusalCode, SessionId, Text, VersionRange,
};

pub use self::config::{
    DUPLICATE_CLEARS_AFTER, DUPLICATE_RETRY, FIRST_MESSAGE_MAX, PROBE_MAX, REDIALS_PER_SECOND, START_GRACE,
};
pub use self::output::{Credential, DownlinkTimer, Peer, SessionEvent};
pub use self::rate_limit::{MEMBER_BURST, MEMBER_OVERDRAFT_MAX, MEMBER_RATE_PER_SECOND};

pub(crate) use self::config::OPENING_SESSIONS_MAX;
pub(crate) use self::link::{Link, Links};
pub(crate) use self::members::{Member, MemberChange, Members, Standing};
pub(crate) use self::output::{Output, Release, SpecClaim, Write};

use self::config::{RESTART_ALLOWANCE, SPREAD_MEMBERS_MAX};
use self::sessions::{Sessions, Stage};
use self::slots::Slots;
use crate::rng::Rng;
use crate::timers::Timers;

/// The machine for the members. The [module docs](self) describe how to drive it.
#[derive(Clone, Debug)]
pub(crate) struct Downlink {
    /// Whose members these are.
    parent: Parent,
    versions: VersionRange,
    started: Now,
    sessions: Sessions,
    links: Links,
    slots: Slots,
    timers: Timers<DownlinkTimer>,
    outputs: Vec<Output>,
    rng: Rng,
    ignored: u64,
}

impl Downlink {
    /// Creates the downlink of a parent, without members.
    pub(crate) fn new(parent: Parent, versions: VersionRange, rng: Rng, now: Now) -> Self {
        Self {
            parent,
            versions,
            started: now,
            sessions: Sessions::default(),
            links: Links::default(),
            slots: Slots::new(REDIALS_PER_SECOND),
            timers: Timers::default(),
            outputs: Vec::new(),
            rng,
            ignored: 0,
        }
    }

    /// Handles a session event. The driver numbers sessions in ascending order and never reuses a number.
    pub(crate) fn handle_session(&mut self, id: SessionId, event: SessionEvent, members: &dyn Members, now: Now) {
        let before = self.sessions.member(id);
        match event {
            SessionEvent::Opened(peer) => self.open(id, peer, members, now),
            SessionEvent::Received(message) => self.receive(id, message, members, now),
            SessionEvent::Moved(address) => self.relocate(id, address),
            SessionEvent::Closed(_) => self.close(id, members, now),
        }
        for member in before.into_iter().chain(self.sessions.member(id)) {
            debug_assert!(self.is_consistent(member), "the session of {member}'s link is up");
        }
    }

    /// Handles the earliest expired timer.
    pub(crate) fn handle_timeout(&mut self, members: &dyn Members, now: Now) {
        let Some(timer) = self.timers.pop_expired(now.instant) else { return };
        match timer {
            DownlinkTimer::Late(session) => self.too_late(session, members, now),
            DownlinkTimer::ProbeLate(session) => self.probe_unanswered(session, members, now),
            DownlinkTimer::Acknowledge(session) => self.acknowledge_held(session, members),
            DownlinkTimer::Pieces(session) => self.read_waiting_pieces(session),
            DownlinkTimer::Resend(session) => self.resend(session, members),
            DownlinkTimer::Disconnect(member) => self.disconnect(member, members),
            DownlinkTimer::DuplicateClears(member) => self.duplicate_clears(member),
        }
    }

    /// Handles a release whose write is durable.
    pub(crate) fn release(&mut self, release: Release, members: &dyn Members, now: Now) {
        match release {
            Release::Send { session, message } => {
                if matches!(message, FromParent::Welcome(_)) {
                    self.announce(session);
                }
                self.output(Output::Send { session, message });
            }
            Release::Acknowledge { session, held } => self.acknowledge(session, held, now),
            Release::Refuse { session, refusal } => self.refuse(session, refusal, members, now),
        }
    }

    /// Handles a release whose write failed. The member is to try again after `retry`.
    pub(crate) fn release_failed(&mut self, release: Release, retry: Duration, members: &dyn Members, now: Now) {
        match release {
            Release::Send { session, message: FromParent::Welcome(_) } => {
                let text = format!("the {} cannot write to its store", self.parent);
                let refusal = Refusal::new(RefusalCode::StoreFailed, &text).retry_after(retry);
                self.refuse(session, refusal, members, now);
            }
            Release::Send { session, .. } | Release::Acknowledge { session, .. } => {
                self.timers.set(DownlinkTimer::Acknowledge(session), now.instant + retry);
            }
            Release::Refuse { .. } => {}
        }
    }

    /// Closes a session; if it was its member's current one, the member has lost its link.
    pub(crate) fn refuse(&mut self, id: SessionId, refusal: Refusal, members: &dyn Members, now: Now) {
        let before = self.sessions.set_stage(id, Stage::Closing);
        self.output(Output::Hangup { session: id, refusal });
        if let Some(Stage::Up(up)) = before {
            self.end_link(id, &up, members, now);
        }
    }

    /// Returns the refusals that stop all sessions, each with its own retry slot.
    pub(crate) fn stop_refusals(&self, now: Now) -> Vec<(SessionId, Refusal)> {
        let mut slots = Slots::new(REDIALS_PER_SECOND);
        let refusal = |id| {
            let slot = RESTART_ALLOWANCE + slots.take(now.instant);
            let text = format!("the {} is stopping", self.parent);
            (id, Refusal::new(RefusalCode::ServerStopping, &text).retry_after(slot))
        };
        self.sessions.ids().into_iter().map(refusal).collect()
    }

    /// Removes and returns the outputs, in order.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Returns the address of a session's peer, as the server observes it; empty for an unknown session.
    pub(crate) fn session_address(&self, id: SessionId) -> Text {
        self.sessions.address(id)
    }

    /// Returns the next deadline and its timer.
    pub(crate) fn next_deadline(&self) -> Option<(Instant, DownlinkTimer)> {
        self.timers.next()
    }

    /// Returns the number of messages that were ignored.
    pub(crate) const fn ignored(&self) -> u64 {
        self.ignored
    }

    fn output(&mut self, output: Output) {
        self.outputs.push(output);
    }

    fn open(&mut self, id: SessionId, peer: Peer, members: &dyn Members, now: Now) {
        self.sessions.open(id, peer);
        self.timers.set(DownlinkTimer::Late(id), now.instant + FIRST_MESSAGE_MAX);
        if OPENING_SESSIONS_MAX < self.sessions.opening() {
            let slot = self.slots.take(now.instant);
            let text = format!("the {} has too many newcomers", self.parent);
            let refusal = Refusal::new(RefusalCode::Busy, &text).retry_after(slot);
            self.refuse(id, refusal, members, now);
        }
    }

    fn receive(&mut self, id: SessionId, message: FromMember, members: &dyn Members, now: Now) {
        if let Err(refusal) = self.admit_message(id, &message, members, now) {
            return self.refuse(id, refusal, members, now);
        }
        let Some(stage) = self.sessions.stage(id) else {
            self.ignored += 1;
            return;
        };
        let member = self.sessions.member(id);
        match (stage, member, message) {
            (Stage::Opened, _, FromMember::Join(request)) => self.join(id, request, members, now),
            (Stage::Opened, _, FromMember::Hello(hello)) => self.greet(id, hello, members, now),
            (_, Some(_), FromMember::SpecAck(held)) => self.handle_spec_ack(id, held, members, now),
            (_, Some(_), FromMember::Status(delta)) => self.handle_status(id, delta, members, now),
            (_, Some(_), FromMember::Events(batch)) => self.handle_events(id, batch, members, now),
            (_, Some(member), FromMember::Renew) => self.renew(id, member, members, now),
            (_, Some(member), FromMember::Alive) => self.probe_answered(member, members, now),
            (_, Some(member), FromMember::WantPlugin(want)) => self.want_piece(id, member, want, (members, now)),
            (_, Some(member), FromMember::Storage(conditions)) => self.handle_storage(member, conditions, now),
            (_, Some(member), FromMember::ServersStored(number)) => self.handle_servers_stored(member, number),
            (_, Some(member), FromMember::Trust(report)) => self.output(Output::TrustReported { member, report }),
            (_, Some(member @ MemberId::Host(_)), FromMember::Leave) => {
                self.output(Output::Leave { session: id, member });
            }
            (Stage::Closing, _, _) => self.ignored += 1,
            (Stage::Opened | Stage::Probing { .. } | Stage::Up(_), _, _) => {
                self.refuse(id, Refusal::new(RefusalCode::Protocol, "a message out of order"), members, now);
            }
        }
    }

    /// Returns the interval over which the members should spread their redials.
    fn redial_spread(&self) -> Duration {
        let members = u32::try_from(self.links.len().min(SPREAD_MEMBERS_MAX)).unwrap_or(u32::MAX);
        Duration::from_secs(1) * members / REDIALS_PER_SECOND
    }

    fn is_consistent(&self, member: MemberId) -> bool {
        let session = self.links.get(member).and_then(Link::session);
        session.is_none_or(|session| self.sessions.member(session) == Some(member))
    }
}
