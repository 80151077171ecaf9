//! `durable-before-acknowledged` and `acknowledged-survives`: what was acknowledged, compared with what is on the disk.

use std::time::Duration;

use linecamp_core::FleetCommandError;
use linecamp_model::{
    CommandId, DocumentKey, FleetChange, FromMember, FromParent, Generation, LabelKey, LabelSet, LabelValue, Level,
    Phase, SessionId, SiteChange, SiteId, SpecBody, Text, Token, TokenId,
};

use super::{Watch, document_of, gateway, is_revoked, registration, stored_local_label};
use crate::disk::Disk;
use crate::transport::NodeId;

/// Tokens live for a year at most and are deleted some time after that.
const TOKENS_HELD_FOR: Duration = Duration::from_secs(365 * 24 * 3600);

/// One thing that operators decide about.
pub(crate) type Slot = (Option<SiteId>, What);

/// The kind of thing in a [`Slot`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// An assigned label.
    Label(LevelOf, LabelKey),
    /// The description of the site.
    Description,
    /// Its phase.
    Phase(LevelOf),
    /// A token.
    Token(TokenId),
}

/// A site or its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LevelOf {
    Site,
    Gateway,
}

/// What a reply states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The label has this value, or is absent.
    Label(Option<LabelValue>),
    /// The description has this text.
    Description(Text),
    /// The phase is one of these.
    Phases(&'static [Phase]),
    /// The token exists.
    TokenThere,
    /// The token was revoked.
    TokenRevoked,
}

/// What is known about a slot.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// What the last reply stated.
    claim: Option<Promise>,
    /// Requests not answered yet, in the order they were sent.
    pending: Vec<(CommandId, Promise)>,
}

impl Watch {
    /// Records an operator's request: what is so once it is acknowledged.
    pub(crate) fn record_request(&mut self, command: CommandId, claims: Vec<(Slot, Promise)>) {
        for (slot, claim) in &claims {
            self.acknowledged.entry(slot.clone()).or_default().pending.push((command, claim.clone()));
        }
        self.requests.insert(command, claims);
    }

    /// Returns the machine of the site that a request is about; of the first one, if there are several.
    pub(crate) fn node_of_request(&self, command: CommandId) -> Option<NodeId> {
        self.requests.get(&command)?.first().and_then(|((site, _), _)| self.node_of((*site)?))
    }

    /// An operator is answered. What the reply states must be on the disk, unless a later request replaced it.
    pub(crate) fn reply(
        &mut self,
        command: CommandId,
        result: &Result<(), FleetCommandError>,
        disk: &Disk<FleetChange>,
    ) {
        for (slot, claim) in self.requests.remove(&command).unwrap_or_default() {
            self.settle_claim(command, (slot, claim), result.is_ok(), disk);
        }
    }

    fn settle_claim(
        &mut self,
        command: CommandId,
        (slot, claim): (Slot, Promise),
        is_done: bool,
        disk: &Disk<FleetChange>,
    ) {
        let acknowledged = self.acknowledged.entry(slot.clone()).or_default();
        if !is_done {
            return acknowledged.pending.retain(|(id, _)| *id != command);
        }
        acknowledged.pending.retain(|(id, _)| command < *id);
        let later: Vec<_> = acknowledged.pending.iter().map(|(_, claim)| claim.clone()).collect();
        acknowledged.claim = Some(claim.clone());
        let candidates = [claim.clone()].into_iter().chain(later);
        if !self.any_holds(disk, &slot, candidates) {
            let what =
                format!("{command} was acknowledged, {slot:?} as {claim:?}, and the server's disk does not have it");
            self.find("durable-before-acknowledged", slot.0.and_then(|site| self.node_of(site)), what);
        }
    }

    /// The server restarted: everything it confirmed must be on its disk; for unanswered requests, any one outcome is
    /// valid.
    pub(crate) fn server_started(&mut self, disk: &Disk<FleetChange>, elapsed: Duration) {
        if TOKENS_HELD_FOR < elapsed {
            self.acknowledged.retain(|_, acknowledged| acknowledged.claim != Some(Promise::TokenThere));
        }
        self.requests.clear();
        let slots: Vec<_> = self.acknowledged.keys().cloned().collect();
        for slot in slots {
            self.check_slot(&slot, disk);
        }
    }

