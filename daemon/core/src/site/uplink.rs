//! Uplink: how a site connects to its server, and what it does while it cannot.
//!
//! ```text
//! idle ─► dialing ─► greeting ─► up
//!            ▲          │         │  lost, closed, timed out
//!            └─ waiting ◄─────────┘
//!                       └─► saving ─► dialing      (a certificate arrived: join, recover)
//!                       └─► stopped                (refused permanently)
//! ```
//!
//! Servers are tried in rotation ([`rotation`]). The delay before a redial is the slot the server assigned in its close
//! frame; otherwise it is random and growing ([`Backoff`]), starting with the spread the server last announced. Events
//! of an earlier dial are ignored: they can never take down a later one. Presence is the connection itself; there is no
//! heartbeat here.
//!
//! What the attempts observe while there is no session goes to the [`link_recorder`].
//!
//! Constants: [`DIAL_MAX`], [`GREETING_MAX`], [`REDIAL_SPREAD_DEFAULT`], [`REDIAL_MAX`], [`REDIAL_MAX_SPREADS`].

mod link_recorder;
mod rotation;

use std::time::Duration;

use linecamp_model::{
    DialId, GapCause, GapReport, IdentityGrant, KnownServers, LinkRecord, LinkState, LinkView, Now, PartState, Refusal,
    RefusalCode, ServerAddress, ServerSet, SessionId, Text, WallTime, Welcome,
};

use self::link_recorder::LinkRecorder;
use self::rotation::ServerRotation;
use super::config::{
    DIAL_MAX, GREETING_MAX, REDIAL_MAX, REDIAL_MAX_SPREADS, REDIAL_SPREAD_DEFAULT, RETRY_SLOT_MAX, SiteConfig,
};
use super::effects::Effects;
use super::link_event::LossReason;
use super::output::{Dial, Purpose, SiteOutput, Timer};
use super::replication::Violation;
use crate::DISCONNECTED_AFTER;
use crate::backoff::Backoff;

/// The state of the uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to dial for: no identity and no pending join.
    Idle,
    /// A dial is in flight.
    Dialing { dial: DialId },
    /// Connected; the handshake is in progress.
    Greeting { dial: DialId },
    /// A session is up.
    Up { dial: DialId, session: SessionId },
    /// A certificate is being saved.
    Saving,
    /// Waiting for the redial timer.
    Waiting,
    /// Refused permanently.
    Stopped(Refusal),
}

/// The connection to the server.
#[derive(Clone, Debug)]
pub(super) struct Uplink {
    state: State,
    purpose: Purpose,
    /// When the session came up or went down.
    since: WallTime,
    /// Why the last session ended, or the last attempt failed.
    last_loss: Option<Text>,
    servers: ServerRotation,
    last_dial: DialId,
    backoff: Backoff,
    spread: Duration,
    recorder: LinkRecorder,
}

impl Uplink {
    /// Starts without a link. Unless the uplink is idle, the caller sets the first [`Timer::Redial`].
    pub(super) fn new(
        config: &SiteConfig,
        is_member: bool,
        (saved, record): (Option<KnownServers>, Option<&LinkRecord>),
        now: Now,
    ) -> Self {
        let servers = ServerRotation::new(config.servers.clone(), saved);
        let can_join = config.join.is_some();
        let can_dial = (is_member || can_join) && servers.current().is_some();
        Self {
            state: if can_dial { State::Waiting } else { State::Idle },
            purpose: if can_join && !is_member { Purpose::Join } else { Purpose::Link },
            since: now.wall,
            last_loss: None,
            servers,
            last_dial: DialId(0),
            backoff: Backoff::new(),
            spread: REDIAL_SPREAD_DEFAULT,
            recorder: LinkRecorder::new(config, record, is_member, now),
        }
    }

    /// Dials the current server of the rotation.
    pub(super) fn dial(&mut self, now: Now, effects: &mut Effects) {
        debug_assert!(self.current().is_none(), "one dial at a time: {:?}", self.state);
        let Some(server) = self.server().cloned() else { return };
        self.last_dial = self.last_dial.next();
        self.state = State::Dialing { dial: self.last_dial };
        effects.set_timer(Timer::DialLate, now, DIAL_MAX);
        effects.output(SiteOutput::Dial(Dial { dial: self.last_dial, server, purpose: self.purpose }));
    }

