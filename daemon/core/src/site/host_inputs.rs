//! Inputs about the hosts of the LAN. [`hosts`](super::hosts) decides what they mean.

use linecamp_model::{
    CommandId, DialId, DocumentKey, FromMember, HostToken, HostTokenView, Instant, MemberKind, Now, Refusal,
    RefusalCode, SessionId, SiteId, SpecBody, SpecDelta, Text, TokenId, TokenState,
};

use super::Site;
use super::command::{HostCommand, SiteCommandError};
use super::effects::Release;
use super::host_release::HostRelease;
use super::output::Timer;
use super::replication::{SpecStep, Violation};
use crate::downlink::SessionEvent;

impl Site {
    /// Handles a session event of a host. The driver numbers sessions in ascending order and never reuses a number.
    pub fn handle_host_session(&mut self, id: SessionId, event: SessionEvent, now: Now) {
        if let (Some(site), false) = (self.certificate.site_of_gateway(), self.is_stopped) {
            self.hosts.handle_session((id, event), site, now, &mut self.effects);
        } else {
            self.effects.ignore();
        }
        self.settle_down(now);
    }

    /// Returns the site whose gateway this machine is; `None` if it is none.
    pub fn gateway_of(&self) -> Option<SiteId> {
        self.certificate.site_of_gateway()
    }

    /// Returns the tokens that hosts join this gateway with: its own, and those of the server. Sorted by time.
    pub fn host_tokens(&self, now: Now) -> Vec<HostTokenView> {
        let state = self.effects.state();
        let local = state.lan.tokens.iter().map(|(id, token)| (*id, token, true));
        let central = state.spec.live().filter_map(|(key, body)| match (key, body) {
            (DocumentKey::HostToken(id), SpecBody::HostToken(token)) => Some((id, token, false)),
            _ => None,
        });
        let view = |(id, token, is_local): (TokenId, &HostToken, bool)| {
            let uses = state.lan.uses(id);
            let HostToken { created_at, expires_at, uses_max, .. } = *token;
            let token_state = match (expires_at <= now.wall, uses_max <= uses) {
                (true, _) => TokenState::Expired,
                (false, true) => TokenState::UsedUp,
                (false, false) => TokenState::Valid,
            };
            HostTokenView { id, is_local, created_at, expires_at, uses, uses_max, state: token_state }
        };
        let mut tokens: Vec<_> = local.chain(central).map(view).collect();
        tokens.sort_by_key(|token| (token.created_at, token.id));
        tokens
    }

    /// Handles a failure to listen for hosts. It is retried later.
    pub fn handle_not_listening(&mut self, now: Now) {
        self.hosts.handle_not_listening(now, &mut self.effects);
        self.settle_down(now);
    }

    /// Returns the next deadline of all parts.
    pub(super) fn first_deadline(&self) -> Option<(Instant, Timer)> {
        let hosts = self.hosts.next_deadline().map(|(at, timer)| (at, Timer::Hosts(timer)));
        [self.effects.next_deadline(), hosts].into_iter().flatten().min()
    }

    /// Removes and returns the earliest expired timer. Those of the hosts are removed by their part.
    pub(super) fn next_expired(&mut self, now: Now) -> Option<Timer> {
        match self.first_deadline() {
            Some((at, timer @ Timer::Hosts(_))) => (at <= now.instant).then_some(timer),
            Some(_) | None => self.effects.pop_expired(now),
        }
    }

    pub(super) fn handle_hosts_timeout(&mut self, now: Now) {
        if let Some(site) = self.certificate.site_of_gateway() {
            self.hosts.handle_timeout(site, now, &mut self.effects);
        }
    }

