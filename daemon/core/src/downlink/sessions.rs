//! The sessions of the members: each is in one stage, and only a session that is up belongs to a member.

use std::collections::BTreeMap;

use linecamp_model::{
    Hello, Incarnation, Instant, MemberId, PluginDigest, PluginWant, RunId, SessionId, StatusBody, StatusDelta, Text,
};

use super::config::{RENEW_INTERVAL_MIN, WAITING_PIECES_MAX};
use super::output::{Held, Peer};
use crate::document_sync::{Collector, DeltaError, Source};

/// The stage of a session.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// No message received yet.
    Opened,
    /// Waiting while another session of its member is probed.
    Probing { hello: Box<Hello>, member: MemberId },
    /// The current session of its member.
    Up(Up),
    /// Refused or completed.
    Closing,
}

/// The state of a session that is up.
#[derive(Clone, Debug)]
pub(crate) struct Up {
    pub(crate) member: MemberId,
    /// The daemon run and the incarnation that write the member's status.
    pub(crate) writer: (Incarnation, RunId),
    /// The replication of the member's spec.
    pub(crate) spec: Source,
    /// The parts of an unfinished status delta.
    pub(crate) status: Collector<StatusBody>,
    /// Whether the rest of a status delta is ignored.
    pub(crate) ignores_status: bool,
    /// When it got its last certificate.
    pub(crate) renewed_at: Option<Instant>,
    /// Whether the owner was told that the link is up.
    pub(crate) is_announced: bool,
}

impl Up {
    /// Creates the state of a session that has just come up.
    pub(crate) fn new(member: MemberId, writer: (Incarnation, RunId), spec: Source) -> Self {
        let status = Collector::default();
        Self { member, writer, spec, status, ignores_status: false, renewed_at: None, is_announced: false }
    }
}

/// A single connection.
#[derive(Clone, Debug)]
struct Session {
    peer: Peer,
    stage: Stage,
    waits: Waits,
}

/// What a member waits for. It may have one status delta and one event batch in flight; more are ignored, and the
/// acknowledgement requests the rest.
#[derive(Clone, Debug, Default)]
struct Waits {
    status: bool,
    events: bool,
    /// Pieces that wait for the member's rate limit.
    pieces: BTreeMap<PluginDigest, u64>,
}

/// What became of a part of a status delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CollectedStatus {
    /// It was the last part of this delta.
    Complete(StatusDelta),
    /// More parts follow.
    Incomplete,
    /// Another delta is in flight, or there is no session.
    Ignored,
}

/// All sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    /// The number of sessions that have not sent their first message.
    opening: usize,
}

impl Sessions {
    /// Adds a session.
    pub(crate) fn open(&mut self, id: SessionId, peer: Peer) {
        let before = self.sessions.insert(id, Session { peer, stage: Stage::Opened, waits: Waits::default() });
        debug_assert!(before.is_none(), "{id} has an owner already");
        self.opening += 1;
    }

