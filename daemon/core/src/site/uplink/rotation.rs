//! Which server address a site dials next, and which addresses it keeps.
//!
//! The server tells its addresses as one numbered set. A set that the site is told is a candidate until a link has come
//! up through one of the addresses that are new in it; then it replaces the addresses that the site had. Until then
//! both are kept, and dialed in turn: a wrong set never costs a site its link for longer than one failed dial. A set
//! without new addresses is confirmed by a link through any of its addresses: at once, if that is the current link. Any
//! set that differs from the last one is taken, whatever its number: a server that was restored from a backup repeats
//! numbers.
//!
//! Every change is saved with the identity. If that fails, the site uses the addresses from memory and saves them
//! again later; it reports a set as stored only when it is saved, confirmed or not.

use linecamp_model::{DialId, FromMember, KnownServers, Now, PartState, ServerAddress, ServerSet, Text};

use super::super::config::{STORE_RETRY, ServerSource};
use super::super::effects::Effects;
use super::super::output::{SiteOutput, Timer};

/// The addresses of the server, and the one to dial.
#[derive(Clone, Debug)]
pub(super) struct ServerRotation {
    /// From the site's own configuration: if there are any, only these are dialed.
    configured: Vec<ServerAddress>,
    known: KnownServers,
    /// The address of the current or next dial.
    current: Option<ServerAddress>,
    is_candidate_next: bool,
    confirmed_at: usize,
    candidate_at: usize,
    /// Whether `known` is saved.
    is_saved: bool,
    /// Requests to save that are not answered.
    saving: u32,
    problem: Option<Text>,
    /// Whether the server has told its addresses in this session.
    was_told: bool,
    /// The set reported as stored in this session.
    reported: Option<u64>,
}

impl ServerRotation {
    /// Starts with the saved addresses, or those of `source`.
    pub(super) fn new(source: ServerSource, saved: Option<KnownServers>) -> Self {
        let (configured, given) = match source {
            ServerSource::Saved => (Vec::new(), None),
            ServerSource::Configured(addresses) => (addresses, None),
            ServerSource::Token(addresses) => (Vec::new(), Some(KnownServers::of_token(addresses))),
        };
        // A token with the addresses that are in use changes nothing.
        let is_known = |given: &KnownServers| {
            saved.as_ref().is_some_and(|saved| saved.confirmed.addresses == given.confirmed.addresses)
        };
        let given = given.filter(|given| !is_known(given));
        let is_saved = given.is_none();
        let known = given.or(saved).unwrap_or_else(|| KnownServers::of_token(configured.clone()));
        let mut rotation = Self {
            configured,
            known,
            current: None,
            is_candidate_next: false,
            confirmed_at: 0,
            candidate_at: 0,
            is_saved,
            saving: 0,
            problem: None,
            was_told: false,
            reported: None,
        };
        rotation.select();
        rotation
    }

    /// Returns the address of the current or next dial.
    pub(super) const fn current(&self) -> Option<&ServerAddress> {
        self.current.as_ref()
    }

    /// Returns the saved addresses and those the server told.
    pub(super) const fn known(&self) -> &KnownServers {
        &self.known
    }

    /// Returns the addresses from the site's own configuration, which replace all others.
    pub(super) fn configured(&self) -> &[ServerAddress] {
        &self.configured
    }

    /// Whether there are addresses that the site was told and has not linked through.
    pub(super) fn has_candidates(&self) -> bool {
        self.candidates().next().is_some()
    }

    /// Selects the next address: candidates and confirmed addresses take turns.
    pub(super) fn advance(&mut self) {
        let is_candidate = self.is_candidate_next && self.has_candidates();
        let position = if is_candidate { &mut self.candidate_at } else { &mut self.confirmed_at };
        *position = position.wrapping_add(1);
        self.is_candidate_next = !is_candidate;
        self.select();
    }

    /// Selects a candidate for the dial that follows a session, if there is one.
    pub(super) fn prefer_candidate(&mut self) {
        self.is_candidate_next = true;
        self.select();
    }

    /// Handles a link that came up through the current address.
    pub(super) fn handle_linked(&mut self, effects: &mut Effects) {
        let is_changed = self.confirm();
        if is_changed || !self.is_saved {
            self.save(effects);
        }
    }

