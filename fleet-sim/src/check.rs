//! Checkers: invariants that must hold at every moment, observed from outside the machines.
//!
//! They see only the machines' inputs and outputs and the bytes on the disks. Each examines only what an event touched,
//! so all can run on every event. The first violation is reported once, in one sentence, and ends the run.
//!
//! | checker | invariant |
//! |---|---|
//! | `durable-before-acknowledged` | what an acknowledgement, a reply or a grant states is on the sender's disk |
//! | `acknowledged-survives` | what was acknowledged to an operator is on the disk after every restart and at the end |
//! | `generations-rise` | no site accepts an older document, or a different one under a known generation |
//! | `removed-stays-removed` | a removed key is never admitted and never given a certificate |
//! | `one-session` | a site has one session at a time, and the server reports it connected while the session is up |
//! | `within-limits` | every queue, outbox, event log and frame is within its limit |
//! | `own-data` | a site is sent only its own documents, as they are on the server's disk |
//! | `label-owners` | labels under an owner are those that this owner has set |
//! | `legal-moves` | phases and links change along their state graphs |
//! | `token-rules` | no token is used more often than allowed, or after it was revoked or has expired |
//! | `foreign-untouched` | DNS records of others stay unchanged, byte for byte |
//! | `own-claims` | only the owning site changes a DNS record, which never lacks its ownership TXT record |
//! | `no-leak` | what a site or a provider leaves behind in DNS is reported |
//! | `restarts` | every record reads back as written; at the end a server and daemons start from their disks |
//! | `bounded` | what the server stores for one site is within a stated bound |
//! | `event-origin` | what a site reports is never stored as the server's own event, nor displaces one |
//! | `pending-members-wait` | for a site that is not accepted yet, the server stores facts and nothing else |
//! | `link-history` | every loss of three minutes and more is in the site's history once, with a cause that there was |
//! | `answered-in-time` | operators and honest sites are answered in time |
//! | `wire` | every message survives encoding and decoding |
//! | `converges` | after the faults, all reachable sites converge in time |
//! | `quiet` | once converged, nothing is written, and DNS is still checked |
//! | `storm`, `byte-budget` | a scenario's bounds on reconnect times and on bytes |

mod convergence;
mod documents;
mod durability;
mod lifecycle;
mod limits;
mod link_history;
mod origin;
mod records;
mod response_time;
mod restarts;
mod storage_per_site;

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::{
    CommandId, DocumentKey, FleetChange, Generation, HostRegistration, KeyFingerprint, LabelKey, LabelValue, Level,
    LinkState, Registration, SessionId, SiteId,
};

use crate::disk::Disk;
use crate::transport::NodeId;

pub(crate) use self::convergence::{SiteState, convergence_failure, stored_local_label};
pub(crate) use self::durability::{LevelOf, Promise, Slot, What};
pub(crate) use self::records::{ADDRESS_LABEL, OWN_PREFIX, RecordInputs, SELECT_LABEL, SWITCH_LABEL, label};

/// A violation of an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) checker: &'static str,
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) what: String,
}

/// All checkers, with their state.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    found: Option<Finding>,
    machines: BTreeMap<KeyFingerprint, Machine>,
    /// The sites that the server's disk has registered.
    sites: BTreeMap<SiteId, Watched>,
    sessions: BTreeMap<SessionId, KeyFingerprint>,
    acknowledged: BTreeMap<Slot, durability::Acknowledged>,
    requests: BTreeMap<CommandId, Vec<(Slot, Promise)>>,
    records: records::Records,
    holdings: storage_per_site::Holdings,
    own_events: origin::OwnEvents,
    served: response_time::Served,
    histories: link_history::LinkHistories,
}

/// A machine that may become a site, registered or not.
#[derive(Debug)]
struct Machine {
    node: NodeId,
    /// The site it is registered as.
    site: Option<SiteId>,
    is_hostile: bool,
    /// Every label value ever set locally.
    set_locally: BTreeSet<(Level, LabelKey, LabelValue)>,
}