    /// Handles a successful dial; the caller starts the handshake. Returns false for an earlier dial.
    pub(super) fn handle_dialed(&mut self, dial: DialId, now: Now, effects: &mut Effects) -> bool {
        if self.state != (State::Dialing { dial }) {
            return false;
        }
        self.state = State::Greeting { dial };
        effects.clear_timer(Timer::DialLate);
        effects.set_timer(Timer::GreetingLate, now, GREETING_MAX);
        true
    }

    /// Handles the server's acceptance of the handshake.
    pub(super) fn handle_welcome(&mut self, welcome: &Welcome, now: Now, effects: &mut Effects) {
        if let State::Greeting { dial } = self.state {
            self.state = State::Up { dial, session: welcome.session };
            self.since = now.wall;
            self.last_loss = None;
            self.spread = welcome.redial_spread.clamp(REDIAL_SPREAD_DEFAULT, REDIAL_MAX);
            self.backoff.reset();
            effects.clear_timer(Timer::GreetingLate);
            if let Some(server) = self.server().cloned() {
                effects.output(SiteOutput::LinkUp { server, session: welcome.session, server_wall: welcome.wall });
            }
            self.servers.handle_linked(effects);
            // What a pending site was without a session for is of no interest.
            self.recorder.session_opened(welcome.gaps_stored || welcome.pending, now, effects);
        }
    }

    /// Handles the loss of the link: schedules the redial, or stops if the server refused the site permanently.
    pub(super) fn lose(&mut self, reason: &LossReason, now: Now, effects: &mut Effects) {
        self.tell_loss(reason, effects);
        match self.state {
            State::Up { .. } => self.recorder.session_lost(reason, now, effects),
            _ => self.recorder.attempt_failed(reason, now),
        }
        match reason {
            LossReason::Closed(refusal) if refusal.code.forgets_registration() => {
                self.state = State::Stopped(refusal.clone());
                effects.output(match self.purpose {
                    Purpose::Link => SiteOutput::Removed(refusal.clone()),
                    Purpose::Join => SiteOutput::JoinRefused(refusal.clone()),
                });
            }
            LossReason::Closed(_) | LossReason::Unreachable(..) | LossReason::Failed(_) => {
                self.redial_later(reason, now, effects);
            }
        }
    }

    fn redial_later(&mut self, reason: &LossReason, now: Now, effects: &mut Effects) {
        let was_up = matches!(self.state, State::Up { .. });
        if was_up {
            self.since = now.wall;
        }
        let (text, slot) = match reason {
            LossReason::Closed(refusal) => {
                (Text::lossy(&refusal.to_string()), refusal.retry_after.map(|slot| slot.min(RETRY_SLOT_MAX)))
            }
            LossReason::Unreachable(_, text) | LossReason::Failed(text) => (text.clone(), None),
        };
        let is_refused = matches!(reason, LossReason::Closed(refusal) if refusal.code.is_final_for_join());
        self.last_loss = Some(text);
        effects.clear_timer(Timer::DialLate);
        effects.clear_timer(Timer::GreetingLate);
        if let (Purpose::Join, true, LossReason::Closed(refusal)) = (self.purpose, is_refused, reason) {
            self.state = State::Stopped(refusal.clone());
            return effects.output(SiteOutput::JoinRefused(refusal.clone()));
        }
        self.select_server(was_up, reason);
        let spread = if is_refused { REDIAL_MAX } else { self.spread };
        let ceiling = (spread * REDIAL_MAX_SPREADS).min(REDIAL_MAX);
        let delay = slot.unwrap_or_else(|| self.backoff.next(spread, ceiling, effects.rng()));
        self.state = State::Waiting;
        effects.set_timer(Timer::Redial, now, delay);
    }

    /// Selects the server of the next dial. A refusal comes from a reachable server: another address would lead to the
    /// same server, unless one of them has not carried a link yet.
    fn select_server(&mut self, was_up: bool, reason: &LossReason) {
        let has_candidates = self.servers.has_candidates();
        if was_up && has_candidates {
            self.servers.prefer_candidate();
        } else if has_candidates || !matches!(reason, LossReason::Closed(_)) {
            self.servers.advance();
        }
        if was_up {
            self.servers.handle_session_ended();
        }
    }

    /// Handles the addresses that the server told in a session.
    pub(super) fn handle_servers(&mut self, told: ServerSet, effects: &mut Effects) {
        if matches!(self.state, State::Up { .. }) {
            self.servers.handle_told(told, effects);
        }
    }

    /// Handles the outcome of saving the server addresses.
    pub(super) fn handle_servers_saved(&mut self, saved: Result<(), Text>, now: Now, effects: &mut Effects) {
        self.servers.handle_saved(saved, now, effects);
    }

