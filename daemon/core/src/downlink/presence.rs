//! Transitions of links: connected, reconnecting, disconnected.
//!
//! A lost link counts as reconnecting for [`DISCONNECTED_AFTER`], and no link is reported as disconnected within
//! [`START_GRACE`] of the start.

use std::collections::BTreeSet;

use linecamp_model::{
    ConditionKind, EventKind, LinkState, MemberId, Now, Refusal, RefusalCode, SessionId, Text, WallTime,
};

use super::Downlink;
use super::config::START_GRACE;
use super::link::{Link, Links};
use super::members::{MemberChange, Members, Standing};
use super::output::{DownlinkTimer, Output, Write};
use super::sessions::{Stage, Up};
use crate::DISCONNECTED_AFTER;

/// Calls of the owner.
impl Downlink {
    /// Expects a member that was registered before the start: as reconnecting, unless it was offline before.
    pub(crate) fn expect(&mut self, member: MemberId, offline_since: Option<WallTime>, now: Now) {
        let link = match offline_since {
            Some(since) => Link::new(LinkState::Disconnected, since, Text::default()),
            None => Link::new(LinkState::Reconnecting, now.wall, Text::default()),
        };
        if offline_since.is_none() {
            let deadline = now.instant + START_GRACE.max(DISCONNECTED_AFTER);
            self.timers.set(DownlinkTimer::Disconnect(member), deadline);
        }
        self.links.insert(member, link);
    }

    /// Adds a member that joined on a session.
    pub(crate) fn joined(&mut self, member: MemberId, session: SessionId, now: Now) {
        let link = Link::new(LinkState::Reconnecting, now.wall, self.sessions.address(session));
        self.links.insert(member, link);
        self.timers.set(DownlinkTimer::Disconnect(member), now.instant + DISCONNECTED_AFTER);
    }

    /// Forgets a member.
    pub(crate) fn forget(&mut self, member: MemberId) {
        self.links.remove(member);
    }

    /// Returns the links of all members.
    pub(crate) const fn links(&self) -> &Links {
        &self.links
    }

    /// Returns the members whose link may have changed since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<MemberId> {
        self.links.take_touched()
    }

    /// Clears the condition of a refused recovery: the member got another certificate.
    pub(crate) fn recovered(&mut self, member: MemberId) {
        if let Some(link) = self.links.get_mut(member) {
            link.conditions.clear(ConditionKind::RecoverRefused);
        }
    }

    /// Refuses another certificate to a member, and raises a condition.
    pub(crate) fn refuse_recovery(
        &mut self,
        session: SessionId,
        member: MemberId,
        refusal: Refusal,
        (members, now): (&dyn Members, Now),
    ) {
        if let Some(link) = self.links.get_mut(member) {
            link.conditions.raise(ConditionKind::RecoverRefused, refusal.text.clone(), now.wall);
        }
        self.refuse(session, refusal, members, now);
    }
}

impl Downlink {
    /// Tells the owner that the link of a session is up, which the member is about to hear.
    pub(super) fn announce(&mut self, session: SessionId) {
        if let Some(up) = self.sessions.up_mut(session) {
            up.is_announced = true;
            let member = up.member;
            self.output(Output::LinkUp { session, member });
        }
    }

    pub(super) fn relocate(&mut self, id: SessionId, address: Text) {
        let link = self.sessions.member(id).and_then(|member| self.links.get_mut(member));
        if let Some(link) = link {
            link.set_address(address.clone());
        }
        self.sessions.set_address(id, address);
    }

    pub(super) fn close(&mut self, id: SessionId, members: &dyn Members, now: Now) {
        let Some(stage) = self.sessions.remove(id) else {
            self.ignored += 1;
            return;
        };
        for timer in DownlinkTimer::of_session(id) {
            self.timers.clear(timer);
        }
        match stage {
            Stage::Up(up) => self.end_link(id, &up, members, now),
            Stage::Probing { member, .. } => {
                if let Some(link) = self.links.get_mut(member) {
                    link.end_probe();
                }
            }
            Stage::Opened | Stage::Closing => {}
        }
    }

    /// Handles the end of a session that was up.
    pub(super) fn end_link(&mut self, session: SessionId, up: &Up, members: &dyn Members, now: Now) {
        let member = up.member;
        if up.is_announced {
            self.output(Output::LinkDown { session, member });
        }
        self.lose(member, session, members, now);
    }

    /// Handles the end of a member's current session. A session that waits for its place takes over.
    fn lose(&mut self, member: MemberId, session: SessionId, members: &dyn Members, now: Now) {
        let Some(link) = self.links.get_mut(member).filter(|link| link.session() == Some(session)) else { return };
        let waiting = link.lose(now.wall);
        let grace_ends = self.started.instant + START_GRACE;
        let deadline = (now.instant + DISCONNECTED_AFTER).max(grace_ends);
        self.timers.set(DownlinkTimer::Disconnect(member), deadline);
        if let Some(waiting) = waiting {
            self.probe_unanswered(waiting, members, now);
        }
    }

    /// Records a member as offline whose link did not come back in time.
    pub(super) fn disconnect(&mut self, member: MemberId, members: &dyn Members) {
        if members.member(member).is_none_or(|member| member.standing == Standing::Gone) {
            return self.links.remove(member);
        }
        let Some(since) = self.links.get_mut(member).and_then(Link::disconnect) else { return };
        let note = Some((EventKind::SiteDisconnected, format!("no link since {since}")));
        let changes = vec![MemberChange::OfflineSince(Some(since))];
        self.output(Output::Stage(Write { note, ..Write::new(member, changes) }));
    }

    /// Handles a session that missed its deadline to send its first message or to close.
    pub(super) fn too_late(&mut self, id: SessionId, members: &dyn Members, now: Now) {
        let refusal = match self.sessions.stage(id) {
            Some(Stage::Closing) => Refusal::new(RefusalCode::Done, "the session is complete"),
            Some(Stage::Opened | Stage::Probing { .. } | Stage::Up(_)) | None => {
                Refusal::new(RefusalCode::Protocol, "no first message in time")
            }
        };
        self.refuse(id, refusal, members, now);
    }

    pub(super) fn duplicate_clears(&mut self, member: MemberId) {
        if let Some(link) = self.links.get_mut(member) {
            link.conditions.clear(ConditionKind::DuplicateIdentity);
        }
    }
}
