//! Downlink: the sessions of those who look up to this one, and what they say about each other.
//!
//! ```text
//! opened ─► greeted ─► up            one session of a site is up at a time
//!              │   └─► probing       another one is: is that machine still there?
//!              └─► closing           refused, or done (a join, a recovery)
//! ```
//!
//! A second greeting with an identity that is up already is either the same daemon on a new path, a
//! machine that was switched off and on, or a copy of its disk. The same run takes over at once. Another run
//! waits while the established session is probed: if it answers, the newcomer is a duplicate and is refused
//! (the established one keeps its session); if it does not within [`PROBE_MAX`](super::PROBE_MAX), it is gone.
//!
//! The number of a session is its epoch: what is said about a session that is not a site's current one
//! touches nobody.

use std::collections::BTreeMap;

use linecamp_model::{
    Condition, Hello, Incarnation, Instant, KeyFingerprint, LabelSet, LinkState, PluginDigest, RunId, SessionId,
    SiteId, Text, WallTime,
};

use super::config::RENEW_INTERVAL_MIN;
use super::pace::Pace;
use crate::sync::Source;

/// What the handshake proved of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Which key it holds.
    pub fingerprint: KeyFingerprint,
    /// What it showed along with it.
    pub credential: Credential,
    /// Where it comes from, as far as the server sees.
    pub address: Text,
}

/// What certificate a peer showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// One it made itself.
    SelfMade,
    /// One of this server's, in its time.
    Issued,
    /// One of this server's, past its time.
    Expired,
    /// One of somebody else's.
    Foreign,
}

/// Where a session is.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// It has said nothing.
    Opened,
    /// It waits while another session of its site is probed.
    Probing { hello: Box<Hello>, site: SiteId },
    /// It is its site's session.
    Up { site: SiteId, run: RunId, incarnation: Incarnation, spec: Source, renewed_at: Option<Instant> },
    /// It was refused or is done.
    Closing,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) peer: Peer,
    pub(crate) stage: Stage,
    pub(crate) waits: Waits,
}

/// What a site waits for. It has one delta of status and one batch of events under way; more are ignored, and the
/// acknowledgement asks for the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) status: bool,
    pub(crate) events: bool,
    /// Pieces of plugins that wait for the site's pace.
    pub(crate) pieces: BTreeMap<PluginDigest, u64>,
}

/// What is known of a site's link at this moment. Not durable.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) state: LinkState,
    pub(crate) since: WallTime,
    pub(crate) session: Option<SessionId>,
    pub(crate) probing: Option<SessionId>,
    pub(crate) address: Text,
    /// How fast the site may go on.
    pub(crate) pace: Pace,
    /// What a pending site's machine has reported in its greeting.
    pub(crate) facts: LabelSet,
    /// Specs on their way to the disk.
    pub(crate) specs_in_flight: u32,
    pub(crate) conditions: Vec<Condition>,
    /// What the site said last of its own storage.
    pub(crate) storage: Vec<Condition>,
}

impl Link {
    pub(crate) fn new(state: LinkState, since: WallTime, address: Text) -> Self {
        Self {
            state,
            since,
            session: None,
            probing: None,
            address,
            pace: Pace::default(),
            facts: LabelSet::default(),
            specs_in_flight: 0,
            conditions: Vec::new(),
            storage: Vec::new(),
        }
    }
}

/// The sessions and the links.
#[derive(Clone, Debug, Default)]
pub(crate) struct Downlink {
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) links: BTreeMap<SiteId, Link>,
    pub(crate) opening: usize,
}

impl Downlink {
    /// Returns the site whose current session this is, and what it has been sent.
    pub(crate) fn up(&mut self, session: SessionId) -> Option<(SiteId, &mut Source)> {
        match &mut self.sessions.get_mut(&session)?.stage {
            Stage::Up { site, spec, .. } => Some((*site, spec)),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Returns the history and the run that a session's status belongs to.
    pub(crate) fn writer(&self, session: SessionId) -> Option<(Incarnation, RunId)> {
        match self.sessions.get(&session)?.stage {
            Stage::Up { incarnation, run, .. } => Some((incarnation, run)),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Returns the run behind a session that is up.
    pub(crate) fn run(&self, session: SessionId) -> Option<RunId> {
        match self.sessions.get(&session)?.stage {
            Stage::Up { run, .. } => Some(run),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Whether a session may be given another certificate, and if so, notes that it was.
    pub(crate) fn may_renew(&mut self, session: SessionId, now: Instant) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else {
            return false;
        };
        let Stage::Up { renewed_at, .. } = &mut session.stage else {
            return false;
        };
        let is_early = renewed_at.is_some_and(|at| now.saturating_since(at) < RENEW_INTERVAL_MIN);
        if !is_early {
            *renewed_at = Some(now);
        }
        !is_early
    }

    /// Moves a session on.
    pub(crate) fn set_stage(&mut self, session: SessionId, stage: Stage) {
        if let Some(session) = self.sessions.get_mut(&session) {
            if matches!(session.stage, Stage::Opened) {
                self.opening -= 1;
            }
            session.stage = stage;
        }
    }

    /// Forgets a session. Returns it if it was there.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Session> {
        let removed = self.sessions.remove(&session)?;
        if matches!(removed.stage, Stage::Opened) {
            self.opening -= 1;
        }
        Some(removed)
    }

    /// How many links are in each state: connected, reconnecting, disconnected.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let count = |state| self.links.values().filter(|link| link.state == state).count();
        [LinkState::Connected, LinkState::Reconnecting, LinkState::Disconnected].map(count)
    }
}

/// Retry slots, one after the other at a steady pace.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    per_second: u32,
    next: Instant,
}

impl Slots {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, next: Instant::ORIGIN }
    }

    /// Takes the next slot and returns how long it is until then.
    pub(crate) fn take(&mut self, now: Instant) -> std::time::Duration {
        let slot = self.next.max(now);
        self.next = slot + std::time::Duration::from_secs(1) / self.per_second;
        slot.saturating_since(now)
    }
}
