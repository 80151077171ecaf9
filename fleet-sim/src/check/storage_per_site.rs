//! `bounded`: what the server stores for one site stays within a stated bound, whatever the site sends.
//!
//! The server's memory is essentially its database, which it loads completely at startup. So this checker counts what
//! the database holds, in bytes of keys and bodies.

use std::collections::BTreeMap;

use linecamp_model::limits::{
    DOCUMENTS_BYTES_MAX, DOCUMENTS_PER_DELTA_MAX, HOSTS_PER_SITE_MAX, LINK_GAPS_PER_SITE_MAX,
    SERVER_EVENTS_PER_SITE_MAX, TEXT_BYTES_MAX,
};
use linecamp_model::{FleetChange, SiteId};

use super::Watch;
use crate::disk::Record as _;

/// Bytes of an event besides its text: its key, its site, its times, its kind.
const EVENT_BYTES: usize = 128;

/// Events of one site: those it sent, and those that the server recorded about it.
const EVENTS_MAX: usize = 2 * SERVER_EVENTS_PER_SITE_MAX;

/// Bytes of a gap of the link: its key, its causes, and the last error.
const GAP_BYTES: usize = 512;

/// Maximum bytes that the server stores for one site: its spec and its status, which have the same limit; its events;
/// the gaps of its link; and 128 KiB for its registration, for tombstones, and for keys, which are longer on disk than
/// on the link.
pub(crate) const SITE_BYTES_MAX: usize = 2 * DOCUMENTS_BYTES_MAX
    + EVENTS_MAX * (TEXT_BYTES_MAX + EVENT_BYTES)
    + LINK_GAPS_PER_SITE_MAX * GAP_BYTES
    + 128 * 1024;

/// Maximum records that the server stores for one site: documents of both directions including tombstones, its events,
/// the gaps of its link, its hosts, its registration, its key, its replication cursor, the authorities it trusts, and
/// the mark that it is held.
pub(crate) const SITE_RECORDS_MAX: usize =
    2 * DOCUMENTS_PER_DELTA_MAX + EVENTS_MAX + LINK_GAPS_PER_SITE_MAX + 5 + HOSTS_PER_SITE_MAX;

// SPECIFICATION.md states both.
const _: () = assert!(SITE_RECORDS_MAX == 1_963 && SITE_BYTES_MAX == 9_031_680);

/// What the server's disk holds, by site.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// The site that each record belongs to, and the record's size in bytes.
    records: BTreeMap<Vec<u8>, (SiteId, usize)>,
    /// Record count and byte count of each site.
    sites: BTreeMap<SiteId, (usize, usize)>,
}

impl Holdings {
    /// Applies a written or deleted record. Returns its site with that site's new record and byte counts.
    fn take(&mut self, change: &FleetChange) -> Option<(SiteId, usize, usize)> {
        let (key, body) = change.row();
        let before = self.records.remove(&key);
        if let Some((site, bytes)) = before {
            let held = self.sites.entry(site).or_default();
            *held = (held.0 - 1, held.1 - bytes);
        }
        let site = owner(change)?;
        let bytes = key.len() + body?.len();
        self.records.insert(key, (site, bytes));
        let held = self.sites.entry(site).or_default();
        *held = (held.0 + 1, held.1 + bytes);
        Some((site, held.0, held.1))
    }
}

/// Returns the site that a record belongs to.
fn owner(change: &FleetChange) -> Option<SiteId> {
    match change {
        FleetChange::Site(site, _)
        | FleetChange::Spec(site, _, _)
        | FleetChange::Status(site, _, _)
        | FleetChange::SiteKey(site, _, _)
        | FleetChange::Host(site, _, _)
        | FleetChange::ReplicationCursor(site, _)
        | FleetChange::SiteTrust(site, _)
        | FleetChange::HeldSite(site, _)
        | FleetChange::LinkGap(site, _, _) => Some(*site),
        FleetChange::Event(_, logged) => logged.as_ref().and_then(|logged| logged.event.site),
        _ => None,
    }
}

impl Watch {
    /// Checks a change that the server has written.
    pub(crate) fn server_holds(&mut self, change: &FleetChange) {
        let Some((site, records, bytes)) = self.holdings.take(change) else { return };
        let is_within = records <= SITE_RECORDS_MAX && bytes <= SITE_BYTES_MAX;
        if !is_within {
            let what = format!(
                "the server holds {records} records of {bytes} bytes of one site; \
                 at most {SITE_RECORDS_MAX} of {SITE_BYTES_MAX} may be"
            );
            self.find("bounded", self.node_of(site), what);
        }
    }
}
