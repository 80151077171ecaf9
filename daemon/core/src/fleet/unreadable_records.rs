//! Records that could not be read at startup. Each affects one site at most: a site whose registration cannot be read
//! is refused until its record is repaired.

use std::collections::BTreeMap;

use linecamp_model::{EventKind, FleetChange, Now, Refusal, RefusalCode, ReplicationCursor, Salvage, SiteId, Text};

use super::config::{QUARANTINE_RETRY, UnreadableRecord};
use super::effects::Effects;

/// The maximum number of events about unreadable records at startup; the rest is summed up in one more.
const UNREADABLE_EVENTS_MAX: usize = 16;

/// The sites whose records cannot be read, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct Quarantine(BTreeMap<SiteId, Text>);

impl Quarantine {
    /// Handles the records that could not be read.
    pub(super) fn new(unreadable: &[UnreadableRecord], effects: &mut Effects, now: Now) -> Self {
        let mut quarantine = Self::default();
        let mut removals = Vec::new();
        for record in unreadable {
            match &record.salvage {
                Salvage::Remove(FleetChange::Status(site, key, _)) => {
                    removals.push(FleetChange::Status(*site, *key, None));
                    // The remaining documents are no valid base for a delta: the site is asked for a snapshot.
                    let cursor = ReplicationCursor { status_run: None, ..effects.state().cursor_of(*site) };
                    effects.restore(FleetChange::ReplicationCursor(*site, Some(cursor)));
                }
                Salvage::Remove(change) => removals.push(change.clone()),
                Salvage::Quarantine(site) => drop(quarantine.0.insert(*site, record.problem.clone())),
                Salvage::Keep(_) | Salvage::Ignore => {}
            }
        }
        if !removals.is_empty() {
            effects.stage(removals, Vec::new());
        }
        record_events(unreadable, effects, now);
        quarantine
    }

    /// Returns the quarantined sites, and why.
    pub(super) fn sites(&self) -> impl Iterator<Item = (SiteId, &Text)> {
        self.0.iter().map(|(site, problem)| (*site, problem))
    }

    /// Returns the refusal for a quarantined site.
    pub(super) fn refusal(&self, site: SiteId) -> Option<Refusal> {
        let problem = self.0.get(&site)?;
        let text = format!(
            "the server cannot read its record of site {site} ({problem}); restore the server from a backup, or run `linecampd forget` at the site and join it again"
        );
        Some(Refusal::new(RefusalCode::StoreFailed, &text).retry_after(QUARANTINE_RETRY))
    }
}

fn record_events(unreadable: &[UnreadableRecord], effects: &mut Effects, now: Now) {
    for record in unreadable.iter().take(UNREADABLE_EVENTS_MAX) {
        let (site, effect) = match &record.salvage {
            Salvage::Keep(_) => (None, "what its key says is kept"),
            Salvage::Remove(FleetChange::Status(site, ..)) => (Some(*site), "the site sends it again"),
            Salvage::Remove(_) => (None, "it is removed"),
            Salvage::Quarantine(site) => (Some(*site), "this site is refused until its record is repaired"),
            Salvage::Ignore => (None, "it is ignored"),
        };
        let text = format!("record {} cannot be read: {}; {effect}", record.key, record.problem);
        effects.stage_noted(Vec::new(), vec![(EventKind::RecordUnreadable, site, text)], Vec::new(), now);
    }
    if let Some(more) = unreadable.len().checked_sub(UNREADABLE_EVENTS_MAX).filter(|more| 0 < *more) {
        let text = format!("{more} more records cannot be read; the server's log names them");
        effects.stage_noted(Vec::new(), vec![(EventKind::RecordUnreadable, None, text)], Vec::new(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::testing::{NOW, state_with_site};

    #[test]
    fn only_the_site_with_an_unreadable_record_is_refused() {
        let (state, site) = state_with_site();
        let mut effects = Effects::new(state);
        let unreadable = |salvage| UnreadableRecord { key: Text::lossy("k"), problem: Text::lossy("bad"), salvage };
        let mut records = vec![unreadable(Salvage::Quarantine(site))];
        records.extend((0..40).map(|_| unreadable(Salvage::Ignore)));
        let quarantine = Quarantine::new(&records, &mut effects, NOW);
        assert_eq!(quarantine.refusal(site).map(|refusal| refusal.code), Some(RefusalCode::StoreFailed));
        assert!(quarantine.refusal(SiteId::from_bytes([9; 16])).is_none());
        assert_eq!(effects.state().events.after(0).count(), UNREADABLE_EVENTS_MAX + 1);
    }
}
