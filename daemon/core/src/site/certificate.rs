//! The site's certificate: its use, its renewal, and what happens if it cannot be saved.
//!
//! A certificate is renewed at two thirds of its lifetime, by the server's clock: the site's own may be wrong. A
//! certificate that could not be saved is used from memory, and saving is retried; the condition clears only when the
//! certificate was saved.

use linecamp_model::{
    ConditionKind, DialId, EventKind, FromMember, HostId, IdentityGrant, MemberKind, Now, Pin, SiteId, Text,
};

use super::config::{RENEW_RETRY_MAX, RENEW_RETRY_MIN, STORE_RETRY, SiteIdentity};
use super::effects::Effects;
use super::output::{SiteOutput, Timer};
use super::server_clock::ServerClock;

/// A certificate that is in use but could not be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsavedIdentity {
    /// The certificate from the server.
    pub grant: IdentityGrant,
    /// The site's identity under this certificate.
    pub identity: SiteIdentity,
    /// Why it could not be saved.
    pub problem: Text,
}

/// The certificate in use.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    identity: Option<SiteIdentity>,
    /// A certificate in use that is not saved.
    unsaved: Option<IdentityGrant>,
    clock: ServerClock,
}

impl Certificate {
    /// Starts with the saved identity, if there is one.
    pub(super) const fn new(identity: Option<SiteIdentity>) -> Self {
        Self { identity, unsaved: None, clock: ServerClock::new() }
    }

    /// Returns the identity; `None` before the site has joined.
    pub(super) const fn identity(&self) -> Option<SiteIdentity> {
        self.identity
    }

    /// Returns the id of the site; `None` before it has joined.
    pub(super) fn site(&self) -> Option<SiteId> {
        self.identity.map(|identity| identity.site)
    }

    /// Returns what has joined, and the id of the host that runs its daemon; `None` before it has joined.
    pub(super) fn member(&self) -> Option<(MemberKind, HostId)> {
        self.identity.map(|identity| (identity.kind, identity.host))
    }

    /// Returns the id of the site, if this machine is its gateway.
    pub(super) fn site_of_gateway(&self) -> Option<SiteId> {
        self.identity.filter(|identity| identity.kind == MemberKind::Site).map(|identity| identity.site)
    }

    /// Returns the trusted authority that issued the certificate.
    pub(super) fn issuer(&self) -> Option<Pin> {
        self.identity.and_then(|identity| identity.issuer)
    }

    /// Notes which of the authorities that are trusted now issued the certificate.
    pub(super) fn set_issuer(&mut self, issuer: Option<Pin>) {
        if let Some(identity) = &mut self.identity {
            identity.issuer = issuer;
        }
    }

    /// Whether the certificate in use is saved.
    pub(super) const fn is_saved(&self) -> bool {
        self.unsaved.is_none()
    }

    /// Handles a certificate that was saved.
    pub(super) fn handle_saved(&mut self, identity: SiteIdentity, now: Now, effects: &mut Effects) {
        self.unsaved = None;
        effects.clear_timer(Timer::SaveIdentity);
        effects.clear(ConditionKind::IdentityNotSaved, now);
        self.replace(identity, now, effects);
    }

    /// Handles a certificate that could be neither saved nor used.
    pub(super) fn handle_failed(problem: &Text, now: Now, effects: &mut Effects) {
        effects.raise(ConditionKind::IdentityNotSaved, not_saved(problem), now);
        effects.touch_status();
    }

    /// Handles a certificate that is in use although it could not be saved. Saving is retried later.
    pub(super) fn handle_unsaved(&mut self, unsaved: UnsavedIdentity, now: Now, effects: &mut Effects) {
        let UnsavedIdentity { grant, identity, problem } = unsaved;
        self.unsaved = Some(grant);
        effects.set_timer(Timer::SaveIdentity, now, STORE_RETRY);
        effects.raise(ConditionKind::IdentityNotSaved, not_saved(&problem), now);
        self.replace(identity, now, effects);
    }

    /// Retries saving a certificate.
    pub(super) fn save_again(&self, effects: &mut Effects) {
        if let Some(grant) = &self.unsaved {
            effects.output(SiteOutput::SaveIdentity(grant.clone()));
        }
    }

    fn replace(&mut self, identity: SiteIdentity, now: Now, effects: &mut Effects) {
        match self.identity.replace(identity) {
            None => effects.output(SiteOutput::Joined(identity.site)),
            Some(before) if before != identity => {
                let text = format!("the new certificate is valid until {}", identity.not_after);
                effects.record(EventKind::CertificateRenewed, &text, now);
            }
            Some(_) => {}
        }
        self.plan_renewal(now, effects);
        effects.touch_status();
    }

