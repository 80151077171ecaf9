//! What a member may do: nothing while its record cannot be read, almost nothing while it is pending, and everything
//! else within its rate limit.

use std::time::Duration;

use linecamp_model::limits::{PROVIDERS_PER_SITE_MAX, REPORTED_RECORDS_BYTES_MAX};
use linecamp_model::{
    DocumentKey, EventKind, FleetChange, FromServer, FromSite, KeyFingerprint, Now, Phase, PluginDigest, PluginWant,
    Refusal, RefusalCode, ReplicationCursor, Salvage, SessionId, SiteId, StatusBody, StatusDelta, Text,
};

use super::config::{QUARANTINE_RETRY, UnreadableRecord};
use super::pace::{
    GREETING_COST, MESSAGE_COST, PACE_OVERDRAFT_MAX, STORAGE_COST, events_cost, record_bytes, status_cost,
};
use super::{Fleet, FleetOutput, FleetTimer};
use crate::mutants::{Mutant, planted};
use crate::sync::Documents;

/// The maximum number of events about unreadable records at startup; the rest is summed up in one more.
const UNREADABLE_EVENTS_MAX: usize = 16;

impl Fleet {
    /// Handles records that could not be read: each affects one site at most.
    pub(super) fn quarantine(&mut self, unreadable: Vec<UnreadableRecord>, now: Now) {
        let mut removals = Vec::new();
        for record in &unreadable {
            match &record.salvage {
                Salvage::Remove(FleetChange::Status(site, key, _)) => {
                    removals.push(FleetChange::Status(*site, *key, None));
                    // The remaining documents are no valid base for a delta: the site is asked for a snapshot.
                    let cursor = self.cursor_of(*site);
                    self.ledger.restore(FleetChange::ReplicationCursor(
                        *site,
                        Some(ReplicationCursor { status_run: None, ..cursor }),
                    ));
                }
                Salvage::Remove(change) => removals.push(change.clone()),
                Salvage::Quarantine(site) => drop(self.quarantined.insert(*site, record.problem.clone())),
                Salvage::Keep(_) | Salvage::Ignore => {}
            }
        }
        if !removals.is_empty() {
            self.stage(removals, Vec::new());
        }
        for record in unreadable.iter().take(UNREADABLE_EVENTS_MAX) {
            let (site, effect) = match &record.salvage {
                Salvage::Keep(_) => (None, "what its key says is kept"),
                Salvage::Remove(FleetChange::Status(site, ..)) => (Some(*site), "the site sends it again"),
                Salvage::Remove(_) => (None, "it is removed"),
                Salvage::Quarantine(site) => (Some(*site), "this site is refused until its record is repaired"),
                Salvage::Ignore => (None, "it is ignored"),
            };
            let text = format!("record {} cannot be read: {}; {effect}", record.key, record.problem);
            self.stage_noted(Vec::new(), (EventKind::RecordUnreadable, site, text), Vec::new(), now);
        }
        if let Some(more) = unreadable.len().checked_sub(UNREADABLE_EVENTS_MAX).filter(|more| 0 < *more) {
            let text = format!("{more} more records cannot be read; the server's log names them");
            self.stage_noted(Vec::new(), (EventKind::RecordUnreadable, None, text), Vec::new(), now);
        }
    }

    /// Returns the sites whose records cannot be read, and why.
    pub fn quarantined(&self) -> impl Iterator<Item = (SiteId, &Text)> {
        self.quarantined.iter().map(|(site, problem)| (*site, problem))
    }

    /// Returns the refusal for a key whose record cannot be read.
    pub(super) fn unreadable(&self, key: &KeyFingerprint) -> Option<Refusal> {
        let site = SiteId::of_key(key);
        let problem = self.quarantined.get(&site)?;
        let text = format!(
            "the server cannot read its record of site {site} ({problem}); restore the server from a backup, or run `linecampd forget` at the site and join it again"
        );
        Some(Refusal::new(RefusalCode::StoreFailed, &text).retry_after(QUARANTINE_RETRY))
    }

    /// Whether a site waits for an operator to accept it.
    pub(super) fn is_pending(&self, site: SiteId) -> bool {
        self.ledger.state().site(site).is_some_and(|(_, registration)| registration.life.phase == Phase::Pending)
    }