    /// At the end of a run, everything confirmed must be on the disk.
    pub(crate) fn check_acknowledged(&mut self, disk: &Disk<FleetChange>, elapsed: Duration) {
        self.server_started(disk, elapsed);
    }

    fn check_slot(&mut self, slot: &Slot, disk: &Disk<FleetChange>) {
        let Some(acknowledged) = self.acknowledged.get(slot) else { return };
        // The latest candidate that holds becomes the expected value.
        let pending = acknowledged.pending.iter().rev().map(|(_, claim)| claim);
        let candidates: Vec<_> = pending.chain(&acknowledged.claim).cloned().collect();
        let held = candidates.iter().find(|claim| self.holds(disk, slot, claim)).cloned();
        if held.is_none()
            && let Some(claim) = self.acknowledged.get(slot).and_then(|acknowledged| acknowledged.claim.clone())
        {
            let what = format!("{slot:?} was acknowledged as {claim:?}, and the server's disk no longer has it");
            self.find("acknowledged-survives", slot.0.and_then(|site| self.node_of(site)), what);
        }
        if let Some(acknowledged) = self.acknowledged.get_mut(slot) {
            acknowledged.claim = held.or_else(|| acknowledged.claim.take());
            acknowledged.pending.clear();
        }
    }

    /// Returns whether an operator has set this assigned label, or may have.
    pub(super) fn may_be_assigned(&self, site: SiteId, level: LevelOf, key: &LabelKey, value: &LabelValue) -> bool {
        let Some(acknowledged) = self.acknowledged.get(&(Some(site), What::Label(level, key.clone()))) else {
            return false;
        };
        let is_it = |claim: &Promise| *claim == Promise::Label(Some(value.clone()));
        acknowledged.claim.as_ref().is_some_and(is_it) || acknowledged.pending.iter().any(|(_, claim)| is_it(claim))
    }

    fn any_holds(&self, disk: &Disk<FleetChange>, slot: &Slot, claims: impl IntoIterator<Item = Promise>) -> bool {
        claims.into_iter().any(|claim| self.holds(disk, slot, &claim))
    }