    /// Returns the server's clock.
    pub(super) const fn clock_mut(&mut self) -> &mut ServerClock {
        &mut self.clock
    }

    /// Sets the timer of the renewal.
    pub(super) fn plan_renewal(&self, now: Now, effects: &mut Effects) {
        if let Some(identity) = self.identity {
            let delay = identity.renew_at().saturating_since(self.clock.now(now));
            effects.set_timer(Timer::Renew, now, delay);
        }
    }

    /// Requests a new certificate in the session of `dial`, if one is up, and again later if none arrives.
    pub(super) fn renew(&self, dial: Option<DialId>, now: Now, effects: &mut Effects) {
        let Some(dial) = dial else { return };
        effects.send(dial, FromMember::Renew);
        let left = self.identity.map(|identity| identity.not_after.saturating_since(self.clock.now(now)));
        let retry = left.map_or(RENEW_RETRY_MAX, |left| (left / 3).clamp(RENEW_RETRY_MIN, RENEW_RETRY_MAX));
        effects.set_timer(Timer::Renew, now, retry);
    }

    /// Describes how long the certificate holds.
    pub(super) fn describe(&self) -> String {
        self.identity.map_or_else(
            || "none".to_owned(),
            |identity| format!("valid until {}, renewed from {}", identity.not_after, identity.renew_at()),
        )
    }
}

fn not_saved(problem: &Text) -> Text {
    Text::lossy(&format!("a new certificate is not kept, and a restart goes back to the one before: {problem}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linecamp_model::WallTime;

    use super::*;
    use crate::site::testing::{GATEWAY, NOW, SITE, effects, outputs};

    const DAY: Duration = Duration::from_secs(86_400);

    fn identity(not_before: WallTime) -> SiteIdentity {
        SiteIdentity {
            kind: MemberKind::Site,
            site: SITE,
            host: GATEWAY,
            not_before,
            not_after: not_before + DAY * 3,
            issuer: None,
        }
    }

    #[test]
    fn the_first_certificate_is_a_join_and_the_next_one_a_renewal() {
        let (mut certificate, mut effects) = (Certificate::new(None), effects());
        certificate.handle_saved(identity(NOW.wall), NOW, &mut effects);
        assert_eq!(outputs(&mut effects), [SiteOutput::Joined(SITE)]);
        certificate.handle_saved(identity(NOW.wall + DAY), NOW, &mut effects);
        let kinds: Vec<_> = effects.state().events.values().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::CertificateRenewed]);
    }

    #[test]
    fn renewal_follows_the_servers_clock() {
        let (mut certificate, mut effects) = (Certificate::new(Some(identity(NOW.wall))), effects());
        certificate.plan_renewal(NOW, &mut effects);
        assert_eq!(effects.deadline(Timer::Renew), Some(NOW.instant + DAY * 2));
        certificate.clock_mut().handle_welcome(NOW.wall + DAY, NOW, &mut effects);
        certificate.plan_renewal(NOW, &mut effects);
        assert_eq!(effects.deadline(Timer::Renew), Some(NOW.instant + DAY));
        assert!(effects.conditions().has(ConditionKind::ClockSkew));
    }

    #[test]
    fn saving_a_certificate_is_retried_until_it_succeeds() {
        let (mut certificate, mut effects) = (Certificate::new(Some(identity(NOW.wall))), effects());
        let grant = crate::site::testing::grant();
        let problem = Text::lossy("disk full");
        let unsaved = UnsavedIdentity { grant: grant.clone(), identity: identity(NOW.wall), problem };
        certificate.handle_unsaved(unsaved, NOW, &mut effects);
        assert!(effects.conditions().has(ConditionKind::IdentityNotSaved));
        assert_eq!(effects.deadline(Timer::SaveIdentity), Some(NOW.instant + STORE_RETRY));
        outputs(&mut effects);
        certificate.save_again(&mut effects);
        assert_eq!(outputs(&mut effects), [SiteOutput::SaveIdentity(grant)]);
        certificate.handle_saved(identity(NOW.wall), NOW, &mut effects);
        assert!(!effects.conditions().has(ConditionKind::IdentityNotSaved));
        assert_eq!(effects.deadline(Timer::SaveIdentity), None);
    }
}
