//! The hosts of the site's LAN: the gateway is their parent, with the same [downlink](crate::downlink) with which the
//! server is the parent of its sites.
//!
//! Who is registered is the gateway's to say, also while the server is away; what the hosts should be is the server's.
//! So a registration is reported in the site's status, and the spec of a host comes from the server and is passed on as
//! it is.

mod directory;
mod lan_state;
mod registry;
mod status;

use std::time::Duration;

use linecamp_model::{
    Condition, DocumentKey, Event, EventKind, HostId, HostMemberChange, HostMemberRegistration, Instant, JoinRequest,
    KeyFingerprint, MemberId, MemberKind, Name, Now, Parent, Refusal, RefusalCode, SessionId, SiteChange, SiteId,
    SpecBody, VersionRange,
};

pub(crate) use self::lan_state::LanState;
pub(super) use self::status::host_statuses;

use self::directory::Directory;
use self::registry::{Joining, name_of};
use super::effects::{Effects, Release, new_event};
use super::host_release::HostRelease;
use super::output::{HostOutput, Timer};
use super::state::SiteState;
use crate::downlink::{self, Downlink, DownlinkTimer, Link, Members, SessionEvent};
use crate::host_member::{event_kind, record_change};
use crate::membership::{
    CERTIFICATE_LIFE, IssueRequest, RECOVERIES_PER_DAY_DEFAULT, certificate_validity, count_recovery,
};
use crate::rng::Rng;

/// How long after a failure to listen for hosts the driver is told again.
const LISTEN_RETRY: Duration = Duration::from_secs(30);

/// When a host may retry whose change the gateway could not store.
const STORE_RETRY: Duration = Duration::from_secs(30);

/// The hosts of a gateway.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    downlink: Downlink,
    /// Where the ids of new hosts come from.
    ids: Rng,
    listening: Listening,
}

/// Whether the driver listens for hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    /// Not, or no longer.
    No,
    /// It was told to.
    Yes,
    /// It failed, and is told again later.
    Later,
}

impl Hosts {
    /// Starts with the hosts that are registered.
    pub(super) fn new(versions: VersionRange, state: &SiteState, rng: &mut Rng, now: Now) -> Self {
        let ids = Rng::new(rng.next_u64());
        let mut downlink = Downlink::new(Parent::Gateway, versions, Rng::new(rng.next_u64()), now);
        for (host, registration) in registered(state) {
            let offline_since = Some(registration.link.since).filter(|_| registration.link.is_disconnected);
            downlink.expect(host.into(), offline_since, now);
        }
        Self { downlink, ids, listening: Listening::No }
    }

    /// Handles a session event.
    pub(super) fn handle_session(
        &mut self,
        (id, event): (SessionId, SessionEvent),
        site: SiteId,
        now: Now,
        effects: &mut Effects,
    ) {
        self.with_downlink((site, now), effects, |downlink, members| {
            downlink.handle_session(id, event, members, now);
        });
    }

    /// Handles the earliest expired timer.
    pub(super) fn handle_timeout(&mut self, site: SiteId, now: Now, effects: &mut Effects) {
        self.with_downlink((site, now), effects, |downlink, members| downlink.handle_timeout(members, now));
        // A condition of a host may have cleared.
        effects.touch_status();
    }

    /// Handles a failure to listen: the driver is told again later.
    pub(super) fn handle_not_listening(&mut self, now: Now, effects: &mut Effects) {
        self.listening = Listening::Later;
        effects.set_timer(Timer::ListenForHosts, now, LISTEN_RETRY);
    }

    /// Lets the driver be told again to listen.
    pub(super) fn listen_again(&mut self, effects: &mut Effects) {
        self.listening = Listening::No;
        effects.touch_status();
    }

    /// Returns the next deadline and its timer.
    pub(super) fn next_deadline(&self) -> Option<(Instant, DownlinkTimer)> {
        self.downlink.next_deadline()
    }

    /// Handles a release whose write is durable.
    pub(super) fn handle_durable(&mut self, release: HostRelease, site: SiteId, now: Now, effects: &mut Effects) {
        match release {
            HostRelease::Issue { session, request } => effects.output_to_host(HostOutput::Issue { session, request }),
            HostRelease::Downlink(release) => {
                self.with_downlink((site, now), effects, |downlink, members| downlink.release(release, members, now));
            }
            HostRelease::Spec(hosts) => self.send_spec(&hosts, site, now, effects),
        }
    }

