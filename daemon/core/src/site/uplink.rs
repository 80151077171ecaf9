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
//! Servers are tried in rotation. The delay before a redial is the slot the server assigned in its close frame;
//! otherwise it is random and growing ([`Backoff`]), starting with the spread the server last announced. Events of an
//! earlier dial are ignored: they can never take down a later one. Presence is the connection itself; there is no
//! heartbeat here.
//!
//! Constants: [`DIAL_MAX`], [`GREETING_MAX`], [`REDIAL_SPREAD_DEFAULT`], [`REDIAL_MAX`], [`REDIAL_MAX_SPREADS`].

use std::time::Duration;

use linecamp_model::{DialId, Now, Refusal, RefusalCode, ServerAddress, SessionId, Text, WallTime};

use super::Timer;
use super::config::{DIAL_MAX, GREETING_MAX, REDIAL_MAX, REDIAL_MAX_SPREADS, REDIAL_SPREAD_DEFAULT, RETRY_SLOT_MAX};
use crate::backoff::Backoff;
use crate::rng::Rng;
use crate::timers::Timers;

/// The purpose of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Register, trusting the key pinned by the join token.
    Join,
    /// Open a session with the site's certificate.
    Link,
}

/// Why a link was lost or could not be established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The server closed it and gave a reason.
    Closed(Refusal),
    /// The dial failed or the connection broke; the text includes the address.
    Failed(Text),
}

/// The state of the uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
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
pub(crate) struct Uplink {
    pub(crate) state: State,
    pub(crate) purpose: Purpose,
    /// When the session came up or went down.
    pub(crate) since: WallTime,
    /// Why the last session ended, or the last attempt failed.
    pub(crate) last_loss: Option<Text>,
    servers: Vec<ServerAddress>,
    server: usize,
    last_dial: DialId,
    backoff: Backoff,
    spread: Duration,
}

/// A dial to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Identifies this attempt in all later events.
    pub dial: DialId,
    /// The server to dial.
    pub server: ServerAddress,
    /// The purpose of the dial.
    pub purpose: Purpose,
}

impl Uplink {
    pub(crate) fn new(servers: Vec<ServerAddress>, purpose: Option<Purpose>, now: Now) -> Self {
        Self {
            state: if purpose.is_some() && !servers.is_empty() { State::Waiting } else { State::Idle },
            purpose: purpose.unwrap_or(Purpose::Link),
            since: now.wall,
            last_loss: None,
            servers,
            server: 0,
            last_dial: DialId(0),
            backoff: Backoff::new(),
            spread: REDIAL_SPREAD_DEFAULT,
        }
    }

    /// Dials the current server of the rotation.
    pub(crate) fn dial(&mut self, timers: &mut Timers<Timer>, now: Now) -> Option<Dial> {
        let server = self.servers.get(self.server % self.servers.len().max(1))?.clone();
        self.last_dial = self.last_dial.next();
        self.state = State::Dialing { dial: self.last_dial };
        timers.set(Timer::DialLate, now.instant + DIAL_MAX);
        Some(Dial { dial: self.last_dial, server, purpose: self.purpose })
    }

    /// Handles a successful dial; the caller starts the handshake. Returns false for an earlier dial.
    pub(crate) fn handle_dialed(&mut self, dial: DialId, timers: &mut Timers<Timer>, now: Now) -> bool {
        if self.state != (State::Dialing { dial }) {
            return false;
        }
        self.state = State::Greeting { dial };
        timers.clear(Timer::DialLate);
        timers.set(Timer::GreetingLate, now.instant + GREETING_MAX);
        true
    }

    /// Handles the server's acceptance of the handshake.
    pub(crate) fn handle_welcome(
        &mut self,
        session: SessionId,
        spread: Duration,
        timers: &mut Timers<Timer>,
        now: Now,
    ) {
        if let State::Greeting { dial } = self.state {
            self.state = State::Up { dial, session };
            self.since = now.wall;
            self.last_loss = None;
            self.spread = spread.clamp(REDIAL_SPREAD_DEFAULT, REDIAL_MAX);
            self.backoff.reset();
            timers.clear(Timer::GreetingLate);
        }
    }

