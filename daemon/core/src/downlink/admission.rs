//! What a session may send: nothing out of order, almost nothing while its member is pending, and everything else
//! within the member's rate limit.
//!
//! The rate limit never delays the receiving of a message. It delays the acknowledgements and pieces that the member
//! waits for; a member that does not wait is disconnected.

use std::time::Duration;

use linecamp_model::{FromMember, FromParent, MemberId, Now, PluginPiece, PluginWant, Refusal, RefusalCode, SessionId};

use super::Downlink;
use super::members::{Members, Standing};
use super::output::{DownlinkTimer, Held, Output, Release};
use super::rate_limit::{MEMBER_OVERDRAFT_MAX, cost_of};

impl Downlink {
    /// Charges a message to its sender. Returns the refusal if the message is not accepted.
    pub(super) fn admit_message(
        &mut self,
        id: SessionId,
        message: &FromMember,
        members: &dyn Members,
        now: Now,
    ) -> Result<(), Refusal> {
        let up = self.sessions.member(id);
        let reports = matches!(
            message,
            FromMember::Status(_) | FromMember::Events(_) | FromMember::WantPlugin(_) | FromMember::Storage(_)
        );
        if reports && up.is_some_and(|member| is_pending(members, member)) {
            let text = "a pending site may send no status or events until an operator accepts it";
            return Err(Refusal::new(RefusalCode::Protocol, text));
        }
        let Some(peer) = self.sessions.peer(id) else { return Ok(()) };
        let Some(member) = up.or_else(|| members.id_of_key(&peer.fingerprint)) else { return Ok(()) };
        // The server decides how many deltas it sends, so it does not charge for their acknowledgements.
        let is_expected =
            matches!(message, FromMember::SpecAck(_)) && self.sessions.up(id).is_some_and(|up| up.spec.is_waiting());
        let Some(link) = self.links.get_mut(member) else { return Ok(()) };
        let cost = if is_expected { 0 } else { cost_of(message) };
        let delay = link.rate_limit.charge(cost, now.instant);
        if MEMBER_OVERDRAFT_MAX < delay {
            let noun = member.kind();
            let text = format!("rate limit exceeded: this {noun} sends without waiting for acknowledgements");
            return Err(Refusal::new(RefusalCode::Busy, &text).retry_after(delay));
        }
        Ok(())
    }

    /// Acknowledges the status and events held that the member waits for: after a failed commit, or when the rate
    /// limit allows. An acknowledgement that it does not wait for would make it send the status in transit again.
    pub(super) fn acknowledge_held(&mut self, id: SessionId, members: &dyn Members) {
        let (status, events) = self.held_of(id, members);
        for held in [Held::Status(status), Held::Events(events)] {
            if self.sessions.waits_for(id, held) {
                self.acknowledge_when_durable(id, held);
            }
        }
    }

    pub(super) fn acknowledge_when_durable(&mut self, session: SessionId, held: Held) {
        self.output(Output::WhenDurable(vec![Release::Acknowledge { session, held }]));
    }

    /// Sends an acknowledgement as soon as the member's rate limit allows.
    pub(super) fn acknowledge(&mut self, session: SessionId, held: Held, now: Now) {
        let delay = self.delay_of(session, now);
        if Duration::ZERO < delay {
            return self.timers.set(DownlinkTimer::Acknowledge(session), now.instant + delay);
        }
        self.sessions.end_upload(session, held);
        self.output(Output::Send { session, message: held.message() });
    }

    /// Handles a request for a piece of a file: it is read as soon as the member's rate limit allows, or answered with
    /// an empty piece if the member may not read the file.
    pub(super) fn want_piece(
        &mut self,
        session: SessionId,
        member: MemberId,
        want: PluginWant,
        (members, now): (&dyn Members, Now),
    ) {
        if !members.may_read(member, &want.digest) {
            let piece = PluginPiece { digest: want.digest, offset: want.offset, total: 0, bytes: Vec::new() };
            return self.output(Output::Send { session, message: FromParent::Plugin(piece) });
        }
        let delay = self.delay_of(session, now);
        if delay.is_zero() {
            return self.output(Output::ReadPiece { session, want });
        }
        if self.sessions.queue_piece(session, want) {
            self.timers.set(DownlinkTimer::Pieces(session), now.instant + delay);
        }
    }

    /// Reads the pieces that a member requested above its rate limit.
    pub(super) fn read_waiting_pieces(&mut self, session: SessionId) {
        for want in self.sessions.take_pieces(session) {
            self.output(Output::ReadPiece { session, want });
        }
    }

    fn delay_of(&self, session: SessionId, now: Now) -> Duration {
        let link = self.sessions.member(session).and_then(|member| self.links.get(member));
        link.map_or(Duration::ZERO, |link| link.rate_limit.delay(now.instant))
    }
}

/// Whether a member waits until it is accepted.
pub(super) fn is_pending(members: &dyn Members, id: MemberId) -> bool {
    members.member(id).is_some_and(|member| member.standing == Standing::Pending)
}