    /// Adopts spec, and counts it as not durable for the hosts that it is passed on to.
    pub(super) fn handle_spec(&mut self, dial: DialId, delta: SpecDelta, now: Now) -> Result<(), Violation> {
        let member = self.certificate.member();
        match self.replication.handle_spec(delta, member, &self.effects)? {
            SpecStep::Nothing => {}
            SpecStep::Acknowledge => self.replication.acknowledge(dial, &mut self.effects),
            SpecStep::Adopt { changes, held, is_new_incarnation } => {
                let to_hosts = self.hosts.spec_staged(self.effects.state());
                self.effects.stage(&changes, vec![Release::SpecAck { dial, held }, Release::Host(to_hosts)]);
                if let (true, Some(site)) = (is_new_incarnation, self.certificate.site_of_gateway()) {
                    self.hosts.restart_spec((site, now), &mut self.effects);
                }
            }
        }
        Ok(())
    }

    pub(super) fn reconcile_hosts(&mut self, now: Now) {
        if let Some(site) = self.certificate.site_of_gateway() {
            self.hosts.reconcile((site, now), &mut self.effects);
        }
    }

    pub(super) fn release_to_host(&mut self, release: HostRelease, now: Now) {
        if let Some(site) = self.certificate.site_of_gateway() {
            self.hosts.handle_durable(release, site, now, &mut self.effects);
        }
    }

    /// Takes back what hosts waited for, and returns the other releases.
    pub(super) fn release_failed_to_hosts(&mut self, releases: Vec<Release>, now: Now) -> Vec<Release> {
        let Some(site) = self.certificate.site_of_gateway() else { return releases };
        let mut others = Vec::new();
        for release in releases {
            match release {
                Release::Host(release) => self.hosts.handle_failed(release, site, now, &mut self.effects),
                other => others.push(other),
            }
        }
        others
    }

    /// Tells all hosts that their site was removed.
    pub(super) fn dismiss_hosts(&mut self, now: Now) {
        let text = "the site of this host was removed; to use the machine again, join it to another site";
        let refusal = Refusal::new(RefusalCode::Removed, text);
        self.hosts.stop(Some(&refusal), now, &mut self.effects);
    }

    /// Handles a local command about hosts or host tokens.
    pub(super) fn handle_host_command(&mut self, id: CommandId, command: HostCommand, now: Now) {
        let (lan, is_gateway) = (&self.effects.state().lan, self.certificate.site_of_gateway().is_some());
        let staged = match command {
            HostCommand::Leave => self.leave(id).map(|()| None),
            _ if !is_gateway => Err("this machine is not the gateway of a site: only a gateway has hosts"),
            HostCommand::CreateToken(token, terms) => match lan.token_changes(token, terms, now.wall) {
                None => Err("this gateway has the maximum of valid host tokens: revoke some"),
                changes => Ok(changes),
            },
            HostCommand::RevokeToken(token) => match lan.token_purge_changes(token) {
                changes if changes.is_empty() => {
                    Err("this gateway has created no such token; tokens of the server are revoked there")
                }
                changes => Ok(Some(changes)),
            },
            HostCommand::Remove(host) => {
                match self.hosts.remove(host, vec![Release::Reply(id)], now, &mut self.effects) {
                    true => Ok(None),
                    false => Err("no such host has joined this gateway; other hosts are removed at the server"),
                }
            }
        };
        match staged {
            Ok(Some(changes)) => self.effects.stage(&changes, vec![Release::Reply(id)]),
            Ok(None) => {}
            Err(text) => self.effects.reply(id, Err(SiteCommandError::Host(Text::lossy(text)))),
        }
    }

    /// Asks the parent to end the registration of this host. The command is answered when it was asked; the refusal of
    /// the session tells that it is done.
    fn leave(&mut self, id: CommandId) -> Result<(), &'static str> {
        match (self.certificate.member(), self.uplink.session()) {
            (Some((MemberKind::Host, _)), Some(dial)) => {
                self.effects.send(dial, FromMember::Leave);
                self.effects.reply(id, Ok(()));
                Ok(())
            }
            (Some((MemberKind::Host, _)), None) => {
                Err("the host has no link: wait until it has, or remove it at its gateway or at the server")
            }
            (Some((MemberKind::Site, _)) | None, _) => Err("only a host leaves; a site is removed at its server"),
        }
    }
}