/// State of one site.
#[derive(Debug)]
struct Watched {
    node: NodeId,
    key: KeyFingerprint,
    /// The session that was admitted and not closed.
    live: Option<SessionId>,
    link: Option<LinkState>,
    /// Digests of the documents that the server wrote, the newest few of each.
    written: BTreeMap<DocumentKey, BTreeMap<Generation, u64>>,
}

impl Watch {
    /// Adds a machine that will join.
    pub(crate) fn add_machine(&mut self, node: NodeId, key: KeyFingerprint) {
        let machine = Machine { node, site: None, is_hostile: false, set_locally: BTreeSet::new() };
        self.machines.entry(key).or_insert(machine);
    }

    /// Learns the ID of a site that the server is about to register.
    pub(crate) fn server_registers(&mut self, change: &FleetChange) {
        let FleetChange::SiteKey(site, key, Some(_)) = change else { return };
        let Some(machine) = self.machines.get_mut(key) else { return };
        machine.site = Some(*site);
        let watched = Watched { node: machine.node, key: *key, live: None, link: None, written: BTreeMap::new() };
        self.sites.entry(*site).or_insert(watched);
    }

    /// Returns the site that the holder of a key is registered as.
    pub(crate) fn site_of_key(&self, key: &KeyFingerprint) -> Option<SiteId> {
        self.machines.get(key).and_then(|machine| machine.site)
    }

    /// Returns the violation found since the last call, if any.
    pub(crate) fn take_found(&mut self) -> Option<Finding> {
        self.found.take()
    }

    /// Reports a violation. Only the first one counts.
    pub(crate) fn find(&mut self, checker: &'static str, node: impl IntoIterator<Item = NodeId>, what: String) {
        self.found.get_or_insert_with(|| Finding { checker, nodes: node.into_iter().collect(), what });
    }

    /// Records that a label was set locally.
    pub(crate) fn set_locally(&mut self, key: &KeyFingerprint, level: Level, label: &LabelKey, value: &LabelValue) {
        if let Some(machine) = self.machines.get_mut(key) {
            machine.set_locally.insert((level, label.clone(), value.clone()));
        }
    }

    /// The server stopped, and all its sessions with it.
    pub(crate) fn server_stopped(&mut self) {
        self.sessions.clear();
        self.clear_waits();
        for site in self.sites.values_mut() {
            site.live = None;
            site.link = None;
        }
    }

    /// Marks the holder of a key as a hostile member.
    pub(crate) fn add_hostile(&mut self, key: &KeyFingerprint) {
        if let Some(machine) = self.machines.get_mut(key) {
            machine.is_hostile = true;
        }
    }

    pub(crate) fn is_hostile(&self, site: SiteId) -> bool {
        self.machine_of(site).is_some_and(|machine| machine.is_hostile)
    }

    fn machine_of(&self, site: SiteId) -> Option<&Machine> {
        self.sites.get(&site).and_then(|site| self.machines.get(&site.key))
    }

    /// Returns the machine of a site: the original if there are clones.
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

/// Returns whether the disk holds the key of a removed site as revoked.
fn is_revoked(disk: &Disk<FleetChange>, key: &KeyFingerprint) -> bool {
    disk.find(&FleetChange::RevokedKey(*key, None)).is_some()
}

/// Reads the registration of a site's gateway host.
fn gateway(disk: &Disk<FleetChange>, site: SiteId, registration: &Registration) -> Option<HostRegistration> {
    match disk.find(&FleetChange::Host(site, registration.gateway, None)) {
        Some(FleetChange::Host(_, _, host)) => host,
        _ => None,
    }
}

/// Returns the document that holds the spec of a site or its gateway.
fn document_of(disk: &Disk<FleetChange>, level: LevelOf, site: SiteId) -> Option<DocumentKey> {
    match level {
        LevelOf::Site => Some(DocumentKey::Site),
        LevelOf::Gateway => registration(disk, site).map(|registration| DocumentKey::Host(registration.gateway)),
    }
}