    /// Handles the end of a session.
    pub(super) const fn handle_session_ended(&mut self) {
        self.was_told = false;
        self.reported = None;
    }

    /// Handles the addresses that the server told on the current link.
    pub(super) fn handle_told(&mut self, told: ServerSet, effects: &mut Effects) {
        self.was_told = true;
        if *self.known.told() == told {
            return;
        }
        self.known.candidate = Some(told);
        self.candidate_at = 0;
        self.confirm();
        self.save(effects);
    }

    /// Handles the outcome of saving the addresses, also by an earlier run. A failure is retried later.
    pub(super) fn handle_saved(&mut self, saved: Result<(), Text>, now: Now, effects: &mut Effects) {
        if self.saving == 0 && saved.is_ok() {
            return effects.ignore();
        }
        // An earlier run of the state machine reports what it could not save.
        self.saving = self.saving.saturating_sub(1);
        if self.saving == 0 {
            self.is_saved = saved.is_ok();
            self.problem = saved.err();
            if self.problem.is_some() {
                effects.set_timer(Timer::SaveServers, now, STORE_RETRY);
            }
        }
    }

    /// Saves the addresses.
    pub(super) fn save(&mut self, effects: &mut Effects) {
        self.is_saved = false;
        self.saving += 1;
        effects.clear_timer(Timer::SaveServers);
        effects.output(SiteOutput::SaveServers(self.known.clone()));
    }

    /// Tells the server once which set is saved, confirmed or not. A site with addresses of its own follows no set.
    pub(super) fn report(&mut self, dial: DialId, effects: &mut Effects) {
        let number = self.known.told().number;
        let is_due = self.was_told && self.is_saved && self.configured.is_empty() && number != 0;
        if is_due && self.reported != Some(number) {
            self.reported = Some(number);
            effects.send(dial, FromMember::ServersStored(number));
        }
    }

    /// Describes the addresses.
    pub(super) fn describe(&self) -> (PartState, String) {
        let KnownServers { confirmed, candidate } = &self.known;
        let mut text = match (self.configured.is_empty(), candidate) {
            (false, _) => {
                let told = self.known.told();
                let own = list(&self.configured);
                format!("{own}, from the configuration; not used: {}", describe_set(told))
            }
            (true, None) => describe_set(confirmed),
            (true, Some(candidate)) => {
                format!("{}; not confirmed yet, dialed in turn: {}", describe_set(confirmed), describe_set(candidate))
            }
        };
        match &self.problem {
            Some(problem) => {
                text += &format!("; cannot save: {problem}");
                (PartState::Failing, text)
            }
            None if candidate.is_some() && self.configured.is_empty() => (PartState::Waiting, text),
            None => (PartState::Ok, text),
        }
    }

    /// Confirms the candidate if the current address shows that it is right, or if it changes no address.
    fn confirm(&mut self) -> bool {
        let Some(told) = &self.known.candidate else { return false };
        let is_current = |address: &ServerAddress| Some(address) == self.current.as_ref();
        if !self.known.candidates().any(is_current) && told.addresses != self.known.confirmed.addresses {
            return false;
        }
        self.confirmed_at = told.addresses.iter().position(is_current).unwrap_or(self.confirmed_at);
        self.known.confirmed = told.clone();
        self.known.candidate = None;
        self.is_candidate_next = false;
        true
    }

    fn candidates(&self) -> impl Iterator<Item = &ServerAddress> {
        self.known.candidates().filter(|_| self.configured.is_empty())
    }

    fn select(&mut self) {
        let confirmed = if self.configured.is_empty() { &self.known.confirmed.addresses } else { &self.configured };
        let candidates: Vec<_> = self.candidates().filter(|_| self.is_candidate_next).collect();
        let selected = match candidates.is_empty() {
            true => confirmed.get(self.confirmed_at % confirmed.len().max(1)),
            false => candidates.get(self.candidate_at % candidates.len()).copied(),
        };
        self.current = selected.cloned();
    }
}

fn describe_set(set: &ServerSet) -> String {
    match set.number {
        _ if set.addresses.is_empty() => "none".to_owned(),
        0 => format!("{}, from the join token", list(&set.addresses)),
        number => format!("set {number}: {}", list(&set.addresses)),
    }
}

fn list(addresses: &[ServerAddress]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests;