    /// Handles a release whose write failed.
    pub(super) fn handle_failed(&mut self, release: HostRelease, site: SiteId, now: Now, effects: &mut Effects) {
        match release {
            HostRelease::Issue { session, .. } => {
                let text = "the gateway cannot write to its store; nothing was changed";
                let refusal = Refusal::new(RefusalCode::StoreFailed, text).retry_after(STORE_RETRY);
                self.refuse(session, refusal, (site, now), effects);
            }
            HostRelease::Downlink(release) => self.with_downlink((site, now), effects, |downlink, members| {
                downlink.release_failed(release, STORE_RETRY, members, now);
            }),
            HostRelease::Spec(hosts) => self.send_spec(&hosts, site, now, effects),
        }
    }

    /// Counts a write to the spec, which is staged next. No host is sent spec before it is durable.
    pub(super) fn spec_staged(&mut self, state: &SiteState) -> HostRelease {
        let hosts: Vec<_> = registered(state).map(|(host, _)| host).collect();
        for host in &hosts {
            self.downlink.spec_staged((*host).into());
        }
        HostRelease::Spec(hosts)
    }

    fn send_spec(&mut self, hosts: &[HostId], site: SiteId, now: Now, effects: &mut Effects) {
        for host in hosts {
            self.downlink.spec_settled((*host).into());
            self.with_downlink((site, now), effects, |downlink, members| downlink.send_spec((*host).into(), members));
        }
    }

    /// Ends all sessions: the spec has another incarnation, and what the hosts hold of it no longer counts.
    pub(super) fn restart_spec(&mut self, (site, now): (SiteId, Now), effects: &mut Effects) {
        let text = "the spec of this site has another incarnation; reconnect";
        for session in self.downlink.links().current_sessions() {
            self.refuse(session, Refusal::new(RefusalCode::Done, text), (site, now), effects);
        }
    }

    /// Makes the registrations agree with the spec, and the listener with the registrations.
    pub(super) fn reconcile(&mut self, (site, now): (SiteId, Now), effects: &mut Effects) {
        let (changes, gone) = registry::follow_spec(effects.state(), now);
        if !changes.is_empty() {
            let known: Vec<_> = effects.state().lan.hosts.keys().copied().collect();
            let hangups = self.hangups(effects.state(), &gone);
            let mut changes = changes;
            let events =
                gone.iter().map(|host| host_event(effects.state(), *host, EventKind::HostRemoved, "removed", now));
            let events = events.collect();
            changes.extend(effects.events_changes(events));
            effects.stage(&changes, hangups);
            let adopted = registered(effects.state()).filter(|(host, _)| !known.contains(host));
            for (host, registration) in adopted {
                self.downlink.expect(host.into(), Some(registration.link.since), now);
            }
        }
        let wants_to_listen = effects.state().lan.has_hosts() || has_token_in_spec(effects.state());
        if wants_to_listen && self.listening == Listening::No {
            self.listening = Listening::Yes;
            effects.output_to_host(HostOutput::Listen(site));
        }
    }

    /// Removes a host of the LAN on a local request. Returns whether there is such a host.
    pub(super) fn remove(&self, host: HostId, reply: Vec<Release>, now: Now, effects: &mut Effects) -> bool {
        self.end_registration(host, ("removed at the site", reply), now, effects)
    }

    /// Ends the registration of a host that leaves.
    fn leave(&self, host: HostId, now: Now, effects: &mut Effects) {
        self.end_registration(host, ("left the site", Vec::new()), now, effects);
    }

    fn end_registration(
        &self,
        host: HostId,
        (text, then): (&str, Vec<Release>),
        now: Now,
        effects: &mut Effects,
    ) -> bool {
        let mut changes = registry::remove(effects.state(), host, now);
        if changes.is_empty() {
            return false;
        }
        let event = host_event(effects.state(), host, EventKind::HostRemoved, text, now);
        changes.extend(effects.events_changes(vec![event]));
        let releases = self.hangups(effects.state(), &[host]).into_iter().chain(then).collect();
        effects.stage(&changes, releases);
        true
    }

    /// Closes all sessions: with `refusal`, or each with its own retry slot.
    pub(super) fn stop(&self, refusal: Option<&Refusal>, now: Now, effects: &mut Effects) {
        for (session, stopping) in self.downlink.stop_refusals(now) {
            let refusal = refusal.cloned().unwrap_or(stopping);
            effects.output_to_host(HostOutput::HangUp { session, refusal });
        }
    }

    /// Returns the link of a host with this gateway.
    pub(super) fn link(&self, host: HostId) -> Option<&Link> {
        self.downlink.links().get(host)
    }

    /// Returns the conditions of a host that its link shows: those that the gateway raised, and those of the host's
    /// storage, which it reports beside its status.
    pub(super) fn conditions_of_link(&self, host: HostId) -> Vec<Condition> {
        let conditions = self.link(host).map(Link::conditions);
        conditions.into_iter().flat_map(|known| known.storage().iter().chain(known.raised()).cloned()).collect()
    }

