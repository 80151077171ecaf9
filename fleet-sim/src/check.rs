//! Checkers: what must hold at every moment, seen from outside the machines.
//!
//! They know the machines by what goes in and comes out, and the disks by their bytes. Each looks only at what an
//! event touched, so that they can look at every event. A checker that sees something says so once, in a sentence,
//! and the run ends.
//!
//! | checker | what must hold |
//! |---|---|
//! | `durable-before-told` | what an acknowledgement, a reply or a grant says is on the teller's disk at that moment |
//! | `told-is-kept` | what an operator was told holds is there after every restart and at the end |
//! | `generations-rise` | no site takes an older document, or another one under a known generation |
//! | `removed-stays-removed` | a removed key is never let in nor given a certificate |
//! | `one-session` | a site has one session at a time, and the server calls it connected while it is up |
//! | `within-limits` | every queue, outbox, book and frame is within its limit |
//! | `own-data` | a site is sent its own documents, as they are on the server's disk |
//! | `label-owners` | labels under an owner are those that this owner has set |
//! | `legal-moves` | lives and links move along their graphs |
//! | `token-rules` | no token makes more sites than it may, or any after it was revoked |
//! | `foreign-untouched` | DNS records of others stay as they are, to the byte |
//! | `own-claims` | a DNS record that a site has claimed is changed by that site alone, and is never without its claim |
//! | `no-leak` | what a site or a provider leaves behind in DNS is named |
//! | `restarts` | every record reads back as it was written; in the end a server and daemons start from their disks |
//! | `bounded` | what the server holds of one site is within a stated bound |
//! | `own-words` | what a site says is never kept as the server's words, nor in place of them |
//! | `waits` | of a site that nobody has accepted the server keeps facts, and nothing else |
//! | `served` | operators and honest sites are answered in time |
//! | `wire` | every message survives its bytes |
//! | `converges` | after the faults everything reachable agrees in time |
//! | `quiet` | then nothing is written, and DNS is still looked at |
//! | `storm`, `byte-budget` | what a scenario expects of returns and of bytes |

mod bounded;
mod documents;
mod life;
mod limits;
mod origin;
mod promises;
mod records;
mod restarts;
mod served;
mod settled;

use std::collections::{BTreeMap, BTreeSet};

use linecamp_core::Subject;
use linecamp_model::{
    CommandId, DocumentKey, FleetChange, Generation, KeyFingerprint, LabelKey, LabelValue, Level, LinkState,
    Registration, SessionId, SiteId,
};

use crate::carrier::NodeId;
use crate::disk::Disk;

pub(crate) use self::promises::{LevelOf, Promise, Slot, What};
pub(crate) use self::records::{ADDRESS_LABEL, OWN_PREFIX, SELECT_LABEL, SWITCH_LABEL, Share, label};
pub(crate) use self::settled::{Settling, held_on_the_spot, unsettled};

/// Something that must not happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) checker: &'static str,
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) what: String,
}

/// All checkers, with what they remember.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    found: Option<Finding>,
    sites: BTreeMap<SiteId, Watched>,
    sessions: BTreeMap<SessionId, SiteId>,
    told: BTreeMap<Slot, promises::Told>,
    asked: BTreeMap<CommandId, (Slot, Promise)>,
    records: records::Records,
    /// Members that lie.
    hostile: BTreeSet<SiteId>,
    holdings: bounded::Holdings,
    own_events: origin::OwnEvents,
    served: served::Served,
}

/// What is remembered of one site.
#[derive(Debug)]
struct Watched {
    node: NodeId,
    key: KeyFingerprint,
    /// The session that was let in and not closed.
    live: Option<SessionId>,
    link: Option<LinkState>,
    /// What documents the server wrote, as digests. The newest few of each.
    written: BTreeMap<DocumentKey, BTreeMap<Generation, u64>>,
    /// What anybody ever set on the spot.
    set_on_the_spot: BTreeSet<(Level, LabelKey, LabelValue)>,
}

impl Watch {
    /// Gets to know a site.
    pub(crate) fn add_site(&mut self, node: NodeId, key: KeyFingerprint) {
        self.sites.entry(SiteId::of_key(&key)).or_insert_with(|| Watched {
            node,
            key,
            live: None,
            link: None,
            written: BTreeMap::new(),
            set_on_the_spot: BTreeSet::new(),
        });
    }

    /// Takes what was found.
    pub(crate) fn take_found(&mut self) -> Option<Finding> {
        self.found.take()
    }

    /// Says that something happened that must not. The first one counts.
    pub(crate) fn find(&mut self, checker: &'static str, node: impl IntoIterator<Item = NodeId>, what: String) {
        self.found.get_or_insert_with(|| Finding { checker, nodes: node.into_iter().collect(), what });
    }

    /// Somebody sets a label on the spot.
    pub(crate) fn set_on_the_spot(&mut self, key: &KeyFingerprint, level: Level, label: &LabelKey, value: &LabelValue) {
        if let Some(site) = self.sites.get_mut(&SiteId::of_key(key)) {
            site.set_on_the_spot.insert((level, label.clone(), value.clone()));
        }
    }

    /// The server is gone, and with it all its sessions.
    pub(crate) fn server_is_gone(&mut self) {
        self.sessions.clear();
        self.nobody_waits();
        for site in self.sites.values_mut() {
            site.live = None;
            site.link = None;
        }
    }

    /// A site is a hostile member.
    pub(crate) fn add_hostile(&mut self, site: SiteId) {
        self.hostile.insert(site);
    }

    /// Whether a site is a hostile member.
    pub(crate) fn is_hostile(&self, site: SiteId) -> bool {
        self.hostile.contains(&site)
    }

    /// Returns the machine of a site: the original, if there are copies.
    pub(crate) fn node_of(&self, site: SiteId) -> Option<NodeId> {
        self.sites.get(&site).map(|site| site.node)
    }
}

/// Reads the registration of a site.
fn registration(disk: &Disk<FleetChange>, site: SiteId) -> Option<Registration> {
    match disk.find(&FleetChange::Site(site, None)) {
        Some(FleetChange::Site(_, registration)) => registration,
        _ => None,
    }
}

/// Whether the key of a removed site is kept.
fn is_revoked(disk: &Disk<FleetChange>, key: &KeyFingerprint) -> bool {
    disk.find(&FleetChange::RevokedKey(*key, None)).is_some()
}

/// Returns the document that holds what is said of a subject.
fn document_of(subject: Subject, site: SiteId) -> DocumentKey {
    match subject {
        Subject::Site => DocumentKey::Site,
        Subject::Gateway => DocumentKey::Host(site.gateway()),
    }
}
