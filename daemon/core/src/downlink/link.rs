//! The link of each member: its state, since when, and its session. In memory only.
//!
//! A link that drops and reconnects causes no write. Only a member that is away for longer is recorded as offline, and
//! recorded again when it returns.

use std::collections::BTreeSet;

use linecamp_model::{LabelSet, LinkState, MemberId, MemberKind, SessionId, Text, WallTime};
use rpds::RedBlackTreeMapSync;

use super::conditions::LinkConditions;
use super::rate_limit::MemberRateLimit;

/// The current state of a member's link. Not durable.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    state: LinkState,
    since: WallTime,
    /// Whether `since` is when a session ended, rather than when the server started to wait for one.
    is_loss_seen: bool,
    session: Option<SessionId>,
    /// The session that waits for this one's place.
    probing: Option<SessionId>,
    address: Text,
    /// The member's rate limit.
    pub(super) rate_limit: MemberRateLimit,
    /// The facts a pending member reported in its handshake.
    facts: LabelSet,
    /// Spec writes that are not durable yet.
    specs_in_flight: u32,
    /// The set of server addresses that the member has stored; zero if it has not said.
    servers_stored: u64,
    /// The member's conditions that the server knows itself.
    pub(super) conditions: LinkConditions,
}

impl Link {
    /// Creates a link without a session.
    pub(super) fn new(state: LinkState, since: WallTime, address: Text) -> Self {
        Self {
            state,
            since,
            is_loss_seen: false,
            session: None,
            probing: None,
            address,
            rate_limit: MemberRateLimit::default(),
            facts: LabelSet::default(),
            specs_in_flight: 0,
            servers_stored: 0,
            conditions: LinkConditions::default(),
        }
    }

    /// Returns the state.
    pub(crate) const fn state(&self) -> LinkState {
        self.state
    }

    /// Returns since when it is in this state.
    pub(crate) const fn since(&self) -> WallTime {
        self.since
    }

    /// Returns when the server saw the last session end; `None` if it did not see that.
    pub(super) fn lost_at(&self) -> Option<WallTime> {
        Some(self.since).filter(|_| self.is_loss_seen)
    }

    /// Returns the current session.
    pub(crate) const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Returns the last address of the member.
    pub(crate) const fn address(&self) -> &Text {
        &self.address
    }

    /// Returns the facts a pending member reported in its handshake.
    pub(crate) const fn facts(&self) -> &LabelSet {
        &self.facts
    }

    /// Returns the member's conditions that the server knows itself.
    pub(crate) const fn conditions(&self) -> &LinkConditions {
        &self.conditions
    }

    /// Returns the session that waits for the place of the current one.
    pub(super) const fn probing(&self) -> Option<SessionId> {
        self.probing
    }

    /// Makes `session` the current one.
    pub(super) fn connect(&mut self, session: SessionId, address: Text, facts: LabelSet, now: WallTime) {
        debug_assert!(self.session.is_none(), "a link has one session");
        self.session = Some(session);
        self.probing = self.probing.filter(|waiting| *waiting != session);
        self.state = LinkState::Connected;
        (self.since, self.is_loss_seen) = (now, false);
        self.address = address;
        self.facts = facts;
    }

    /// Ends the current session, which another one replaces at once.
    pub(super) const fn supersede(&mut self, now: WallTime) {
        self.session = None;
        (self.since, self.is_loss_seen) = (now, true);
    }

    /// Ends the current session and returns the one that waits for its place, if any.
    pub(super) fn lose(&mut self, now: WallTime) -> Option<SessionId> {
        self.session = None;
        self.state = LinkState::Reconnecting;
        (self.since, self.is_loss_seen) = (now, true);
        self.probing.take()
    }

    /// Marks the member as offline. Returns since when it has no session; `None` if it has one.
    pub(super) fn disconnect(&mut self) -> Option<WallTime> {
        if self.session.is_some() {
            return None;
        }
        self.state = LinkState::Disconnected;
        Some(self.since)
    }

    /// Lets a session wait for the place of the current one.
    pub(super) fn begin_probe(&mut self, waiting: SessionId) {
        debug_assert!(self.probing.is_none() && self.session.is_some(), "one session waits, for an established one");
        self.probing = Some(waiting);
    }