    /// Removes a session and returns its last stage.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Stage> {
        let removed = self.sessions.remove(&id)?;
        self.opening -= usize::from(matches!(removed.stage, Stage::Opened));
        Some(removed.stage)
    }

    /// Moves a session to another stage. Returns the previous one.
    pub(crate) fn set_stage(&mut self, id: SessionId, stage: Stage) -> Option<Stage> {
        let session = self.sessions.get_mut(&id)?;
        self.opening -= usize::from(matches!(session.stage, Stage::Opened));
        Some(std::mem::replace(&mut session.stage, stage))
    }

    /// Returns the number of sessions that have not sent their first message.
    pub(crate) const fn opening(&self) -> usize {
        self.opening
    }

    /// Returns the ids of all sessions.
    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// Returns the stage of a session.
    pub(crate) fn stage(&self, id: SessionId) -> Option<&Stage> {
        self.sessions.get(&id).map(|session| &session.stage)
    }

    /// Returns the peer of a session.
    pub(crate) fn peer(&self, id: SessionId) -> Option<&Peer> {
        self.sessions.get(&id).map(|session| &session.peer)
    }

    /// Returns the address of a session's peer.
    pub(crate) fn address(&self, id: SessionId) -> Text {
        self.peer(id).map(|peer| peer.address.clone()).unwrap_or_default()
    }

    /// Records that the peer of a session moved.
    pub(crate) fn set_address(&mut self, id: SessionId, address: Text) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.peer.address = address;
        }
    }

    /// Returns the state of a session that is up.
    pub(crate) fn up(&self, id: SessionId) -> Option<&Up> {
        match self.stage(id)? {
            Stage::Up(up) => Some(up),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Returns the state of a session that is up, to change it.
    pub(crate) fn up_mut(&mut self, id: SessionId) -> Option<&mut Up> {
        match &mut self.sessions.get_mut(&id)?.stage {
            Stage::Up(up) => Some(up),
            Stage::Opened | Stage::Probing { .. } | Stage::Closing => None,
        }
    }

    /// Returns the member whose current session this is.
    pub(crate) fn member(&self, id: SessionId) -> Option<MemberId> {
        self.up(id).map(|up| up.member)
    }

    /// Whether a session may get another certificate; if so, records that it did.
    pub(crate) fn may_renew(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(up) = self.up_mut(id) else { return false };
        let is_early = up.renewed_at.is_some_and(|at| now.saturating_since(at) < RENEW_INTERVAL_MIN);
        if !is_early {
            up.renewed_at = Some(now);
        }
        !is_early
    }

    /// Collects a part of a status delta. With the last part, the upload starts. A delta whose first part arrives while
    /// another is in flight is ignored with all its parts.
    ///
    /// # Errors
    /// The part is not accepted, and the session has to end.
    pub(crate) fn collect_status(&mut self, id: SessionId, part: StatusDelta) -> Result<CollectedStatus, DeltaError> {
        let Some(Session { stage: Stage::Up(up), waits, .. }) = self.sessions.get_mut(&id) else {
            return Ok(CollectedStatus::Ignored);
        };
        if up.ignores_status || (up.status.is_empty() && waits.status) {
            up.ignores_status = part.more;
            return Ok(CollectedStatus::Ignored);
        }
        let Some(delta) = up.status.add(part)? else { return Ok(CollectedStatus::Incomplete) };
        waits.status = true;
        Ok(CollectedStatus::Complete(delta))
    }

    /// Starts an upload of events. Returns `false` if one is in flight already.
    pub(crate) fn begin_events(&mut self, id: SessionId) -> bool {
        let session = self.sessions.get_mut(&id);
        session.is_some_and(|session| !std::mem::replace(&mut session.waits.events, true))
    }

    /// Whether the member waits for the acknowledgement `held`.
    pub(crate) fn waits_for(&self, id: SessionId, held: Held) -> bool {
        self.sessions.get(&id).is_some_and(|session| match held {
            Held::Status(_) => session.waits.status,
            Held::Events(_) => session.waits.events,
        })
    }

    /// Ends the upload that `held` acknowledges.
    pub(crate) fn end_upload(&mut self, id: SessionId, held: Held) {
        let Some(waits) = self.sessions.get_mut(&id).map(|session| &mut session.waits) else { return };
        match held {
            Held::Status(_) => waits.status = false,
            Held::Events(_) => waits.events = false,
        }
    }

    /// Lets a piece wait for the rate limit. At the limit of waiting pieces, the request is dropped. Returns `false` if
    /// there is no such session.
    pub(crate) fn queue_piece(&mut self, id: SessionId, want: PluginWant) -> bool {
        let Some(pieces) = self.sessions.get_mut(&id).map(|session| &mut session.waits.pieces) else { return false };
        if pieces.len() < WAITING_PIECES_MAX || pieces.contains_key(&want.digest) {
            pieces.insert(want.digest, want.offset);
        }
        true
    }

    /// Removes and returns the pieces that wait.
    pub(crate) fn take_pieces(&mut self, id: SessionId) -> Vec<PluginWant> {
        let pieces = self.sessions.get_mut(&id).map(|session| std::mem::take(&mut session.waits.pieces));
        pieces.into_iter().flatten().map(|(digest, offset)| PluginWant { digest, offset }).collect()
    }
}