    fn holds(&self, disk: &Disk<FleetChange>, (site, what): &Slot, claim: &Promise) -> bool {
        if let (Some(site), Some(watched)) = (site, site.and_then(|site| self.sites.get(&site)))
            && registration(disk, *site).is_none()
        {
            // Purged: only its revoked key remains.
            return is_revoked(disk, &watched.key);
        }
        match (claim, what, site) {
            (Promise::Label(value), What::Label(level, key), Some(site)) => {
                let document = document_of(disk, *level, *site);
                let labels = document.and_then(|document| assigned(disk, *site, document)).unwrap_or_default();
                labels.value(key.as_str()) == value.as_ref().map(LabelValue::as_str)
            }
            (Promise::Description(text), What::Description, Some(site)) => match spec(disk, *site, DocumentKey::Site) {
                Some(SpecBody::Site(spec)) => spec.description == *text,
                Some(SpecBody::Host(_) | SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => false,
            },
            (Promise::Phases(phases), What::Phase(level), Some(site)) => {
                let Some(of) = registration(disk, *site) else { return false };
                let life = match *level {
                    LevelOf::Site => Some(of.life),
                    LevelOf::Gateway => gateway(disk, *site, &of).map(|host| host.life),
                };
                let Some(phase) = life.map(|life| life.phase) else { return false };
                let key = self.sites.get(site).map(|site| site.key);
                let is_removed = phase.is_gone() && key.is_some_and(|key| is_revoked(disk, &key));
                match *level {
                    LevelOf::Site => phases.contains(&phase) && (!phase.is_gone() || is_removed),
                    LevelOf::Gateway => phases.contains(&phase) || is_removed,
                }
            }
            (Promise::TokenThere, What::Token(id), None) => token(disk, *id).is_some(),
            // A revoked token is deleted some time after it expires.
            (Promise::TokenRevoked, What::Token(id), None) => {
                token(disk, *id).is_none_or(|token| token.revoked_at.is_some())
            }
            _ => false,
        }
    }

    /// The server acknowledges something to a site: it must be on the server's disk.
    pub(crate) fn check_server_acknowledgement(
        &mut self,
        session: SessionId,
        message: &FromParent,
        disk: &Disk<FleetChange>,
    ) {
        let Some(site) = self.site_of(session) else { return };
        let (said, held) = match message {
            FromParent::StatusAck(held) => (held.0, status_head(disk, site)),
            FromParent::EventsAck(held) => (*held, events_held_of(disk, site)),
            _ => return,
        };
        if held < said {
            let what = format!("the server acknowledged {message:?}, and its disk has {held}");
            self.find("durable-before-acknowledged", self.node_of(site), what);
        }
    }

    /// The server grants a certificate: the registration must be on its disk.
    pub(crate) fn server_grants(&mut self, site: SiteId, disk: &Disk<FleetChange>) {
        if registration(disk, site).is_none() {
            let what = format!("the server issued a certificate to site {site}, which is not registered on its disk");
            self.find("durable-before-acknowledged", self.node_of(site), what);
        }
    }

    /// A site acknowledges something to the server: it must be on the site's disk.
    pub(crate) fn check_site_acknowledgement(&mut self, node: NodeId, message: &FromMember, disk: &Disk<SiteChange>) {
        let FromMember::SpecAck(said) = message else { return };
        let held = spec_head(disk);
        if held < *said {
            let what = format!("the site acknowledged spec generation {said}, and its disk has {held}");
            self.find("durable-before-acknowledged", [node], what);
        }
    }

    /// A site answers a local request: the labels must be on its disk, or later ones.
    pub(crate) fn site_replies(
        &mut self,
        node: NodeId,
        (level, key): (Level, &LabelKey),
        values: &[LabelValue],
        disk: &Disk<SiteChange>,
    ) {
        let held = stored_local_label(disk, level, key);
        if !held.is_some_and(|held| values.contains(&held)) {
            let what = format!("label {key} was acknowledged locally, and the site's disk does not have it");
            self.find("durable-before-acknowledged", [node], what);
        }
    }
}

/// Reads a spec document's body.
pub(super) fn spec(disk: &Disk<FleetChange>, site: SiteId, key: DocumentKey) -> Option<SpecBody> {
    match disk.find(&FleetChange::Spec(site, key, None)) {
        Some(FleetChange::Spec(_, _, document)) => document?.body,
        _ => None,
    }
}

fn assigned(disk: &Disk<FleetChange>, site: SiteId, key: DocumentKey) -> Option<LabelSet> {
    Some(match spec(disk, site, key)? {
        SpecBody::Site(spec) => spec.assigned,
        SpecBody::Host(spec) => spec.assigned,
        SpecBody::Provider(_) | SpecBody::HostToken(_) => return None,
    })
}

fn status_head(disk: &Disk<FleetChange>, site: SiteId) -> u64 {
    let prefix = format!("site/{site}/status/");
    let heads = disk.with_prefix(prefix.as_bytes()).map(|change| match change {
        FleetChange::Status(_, _, Some(document)) => document.generation.0,
        _ => 0,
    });
    heads.max().unwrap_or(0)
}

fn events_held_of(disk: &Disk<FleetChange>, site: SiteId) -> u64 {
    match disk.find(&FleetChange::ReplicationCursor(site, None)) {
        Some(FleetChange::ReplicationCursor(_, Some(cursor))) => cursor.events_held,
        _ => 0,
    }
}

fn spec_head(disk: &Disk<SiteChange>) -> Generation {
    let heads = disk.with_prefix(b"spec/").map(|change| match change {
        SiteChange::Spec(_, Some(document)) => document.generation,
        _ => Generation::ZERO,
    });
    heads.max().unwrap_or_default()
}

/// Reads a token.
pub(super) fn token(disk: &Disk<FleetChange>, id: TokenId) -> Option<Token> {
    match disk.find(&FleetChange::Token(id, None)) {
        Some(FleetChange::Token(_, token)) => token,
        _ => None,
    }
}
