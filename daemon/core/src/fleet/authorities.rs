//! The server's certificate authorities: a numbered set that the sites are told, and what they have stored of it.
//!
//! An authority is replaced in steps. *Add* creates the next one, and the sites are told to trust it beside the current
//! one. *Switch* lets it issue all certificates; the sites renew theirs. *Retire* drops the one that was replaced. Only
//! *retire* waits for the sites: a site that does not trust the next authority, or has no certificate from it, would
//! have to come back in an unusual way. *Abort* drops the next authority before the switch.
//!
//! Which authorities there are is a fact of the server's data directory, where each step is one atomic change. The
//! driver reports it at the start and after each step; the database holds the set that follows from it, and what each
//! site has stored. So a crash between the two is repaired at the next start.

use linecamp_model::{
    AuthorityRotation, AuthoritySet, EventKind, FleetAuthorities, FleetChange, LinkState, Name, Now, Pin,
    RotationPhase, RotationStep, SiteId, SiteTrust, TrustReport, WallTime,
};

use super::Fleet;
use super::command::{FleetCommandError, Force};
use super::effects::Release;
use super::registry::token_state;
use super::state::FleetState;

/// Sites that the refusal to retire an authority names. It says how many there are, and the status lists all.
const NAMED_SITES_MAX: usize = 10;

/// The authorities, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityStatus {
    /// The authorities in the data directory.
    pub rotation: AuthorityRotation,
    /// The set that the sites are told, with its number and since when; `None` before the first replacement.
    pub told: Option<(u64, WallTime)>,
    /// The number of sites, without removed ones.
    pub sites: usize,
    /// The sites that an authority cannot be retired for, by environment and name.
    pub waiting: Vec<WaitingSite>,
    /// The number of valid join tokens with the pin of the authority that is to be retired.
    pub old_tokens: usize,
}

/// A site that an authority cannot be retired for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingSite {
    /// Its environment.
    pub environment: Name,
    /// Its name.
    pub name: Name,
    /// What it lacks.
    pub lacks: Lack,
    /// The state of its link, and since when.
    pub link: (LinkState, WallTime),
}

/// What a site lacks before its server's authority can be retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It has not stored the next authority.
    Authority,
    /// Its certificate is not from the next authority.
    Certificate,
}

impl Fleet {
    /// Handles the authorities in the server's data directory: at the start, and after each step of a replacement. If
    /// they differ from those that the sites were told last, they become a new numbered set. A server that has never
    /// replaced its authority tells none: its sites have it from the join.
    pub fn handle_authorities(&mut self, rotation: AuthorityRotation, now: Now) {
        self.rotation = Some(rotation);
        self.number_authorities(now);
    }

    /// Numbers the authorities, unless the sites are told them already.
    pub(super) fn number_authorities(&mut self, now: Now) {
        let Some(rotation) = &self.rotation else { return };
        let told = self.effects.state().authorities.as_ref();
        let is_told = match told {
            None => rotation.phase == RotationPhase::Stable,
            Some(told) => told.set.authorities == rotation.authorities,
        };
        if is_told {
            return;
        }
        let number = told.map_or(0, |told| told.set.number) + 1;
        let text = describe(rotation);
        let set = AuthoritySet { number, authorities: rotation.authorities.clone() };
        let change = FleetChange::Authorities(Some(FleetAuthorities { set, since: now.wall }));
        let note = (EventKind::AuthorityChanged, None, text);
        let changes = vec![change];
        self.note_server("server.authorities", &changes, now);
        self.effects.stage_noted(changes, vec![note], vec![Release::Authorities], now);
    }

    /// Returns the authorities that the sites are told; `None` before the first replacement.
    pub fn told_authorities(&self) -> Option<&AuthoritySet> {
        self.effects.state().authorities.as_ref().map(|told| &told.set)
    }

    /// Tells the connected sites a set that is durable.
    pub(super) fn tell_authorities(&mut self, now: Now) {
        self.with_downlink(now, |downlink, members| downlink.send_authorities(members));
    }

    /// Records what a site has stored, unless it is recorded. A report of another set than the present one is of the
    /// past: the site is told the present one.
    pub(super) fn handle_trust(&mut self, site: SiteId, report: TrustReport) {
        let state = self.effects.state();
        let told = state.authorities.as_ref().filter(|told| told.set.number == report.number);
        let Some((told, (record, registration))) = told.zip(state.site(site)) else { return };
        let TrustReport { trust: SiteTrust { mut trusted, issuer }, .. } = report;
        trusted.retain(|pin| told.set.pins().any(|found| found == *pin));
        let trust = SiteTrust { issuer: issuer.filter(|pin| trusted.contains(pin)), trusted };
        let known = record.trust.as_ref();
        // A pending site causes few writes: it cannot take back what it reported.
        let is_progress =
            known.is_none_or(|known| known.trusted != trust.trusted || trust.issuer == told.set.pins().next());
        let is_pending = registration.life.phase == linecamp_model::Phase::Pending;
        if known != Some(&trust) && (is_progress || !is_pending) {
            self.effects.stage(vec![FleetChange::SiteTrust(site, Some(trust))], Vec::new());
        }
    }

