//! The downlink in the fleet: its calls, and what its outputs cause.

use linecamp_model::{EventKind, JoinRequest, KeyFingerprint, Now, Refusal, RefusedContact, SessionId, SiteId};

use super::Fleet;
use super::downlink_members::{Directory, fleet_change, site_of};
use super::effects::Release;
use super::output::FleetOutput;
use super::registry::{self, Joining, Membership};
use crate::downlink::{self, Downlink, Link, Members};

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
                Output::LinkUp { session, member } => {
                    if let Some(site) = site_of(member) {
                        self.effects.output(FleetOutput::LinkUp { session, site });
                    }
                }
                Output::LinkDown { session, member } => {
                    if let Some(site) = site_of(member) {
                        self.effects.output(FleetOutput::LinkDown { session, site });
                    }
                }
                Output::ReadPiece { session, want } => self.effects.output(FleetOutput::ReadPlugin { session, want }),
                Output::Issue { session, member } => {
                    let member = site_of(member).and_then(|site| registry::membership(self.effects.state(), site));
                    let issue = member.map(|member| self.issue(session, member, now));
                    issue.into_iter().for_each(|issue| self.effects.output(issue));
                }
                Output::Join { session, key, request } => self.join(session, key, &request, now),
                Output::Recover { session, member } => {
                    site_of(member).into_iter().for_each(|site| self.recover(session, site, now));
                }
                Output::Refused { key, address, claim } => {
                    self.note_refused(key, (RefusedContact { at: now.wall, address }, claim));
                }
                // Only hosts leave by themselves.
                Output::Leave { .. } => {}
                Output::Stage(write) => self.stage(write, now),
                Output::WhenDurable(releases) => {
                    self.when_durable(releases.into_iter().map(Release::Downlink).collect(), now);
                }
                Output::WhenSpecDurable(member) => {
                    self.when_durable(site_of(member).map(Release::SpecDurable).into_iter().collect(), now);
                }
                Output::StatusChanged(member) => site_of(member).into_iter().for_each(|site| self.confirm(site, now)),
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
        let Some(site) = site_of(write.member) else { return };
        let state = self.effects.state();
        let mut changes = state.events.site_event_changes(site, write.events, now);
        changes.extend(write.changes.into_iter().filter_map(|change| fleet_change(state, site, change)));
        let releases = write.releases.into_iter().map(Release::Downlink).collect();
        match write.note {
            Some((kind, text)) => self.effects.stage_noted(changes, vec![(kind, Some(site), text)], releases, now),
            None => self.effects.stage(changes, releases),
        }
    }

    fn join(&mut self, session: SessionId, key: KeyFingerprint, request: &JoinRequest, now: Now) {
        match registry::join(self.effects.state(), key, request, &mut self.ids, now) {
            Ok(Joining::Again(member)) => {
                let issue = self.issue(session, member, now);
                self.when_durable(vec![Release::Output(issue)], now);
            }
            Ok(Joining::New(member, changes)) => {
                let (site, name, environment) = (member.site, member.name.clone(), member.environment.clone());
                self.downlink.joined(site.into(), session, now);
                let text = format!("{name} joined environment {environment}");
                let joined = FleetOutput::SiteJoined { site, name };
                self.note_site("site.join", (session, &member), &changes, now);
                let releases = [joined, self.issue(session, member, now)].map(Release::Output).into();
                self.effects.stage_noted(changes, vec![(EventKind::SiteJoined, Some(site), text)], releases, now);
            }
            Ok(Joining::Replacement(member, changes)) => {
                let (site, text) = (member.site, format!("another machine joined as {}", member.name));
                let established = self.downlink.links().get(site).and_then(Link::session);
                let refusal = registry::replaced();
                let hangup = established.map(|session| FleetOutput::Hangup { session, refusal });
                self.note_site("site.replace", (session, &member), &changes, now);
                let issue = self.issue(session, member, now);
                let releases = hangup.into_iter().chain([issue]).map(Release::Output).collect();
                self.effects.stage_noted(changes, vec![(EventKind::SiteReplaced, Some(site), text)], releases, now);
            }
            Err(refusal) => self.refuse(session, refusal, now),
        }
    }

    /// Issues a new certificate to a site that still holds its key.
    fn recover(&mut self, session: SessionId, site: SiteId, now: Now) {
        let Some(member) = registry::membership(self.effects.state(), site) else { return };
        match registry::recover(self.effects.state(), site, now) {
            Ok(change) => {
                let change: Vec<_> = change.into_iter().collect();
                self.note_site("site.recover", (session, &member), &change, now);
                let issue = vec![Release::Output(self.issue(session, member, now))];
                let text = "connected with an expired certificate and received a new one".to_owned();
                let note = (EventKind::SiteRecovered, Some(site), text);
                self.effects.stage_noted(change, vec![note], issue, now);
                self.downlink.recovered(site.into());
            }
            Err(refusal) => self.with_downlink(now, |downlink, members| {
                downlink.refuse_recovery(session, site.into(), refusal, (members, now));
            }),
        }
    }

    pub(super) fn issue(&self, session: SessionId, member: Membership, now: Now) -> FleetOutput {
        FleetOutput::Issue { session, request: registry::issue_request(member, self.config.certificate_life, now) }
    }
}
