//! Downlink: the sessions of the sites, and how sessions of the same site are arbitrated.
//!
//! ```text
//! opened ─► hello ───► up            at most one session of a site is up
//!              │   └─► probing       another session is up: probe it
//!              └─► closing           refused, or completed (a join, a recovery)
//! ```
//!
//! A second handshake with an identity that is already up comes from the same daemon on a new path, from a machine that
//! was power-cycled, or from a clone of its disk. The same daemon run takes over at once. Another run waits while the
//! established session is probed: if it answers, the newcomer is a duplicate and is refused, and the established
//! session stays; if it does not answer within [`PROBE_MAX`](super::PROBE_MAX), it is replaced.
//!
//! The session number is an epoch: events of a session that is not a site's current one have no effect on the site.

use std::collections::BTreeMap;

use linecamp_model::{
    Condition, Hello, Incarnation, Instant, KeyFingerprint, LabelSet, LinkState, PluginDigest, RunId, SessionId,
    SiteId, Text, WallTime,
};

use super::config::RENEW_INTERVAL_MIN;
use super::pace::Pace;
use crate::sync::Source;

/// What the transport handshake proved about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The fingerprint of the key it holds.
    pub fingerprint: KeyFingerprint,
    /// The kind of certificate it presented.
    pub credential: Credential,
    /// Its address, as observed by the server.
    pub address: Text,
}

/// The kind of certificate a peer presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A self-signed certificate.
    SelfMade,
    /// A valid certificate of this server.
    Issued,
    /// An expired certificate of this server.
    Expired,
    /// A certificate of another issuer.
    Foreign,
}

/// The stage of a session.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// No message received yet.
    Opened,
    /// Waiting while another session of its site is probed.
    Probing { hello: Box<Hello>, site: SiteId },
    /// The current session of its site.
    Up { site: SiteId, run: RunId, incarnation: Incarnation, spec: Source, renewed_at: Option<Instant> },
    /// Refused or completed.
    Closing,
}

/// A single connection.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) peer: Peer,
    pub(crate) stage: Stage,
    pub(crate) waits: Waits,
}

/// What a site waits for. It may have one status delta and one event batch in flight; more are ignored, and the
/// acknowledgement requests the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) status: bool,
    pub(crate) events: bool,
    /// Plugin pieces that wait for the site's rate limit.
    pub(crate) pieces: BTreeMap<PluginDigest, u64>,
}

/// The current state of a site's link. Not durable.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) state: LinkState,
    pub(crate) since: WallTime,
    pub(crate) session: Option<SessionId>,
    pub(crate) probing: Option<SessionId>,
    pub(crate) address: Text,
    /// The site's rate limit.
    pub(crate) pace: Pace,
    /// The facts a pending site reported in its handshake.
    pub(crate) facts: LabelSet,
    /// Spec writes that are not durable yet.
    pub(crate) specs_in_flight: u32,
    pub(crate) conditions: Vec<Condition>,
    /// The storage conditions the site reported last.
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

/// All sessions and links.
#[derive(Clone, Debug, Default)]
pub(crate) struct Downlink {
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) links: BTreeMap<SiteId, Link>,
    pub(crate) opening: usize,
}

impl Downlink {
    /// Returns the site whose current session this is, and its spec replication state.
    pub(crate) fn up(&mut self, session: SessionId) -> Option<(SiteId, &mut Source)> {
        match &mut self.sessions.get_mut(&session)?.stage {
            Stage::Up { site, spec, .. } => Some((*site, spec)),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Returns the incarnation and the run that wrote a session's status.
    pub(crate) fn writer(&self, session: SessionId) -> Option<(Incarnation, RunId)> {
        match self.sessions.get(&session)?.stage {
            Stage::Up { incarnation, run, .. } => Some((incarnation, run)),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Returns the daemon run of a session that is up.
    pub(crate) fn run(&self, session: SessionId) -> Option<RunId> {
        match self.sessions.get(&session)?.stage {
            Stage::Up { run, .. } => Some(run),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Whether a session may get another certificate; if so, records that it did.
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

    /// Moves a session to another stage.
    pub(crate) fn set_stage(&mut self, session: SessionId, stage: Stage) {
        if let Some(session) = self.sessions.get_mut(&session) {
            if matches!(session.stage, Stage::Opened) {
                self.opening -= 1;
            }
            session.stage = stage;
        }
    }

    /// Removes and returns a session.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Session> {
        let removed = self.sessions.remove(&session)?;
        if matches!(removed.stage, Stage::Opened) {
            self.opening -= 1;
        }
        Some(removed)
    }

    /// Counts the links by state: connected, reconnecting, disconnected.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let count = |state| self.links.values().filter(|link| link.state == state).count();
        [LinkState::Connected, LinkState::Reconnecting, LinkState::Disconnected].map(count)
    }
}

/// Retry slots, assigned at a steady rate.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    per_second: u32,
    next: Instant,
}

impl Slots {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, next: Instant::ORIGIN }
    }

    /// Assigns the next slot and returns the delay until then.
    pub(crate) fn take(&mut self, now: Instant) -> std::time::Duration {
        let slot = self.next.max(now);
        self.next = slot + std::time::Duration::from_secs(1) / self.per_second;
        slot.saturating_since(now)
    }
}