    /// Returns the number of unexpected answers that were ignored.
    pub(super) const fn ignored(&self) -> u64 {
        self.downlink.ignored()
    }

    fn hangups(&self, state: &SiteState, gone: &[HostId]) -> Vec<Release> {
        let session = |host: &HostId| Some((self.link(*host)?.session()?, state.lan.hosts.get(host)?));
        let hangup = |(session, record): (SessionId, &crate::host_record::HostRecord)| {
            let refusal = record.keys.keys().next().map(|key| registry::removed(state, key))?;
            Some(Release::Host(HostRelease::Downlink(downlink::Release::Refuse { session, refusal })))
        };
        gone.iter().filter_map(session).filter_map(hangup).collect()
    }

    fn with_downlink(
        &mut self,
        at: (SiteId, Now),
        effects: &mut Effects,
        call: impl FnOnce(&mut Downlink, &dyn Members),
    ) {
        let directory = Directory { state: effects.state(), is_durable: effects.in_flight() == 0 };
        call(&mut self.downlink, &directory);
        self.carry_out(at, effects);
    }

    fn carry_out(&mut self, (site, now): (SiteId, Now), effects: &mut Effects) {
        use downlink::Output;
        for output in self.downlink.take_outputs() {
            match output {
                Output::Send { session, message } => effects.output_to_host(HostOutput::Send { session, message }),
                Output::Hangup { session, refusal } => effects.output_to_host(HostOutput::HangUp { session, refusal }),
                Output::LinkUp { session, member: MemberId::Host(host) } => {
                    let name = name_of(effects.state(), host).cloned();
                    effects.output_to_host(HostOutput::LinkUp { session, host, name });
                }
                Output::LinkDown { session, member: MemberId::Host(host) } => {
                    let name = name_of(effects.state(), host).cloned();
                    effects.output_to_host(HostOutput::LinkDown { session, host, name });
                }
                Output::Issue { session, member: MemberId::Host(host) } => {
                    let issue = issue_request(effects.state(), (site, host), now);
                    let output = issue.map(|request| HostOutput::Issue { session, request });
                    output.into_iter().for_each(|output| effects.output_to_host(output));
                }
                Output::Join { session, key, request } => self.join(session, (key, &request), (site, now), effects),
                Output::Recover { session, member: MemberId::Host(host) } => {
                    self.recover(session, host, (site, now), effects);
                }
                Output::Leave { member: MemberId::Host(host), .. } => self.leave(host, now, effects),
                Output::Stage(write) => stage(write, now, effects),
                Output::WhenDurable(releases) => {
                    let releases = releases.into_iter().map(HostRelease::Downlink).collect();
                    self.when_durable(releases, (site, now), effects);
                }
                Output::WhenSpecDurable(MemberId::Host(host)) => {
                    self.when_durable(vec![HostRelease::Spec(vec![host])], (site, now), effects);
                }
                Output::StatusChanged(_) => effects.touch_status(),
                // Nothing is transferred to hosts, nobody is held here, and a site is no member of a gateway.
                Output::ReadPiece { .. }
                | Output::Refused { .. }
                | Output::TrustReported { .. }
                | Output::LinkUp { .. }
                | Output::LinkDown { .. }
                | Output::Issue { .. }
                | Output::Recover { .. }
                | Output::Leave { .. }
                | Output::WhenSpecDurable(_) => {}
            }
        }
    }

    fn when_durable(&mut self, releases: Vec<HostRelease>, (site, now): (SiteId, Now), effects: &mut Effects) {
        if effects.in_flight() == 0 {
            releases.into_iter().for_each(|release| self.handle_durable(release, site, now, effects));
        } else {
            effects.stage(&[], releases.into_iter().map(Release::Host).collect());
        }
    }

    fn refuse(&mut self, session: SessionId, refusal: Refusal, at: (SiteId, Now), effects: &mut Effects) {
        self.with_downlink(at, effects, |downlink, members| downlink.refuse(session, refusal, members, at.1));
    }

    fn join(
        &mut self,
        session: SessionId,
        (key, request): (KeyFingerprint, &JoinRequest),
        (site, now): (SiteId, Now),
        effects: &mut Effects,
    ) {
        match registry::join((effects.state(), &mut self.ids), key, request, now) {
            Ok(Joining::Again(host)) => {
                let issue = issue_request(effects.state(), (site, host), now);
                let release = issue.map(|request| HostRelease::Issue { session, request });
                self.when_durable(release.into_iter().collect(), (site, now), effects);
            }
            Ok(Joining::New(host, mut changes)) => {
                self.downlink.joined(host.into(), session, now);
                let event = Event {
                    host: Some(host),
                    ..new_event(EventKind::HostJoined, &format!("host {} joined", request.name), now)
                };
                changes.extend(effects.events_changes(vec![event]));
                let request = new_certificate((site, host), request.name.clone(), effects.state(), now);
                let issue = request.map(|request| Release::Host(HostRelease::Issue { session, request }));
                effects.stage(&changes, issue.into_iter().collect());
            }
            Err(refusal) => self.refuse(session, refusal, (site, now), effects),
        }
    }

