//! Who is linked, as the log tells it: a session begins when the site was welcomed, and is over when it was not closed
//! before that. What is refused at the door was never there, and who refused it says so where it happens.

use std::collections::BTreeMap;

use linecamp_model::{Name, SessionId, SiteId};

use crate::drive::session::SessionNote;

/// The sessions that are open.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    open: BTreeMap<SessionId, Open>,
}

#[derive(Debug)]
struct Open {
    site: SiteId,
    /// The site's name, once it was welcomed.
    name: Option<String>,
}

impl Presence {
    /// Hears what a session tells the loop.
    pub(crate) fn note(&mut self, session: SessionId, note: &SessionNote) {
        match note {
            SessionNote::Opened { peer, .. } => {
                self.open.insert(session, Open { site: SiteId::of_key(&peer.fingerprint), name: None });
            }
            SessionNote::Closed(end) => {
                if let Some(Open { site, name: Some(name) }) = self.open.remove(&session) {
                    tracing::info!(site = name, session = session.0, site_id = %site, %end, "link down");
                }
            }
            SessionNote::Received(_) | SessionNote::Moved(_) => {}
        }
    }

    /// Hears that the site of a session is welcomed. `name_of` knows what it is called.
    pub(crate) fn welcome(&mut self, session: SessionId, name_of: impl FnOnce(SiteId) -> Option<Name>) {
        let Some(open) = self.open.get_mut(&session) else { return };
        let name = name_of(open.site).map_or_else(|| open.site.to_string(), |name| name.to_string());
        tracing::info!(site = name, session = session.0, site_id = %open.site, "link up");
        open.name = Some(name);
    }
}