    /// Saves the server addresses again.
    pub(super) fn save_servers(&mut self, effects: &mut Effects) {
        self.servers.save(effects);
    }

    /// Tells the server which set of its addresses the site has stored.
    pub(super) fn report_servers(&mut self, effects: &mut Effects) {
        if let Some(dial) = self.session() {
            self.servers.report(dial, effects);
        }
    }

    /// Returns the server addresses, for the local view: known ones, and configured ones that replace them.
    pub(super) fn servers(&self) -> (&KnownServers, &[ServerAddress]) {
        (self.servers.known(), self.servers.configured())
    }

    /// Describes the server addresses.
    pub(super) fn describe_servers(&self) -> (PartState, String) {
        self.servers.describe()
    }

    /// Tells the driver that the session ended, or that the attempt failed.
    fn tell_loss(&self, reason: &LossReason, effects: &mut Effects) {
        let Some(server) = self.server().cloned() else { return };
        let reason = reason.clone();
        match self.state {
            State::Up { session, .. } => effects.output(SiteOutput::LinkDown { server, session, reason }),
            State::Dialing { .. } | State::Greeting { .. } => effects.output(SiteOutput::DialFailed { server, reason }),
            // A certificate could not be saved: a condition says so.
            State::Idle | State::Saving | State::Waiting | State::Stopped(_) => {}
        }
    }

    /// Checks that whatever the uplink waits for ends by a timer.
    pub(super) fn assert_timers(&self, effects: &Effects) {
        let timer = match self.state {
            State::Dialing { .. } => Timer::DialLate,
            State::Greeting { .. } => Timer::GreetingLate,
            State::Waiting => Timer::Redial,
            State::Idle | State::Up { .. } | State::Saving | State::Stopped(_) => return,
        };
        debug_assert!(effects.deadline(timer).is_some(), "{:?} without a timer", self.state);
    }

    /// Returns the times without a session that the server has not acknowledged.
    pub(super) fn gaps(&self, now: Now) -> Vec<GapReport> {
        self.recorder.to_report(now)
    }

    /// Plans the notes about the time without a session that an earlier run began.
    pub(super) fn start(&self, now: Now, effects: &mut Effects) {
        self.recorder.start(now, effects);
    }

    /// Notes the time without a session so far.
    pub(super) fn note_gap(&self, now: Now, effects: &mut Effects) {
        self.recorder.note(now, effects);
    }

    /// Writes what the store refused while it failed.
    pub(super) fn save_record(&self, now: Now, effects: &mut Effects) {
        self.recorder.save(false, now, effects);
    }

    /// Closes the session or aborts the dial, if there is one, because the daemon stops.
    pub(super) fn stop(&self, now: Now, effects: &mut Effects) {
        if self.purpose == Purpose::Link {
            self.recorder.save(true, now, effects);
        }
        if let Some(dial) = self.current() {
            effects.output(SiteOutput::Hangup { dial, refusal: stopping() });
        }
    }

    /// Closes the session or aborts the dial, and dials again later.
    fn hang_up(&mut self, refusal: Refusal, reason: &LossReason, now: Now, effects: &mut Effects) {
        if let Some(dial) = self.current() {
            effects.output(SiteOutput::Hangup { dial, refusal });
            self.lose(reason, now, effects);
        }
    }

    /// Gives up a server that did not answer in time.
    pub(super) fn give_up(&mut self, now: Now, effects: &mut Effects) {
        let server = self.server().map_or_else(String::new, ToString::to_string);
        let text = Text::lossy(&format!("{server} did not answer in time"));
        self.hang_up(stopping(), &LossReason::Unreachable(GapCause::NoAnswer, text), now, effects);
    }

    /// Closes a session whose server violates the protocol. The offending message is discarded.
    pub(super) fn break_off(&mut self, violation: &Violation, now: Now, effects: &mut Effects) {
        let text = format!("the server sent {}", violation.0);
        let reason = LossReason::Failed(Text::lossy(&text));
        self.hang_up(Refusal::new(RefusalCode::Protocol, &text), &reason, now, effects);
    }

    /// Repeats the handshake if the session of `dial` is up: it began under another incarnation.
    pub(super) fn greet_again(&mut self, dial: DialId, now: Now, effects: &mut Effects) {
        if self.current() == Some(dial) {
            let refusal = Refusal::new(RefusalCode::Done, "reconnecting with a new incarnation");
            let reason = LossReason::Failed(refusal.text.clone());
            self.hang_up(refusal, &reason, now, effects);
        }
    }