    /// Handles the loss of the link and schedules the redial.
    pub(crate) fn lose(&mut self, reason: &LossReason, rng: &mut Rng, timers: &mut Timers<Timer>, now: Now) {
        if matches!(self.state, State::Up { .. }) {
            self.since = now.wall;
        }
        let (text, slot) = match reason {
            LossReason::Closed(refusal) => {
                (Text::lossy(&refusal.to_string()), refusal.retry_after.map(|slot| slot.min(RETRY_SLOT_MAX)))
            }
            LossReason::Failed(text) => (text.clone(), None),
        };
        let is_refused = matches!(reason, LossReason::Closed(refusal) if refusal.code.is_final_for_join());
        self.last_loss = Some(text);
        timers.clear(Timer::DialLate);
        timers.clear(Timer::GreetingLate);
        if let (Purpose::Join, true, LossReason::Closed(refusal)) = (self.purpose, is_refused, reason) {
            self.state = State::Stopped(refusal.clone());
            return;
        }
        // A refusal comes from a reachable server; another address would lead to the same server.
        if !matches!(reason, LossReason::Closed(_)) {
            self.server = (self.server + 1) % self.servers.len().max(1);
        }
        let spread = if is_refused { REDIAL_MAX } else { self.spread };
        let ceiling = (spread * REDIAL_MAX_SPREADS).min(REDIAL_MAX);
        let delay = slot.unwrap_or_else(|| self.backoff.next(spread, ceiling, rng));
        self.state = State::Waiting;
        timers.set(Timer::Redial, now.instant + delay);
    }

    /// Handles the arrival of a certificate, which goes to the disk: the session is done.
    pub(crate) fn save(&mut self, timers: &mut Timers<Timer>) {
        self.state = State::Saving;
        timers.clear(Timer::GreetingLate);
    }

    /// Returns the dial in flight or the dial of the current session, if any.
    pub(crate) const fn current(&self) -> Option<DialId> {
        match self.state {
            State::Dialing { dial } | State::Greeting { dial } | State::Up { dial, .. } => Some(dial),
            State::Idle | State::Saving | State::Waiting | State::Stopped(_) => None,
        }
    }

    /// Whether a session is up.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Returns the server of the current or next dial.
    pub(crate) fn server(&self) -> Option<&ServerAddress> {
        self.servers.get(self.server % self.servers.len().max(1))
    }

    /// Describes what the uplink is doing.
    pub(crate) fn doing(&self) -> String {
        let server = self.server().map_or_else(|| "no server".to_owned(), ToString::to_string);
        let before = self.last_loss.as_ref().map_or_else(String::new, |loss| format!("; before: {loss}"));
        match &self.state {
            State::Idle => "not joined: run `linecampd join`".to_owned(),
            State::Dialing { .. } => format!("dialling {server}{before}"),
            State::Greeting { .. } => format!("greeting {server}{before}"),
            State::Up { session, .. } => format!("linked with {server} in session {session}"),
            State::Saving => "saving a new certificate".to_owned(),
            State::Waiting => format!("waiting to dial {server}, after {} tries{before}", self.backoff.tries()),
            State::Stopped(refusal) => format!("refused by {server}: {refusal}"),
        }
    }
}

/// Whether the loss means that the site was removed.
pub(crate) const fn is_removed(reason: &LossReason) -> bool {
    match reason {
        LossReason::Closed(refusal) => refusal.code.forgets_registration(),
        LossReason::Failed(_) => false,
    }
}

/// Returns the refusal a site sends when its daemon stops.
pub(crate) fn stopping() -> Refusal {
    Refusal::new(RefusalCode::SiteStopping, "the site's daemon stops")
}