    /// Issues a new certificate to a host that still holds its key.
    fn recover(&mut self, session: SessionId, host: HostId, (site, now): (SiteId, Now), effects: &mut Effects) {
        let Some(registration) = registration_of(effects.state(), host) else { return };
        match count_recovery(registration.recoveries, RECOVERIES_PER_DAY_DEFAULT, now.wall) {
            Ok(recoveries) => {
                let counted = HostMemberRegistration { recoveries, ..registration.clone() };
                let mut changes = vec![SiteChange::Host(host, HostMemberChange::Registration(Some(counted)))];
                let text = "connected with an expired certificate and received a new one";
                let event = host_event(effects.state(), host, EventKind::HostRecovered, text, now);
                changes.extend(effects.events_changes(vec![event]));
                let issue = issue_request(effects.state(), (site, host), now);
                let issue = issue.map(|request| Release::Host(HostRelease::Issue { session, request }));
                effects.stage(&changes, issue.into_iter().collect());
                self.downlink.recovered(host.into());
            }
            Err(left) => {
                let text = format!(
                    "the certificate has expired, and a gateway allows {RECOVERIES_PER_DAY_DEFAULT} recoveries a day"
                );
                let refusal = Refusal::new(RefusalCode::RecoverLimit, &text).retry_after(left);
                self.with_downlink((site, now), effects, |downlink, members| {
                    downlink.refuse_recovery(session, host.into(), refusal, (members, now));
                });
            }
        }
    }
}

/// Stages what a host reported or what its link is.
fn stage(write: downlink::Write, now: Now, effects: &mut Effects) {
    let MemberId::Host(host) = write.member else { return };
    let record = effects.state().lan.hosts.get(&host);
    let changed = write.changes.into_iter().filter_map(|change| record_change(record, change, now));
    let mut changes: Vec<_> = changed.map(|change| SiteChange::Host(host, change)).collect();
    let reported = write.events.into_iter().map(|event| Event { host: Some(host), site: None, ..event });
    let note = write.note.map(|(kind, text)| host_event(effects.state(), host, event_kind(kind), &text, now));
    let events: Vec<_> = reported.chain(note).collect();
    changes.extend(effects.events_changes(events));
    let releases = write.releases.into_iter().map(|release| Release::Host(HostRelease::Downlink(release)));
    effects.stage(&changes, releases.collect());
}

/// Returns the registered hosts, without removed ones.
fn registered(state: &SiteState) -> impl Iterator<Item = (HostId, &HostMemberRegistration)> {
    let registration = |(host, record): (&HostId, _)| -> Option<(HostId, &HostMemberRegistration)> {
        let record: &crate::host_record::HostRecord = record;
        Some((*host, record.registration.as_ref().filter(|of| of.removed_at.is_none())?))
    };
    state.lan.hosts.iter().filter_map(registration)
}

fn registration_of(state: &SiteState, host: HostId) -> Option<&HostMemberRegistration> {
    state.lan.hosts.get(&host)?.registration.as_ref()
}

fn has_token_in_spec(state: &SiteState) -> bool {
    state.spec.live().any(|(key, _)| matches!(key, DocumentKey::HostToken(_)))
}

fn host_event(state: &SiteState, host: HostId, kind: EventKind, text: &str, now: Now) -> Event {
    let name = name_of(state, host).map_or("-", Name::as_str);
    Event { host: Some(host), ..new_event(kind, &format!("host {name}: {text}"), now) }
}

/// Returns the certificate to issue to a registered host.
fn issue_request(state: &SiteState, (site, host): (SiteId, HostId), now: Now) -> Option<IssueRequest> {
    new_certificate((site, host), name_of(state, host)?.clone(), state, now)
}

fn new_certificate((site, host): (SiteId, HostId), name: Name, state: &SiteState, now: Now) -> Option<IssueRequest> {
    let SpecBody::Site(spec) = state.spec.body(DocumentKey::Site)? else { return None };
    let [not_before, not_after] = certificate_validity(CERTIFICATE_LIFE, now.wall);
    let environment = spec.environment.clone();
    Some(IssueRequest { kind: MemberKind::Host, site, host, name, environment, not_before, not_after })
}
