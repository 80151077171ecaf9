//! The downlink in the fleet: its calls, and what its outputs cause.

use linecamp_model::{
    Event, EventKind, FleetChange, HostId, JoinRequest, KeyFingerprint, MemberId, MemberKind, Name, Now, Refusal,
    RefusedContact, SessionId, SiteId,
};

use super::downlink_members::{Directory, fleet_change, site_of};
use super::effects::Release;
use super::output::FleetOutput;
use super::registry::{self, Joining, Membership};
use super::{Fleet, direct_hosts};
use crate::downlink::{self, Downlink, Link, Members};
use crate::host_member::event_kind;

impl Fleet {
    pub(super) fn with_downlink(&mut self, now: Now, call: impl FnOnce(&mut Downlink, &dyn Members)) {
        call(&mut self.downlink, &Directory::new(&self.effects, &self.quarantine));
        self.carry_out_downlink(now);
    }

    pub(super) fn carry_out_downlink(&mut self, now: Now) {
        use downlink::Output;
        for output in self.downlink.take_outputs() {
            match output {
                Output::Send { session, message } => self.effects.output(FleetOutput::Send { session, message }),
                Output::Hangup { session, refusal } => self.effects.output(FleetOutput::Hangup { session, refusal }),
                Output::LinkUp { session, member } => self.effects.output(FleetOutput::LinkUp { session, member }),
                Output::LinkDown { session, member } => self.effects.output(FleetOutput::LinkDown { session, member }),
                Output::ReadPiece { session, want } => self.effects.output(FleetOutput::ReadPlugin { session, want }),
                Output::Issue { session, member } => {
                    let issue = self.issue(session, member, now);
                    issue.into_iter().for_each(|issue| self.effects.output(issue));
                }
                Output::Join { session, key, request } => self.join(session, key, &request, now),
                Output::Recover { session, member } => self.recover(session, member, now),
                Output::Refused { key, address, claim } => {
                    self.note_refused(key, (RefusedContact { at: now.wall, address }, claim));
                }
                Output::Leave { session, member } => self.leave(session, member, now),
                Output::Stage(write) => self.stage(write, now),
                Output::WhenDurable(releases) => {
                    self.when_durable(releases.into_iter().map(Release::Downlink).collect(), now);
                }
                Output::WhenSpecDurable(member) => {
                    let release = match member {
                        MemberId::Site(site) => Release::SpecDurable(site),
                        MemberId::Host(host) => Release::HostSpecsDurable(vec![host]),
                    };
                    self.when_durable(vec![release], now);
                }
                Output::StatusChanged(member) => {
                    let site = self.effects.state().site_of(member);
                    site.into_iter().for_each(|site| self.confirm(site, now));
                }
                Output::TrustReported { member, report } => {
                    site_of(member).into_iter().for_each(|site| self.handle_trust(site, report.clone()));
                }
            }
        }
    }

    pub(super) fn refuse(&mut self, session: SessionId, refusal: Refusal, now: Now) {
        self.with_downlink(now, |downlink, members| downlink.refuse(session, refusal, members, now));
    }

    fn stage(&mut self, write: downlink::Write, now: Now) {
        let (state, member) = (self.effects.state(), write.member);
        let Some(site) = state.site_of(member) else { return };
        let host = match member {
            MemberId::Site(_) => None,
            MemberId::Host(host) => Some(host),
        };
        let events = write.events.into_iter().map(|event| Event { host: host.or(event.host), ..event }).collect();
        let mut changes = state.events.site_event_changes(site, events, now);
        changes.extend(write.changes.into_iter().filter_map(|change| fleet_change(state, member, change, now)));
        let releases = write.releases.into_iter().map(Release::Downlink).collect();
        let note = write.note.map(|(kind, text)| match host {
            None => (kind, Some(site), text),
            Some(host) => (event_kind(kind), Some(site), format!("host {}: {text}", self.name_of_host(site, host))),
        });
        match note {
            Some(note) => self.effects.stage_noted(changes, vec![note], releases, now),
            None => self.effects.stage(changes, releases),
        }
    }

    fn join(&mut self, session: SessionId, key: KeyFingerprint, request: &JoinRequest, now: Now) {
        if request.kind == MemberKind::Host {
            return self.join_host(session, key, request, now);
        }
        match registry::join(self.effects.state(), key, request, &mut self.ids, now) {
            Ok(Joining::Again(member)) => {
                let issue = self.issue_to_site(session, member, now);
                self.when_durable(vec![Release::Output(issue)], now);
            }
            Ok(Joining::New(member, changes)) => {
                let (site, name, environment) = (member.site, member.name.clone(), member.environment.clone());
                self.downlink.joined(site.into(), session, now);
                let text = format!("{name} joined environment {environment}");
                let joined = FleetOutput::SiteJoined { site, name };
                self.note_site("site.join", (session, &member), &changes, now);
                let releases = [joined, self.issue_to_site(session, member, now)].map(Release::Output).into();
                self.effects.stage_noted(changes, vec![(EventKind::SiteJoined, Some(site), text)], releases, now);
            }
            Ok(Joining::Replacement(member, changes)) => {
                let (site, text) = (member.site, format!("another machine joined as {}", member.name));
                let established = self.downlink.links().get(site).and_then(Link::session);
                let refusal = registry::replaced();
                let hangup = established.map(|session| FleetOutput::Hangup { session, refusal });
                self.note_site("site.replace", (session, &member), &changes, now);
                let issue = self.issue_to_site(session, member, now);
                let releases = hangup.into_iter().chain([issue]).map(Release::Output).collect();
                self.effects.stage_noted(changes, vec![(EventKind::SiteReplaced, Some(site), text)], releases, now);
            }
            Err(refusal) => self.refuse(session, refusal, now),
        }
    }