    /// Charges a message to its sender. Returns the refusal if the message is not accepted.
    pub(super) fn admit_message(&mut self, id: SessionId, message: &FromSite, now: Now) -> Result<(), Refusal> {
        let up = self.downlink.up(id).map(|(site, _)| site);
        let speaks = matches!(
            message,
            FromSite::Status(_) | FromSite::Events(_) | FromSite::WantPlugin(_) | FromSite::Storage(_)
        );
        if speaks && !planted(Mutant::PendingSpeaks) && up.is_some_and(|site| self.is_pending(site)) {
            let text = "a pending site has nothing to say before an operator accepts it";
            return Err(Refusal::new(RefusalCode::Protocol, text));
        }
        // The server decides how many deltas it sends, so it does not charge for their acknowledgements.
        let was_asked = matches!(message, FromSite::SpecAck(_))
            && self.downlink.up(id).is_some_and(|(_, source)| source.is_waiting());
        let Some(session) = self.downlink.sessions.get(&id) else { return Ok(()) };
        let site = up.unwrap_or_else(|| SiteId::of_key(&session.peer.fingerprint));
        let Some(link) = self.downlink.links.get_mut(&site) else { return Ok(()) };
        let cost = match message {
            FromSite::Join(_) | FromSite::Hello(_) => GREETING_COST,
            FromSite::Status(delta) => status_cost(delta),
            FromSite::Events(batch) => events_cost(batch),
            FromSite::SpecAck(_) if was_asked => 0,
            FromSite::SpecAck(_) | FromSite::Renew | FromSite::Alive | FromSite::WantPlugin(_) => MESSAGE_COST,
            FromSite::Storage(_) => STORAGE_COST,
        };
        let delay = link.pace.charge(cost, now.instant);
        if planted(Mutant::SharedPace) {
            for (_, link) in self.downlink.links.iter_mut().filter(|(other, _)| **other != site) {
                link.pace.charge(cost, now.instant);
            }
        }
        if PACE_OVERDRAFT_MAX < delay {
            let text = "this site sends more than the server takes, and does not wait for acknowledgements";
            return Err(Refusal::new(RefusalCode::Busy, text).retry_after(delay));
        }
        Ok(())
    }

    /// Sends an acknowledgement as soon as the site's rate limit allows.
    pub(super) fn acknowledge(&mut self, session: SessionId, message: FromServer, now: Now) {
        let delay = self.delay_of(session, now);
        if Duration::ZERO < delay {
            return self.timers.set(FleetTimer::Acknowledge(session), now.instant + delay);
        }
        if let Some(session) = self.downlink.sessions.get_mut(&session) {
            match message {
                FromServer::StatusAck(_) => session.waits.status = false,
                FromServer::EventsAck(_) => session.waits.events = false,
                _ => {}
            }
        }
        self.outputs.push_back(FleetOutput::Send { session, message });
    }

    /// Reads a plugin piece for a site as soon as its rate limit allows.
    pub(super) fn read_piece(&mut self, session: SessionId, want: PluginWant, now: Now) {
        let delay = self.delay_of(session, now);
        if delay.is_zero() {
            return self.outputs.push_back(FleetOutput::ReadPlugin { session, want });
        }
        let Some(waits) = self.downlink.sessions.get_mut(&session).map(|session| &mut session.waits) else { return };
        // A site fetches one piece of each plugin at a time.
        if waits.pieces.len() < PROVIDERS_PER_SITE_MAX || waits.pieces.contains_key(&want.digest) {
            waits.pieces.insert(want.digest, want.offset);
        }
        self.timers.set(FleetTimer::Pieces(session), now.instant + delay);
    }

    /// Reads the pieces that a site requested above its rate limit.
    pub(super) fn read_waiting_pieces(&mut self, session: SessionId) {
        let waits = self.downlink.sessions.get_mut(&session).map(|session| &mut session.waits);
        let pieces: Vec<(PluginDigest, u64)> =
            waits.map(|waits| std::mem::take(&mut waits.pieces).into_iter().collect()).unwrap_or_default();
        for (digest, offset) in pieces {
            self.outputs.push_back(FleetOutput::ReadPlugin { session, want: PluginWant { digest, offset } });
        }
    }

    fn delay_of(&mut self, session: SessionId, now: Now) -> Duration {
        let site = self.downlink.up(session).map(|(site, _)| site);
        let link = site.and_then(|site| self.downlink.links.get(&site));
        link.map_or(Duration::ZERO, |link| link.pace.delay(now.instant))
    }
}

/// Checks that a site reports status only about itself and its own host.
pub(super) fn check_speaker(site: SiteId, delta: &StatusDelta) -> Result<(), Refusal> {
    let may_speak_of = |key: &DocumentKey| match key {
        DocumentKey::Site | DocumentKey::Provider(_) => true,
        DocumentKey::Host(host) => *host == site.gateway(),
    };
    match delta.documents.keys().all(may_speak_of) {
        true => Ok(()),
        false => Err(Refusal::new(RefusalCode::Protocol, "status of a host that is not this site's")),
    }
}

/// Checks that the status of one site stays within its limits, however many messages it came in.
pub(super) fn check_status(status: &Documents<StatusBody>) -> Result<(), Refusal> {
    let providers = status.live().filter(|(key, _)| matches!(key, DocumentKey::Provider(_))).count();
    let bytes: usize = status.live().map(|(_, body)| record_bytes(body)).sum();
    let text = if planted(Mutant::UnboundedStatus) {
        return Ok(());
    } else if PROVIDERS_PER_SITE_MAX < providers {
        format!("status of {providers} providers; a site has at most {PROVIDERS_PER_SITE_MAX}")
    } else if REPORTED_RECORDS_BYTES_MAX < bytes {
        format!("status of {bytes} bytes of DNS records; a site reports at most {REPORTED_RECORDS_BYTES_MAX}")
    } else {
        return Ok(());
    };
    Err(Refusal::new(RefusalCode::Protocol, &text))
}