    /// Handles the arrival of a certificate, which goes to the disk. During the handshake it closes the session, which
    /// is done. On an established session the certificate is a renewal, and nothing else changes.
    pub(super) fn handle_certificate(&mut self, grant: IdentityGrant, effects: &mut Effects) {
        if let State::Greeting { dial } = self.state {
            self.state = State::Saving;
            effects.clear_timer(Timer::GreetingLate);
            let refusal = Refusal::new(RefusalCode::Done, "certificate received");
            effects.output(SiteOutput::Hangup { dial, refusal });
        }
        effects.output(SiteOutput::SaveIdentity(grant));
    }

    /// Handles a certificate that is in use: from now on the site links with it.
    pub(super) fn use_certificate(&mut self, now: Now, effects: &mut Effects) {
        self.purpose = Purpose::Link;
        if self.state == State::Saving {
            self.dial(now, effects);
        }
    }

    /// Handles a certificate that could not be saved or used: dials again later if the link waits for it.
    pub(super) fn certificate_failed(&mut self, problem: Text, now: Now, effects: &mut Effects) {
        if self.state == State::Saving {
            self.lose(&LossReason::Failed(problem), now, effects);
        }
    }

    /// Returns the dial in flight or the dial of the current session, if any.
    pub(super) const fn current(&self) -> Option<DialId> {
        match self.state {
            State::Dialing { dial } | State::Greeting { dial } | State::Up { dial, .. } => Some(dial),
            State::Idle | State::Saving | State::Waiting | State::Stopped(_) => None,
        }
    }

    /// Whether there is nothing to dial for.
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether `dial` is the current one and its connection stands.
    pub(super) fn is_connected(&self, dial: DialId) -> bool {
        !matches!(self.state, State::Dialing { .. }) && self.current() == Some(dial)
    }

    /// Returns the dial of the session that is up, if one is.
    pub(super) const fn session(&self) -> Option<DialId> {
        match self.state {
            State::Up { dial, .. } => Some(dial),
            _ => None,
        }
    }

    /// Returns the interval over which the server's sites spread what they all do.
    pub(super) const fn spread(&self) -> Duration {
        self.spread
    }

    /// Returns the purpose of the current or next dial.
    pub(super) const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whether the server has said that the site does not exist any more.
    pub(super) const fn is_removed(&self) -> bool {
        matches!(&self.state, State::Stopped(refusal) if refusal.code.forgets_registration())
    }

    /// Returns the state of the link as shown to people.
    pub(super) fn view(&self, now: Now) -> LinkView {
        let for_long = DISCONNECTED_AFTER <= now.wall.saturating_since(self.since);
        let state = match (&self.state, for_long) {
            (State::Up { .. }, _) => LinkState::Connected,
            (State::Idle | State::Stopped(_), _) | (_, true) => LinkState::Disconnected,
            (_, false) => LinkState::Reconnecting,
        };
        let address = self.server().map(ToString::to_string).unwrap_or_default();
        LinkView { state, since: self.since, address: Text::lossy(&address) }
    }

    /// Returns the state of the link, for programs.
    pub(super) const fn part_state(&self) -> PartState {
        match &self.state {
            State::Up { .. } => PartState::Ok,
            State::Dialing { .. } | State::Greeting { .. } | State::Saving => PartState::Active,
            State::Idle | State::Waiting => PartState::Waiting,
            State::Stopped(_) => PartState::Failing,
        }
    }

    /// Describes what the uplink is doing.
    pub(super) fn doing(&self) -> String {
        let server = self.server().map_or_else(|| "no server".to_owned(), ToString::to_string);
        let before = self.last_loss.as_ref().map_or_else(String::new, |loss| format!("; last error: {loss}"));
        match &self.state {
            State::Idle => "not joined: run `linecampd join`".to_owned(),
            State::Dialing { .. } => format!("connecting to {server}{before}"),
            State::Greeting { .. } => format!("handshake with {server}{before}"),
            State::Up { session, .. } => format!("connected to {server} in session {session}"),
            State::Saving => "saving a new certificate".to_owned(),
            State::Waiting => {
                format!("waiting to reconnect to {server}, after {} attempts{before}", self.backoff.tries())
            }
            State::Stopped(refusal) => format!("rejected by {server}: {refusal}"),
        }
    }

    /// Returns the server of the current or next dial.
    const fn server(&self) -> Option<&ServerAddress> {
        self.servers.current()
    }
}

/// Returns the refusal a site sends when its daemon stops.
fn stopping() -> Refusal {
    Refusal::new(RefusalCode::SiteStopping, "the site's daemon is stopping")
}

#[cfg(test)]
mod tests;