    fn join_host(&mut self, session: SessionId, key: KeyFingerprint, request: &JoinRequest, now: Now) {
        match direct_hosts::join(self.effects.state(), key, request, &mut self.ids, now) {
            Ok(direct_hosts::Joining::Again(host)) => {
                let issue = self.issue(session, host.into(), now);
                self.when_durable(issue.into_iter().map(Release::Output).collect(), now);
            }
            Ok(direct_hosts::Joining::New(newcomer, decision)) => {
                let (site, host) = newcomer;
                self.downlink.joined(host.into(), session, now);
                self.note_host("host.join", (session, site, &request.name), &decision.changes, now);
                let issue = self.issue_to_host(session, (site, host, &request.name), now);
                let joined = FleetOutput::HostJoined { site, host, name: request.name.clone() };
                let releases = [joined].into_iter().chain(issue).map(Release::Output).collect();
                self.carry_out(decision, releases, now);
            }
            Err(refusal) => self.refuse(session, refusal, now),
        }
    }

    /// Issues a new certificate to a member that still holds its key.
    fn recover(&mut self, session: SessionId, member: MemberId, now: Now) {
        let Some(issue) = self.issue(session, member, now) else { return };
        let text = "connected with an expired certificate and received a new one";
        let counted = match member {
            MemberId::Site(site) => registry::recover(self.effects.state(), site, now)
                .map(|change| (change, (EventKind::SiteRecovered, Some(site), text.to_owned()))),
            MemberId::Host(host) => direct_hosts::recover(self.effects.state(), host, now).map(|change| {
                let site = self.effects.state().site_of(member);
                let name = site.map_or_else(String::new, |site| self.name_of_host(site, host));
                (change, (EventKind::HostRecovered, site, format!("host {name}: {text}")))
            }),
        };
        match counted {
            Ok((change, note)) => {
                let change: Vec<_> = change.into_iter().collect();
                self.note_recovery((session, member), &change, now);
                self.effects.stage_noted(change, vec![note], vec![Release::Output(issue)], now);
                self.downlink.recovered(member);
            }
            Err(refusal) => self.with_downlink(now, |downlink, members| {
                downlink.refuse_recovery(session, member, refusal, (members, now));
            }),
        }
    }

    /// Ends the registration of a host that leaves. Sites do not leave by themselves.
    fn leave(&mut self, session: SessionId, member: MemberId, now: Now) {
        let MemberId::Host(host) = member else { return };
        let Some(decision) = direct_hosts::leave(self.effects.state(), host, now) else { return };
        if let Some(site) = self.effects.state().site_of(member) {
            let name = Name::parse(&self.name_of_host(site, host)).ok();
            name.into_iter()
                .for_each(|name| self.note_host("host.leave", (session, site, &name), &decision.changes, now));
        }
        self.carry_out(decision, Vec::new(), now);
    }

    fn note_recovery(&mut self, (session, member): (SessionId, MemberId), changes: &[FleetChange], now: Now) {
        let Some(site) = self.effects.state().site_of(member) else { return };
        match member {
            MemberId::Site(_) => {
                let member = registry::membership(self.effects.state(), site);
                member.iter().for_each(|member| self.note_site("site.recover", (session, member), changes, now));
            }
            MemberId::Host(host) => {
                let name = Name::parse(&self.name_of_host(site, host)).ok();
                name.iter().for_each(|name| self.note_host("host.recover", (session, site, name), changes, now));
            }
        }
    }

    /// Returns the certificate to issue to a member; `None` if it is not registered.
    fn issue(&self, session: SessionId, member: MemberId, now: Now) -> Option<FleetOutput> {
        let state = self.effects.state();
        match member {
            MemberId::Site(site) => {
                registry::membership(state, site).map(|member| self.issue_to_site(session, member, now))
            }
            MemberId::Host(host) => {
                let (site, record, _) = state.direct_host(host)?;
                self.issue_to_host(session, (site, host, &record.host_spec(host)?.name.clone()), now)
            }
        }
    }

    fn issue_to_site(&self, session: SessionId, member: Membership, now: Now) -> FleetOutput {
        FleetOutput::Issue { session, request: registry::issue_request(member, self.config.certificate_life, now) }
    }

    fn issue_to_host(&self, session: SessionId, host: (SiteId, HostId, &Name), now: Now) -> Option<FleetOutput> {
        let request = direct_hosts::issue_request(self.effects.state(), host, self.config.certificate_life, now)?;
        Some(FleetOutput::Issue { session, request })
    }

    fn name_of_host(&self, site: SiteId, host: HostId) -> String {
        let record = self.effects.state().sites.get(&site);
        record.and_then(|record| record.host_spec(host)).map_or_else(|| "?".to_owned(), |spec| spec.name.to_string())
    }
}
