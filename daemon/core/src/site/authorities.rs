//! Which authorities of its server a site trusts, and when it replaces its certificate because of them.
//!
//! A server that replaces its certificate authority tells a numbered set of authorities after each welcome. The site
//! saves it with its identity; the driver leaves out an authority that no trusted one has certified. What was saved is
//! reported only then, together with the authority that issued the saved certificate. Any
//! set that differs from the stored one is taken, whatever its number: a server that was restored from a backup
//! repeats numbers. If the issuing authority, the first of the set, is not the issuer of the site's certificate, the
//! site requests another certificate, at a random time within the spread that the server announced.

use linecamp_model::{
    AuthoritySet, DialId, FromMember, KnownAuthorities, Now, PartState, Pin, SiteTrust, Text, TrustReport,
};

use super::Site;
use super::config::STORE_RETRY;
use super::effects::Effects;
use super::output::{SiteOutput, Timer};

/// The authorities that the site trusts.
#[derive(Clone, Debug)]
pub(super) struct TrustedAuthorities {
    /// What is saved.
    stored: KnownAuthorities,
    /// The set that the server told in this session.
    told: Option<AuthoritySet>,
    /// Whether what can be accepted of it is saved.
    is_stored: bool,
    /// The set that is being saved.
    saving: Option<AuthoritySet>,
    problem: Option<Text>,
    reported: Option<TrustReport>,
}

impl TrustedAuthorities {
    /// Starts with the saved authorities.
    pub(super) const fn new(stored: KnownAuthorities) -> Self {
        Self { stored, told: None, is_stored: false, saving: None, problem: None, reported: None }
    }

    /// Handles the set that the server told. It is saved unless it is stored already.
    fn handle_told(&mut self, told: AuthoritySet, effects: &mut Effects) {
        self.is_stored = told.known() == self.stored;
        self.told = Some(told);
        self.save(effects);
    }

    /// Handles the outcome of saving a set: what is stored now, or why it is not. A failure is retried later.
    fn handle_saved(&mut self, saved: Result<KnownAuthorities, Text>, now: Now, effects: &mut Effects) {
        let Some(set) = self.saving.take() else { return effects.ignore() };
        match saved {
            Ok(stored) => {
                self.stored = stored;
                self.is_stored = self.told.as_ref() == Some(&set);
                self.problem = None;
                self.save(effects);
            }
            Err(problem) => {
                self.problem = Some(problem);
                effects.set_timer(Timer::SaveAuthorities, now, STORE_RETRY);
            }
        }
    }

    /// Saves the set that the server told, unless it is stored.
    pub(super) fn save(&mut self, effects: &mut Effects) {
        if let (Some(told), None, false) = (&self.told, &self.saving, self.is_stored) {
            self.saving = Some(told.clone());
            effects.clear_timer(Timer::SaveAuthorities);
            effects.output(SiteOutput::SaveAuthorities(told.clone()));
        }
    }

    /// Handles the end of a session.
    pub(super) fn handle_session_ended(&mut self, effects: &mut Effects) {
        (self.told, self.is_stored, self.problem, self.reported) = (None, false, None, None);
        effects.clear_timer(Timer::SaveAuthorities);
    }

    /// Reports once what is stored, when the set that the server told is. `issuer` is that of the saved certificate.
    pub(super) fn report(&mut self, dial: DialId, issuer: Option<Pin>, effects: &mut Effects) {
        if self.told.is_none() || !self.is_stored {
            return;
        }
        let trusted = self.stored.pins.clone();
        let issuer = issuer.filter(|pin| trusted.contains(pin));
        let report = TrustReport { number: self.stored.number, trust: SiteTrust { trusted, issuer } };
        if self.reported.as_ref() != Some(&report) {
            self.reported = Some(report.clone());
            effects.send(dial, FromMember::Trust(report));
        }
    }

    /// Describes the authorities.
    pub(super) fn describe(&self) -> (PartState, String) {
        let KnownAuthorities { number, pins } = &self.stored;
        let pins: Vec<_> = pins.iter().map(ToString::to_string).collect();
        let set = if *number == 0 { "from the join".to_owned() } else { format!("set {number}") };
        let text = format!("{set}: {}", pins.join(", "));
        match &self.problem {
            Some(problem) => (PartState::Failing, format!("{text}; cannot save another set: {problem}")),
            None if self.saving.is_some() => (PartState::Active, format!("{text}; saving another set")),
            None => (PartState::Ok, text),
        }
    }
}

impl Site {
    /// Handles the outcome of saving a set of authorities: what is stored now, and which of them issued the site's
    /// certificate. A failure is retried later.
    pub fn handle_authorities_saved(&mut self, saved: Result<(KnownAuthorities, Option<Pin>), Text>, now: Now) {
        let saved = saved.map(|(stored, issuer)| {
            self.certificate.set_issuer(issuer);
            stored
        });
        self.authorities.handle_saved(saved, now, &mut self.effects);
        self.settle_down(now);
    }

    /// Handles the authorities that the server told in a session.
    pub(super) fn handle_authorities(&mut self, told: AuthoritySet, now: Now) {
        if self.uplink.session().is_none() {
            return;
        }
        let issuer = told.pins().next();
        self.authorities.handle_told(told, &mut self.effects);
        if self.certificate.issuer() != issuer {
            let delay = self.effects.rng().delay_up_to(self.uplink.spread());
            self.effects.set_timer(Timer::Renew, now, delay);
        }
    }

    /// Reports to the server which authorities are stored.
    pub(super) fn report_authorities(&mut self) {
        if let Some(dial) = self.uplink.session()
            && self.certificate.is_saved()
        {
            self.authorities.report(dial, self.certificate.issuer(), &mut self.effects);
        }
    }
}
