//! Carrying out the state machine's outputs.

use std::sync::Arc;

use linecamp_core::{HostOutput, LossReason, Purpose, SiteOutput};
use linecamp_model::{ConditionKind, Name, ServerAddress, SessionId, SiteId, Text};
use linecamp_plugin_host::ProviderCall;
use linecamp_proto::record::site_change;
use linecamp_transport::error_chain;

use super::{Daemon, Event, Notice};
use crate::drivers::identity::SaveResult;

impl Daemon {
    /// Carries out the state machine's outputs until none are left.
    pub(crate) fn perform_outputs(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        while let Some(output) = self.site.poll_output() {
            notices.extend(self.perform(output));
        }
        notices
    }

    fn perform(&mut self, output: SiteOutput) -> Option<Notice> {
        match output {
            SiteOutput::Dial(dial) => {
                tracing::debug!(server = %dial.server, is_join = dial.purpose == Purpose::Join, "dialing");
                let credentials = self.guard.identity.credentials();
                let credentials = credentials.expect("the state machine dials only with an identity or a join token");
                self.counters.dial();
                self.manager.status(&self.link_log.status(&dial.server));
                self.link.dial(dial, credentials);
            }
            SiteOutput::Send { dial, message } => {
                let loss = self.link.send(dial, &message);
                self.pending.extend(loss.map(Event::Link));
            }
            SiteOutput::Hangup { dial, refusal } => self.link.hang_up(dial, refusal),
            SiteOutput::Persist { write, changes } => {
                self.store.commit(write, changes.iter().map(site_change));
                self.pending.extend(self.store.take_rejected().map(Event::Store));
            }
            SiteOutput::TryStore(write) => {
                self.store.try_room(write);
                self.pending.extend(self.store.take_rejected().map(Event::Store));
            }
            SiteOutput::ResumeStore(write) => self.store.resume(write),
            SiteOutput::SaveIdentity(grant) => {
                let (name, environment) = (grant.name.clone(), grant.environment.clone());
                let saved = self.guard.identity.save(grant);
                let is_saved = matches!(saved, SaveResult::Saved(_));
                self.pending.push_back(Event::IdentitySaved(saved));
                return is_saved.then_some(Notice::Granted { name, environment });
            }
            SiteOutput::SaveServers(servers) => {
                self.pending.push_back(Event::ServersSaved(self.guard.identity.save_servers(servers)));
            }
            SiteOutput::SaveAuthorities(told) => {
                self.pending.push_back(Event::AuthoritiesSaved(self.guard.identity.save_authorities(&told)));
            }
            SiteOutput::Call { call, provider: spec, is_local, request } => {
                tracing::debug!(%call, provider = %spec.name, "calling plugin");
                self.plugins.call(ProviderCall { call, spec: Arc::from(spec), is_local, request });
            }
            SiteOutput::MeasurePlugin(digest) => self.plugins.measure(digest),
            SiteOutput::KeepPiece(piece) => self.plugins.keep(piece),
            SiteOutput::OpenLocalSocket => self.try_local_socket(),
            SiteOutput::CollectFacts => self.facts.collect(),
            SiteOutput::Reply { command, result } => {
                let now = self.clock.now();
                if !self.pending_replies.reply(command, &result, &self.site, now) {
                    return Some(Notice::Replied(command, result));
                }
            }
            SiteOutput::Removed(refusal) => return Some(Notice::Removed(refusal)),
            SiteOutput::JoinRefused(refusal) => return Some(Notice::JoinRefused(refusal)),
            SiteOutput::Joined(_) => {}
            SiteOutput::LinkUp { server, session, server_wall } => {
                self.set_site_name();
                self.counters.link_up(server_wall, self.clock.now());
                self.link_log.link_up(&server, session);
                self.manager.status(&self.link_log.status(&server));
                return Some(Notice::LinkUp);
            }
            SiteOutput::LinkDown { server, session, reason } => self.link_down(&server, session, &reason),
            SiteOutput::DialFailed { server, reason } => self.dial_failed(&server, &reason),
            SiteOutput::Host(HostOutput::Listen(site)) => self.listen_for_hosts(site),
            SiteOutput::Host(output) => self.lan.perform(output, || self.guard.identity.trusted()),
            SiteOutput::Condition { kind, provider, detail } => log_condition(kind, provider.as_ref(), detail.as_ref()),
        }
        None
    }

    fn try_local_socket(&mut self) {
        match self.open_local_socket() {
            Ok(()) => tracing::info!("local socket opened"),
            Err(error) => tracing::debug!(problem = error_chain(&error), "cannot open the local socket"),
        }
    }

    fn listen_for_hosts(&mut self, site: SiteId) {
        let certificate = self.guard.identity.gateway_certificate();
        if let Err(error) = self.lan.open(site, certificate, self.clock.now().wall) {
            tracing::warn!(problem = error_chain(&error), "cannot listen for hosts; retrying in the background");
            self.pending.push_back(Event::NotListening);
        }
    }

    fn link_down(&mut self, server: &ServerAddress, session: SessionId, reason: &LossReason) {
        self.counters.link_down(reason);
        self.link_log.link_down(server, session, reason);
        self.manager.status(&self.link_log.status(server));
    }

    fn dial_failed(&mut self, server: &ServerAddress, reason: &LossReason) {
        self.counters.dial_failed(reason);
        self.link_log.dial_failed(server, reason);
        self.manager.status(&self.link_log.status(server));
    }
}

/// Logs that a condition began, changed or ended. The state machine limits how often.
fn log_condition(condition: ConditionKind, provider: Option<&Name>, detail: Option<&Text>) {
    let provider = provider.map(tracing::field::display);
    match detail {
        Some(detail) => tracing::warn!(%condition, provider, %detail, "condition raised"),
        None => tracing::info!(%condition, provider, "condition cleared"),
    }
}
