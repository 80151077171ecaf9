//! `generations-rise`, `own-data`, `label-owners`: documents in transit and on the disks.

use linecamp_model::{
    Document, DocumentKey, FleetChange, FromParent, LabelSet, Level, SessionId, SiteChange, SiteId, SpecBody,
    StatusBody,
};

use super::{LevelOf, Watch, document_of};
use crate::disk::{Disk, Record as _};
use crate::trace::Digest;
use crate::transport::NodeId;

/// Number of generations remembered per document.
const WRITTEN_MAX: usize = 32;

impl Watch {
    /// Checks a change that a site is about to write.
    pub(crate) fn site_writes(
        &mut self,
        node: NodeId,
        site: Option<SiteId>,
        change: &SiteChange,
        disk: &Disk<SiteChange>,
    ) {
        let SiteChange::Spec(key, Some(document)) = change else {
            return;
        };
        let before = match disk.find(&SiteChange::Spec(*key, None)) {
            Some(SiteChange::Spec(_, before)) => before,
            _ => None,
        };
        if let Some(before) = before.filter(|before| document.generation < before.generation) {
            let (after, before) = (document.generation, before.generation);
            self.find(
                "generations-rise",
                [node],
                format!("the site wrote {key:?} generation {after} over generation {before}"),
            );
        }
        let Some(site) = site else { return };
        let written = self.sites.get(&site).and_then(|site| site.written.get(key)?.get(&document.generation));
        if written.is_some_and(|written| *written != digest(site, *key, document)) {
            let generation = document.generation;
            let what = format!("the site wrote {key:?} generation {generation} with other contents than the server");
            self.find("generations-rise", [node], what);
        }
    }

    /// Checks a change that the server is about to write.
    pub(crate) fn server_writes_document(&mut self, change: &FleetChange) {
        match change {
            FleetChange::Spec(site, key, Some(document)) => {
                self.check_assigned(*site, *key, document);
                if let Some(watched) = self.sites.get_mut(site) {
                    let written = watched.written.entry(*key).or_default();
                    written.insert(document.generation, digest(*site, *key, document));
                    if WRITTEN_MAX < written.len() {
                        written.pop_first();
                    }
                }
            }
            FleetChange::Status(site, key, Some(document)) => self.check_local(*site, *key, document),
            _ => {}
        }
    }

    fn check_assigned(&mut self, site: SiteId, key: DocumentKey, document: &Document<SpecBody>) {
        let (level, labels) = match &document.body {
            Some(SpecBody::Site(spec)) => (LevelOf::Site, &spec.assigned),
            Some(SpecBody::Host(spec)) => (LevelOf::Gateway, &spec.assigned),
            Some(SpecBody::Provider(_) | SpecBody::HostToken(_)) | None => return,
        };
        for (label, held) in labels.iter() {
            if !self.may_be_assigned(site, level, label, &held.value) {
                let value = &held.value;
                let what = format!("{key:?} has the assigned label {label}={value}, which no operator has set");
                return self.find("label-owners", self.node_of(site), what);
            }
        }
    }

    fn check_local(&mut self, site: SiteId, key: DocumentKey, document: &Document<StatusBody>) {
        let (level, labels): (Level, &LabelSet) = match &document.body {
            Some(StatusBody::Site(status)) => (Level::Site, &status.local),
            Some(StatusBody::Host(status)) => (Level::Host, &status.local),
            Some(StatusBody::Provider(_)) | None => return,
        };
        // A hostile member may report anything about itself.
        let Some(machine) = self.machine_of(site).filter(|machine| !machine.is_hostile) else { return };
        let is_foreign = |(label, value)| !machine.set_locally.contains(&(level, label, value));
        let mut all = labels.iter().map(|(label, held)| (label.clone(), held.value.clone()));
        if let Some((label, value)) = all.find(|label| is_foreign(label.clone())) {
            let what = format!("{key:?} has the local label {label}={value}, which was never set locally");
            self.find("label-owners", self.node_of(site), what);
        }
    }

    /// The server sends documents: they must belong to this site and match the server's disk.
    pub(crate) fn server_sends(&mut self, session: SessionId, message: &FromParent, disk: &Disk<FleetChange>) {
        let (FromParent::Spec(delta), Some(site)) = (message, self.site_of(session)) else {
            return;
        };
        let own = [Some(DocumentKey::Site), document_of(disk, LevelOf::Gateway, site)];
        for (key, document) in &delta.documents {
            let held = match disk.find(&FleetChange::Spec(site, *key, None)) {
                Some(FleetChange::Spec(_, _, held)) => held,
                _ => None,
            };
            let is_kept = held.as_ref().is_some_and(|held| {
                document.generation < held.generation || (document.generation == held.generation && document == held)
            });
            let is_own =
                own.contains(&Some(*key)) || matches!(key, DocumentKey::Provider(_)) || is_joined_host(document);
            if !is_own || !is_kept {
                let what = format!(
                    "the server sent {key:?} generation {} to the site, its disk has {held:?}",
                    document.generation
                );
                return self.find("own-data", self.node_of(site), what);
            }
        }
    }
}

/// Returns whether this is a host that joined its gateway, or that was purged. That it is one of this site follows from
/// its being on the disk under the site.
const fn is_joined_host(document: &Document<SpecBody>) -> bool {
    match &document.body {
        Some(SpecBody::Host(spec)) => spec.member.is_some(),
        Some(_) => false,
        None => true,
    }
}

fn digest(site: SiteId, key: DocumentKey, document: &Document<SpecBody>) -> u64 {
    let (_, body) = FleetChange::Spec(site, key, Some(document.clone())).row();
    let mut digest = Digest::default();
    digest.bytes(&body.unwrap_or_default());
    digest.value()
}