    /// Returns whether a step has something to do, or why it is not possible. Without force, a site that lacks the next
    /// authority prevents the retirement of the current one.
    ///
    /// # Errors
    /// [`FleetCommandError::NotPossible`] says what to do instead.
    pub fn check_rotation(&self, step: RotationStep, force: Force, now: Now) -> Result<bool, FleetCommandError> {
        let phase = self.rotation.as_ref().map(|rotation| rotation.phase).unwrap_or_default();
        let refuse = |text: &str| Err(FleetCommandError::NotPossible(text.to_owned()));
        match (step, phase) {
            (RotationStep::Add, RotationPhase::Stable) => Ok(true),
            (RotationStep::Add, RotationPhase::Added) | (RotationStep::Switch, RotationPhase::Switched) => Ok(false),
            (RotationStep::Add, RotationPhase::Switched) => {
                refuse("the authority before the last switch is not retired: run `linecamp ca retire` first")
            }
            (RotationStep::Switch | RotationStep::Abort, RotationPhase::Added) => Ok(true),
            (RotationStep::Retire, RotationPhase::Switched) => self.check_retirement(force, now),
            (RotationStep::Retire, RotationPhase::Added) => {
                refuse("the current authority still issues certificates: run `linecamp ca switch` first")
            }
            (RotationStep::Abort, RotationPhase::Switched) => {
                refuse("the next authority issues certificates already: it can be replaced, but not dropped")
            }
            (RotationStep::Switch | RotationStep::Retire | RotationStep::Abort, RotationPhase::Stable) => {
                refuse("there is no next authority: `linecamp ca add` creates one")
            }
        }
    }

    fn check_retirement(&self, force: Force, now: Now) -> Result<bool, FleetCommandError> {
        let waiting = self.waiting_sites(now);
        if waiting.is_empty() || force == Force::Yes {
            return Ok(true);
        }
        let names: Vec<_> = waiting.iter().take(NAMED_SITES_MAX).map(|site| site.name.as_str()).collect();
        let more = if NAMED_SITES_MAX < waiting.len() { ", …" } else { "" };
        let text = format!(
            "{} sites lack the next authority or a certificate from it: {}{more}; `linecamp ca status` lists them, and \
             --force retires the previous authority anyway",
            waiting.len(),
            names.join(", ")
        );
        Err(FleetCommandError::NotPossible(text))
    }

    /// Returns the authorities, and which sites wait for what; `None` before the driver has reported them.
    pub fn authority_status(&self, now: Now) -> Option<AuthorityStatus> {
        let rotation = self.rotation.clone()?;
        let state = self.effects.state();
        let told = state.authorities.as_ref().map(|told| (told.set.number, told.since));
        let switched_at = told.filter(|_| rotation.phase == RotationPhase::Switched).map(|(_, since)| since);
        let is_old = |token: &linecamp_model::Token| switched_at.is_some_and(|at| token.created_at < at);
        let is_valid = |id, token| token_state(state, id, token, now) == linecamp_model::TokenState::Valid;
        let old_tokens = state.tokens.iter().filter(|(id, token)| is_old(token) && is_valid(**id, token)).count();
        let sites = state.registered().filter(|(_, _, of)| !of.life.phase.is_gone()).count();
        Some(AuthorityStatus { rotation, told, sites, waiting: self.waiting_sites(now), old_tokens })
    }

    fn waiting_sites(&self, now: Now) -> Vec<WaitingSite> {
        let Some(rotation) = &self.rotation else { return Vec::new() };
        let Some(next) = rotation.next() else { return Vec::new() };
        let is_switched = rotation.phase == RotationPhase::Switched;
        let mut sites: Vec<_> = lacking(self.effects.state(), next, is_switched)
            .filter_map(|(id, lacks)| {
                let view = self.view().site_by_id(id, now)?;
                let link = (view.link.state, view.link.since);
                Some(WaitingSite { environment: view.environment, name: view.name, lacks, link })
            })
            .collect();
        sites.sort_by(|a, b| (&a.environment, &a.name).cmp(&(&b.environment, &b.name)));
        sites
    }
}

/// Returns the sites that lack the authority `next`, or once it issues certificates, one of them.
fn lacking(state: &FleetState, next: Pin, is_switched: bool) -> impl Iterator<Item = (SiteId, Lack)> {
    let live = state.registered().filter(|(_, _, of)| !of.life.phase.is_gone());
    live.filter_map(move |(id, record, _)| match &record.trust {
        Some(trust) if trust.trusted.contains(&next) => {
            (is_switched && trust.issuer != Some(next)).then_some((id, Lack::Certificate))
        }
        Some(_) | None => Some((id, Lack::Authority)),
    })
}

fn describe(rotation: &AuthorityRotation) -> String {
    let pin = |index: usize| rotation.authorities.get(index).map_or_else(String::new, |found| found.pin.to_string());
    match rotation.phase {
        RotationPhase::Stable => format!("the only authority is {}", pin(0)),
        RotationPhase::Added => format!("{} is the next authority; {} issues certificates", pin(1), pin(0)),
        RotationPhase::Switched => format!("{} issues certificates; {} is still accepted", pin(0), pin(1)),
    }
}