    /// Ends the probe and returns the session that waited.
    pub(super) const fn end_probe(&mut self) -> Option<SessionId> {
        self.probing.take()
    }

    /// Records that the member moved.
    pub(super) fn set_address(&mut self, address: Text) {
        self.address = address;
    }

    /// Records the set of server addresses that the member has stored.
    pub(super) const fn set_servers_stored(&mut self, number: u64) {
        self.servers_stored = number;
    }

    /// Counts a spec write that is not durable yet.
    pub(super) const fn spec_staged(&mut self) {
        self.specs_in_flight += 1;
    }

    /// Counts a spec write that the store has answered.
    pub(super) const fn spec_settled(&mut self) {
        self.specs_in_flight = self.specs_in_flight.saturating_sub(1);
    }

    /// Returns the session to send spec to, if all of the spec is durable.
    pub(super) fn spec_reader(&self) -> Option<SessionId> {
        self.session.filter(|_| self.specs_in_flight == 0)
    }
}

/// The links of all members. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    links: RedBlackTreeMapSync<MemberId, Link>,
    /// The members whose link may have changed since [`Links::take_touched`].
    touched: BTreeSet<MemberId>,
}

impl Links {
    /// Returns the link of a member.
    pub(crate) fn get(&self, member: impl Into<MemberId>) -> Option<&Link> {
        self.links.get(&member.into())
    }

    /// Returns the link of a member, to change it.
    pub(super) fn get_mut(&mut self, member: MemberId) -> Option<&mut Link> {
        let link = self.links.get_mut(&member)?;
        self.touched.insert(member);
        Some(link)
    }

    /// Sets the link of a member.
    pub(super) fn insert(&mut self, member: MemberId, link: Link) {
        self.links.insert_mut(member, link);
        self.touched.insert(member);
    }

    /// Removes the link of a member.
    pub(super) fn remove(&mut self, member: MemberId) {
        self.links.remove_mut(&member);
        self.touched.insert(member);
    }

    /// Returns the members whose link may have changed since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<MemberId> {
        std::mem::take(&mut self.touched)
    }

    /// Returns the current sessions of all members, to change the links.
    pub(crate) fn current_sessions(&self) -> Vec<SessionId> {
        self.sessions().collect()
    }

    /// Returns the current sessions of all members.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.links.values().filter_map(Link::session)
    }

    /// Returns the number of sites that have stored this set of server addresses.
    pub(crate) fn servers_stored(&self, number: u64) -> usize {
        self.sites().filter(|link| link.servers_stored == number).count()
    }

    /// Returns the number of links.
    pub(super) fn len(&self) -> usize {
        self.links.size()
    }

    /// Counts the links of sites by state: connected, reconnecting, disconnected.
    pub(crate) fn counts_of_sites(&self) -> [usize; 3] {
        let count = |state| self.sites().filter(|link| link.state == state).count();
        [LinkState::Connected, LinkState::Reconnecting, LinkState::Disconnected].map(count)
    }

    /// Returns the number of sites whose last report contains a storage condition.
    pub(crate) fn storage_failures(&self) -> usize {
        self.sites().filter(|link| !link.conditions.storage().is_empty()).count()
    }

    fn sites(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|(member, _)| member.kind() == MemberKind::Site).map(|(_, link)| link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: WallTime = WallTime::from_unix_millis(1_000);

    fn link() -> Link {
        Link::new(LinkState::Reconnecting, WallTime::EPOCH, Text::default())
    }

    #[test]
    fn a_lost_link_admits_the_waiting_session() {
        let mut link = link();
        link.connect(SessionId(1), Text::default(), LabelSet::default(), AT);
        link.begin_probe(SessionId(2));
        assert_eq!(link.disconnect(), None, "it has a session");
        assert_eq!(link.lose(AT), Some(SessionId(2)));
        assert_eq!((link.session(), link.probing()), (None, None));
        assert_eq!((link.disconnect(), link.state()), (Some(AT), LinkState::Disconnected));
    }

    #[test]
    fn spec_is_sent_only_when_fully_durable() {
        let mut link = link();
        link.connect(SessionId(1), Text::default(), LabelSet::default(), AT);
        link.spec_staged();
        link.spec_staged();
        link.spec_settled();
        assert_eq!(link.spec_reader(), None);
        link.spec_settled();
        assert_eq!(link.spec_reader(), Some(SessionId(1)));
    }
}
